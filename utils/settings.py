"""What is given once for many runs: where things are, which models, which gates.

The command line wins over the environment (``IGMU_*``), which wins over the YAML file.
"""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from utils.errors import UserError, did_you_mean
from utils.files import expanded

PLACES = ("data_root", "results_dir", "cache_dir", "weights_dir")
MODELS = ("clip", "clip_score", "inception", "lpips_backbone", "yolo", "nudenet")
_MODEL = "model_"
# Environment variable -> setting.
VARIABLES: Mapping[str, str] = {
    f"IGMU_{name.upper()}": name
    for name in ("config", *PLACES, *(f"{_MODEL}{name}" for name in MODELS))
}


@dataclass(frozen=True)
class Settings:
    """What one source gives; None and empty where it says nothing.

    Attributes:
        places: one of ``PLACES`` -> folder.
        models: one of ``MODELS`` -> path or hub id.
        gates: rules as ``--fail-if`` takes them.
        source: what the manifest calls it.
    """

    source: str
    places: Mapping[str, Path] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    gates: tuple[str, ...] = ()


def environment(variables: Mapping[str, str]) -> Settings:
    """Read the ``IGMU_*`` variables that are set and not empty.

    Raises:
        UserError: one that means nothing, as a misspelt one would be ignored without a word.
    """
    found = {}
    for name, value in variables.items():
        if not name.startswith("IGMU_") or not value:
            continue
        if name not in VARIABLES:
            hint = did_you_mean(name, VARIABLES)
            raise UserError(f"{name}: no such setting{hint}; there are {', '.join(VARIABLES)}")
        found[VARIABLES[name]] = value
    return Settings(
        "environment",
        {name: expanded(found[name]) for name in ("config", *PLACES) if name in found},
        {name: found[_MODEL + name] for name in MODELS if _MODEL + name in found},
    )


def default_cache_dir() -> Path:
    """The user's cache folder of this toolkit (features and heads)."""
    from platformdirs import user_cache_path

    return user_cache_path("igmu", appauthor=False)


def config_path(args: Namespace) -> Path | None:
    """The configuration that the command line or the environment names."""
    return args.config or environment(os.environ).places.get("config")


def settle(
    args: Namespace, config: Settings | None = None, defaults: Mapping[str, Path] | None = None
) -> None:
    """Complete parsed arguments by the environment, a configuration and defaults, in place.

    Models add up by name. Gates add up too: a rule is never dropped because another is given.

    Args:
        args: ``args.sources`` then says of each setting where it is from: ``command line``,
            ``environment``, the path of the YAML file or ``default``.

    Raises:
        UserError: an ``IGMU_*`` variable that means nothing.
    """
    given = Settings(
        "command line",
        {name: value for name in PLACES if (value := getattr(args, name, None)) is not None},
        dict(getattr(args, "model", ())),
        tuple(getattr(args, "fail_if", ())),
    )
    ranked = [given, environment(os.environ), *([config] if config else [])]
    ranked.append(Settings("default", defaults or {}))
    args.sources = {}
    for name in PLACES:
        first = next((one for one in ranked if name in one.places), ranked[-1])
        if hasattr(args, name):
            setattr(args, name, first.places.get(name))
            args.sources[name] = first.source
    if hasattr(args, "model"):
        models: dict[str, str] = {}
        for one in reversed(ranked):  # the one that wins comes last
            models |= one.models
            args.sources |= {f"model {name}": one.source for name in one.models}
        args.model = list(models.items())
    if hasattr(args, "fail_if"):
        gates = {rule: one.source for one in reversed(ranked) for rule in one.gates}
        args.sources |= {f"gate {rule}": source for rule, source in gates.items()}
        args.fail_if = list(gates)
