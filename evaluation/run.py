"""Run aspects over tasks: which models are to be had, one pass over the images, scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np

from checkers import Checker, CheckerOptions, by_preference, resolve
from evaluation.audit import KINDS, MethodAudit, scored_text, shown
from extractors import EXTRACTORS
from extractors.base import Extractor, pair_key
from extractors.clip import ClipExtractor, ClipScoreExtractor
from features.engine import Extraction, Pair
from features.store import FeatureStore
from features.text import ClipText
from inputs.config import Concept
from inputs.layout import MethodFolder, Prompts, Task
from inputs.prompts import UNGROUPED, parse_name, tells_prompt
from metrics.base import Aspect, Judged, PairRows, Rows, Score, ScoreWarning
from metrics.spec import Scope, ScoreKey
from utils.errors import MissingModelError, UserError


class NotScoredError(UserError):
    """One thing cannot be scored; others can.

    Attributes:
        missing: the models for want of which it cannot.
    """

    def __init__(self, message: str, missing: Sequence[MissingModelError] = ()) -> None:
        super().__init__(message)
        self.missing = tuple(missing)


@dataclass(frozen=True)
class Models:
    """Extractors, made once, and checkers; a model is loaded by its first forward pass.

    Attributes:
        options: the user's model options.
        indicator: the checker asked for; None for the first that covers a concept.
    """

    options: CheckerOptions
    indicator: str | None = None
    _made: dict[str, Any] = field(default_factory=dict)

    def extractor(self, name: str) -> Extractor:
        """Return an extractor.

        Raises:
            UserError: its model is not to be had.
        """
        if name not in self._made:
            made = self._made[name] = self.options.extractor(EXTRACTORS[name])
            unknown = name in (self.options.models or {}) and not self.options.has_rows(made.id)
            if isinstance(made, ClipScoreExtractor) and unknown:
                ClipText(made).check()  # its other half, which no extractor knows of
        return self._made[name]

    def checkers(self, task: Task) -> list[str]:
        """Return the indicators that may judge a task's concept, the preferred first.

        Raises:
            NotScoredError: none covers the concept, or not the one asked for.
        """
        covered = task.concept.checkers
        names = [self.indicator] if self.indicator else by_preference(covered)
        if not names or names[0] not in covered:
            asked = f" by {self.indicator}" if self.indicator else ""
            hint = "" if covered else "; name a concept that has one with --concepts"
            raise NotScoredError(f"there is no checker of {task.concept.name}{asked}{hint}")
        return names

    def checker(self, indicator: str, task: Task) -> Checker:
        """Return the checker of a task's concept.

        Raises:
            UserError: its model is not to be had.
        """
        kind, concept = resolve(indicator, task.concept.checkers[indicator])
        return kind.create(concept, self.options)

    def variants(self, indicator: str, task: Task) -> list[Checker]:
        """Return every checker that an indicator has of a task's concept.

        Raises:
            UserError: its model is not to be had.
        """
        kind, concept = resolve(indicator, task.concept.checkers[indicator])
        return kind.variants(concept, self.options)

    def used(self, cells: Sequence[Cell]) -> list[Extractor]:
        """Return the extractors that cells need."""
        names = dict.fromkeys(
            name
            for cell in cells
            for name in (*cell.aspect.image_extractors, *cell.aspect.pair_extractors)
        )
        own = [checker.extractor for cell in cells for checker in cell.checkers]
        return [self.extractor(name) for name in names] + own


@dataclass(frozen=True)
class Cell:
    """One aspect to compute for one task.

    Attributes:
        notes: what a reader of its scores must know.
        stand_in: one of the notes: that the checker stands in for a preferred one.
    """

    task: Task
    aspect: Aspect
    checkers: tuple[Checker, ...] = ()
    notes: tuple[ScoreWarning, ...] = ()
    stand_in: str = ""


@dataclass(frozen=True)
class Skipped:
    """An aspect that cannot be scored for a task (for any, where ``task`` is empty).

    Attributes:
        missing: the models for want of which it cannot; empty where the reason is another.
    """

    aspect: str
    task: str
    reason: str
    missing: tuple[MissingModelError, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What can be scored, and what not and why; cells in the order of tasks and aspects."""

    cells: list[Cell]
    skipped: list[Skipped]


def plan(
    tasks: Sequence[Task],
    aspects: Sequence[Aspect],
    models: Models,
    prompts: Callable[[Task], Prompts | None],
    *,
    everything: bool,
) -> Plan:
    """Decide what can be scored with the models that are to be had.

    Args:
        everything: the user asked for all that can be scored, so forgetting may be judged by
            another checker than the preferred one; the scores then say so.

    Raises:
        UserError: a model is there but is not the right one.
    """
    cells, skipped = [], []
    for aspect in aspects:
        if aspect.uses_prompts and not any(map(prompts, tasks)):
            skipped.append(Skipped(aspect.name, "", "there are no prompts of these concepts"))
            continue
        why_not = {task.name: _why_not_defined(task, aspect, everything) for task in tasks}
        skipped += [Skipped(aspect.name, name, why) for name, why in why_not.items() if why]
        defined = [task for task in tasks if not why_not[task.name]]
        if not defined:
            continue  # its models are not looked for
        try:
            for name in (*aspect.image_extractors, *aspect.pair_extractors):
                models.extractor(name)
        except MissingModelError as error:
            skipped.append(Skipped(aspect.name, "", str(error), (error,)))
            continue
        for task in defined:
            try:
                if aspect.uses_pairs:
                    _check_pairs(task)
                if aspect.uses_prompts:
                    _check_prompts(task, prompts(task))
                if aspect.judges == "preferred":
                    cells.append(_preferred_cell(task, aspect, models, everything))
                elif aspect.judges == "all":
                    cells.append(_all_judges_cell(task, aspect, models))
                else:
                    cells.append(Cell(task, aspect))
            except NotScoredError as error:
                skipped.append(Skipped(aspect.name, task.name, str(error), error.missing))
    return Plan(cells, skipped)


def _preferred_cell(task: Task, aspect: Aspect, models: Models, everything: bool) -> Cell:
    names = models.checkers(task)
    lacking: dict[str, MissingModelError] = {}
    for name in names if everything else names[:1]:
        try:
            checker = models.checker(name, task)
        except MissingModelError as error:
            lacking[name] = error
        else:
            named = "; ".join(f"{other}: {error.what}" for other, error in lacking.items())
            stand_in = f"judged by {name}; not to be had: {named}" if lacking else ""
            own = [ScoreWarning("stand_in", stand_in)] if lacking else []
            notes = (*own, *_said_by([checker]))
            return Cell(task, aspect, (checker,), notes, stand_in)
    reasons = "; ".join(f"{name}: {error}" for name, error in lacking.items())
    raise NotScoredError(reasons, list(lacking.values()))


def _all_judges_cell(task: Task, aspect: Aspect, models: Models) -> Cell:
    """All checkers of the concept that are to be had, whichever was asked for."""
    checkers: list[Checker] = []
    lacking: dict[str, MissingModelError] = {}
    for name in by_preference(task.concept.checkers):
        try:
            checkers += models.variants(name, task)
        except MissingModelError as error:
            lacking[name] = error
    if not checkers:
        reasons = "; ".join(f"not judged by {name}: {error}" for name, error in lacking.items())
        none = f"there is no checker of {task.concept.name}"
        raise NotScoredError(reasons or none, list(lacking.values()))
    notes = [
        ScoreWarning("missing_judge", f"not judged by {name}: no {error.what}")
        for name, error in lacking.items()
    ]
    return Cell(task, aspect, tuple(checkers), (*notes, *_said_by(checkers)))


def _said_by(checkers: Sequence[Checker]) -> list[ScoreWarning]:
    """What a reader must know of checkers."""
    return [
        ScoreWarning("judge", f"{checker.name}: {note}")
        for checker in checkers
        for note in checker.notes
    ]


def _why_not_defined(task: Task, aspect: Aspect, everything: bool) -> str:
    if not any(method.images for method in task.methods):
        return f"no method of {task.name} has an image; --check says what its folders are"
    if task.scope not in aspect.scopes:
        return f"{aspect.name} is not defined on {task.scope} images"
    kind = task.concept.task
    if everything and kind not in aspect.tasks:
        return f"{aspect.name} is no measure of {kind} concepts; ask for it by name"
    if aspect.uses_reference and task.reference is None:
        return next(iter(task.notes), "there is no reference folder")
    return ""


def _check_pairs(task: Task) -> None:
    pairings = [task.pairing(method) for method in task.methods]
    if any(pairing.pairs for pairing in pairings):
        return
    assert task.reference is not None  # else nothing would be paired
    theirs = dict.fromkeys(name for pairing in pairings for name in pairing.missing)
    own = dict.fromkeys(name for pairing in pairings for name in pairing.surplus)
    raise NotScoredError(
        f"no image has a counterpart of its name in {task.reference.folder}: there are "
        f"{shown(list(theirs)) or 'none'} there, and {shown(list(own)) or 'none'} of the methods"
    )


def _check_prompts(task: Task, prompts: Prompts | None) -> None:
    if prompts is None:
        raise NotScoredError("there are no prompts of this concept")
    for method in task.methods:
        names = [method.name(candidate) for _, candidate in task.pairing(method).pairs]
        lost = [name for name in names if not task.has_prompt(name, prompts)]
        if lost:
            raise NotScoredError(
                f"{len(lost)} images of {method.folder} have no prompt ({shown(lost)}); names are "
                "{i}_{j}_{k}: prompt class, prompt, sample"
            )


def wanted_rows(
    cells: Sequence[Cell], models: Models, stats: Extractor
) -> tuple[dict[Path, tuple[Extractor, ...]], dict[Pair, tuple[Extractor, ...]]]:
    """Return the extractors wanted of every image and of every pair."""
    join = cache(joined)  # one tuple for all images of which the same is wanted
    images: dict[Path, tuple[Extractor, ...]] = {}
    pairs: dict[Pair, tuple[Extractor, ...]] = {}
    for cell in cells:
        aspect, task = cell.aspect, cell.task
        own = (stats, *map(models.extractor, aspect.image_extractors))
        own += tuple(checker.extractor for checker in cell.checkers)
        folders = list(task.methods)
        if aspect.uses_reference and task.reference is not None:
            folders.append(task.reference)
        for folder in folders:
            for image in folder.images:
                images[image] = join(images.get(image, ()), own)
        of_pairs = tuple(map(models.extractor, aspect.pair_extractors))
        for method in task.methods if of_pairs else ():
            for pair in task.pairing(method).pairs:
                pairs[pair] = join(pairs.get(pair, ()), of_pairs)
    return images, pairs


def joined(some: tuple[Extractor, ...], more: tuple[Extractor, ...]) -> tuple[Extractor, ...]:
    """Return the extractors of both, one of each name."""
    return tuple({extractor.name: extractor for extractor in (*some, *more)}.values())


@dataclass(frozen=True)
class Result:
    """The scores of one aspect for one method of one task."""

    cell: Cell
    method: MethodFolder
    scores: list[Score]

    def key(self, score: Score) -> ScoreKey:
        """The key of one of its scores."""
        task = self.cell.task
        return ScoreKey(
            task.concept.name, cast(Scope, task.scope), self.method.method.folder, score.metric
        )


def score_all(
    cells: Sequence[Cell],
    audits: Sequence[MethodAudit],
    extraction: Extraction,
    store: FeatureStore,
    models: Models,
    prompts: Callable[[Task], Prompts | None],
) -> Iterator[Result]:
    """Yield the scores of every method for every cell."""
    warnings = {id(audit.method): _warnings(audit) for audit in audits}
    for cell in cells:
        texts = prompts(cell.task) if cell.aspect.uses_prompts else None
        for method in cell.task.methods:
            data = StoredData(cell, method, extraction, store, models, texts)
            about = cell.notes + warnings[id(method)]
            if not all(tells_prompt(method.name(image)) for image in method.images):
                about += (ScoreWarning("ungrouped", UNGROUPED),)
            if cell.aspect.uses_reference:
                about += tuple(ScoreWarning("reference", note) for note in cell.task.notes)
                about += warnings.get(id(cell.task.reference), ())
            scores = cell.aspect.score(data)
            scores = [score.warn(*about, *dict.fromkeys(data.warnings)) for score in scores]
            yield Result(cell, method, scores)


def _warnings(audit: MethodAudit) -> tuple[ScoreWarning, ...]:
    side = "reference: " if audit.is_reference else ""
    return tuple(
        ScoreWarning(
            finding.kind, f"{side}{finding.kind}: {shown(finding.names)}", tuple(finding.names)
        )
        for finding in audit.findings
        if KINDS[finding.kind][1] and finding.kind not in ("misnamed", "no_prompt", "unlike_pair")
    )


@dataclass(frozen=True)
class StoredData:
    """``MethodData`` from the rows in the store.

    Attributes:
        prompts: by (i, j) of a file's name; None where the aspect needs none.
        warnings: found while scoring.
    """

    cell: Cell
    method: MethodFolder
    extraction: Extraction
    store: FeatureStore
    models: Models
    prompts: Prompts | None
    warnings: list[ScoreWarning] = field(default_factory=list)

    @property
    def concept(self) -> Concept:
        return self.cell.task.concept

    def images(self, extractor: str) -> Rows:
        return self._rows(self.method, extractor)

    def reference(self, extractor: str) -> Rows:
        folder = self.cell.task.reference
        assert folder is not None  # aspects that use one are not scored without
        return self._rows(folder, extractor)

    def pairs(self, extractor: str) -> Rows:
        good = [p for p in self._pairs if not self.extraction.pair_error(p, extractor)]
        failed = {p: self.extraction.pair_failure(p, extractor) for p in self._pairs}
        self._note({self.method.name(own): why for (_, own), why in failed.items()})
        keys = [pair_key(*map(self._digest, pair)) for pair in good]
        table = self.extraction.tables[extractor]
        return Rows([self.method.name(pair[1]) for pair in good], table.get(keys))

    def both(self, extractor: str) -> PairRows:
        good = [p for p in self._pairs if not any(self._error(i, extractor) for i in p)]
        images = {image for pair in self._pairs for image in pair}
        self._note({image.name: self.extraction.failure(image, extractor) for image in images})
        table = self.extraction.tables[extractor]
        return PairRows(
            [self.method.name(pair[1]) for pair in good],
            table.get([self._digest(reference) for reference, _ in good]),
            table.get([self._digest(candidate) for _, candidate in good]),
        )

    def peers(self, extractor: str) -> list[Sequence[str]]:
        return [
            [method.name(image) for image in method.images if not self._error(image, extractor)]
            for method in self.cell.task.methods
        ]

    def texts(self, names: Sequence[str]) -> np.ndarray:
        clip = self.clip_text()
        texts = [scored_text(self.prompt(name), self.cell.task) for name in names]
        right = "texts are the prompt set's: right only for images made with it"
        self.warnings.append(ScoreWarning("prompt_set", right))
        cut = clip.truncated(texts, self.store)
        if cut:
            why = f"{cut} prompts over {clip.max_tokens} tokens, truncated"
            self.warnings.append(ScoreWarning("long_prompts", why))
        told = np.array([bool(text) for text in texts], dtype=bool)
        found = np.full((len(texts), clip.images.rows.dim), np.nan, np.float32)
        found[told] = clip.embed([text for text in texts if text], self.store)
        return found

    def clip_text(self) -> ClipText:
        """The text side of the network that CLIP scores are computed with."""
        extractor = self.models.extractor("clip_score")
        assert isinstance(extractor, ClipExtractor)
        return ClipText(extractor)

    def prompt(self, name: str) -> str:
        """The prompt of an image."""
        found = parse_name(Path(name).stem)
        assert found is not None  # the plan has looked
        assert self.prompts is not None
        return self.prompts[found.i, found.j]

    def decisions(self) -> list[Judged]:
        return [self._judged(checker) for checker in self.cell.checkers]

    def _judged(self, checker: Checker) -> Judged:
        good = self._good(self.method, checker.extractor.name)
        digests = [self._digest(image) for image in good]
        table = self.extraction.tables[checker.extractor.name]
        found = checker.decide(digests, table, self.store)
        names = [self.method.name(image) for image in good]
        return Judged(
            checker.name,
            checker.score_name,
            names,
            found.present,
            found.score,
            found.label,
            found.detections,
        )

    def category(self, name: str) -> str:
        return name.split("/")[0] if self.cell.task.scope == "unrelated" else ""

    @property
    def _pairs(self) -> list[Pair]:
        return self.cell.task.pairing(self.method).pairs

    def _rows(self, folder: MethodFolder, extractor: str) -> Rows:
        good = self._good(folder, extractor)
        values = self.extraction.tables[extractor].get([self._digest(image) for image in good])
        return Rows([folder.name(image) for image in good], values)

    def _good(self, folder: MethodFolder, extractor: str) -> list[Path]:
        self._note({folder.name(i): self.extraction.failure(i, extractor) for i in folder.images})
        return [image for image in folder.images if not self._error(image, extractor)]

    def _note(self, failures: Mapping[str, str | None]) -> None:
        """Note what has no row though its file is sound; the audit names the files that are not."""
        lost = {name: f"{name} ({why})" for name, why in failures.items() if why}
        if lost:
            left_out = f"left out: {shown(list(lost.values()))}"
            self.warnings.append(ScoreWarning("left_out", left_out, tuple(lost)))

    def _error(self, image: Path, extractor: str) -> str | None:
        return self.extraction.error(image, extractor)

    def _digest(self, image: Path) -> str:
        return self.extraction.records[image].digest
