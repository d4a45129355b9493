"""The one way from folders of images to results: find, audit, extract, score, record."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

from checkers import CHECKERS, resolve
from evaluation.audit import MethodAudit, audit_images, audit_names, audit_prompts
from evaluation.calibration import Labelled, find_labelled
from evaluation.manifest import run_manifest
from evaluation.output import read_earlier, write_results
from evaluation.run import (
    Cell,
    Models,
    Plan,
    Prompts,
    Result,
    joined,
    plan,
    score_all,
    wanted_rows,
)
from evaluation.run_config import DEMO, RunConfig, Settled, settle
from extractors.base import Extractor
from extractors.clip import TOKENIZER_FILES, ClipScoreExtractor
from extractors.stats import StatsExtractor
from features.engine import Extraction, extract
from features.store import FeatureStore
from inputs.config import Concept
from inputs.grouping import parse_grouping
from inputs.layout import (
    Task,
    concept_name,
    find_tasks,
    folders_task,
    grouped,
    limited,
    partial_note,
    plain_task,
    unknown_concepts,
)
from inputs.prompts import (
    check_words,
    forgot_prompts,
    load_prompts,
    prompt_key,
    unrelated_prompts,
)
from metrics import ASPECTS
from metrics.base import Aspect
from model_files.hub import find_hub_model
from model_files.weights import default_cache_dir
from records import generation
from records.results import Results, read_results
from utils.device import check_device, cores, default_batch_size
from utils.errors import UserError
from utils.files import check_writable

ALL = "all"
_ALIASES = {"forggeting": "forgetting"}  # the published spelling


@dataclass(frozen=True)
class Prepared:
    """A run whose images are found and whose names are checked; no model was looked for.

    Attributes:
        audits: what the names and counts of the images show.
        passed_over: a line for what lies where methods or concepts are looked for, and is none.
    """

    settled: Settled
    started: datetime
    aspects: tuple[Aspect, ...]
    everything: bool
    tasks: tuple[Task, ...]
    audits: tuple[MethodAudit, ...]
    passed_over: tuple[str, ...]

    @property
    def run(self) -> RunConfig:
        return self.settled.run

    def prompts(self, task: Task) -> Prompts | None:
        """The prompts of a task by (i, j); None where it has none."""
        return self._prompts(task)

    @cached_property
    def _prompts(self) -> Callable[[Task], Prompts | None]:
        return _prompt_finder(self.settled)

    @property
    def texts(self) -> dict[str, dict[str, dict[str, str]]]:
        """Concept -> scope -> what the samples of a prompt share -> its text."""
        texts: dict[str, dict[str, dict[str, str]]] = {}
        for task in self.tasks:
            with suppress(UserError):  # an aspect that needs the prompts has refused by now
                found = task.texts(self.prompts(task) or {})
                texts.setdefault(task.concept.name, {})[task.scope] = found
        return texts


def prepare(run: RunConfig, *, defaults: Mapping[str, Path] | None = None) -> Prepared:
    """Find what is to be scored, before any work.

    Args:
        defaults: folders where neither the run, the environment nor the configuration names one.

    Raises:
        UserError: bad input.
    """
    started = datetime.now(UTC)
    settled = settle(run, defaults)
    run = settled.run
    _check(run)
    names = [_ALIASES.get(name, name) for name in run.aspects or (ALL,)]
    everything = ALL in names
    names = list(settled.benchmark.aspects) if everything else names
    aspects = tuple(ASPECTS[name]() for name in dict.fromkeys(map(ASPECTS.canonical, names)))
    if run.calibration and "indicators" not in {aspect.name for aspect in aspects}:
        raise UserError(
            "--calibration tries the checkers of the aspect indicators; add it to "
            "--evaluation-aspect"
        )
    found = _tasks(settled)
    passed_over = [*_unknown(settled), *(line for task in found for line in task.not_scored)]
    tasks = [limited(task, run.limit) for task in found] if run.limit else found
    if run.group_by:
        tasks = [grouped(task, parse_grouping(run.group_by)) for task in tasks]
    prepared = Prepared(settled, started, aspects, everything, tuple(tasks), (), tuple(passed_over))
    if run.results_dir is not None:  # before hours of work: it can be written, and is ours
        check_writable(run.results_dir, "--results-dir")
        read_earlier(run.results_dir)
    by_prompts = any(aspect.uses_prompts for aspect in aspects)
    audits = (audit_names(t, prepared.prompts(t) if by_prompts else None) for t in tasks)
    return replace(prepared, audits=tuple(audit for several in audits for audit in several))


def _check(run: RunConfig) -> None:
    """Refuse what does not go together."""
    check_device(run.device)
    if run.images and (run.data_root or run.unrelated or run.methods):
        raise UserError("images are folders of methods: no data root, methods or unrelated images")
    if len(run.concepts) > 1 and (run.images or run.reference):
        raise UserError("plain folders are of one concept; give one with --concepts")
    if run.reference is None or run.images:
        return
    if run.data_root is None:
        raise UserError("--reference needs --data-root, the folder that holds <METHOD>/*.png")
    if run.unrelated:
        raise UserError("--reference goes with plain method folders, which have no unrelated/")


def _tasks(settled: Settled) -> list[Task]:
    run, benchmark = settled.run, settled.benchmark
    concepts, methods = run.concepts or None, run.methods or None
    if run.images:
        about = _plain_concept(settled)
        return [
            folders_task(
                benchmark, run.images, about, reference=run.reference, recursive=run.recursive
            )
        ]
    if run.data_root is not None and run.reference is not None:
        concept = run.concepts[0] if run.concepts else None
        return [
            plain_task(benchmark, run.data_root, run.reference, concept=concept, methods=methods)
        ]
    return find_tasks(
        benchmark,
        run.data_root or DEMO,
        concepts=concepts,
        methods=methods,
        unrelated=run.unrelated,
        with_original=bool(run.gates),
    )


def _plain_concept(settled: Settled) -> Concept:
    """The concept of plain folders, by a checker's name of it: the configuration's, if it has it.

    Without a name, one that nothing is known of.
    """
    run = settled.run
    if not run.concepts:
        return Concept("images", "object", ".")
    indicator = CHECKERS.canonical(run.indicator or next(iter(CHECKERS)))
    _, concept = resolve(indicator, run.concepts[0])
    for known in settled.benchmark.concepts.values():
        if known.checkers.get(indicator) == concept:
            return known
    return Concept(concept, "object", ".", checkers={indicator: concept})


def _unknown(settled: Settled) -> list[str]:
    run = settled.run
    if run.images or run.reference or run.concepts:
        return []
    return unknown_concepts(settled.benchmark, run.data_root or DEMO)


def _prompt_finder(settled: Settled) -> Callable[[Task], Prompts | None]:
    config = settled.benchmark
    read = cache(load_prompts)

    def prompts(task: Task) -> Prompts | None:
        if config.prompts is None:
            return None
        if task.scope == "unrelated":
            return unrelated_prompts(read(config.prompts.retain), task.concept) or None
        found = forgot_prompts(read(config.prompts.forgot), task.concept)
        check_words(task.concept, found.values(), config.path)
        return found or None

    return prompts


class Beside(Protocol):
    """What else is made from the rows of a run."""

    def wanted(self, cells: Sequence[Cell], models: Models) -> Mapping[Path, tuple[Extractor, ...]]:
        """Return the extractors that it needs of images."""

    def take(
        self,
        results: Sequence[Result],
        extraction: Extraction,
        store: FeatureStore,
        models: Models,
        prompts: Callable[[Task], Prompts | None],
    ) -> None:
        """Make it, while the store is open."""


@dataclass(frozen=True)
class Planned:
    """A run whose models were found."""

    prepared: Prepared
    models: Models
    plan: Plan
    labelled: tuple[Labelled, ...]


def find_models(prepared: Prepared) -> Planned:
    """Find what can be scored with the models that are available.

    Raises:
        UserError: the model of an aspect asked for by name is missing, or nothing can be scored.
    """
    run = prepared.run
    models = Models(run.checker_options, run.indicator and CHECKERS.canonical(run.indicator))
    planned = plan(
        prepared.tasks, prepared.aspects, models, prepared.prompts, everything=prepared.everything
    )
    _insist(planned, prepared)
    cells = _noted(planned.cells, run)
    labelled = find_labelled(run.calibration, cells) if run.calibration else []
    return Planned(prepared, models, replace(planned, cells=cells), tuple(labelled))


@dataclass(frozen=True)
class Scored:
    """What a run found.

    Attributes:
        scores: of every method for every cell of the plan.
        audits: with what the decoded images show.
        calibration: concept -> what its labelled images say of each checker.
    """

    planned: Planned
    extraction: Extraction
    scores: tuple[Result, ...]
    audits: tuple[MethodAudit, ...]
    calibration: Mapping[str, Any]


def score(
    planned: Planned,
    *,
    beside: Beside | None = None,
    shown: Callable[[Sequence[Result]], None] = lambda _: None,
) -> Scored:
    """Compute what the store lacks, and every score.

    Args:
        beside: what else is made from the rows.
        shown: is given the scores of each aspect as soon as they are there.

    Raises:
        UserError: a model cannot be loaded or is damaged, or the store cannot be written.
    """
    prepared, models, cells = planned.prepared, planned.models, planned.plan.cells
    run = prepared.run
    images, pairs = wanted_rows(cells, models, StatsExtractor())
    more: list[Mapping[Path, tuple[Extractor, ...]]] = [one.wanted() for one in planned.labelled]
    more += [beside.wanted(cells, models)] if beside else []
    for image, extractors in (item for one in more for item in one.items()):
        images[image] = joined(images.get(image, ()), extractors)
    with open_store(run) as store:
        extraction = extract(
            images,
            store,
            pairs=pairs,
            batch_size=run.batch_size or default_batch_size(run.device),
            workers=run.workers or cores(),
            progress=run.progress,
        )
        audits = audit_images(prepared.audits, extraction)
        scored = score_all(cells, audits, extraction, store, models, prepared.prompts)
        scores = list(_one_by_one(scored, shown))
        if beside:
            beside.take(scores, extraction, store, models, prepared.prompts)
        calibration = {one.concept: one.as_json(extraction, store) for one in planned.labelled}
    return Scored(planned, extraction, tuple(scores), tuple(audits), calibration)


def _insist(planned: Plan, prepared: Prepared) -> None:
    """An aspect asked for by name must be scored somewhere; of ``all``, at least one."""
    scored = {cell.aspect.name for cell in planned.cells}
    if prepared.everything and scored:
        return
    for aspect in prepared.aspects:
        if aspect.name not in scored:
            first = next(one for one in planned.skipped if one.aspect == aspect.name)
            raise UserError(f"{aspect.name}: {first.reason}")


def _noted(cells: Sequence[Cell], run: RunConfig) -> list[Cell]:
    """Have every score of a trial run say so; of aspects with a reference the task does."""
    judges = {cell.checkers[0].indicator for cell in cells if cell.aspect.name == "forgetting"}
    if run.threshold is not None and "nudenet" not in judges:
        raise UserError(f"--threshold {run.threshold:g}: no concept is judged by nudenet here")
    if run.limit is None:
        return list(cells)
    return [
        cell
        if cell.aspect.uses_reference
        else replace(cell, notes=(*cell.notes, partial_note(run.limit)))
        for cell in cells
    ]


def _one_by_one(
    scored: Iterable[Result], shown: Callable[[Sequence[Result]], None]
) -> Iterator[Result]:
    for _, group in groupby(scored, key=lambda result: result.cell.aspect.name):
        mine = list(group)
        shown(mine)
        yield from mine


@contextmanager
def open_store(run: RunConfig) -> Iterator[FeatureStore]:
    """The feature store; one that goes with the run where nothing is to be kept."""
    if not run.keep_features:
        with tempfile.TemporaryDirectory(prefix="igmu-") as passing:
            yield FeatureStore(Path(passing))
        return
    folder = run.cache_dir or default_cache_dir()
    # One that is read-only will do while it holds every row: the engine tries it before it
    # computes one that is missing.
    if not any(folder.glob("*/part-*.parquet")):
        check_writable(folder, "--cache-dir")
    yield FeatureStore(folder)


def audited(prepared: Prepared) -> tuple[list[MethodAudit], bool]:
    """Audit images and prompts; no model is loaded.

    Returns:
        the audits, and whether prompts could be counted in tokens.
    """
    run, stats = prepared.run, StatsExtractor()
    folders = [folder for task in prepared.tasks for folder in task.folders]
    with open_store(run) as store:
        extraction = extract(
            {image: [stats] for folder in folders for image in folder.images},
            store,
            batch_size=256,
            workers=run.workers or cores(),
            progress=run.progress,
        )
        audits = audit_images(prepared.audits, extraction)
    tokenizer = _tokenizer(run)
    if tokenizer is None:
        return audits, False
    return audit_prompts(audits, prepared.prompts, tokenizer), True


def _tokenizer(run: RunConfig) -> Path | None:
    """The ``tokenizer.json`` that CSDR would use, if it is on this machine."""
    model = run.models.get("clip_score", ClipScoreExtractor.default_model)
    try:
        folder = find_hub_model("clip_score", model, TOKENIZER_FILES, may_download=False)
    except UserError:
        return None
    file = folder / "tokenizer.json"
    return file if file.is_file() else None


def evaluate(run: RunConfig) -> Results:
    """Run a configuration and return all results of its folder, or its own where it has none.

    >>> evaluate(RunConfig(data_root="out", aspects=["fid", "lpips"]))  # doctest: +SKIP

    Raises:
        UserError: bad input, or a missing model of an aspect asked for by name.
    """
    return record(score(find_models(prepare(run))))


def record(scored: Scored, *, arguments: Sequence[str] = ()) -> Results:
    """Record a run, and return it with what else is in its results folder.

    Args:
        arguments: the command line, where there was one.

    Raises:
        UserError: the folder cannot be written, or holds what is damaged or not ours.
    """
    planned, prepared = scored.planned, scored.planned.prepared
    run, tasks = prepared.run, prepared.tasks
    manifest = run_manifest(
        started=prepared.started,
        device=run.device,
        config=prepared.settled.benchmark,
        tasks=tasks,
        planned=planned.plan,
        models=planned.models,
        extraction=scored.extraction,
        results=scored.scores,
        labelled=planned.labelled,
        calibration=scored.calibration,
        texts=prepared.texts,
    ) | {
        "arguments": list(arguments),
        "settings": dict(prepared.settled.sources),
        "partial": run.limit is not None,
        "limit": run.limit,
        "group_by": run.group_by,
        "groups": _groups(tasks) if run.group_by else {},
        "passed_over": list(prepared.passed_over),
    }
    assert run.results_dir is not None
    with generation.held(run.results_dir):
        write_results(run.results_dir, scored.scores, manifest)
        return read_results(run.results_dir)


def _groups(tasks: Iterable[Task]) -> dict[str, dict[str, dict[str, str]]]:
    """Concept -> scope -> image name -> its prompt, where names do not say it themselves."""
    groups: dict[str, dict[str, dict[str, str]]] = {}
    for task in tasks:
        names = {folder.name(image) for folder in task.folders for image in folder.images}
        keys = {name: prompt_key(name) for name in sorted(names)}
        groups.setdefault(task.concept.name, {})[task.scope] = keys
    return groups


def concept_names(settled: Settled) -> list[str] | None:
    """The concepts that a run names, as the configuration does; None for all."""
    names = settled.run.concepts
    return [concept_name(settled.benchmark, name) for name in names] or None
