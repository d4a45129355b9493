"""What a run is asked for, and what the environment and a configuration add to it."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, cast

from checkers import CHECKERS, CheckerOptions
from evaluation.rules import check_rule
from inputs.config import BenchmarkConfig, load_config
from metrics import ASPECTS
from model_files.weights import default_cache_dir
from utils.files import expanded
from utils.settings import PLACES, Settings, environment

DATASET = Path(__file__).parent.parent / "dataset"
DEMO = DATASET / "Benchmarking_images_demo"


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """A run, whoever asks for it: the command line, a program or a notebook.

    Images are found in one of three ways: ``data_root`` in the published layout; ``data_root``
    with plain ``<METHOD>/*.png`` and a ``reference``; or ``images``, a folder a method.

    Attributes:
        aspects: names of evaluation aspects; empty for every one that can be scored.
        data_root: None for the bundled demo.
        reference: images of the original model.
        images: folders, each of one method, named after itself.
        recursive: take images of subfolders of ``images`` too.
        unrelated: score the images of unrelated prompts.
        concepts, methods: names; empty for all that are there.
        indicator: the checker of forgetting; None for the preferred one.
        preset, threshold: of a detector; None for its own.
        calibration: labelled images, ``<Concept>/present`` and ``.../absent``.
        gates: rules that the results will be held against. Their judge is tried on the original
            model, which is scored too where ``methods`` leaves it out.
        limit: take the first images of each folder only.
        group_by: a regular expression or a CSV file that tells which images share a prompt.
        config: a ``benchmark.yaml``; None for the bundled one.
        plugins: Python files that register metrics, checkers and extractors.
        results_dir: where the run is recorded; None to keep it in memory.
        cache_dir: feature store and heads; None for the user's cache folder.
        keep_features: read and keep rows in the store; else they go with the run.
        weights_dir: classifier heads in the published layout.
        models: name of a model -> path or hub id.
        trust_weights: load files that can run code, though they are not the published ones.
        device, precision: of forward passes.
        batch_size: None for the device's own.
        workers: loader threads; None for a thread a core.
        progress: show a bar on stderr.
    """

    aspects: Sequence[str] = ()
    data_root: Path | None = None
    reference: Path | None = None
    images: Sequence[Path] = ()
    recursive: bool = False
    unrelated: bool = False
    concepts: Sequence[str] = ()
    methods: Sequence[str] = ()
    indicator: str | None = None
    preset: str | None = None
    threshold: float | None = None
    calibration: Path | None = None
    gates: Sequence[str] = ()
    limit: int | None = None
    group_by: str | None = None
    config: Path | None = None
    plugins: Sequence[Path] = ()
    results_dir: Path | None = None
    cache_dir: Path | None = None
    keep_features: bool = True
    weights_dir: Path | None = None
    models: Mapping[str, str] = field(default_factory=dict)
    trust_weights: bool = False
    device: str = "auto"
    precision: str = "fp32"
    batch_size: int | None = None
    workers: int | None = None
    progress: bool = True

    def __post_init__(self) -> None:
        """Take what a person types: text for a path, one name or a list for several."""
        for name in ("aspects", "concepts", "methods", "gates"):
            object.__setattr__(self, name, _several(getattr(self, name)))
        for name in ("images", "plugins"):
            object.__setattr__(self, name, tuple(map(_path, _several(getattr(self, name)))))
        for name in ("data_root", "reference", "calibration", "config", *PLACES):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, _path(value))

    @property
    def checker_options(self) -> CheckerOptions:
        """What of it a checker may need."""
        return CheckerOptions(
            cache_dir=self.cache_dir or default_cache_dir(),
            weights_dir=self.weights_dir,
            models=self.models,
            device=self.device,
            precision=self.precision,
            preset=self.preset,
            threshold=self.threshold,
            trust_weights=self.trust_weights,
        )


def _several(value: Any) -> tuple[Any, ...]:
    return (value,) if isinstance(value, str | Path) else tuple(value or ())


def _path(value: str | Path) -> Path:
    return expanded(os.fspath(value))


def config_of(args: Namespace, **more: Any) -> RunConfig:
    """Return the run that parsed arguments ask for.

    Args:
        more: fields that no flag is named after.
    """
    given = {one.name: getattr(args, one.name) for one in fields(RunConfig) if one.name in args}
    given |= {"models": dict(args.model), "keep_features": not args.no_cache}
    return RunConfig(**{**given, "progress": not args.quiet, **more})


@dataclass(frozen=True)
class Settled:
    """A run of which everything is known.

    Attributes:
        run: with what the environment and the configuration give.
        benchmark: the configuration.
        sources: setting -> where it is from: ``command line``, ``environment``, the path of the
            YAML file or ``default``.
    """

    run: RunConfig
    benchmark: BenchmarkConfig
    sources: Mapping[str, str]


def settle(
    run: RunConfig, defaults: Mapping[str, Path] | None = None, given: str = "command line"
) -> Settled:
    """Complete a run by the environment (``IGMU_*``), then its configuration, then defaults.

    Models add up by name, gates altogether: none is dropped because another is given.

    Args:
        defaults: folders where nobody names one.
        given: what ``sources`` calls the run itself.

    Raises:
        UserError: a variable or a configuration that means nothing.
    """
    variables = environment(os.environ)
    benchmark = load(run.config or variables.places.get("config"))
    said = {name: value for name in PLACES if (value := getattr(run, name)) is not None}
    ranked = (
        Settings(given, said, run.models, tuple(run.gates)),
        variables,
        benchmark.settings,
        Settings("default", defaults or {}),
    )
    sources: dict[str, str] = {}
    places: dict[str, Path | None] = {}
    for name in PLACES:
        if run.images and name == "data_root":
            continue
        first = next((one for one in ranked if name in one.places), ranked[-1])
        places[name], sources[name] = first.places.get(name), first.source
    models: dict[str, str] = {}
    for one in reversed(ranked):  # the one that wins comes last
        models |= one.models
        sources |= {f"model {name}": one.source for name in one.models}
    gates = {rule: one.source for one in reversed(ranked) for rule in one.gates}
    sources |= {f"gate {rule}": source for rule, source in gates.items()}
    settled = replace(run, models=models, gates=tuple(gates), **cast(dict[str, Any], places))
    return Settled(settled, benchmark, sources)


def load(path: Path | None) -> BenchmarkConfig:
    """Read a configuration; the bundled one where none is named.

    Raises:
        UserError: it cannot be read, or its mistakes.
    """
    return load_config(path or DATASET / "benchmark.yaml", CHECKERS, ASPECTS, check_rule)


def split(names: Iterable[str]) -> tuple[str, ...]:
    """Return names that may be separated by commas."""
    return tuple(name for given in names for name in given.strip(",").split(","))
