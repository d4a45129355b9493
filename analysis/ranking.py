"""Which scores rank methods, and how the best of them are marked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Literal

from analysis.compare import Comparison, Ties, compare
from analysis.fitness import unfit
from inputs.layout import ORIGINAL
from metrics.spec import ScoreKey
from records.model import Results, ScoreRow
from stats.best import METHOD
from utils.errors import UserError
from utils.text import printable

Mark = Literal["best", "tied", "untested"]
Signs = Mapping[Mark | None, str]
SIGNS: Signs = {"best": "★", "tied": "★", "untested": "†", None: ""}


@dataclass(frozen=True)
class Ranking:
    """What may be said of the order of methods.

    Attributes:
        marks: of a score that has the best value (``best``, or where nothing was tested
            ``untested``), or cannot be told from it (``tied``).
        why_untested: (concept, column) -> why there is no test.
        unfit: (concept, column) -> why its judge is unfit; its scores say nothing of methods.
        references: concept -> the folder of images with the concept that stands in for a reference
            without it; by a distance from these, to forget nothing would be the best.
        distances: (concept, column) of such distances.
        against: a rate -> its comparison with the original model's, where there is one.
    """

    marks: Mapping[ScoreKey, Mark] = field(default_factory=dict)
    why_untested: Mapping[tuple[str, str], str] = field(default_factory=dict)
    unfit: Mapping[tuple[str, str], str] = field(default_factory=dict)
    references: Mapping[str, str] = field(default_factory=dict)
    distances: frozenset[tuple[str, str]] = frozenset()
    against: Mapping[ScoreKey, Comparison] = field(default_factory=dict)

    def label(self, concept: str, column: str) -> str:
        """A metric's name for the head of a table or an axis."""
        if (concept, column) in self.unfit:
            return f"{column} (unfit judge)"
        if (concept, column) in self.distances:
            return f"{column} to {self.references[concept]}"
        return column

    def ranks(self, concept: str, column: str) -> bool:
        """Whether a method may be better than another by a metric."""
        return (concept, column) not in self.unfit and (concept, column) not in self.distances

    def higher_is_better(self, row: ScoreRow) -> bool | None:
        """The direction of a score; None where it makes no method better than another."""
        return row.higher_is_better if self.ranks(row.concept, row.column) else None

    def meanings(self, keys: Iterable[ScoreKey], signs: Signs) -> list[str]:
        """What the marks that some scores have mean."""
        marked = {key: mark for key in keys if (mark := self.marks.get(key))}
        found = []
        tested = dict.fromkeys(signs[m] for m in ("best", "tied") if m in marked.values())
        if tested:
            found.append(f"{' and '.join(tested)}: {METHOD}; the original model is left out.")
        reasons = dict.fromkeys(
            self.why_untested[key.concept, key.column]
            for key, mark in marked.items()
            if mark == "untested"
        )
        if reasons:
            why = f"not tested ({'; '.join(reasons)}), so it may be chance"
            found.append(f"{signs['untested']}: the best value, {why}.")
        return found

    def remarks(self, concept: str, columns: Sequence[str]) -> list[str]:
        """What must be known before a concept's numbers, in these columns, are read."""
        judges: dict[str, list[str]] = {}
        for column in columns:
            if reason := self.unfit.get((concept, column)):
                judges.setdefault(reason, []).append(column)
        found = [f"Unfit judge, {', '.join(of)}: {reason}." for reason, of in judges.items()]
        distances = [c for c in columns if (concept, c) in self.distances]
        if distances:
            of = self.references[concept]
            found.append(
                f"No reference without the concept: distances ({', '.join(distances)}) are from "
                f"the images of {of}, whose prompts ask for it. The nearest may have forgotten "
                "nothing, so none is called the best."
            )
        return found


def trials(results: Results) -> list[str]:
    """A line to stand above everything where scores are of a trial run; nothing where none is."""
    limits = sorted({int(run["limit"]) for run in results.runs if run.get("partial")})
    of = " or ".join(map(str, limits))
    return [f"PARTIAL: a trial run, on the first {of} images of each folder only."] * bool(limits)


def ranking(results: Results, ties: Ties) -> Ranking:
    """Return what may be said of the order of methods.

    A score that is stale, or by a metric that ranks no method, has no mark; nor has a presence
    rate that is not told from the original model's.

    Args:
        ties: from ``analysis.compare.ties``.
    """
    judges, references, against = unfit(results), _references(results), _against(results)
    distances = frozenset(
        (row.concept, row.column)
        for row in results.scores
        if row.concept in references and _is_distance(results, row)
    )
    marks: dict[ScoreKey, Mark] = {}
    for key in ties.best | ties.tied:
        of = key.concept, key.column
        untested = of in ties.untested
        ranks = of not in judges and of not in distances and not results.by_key[key].stale
        if untested and _are_equal(results, *of):
            continue  # none is the best
        if ranks and _below_original(results, key, None if untested else against):
            marks[key] = "untested" if untested else "best" if key in ties.best else "tied"
    return Ranking(marks, ties.untested, judges, references, distances, against)


def _are_equal(results: Results, concept: str, column: str) -> bool:
    rows = results.of(concept, column)
    return len({row.value for row in rows if row.method != ORIGINAL}) == 1


def _references(results: Results) -> dict[str, str]:
    """Concept -> its reference's folder, where that is one of images that ask for the concept.

    In plain folders of an unknown concept nobody knows what the images were to show.
    """
    found: dict[str, str] = {}
    for run in reversed(results.runs):  # the last one's word counts
        asking = {
            (place["concept"], PurePath(place["folder"]).parent)
            for place in run.get("places", ())
            if place["scope"] == "forgot" and place["concept"] in run.get("tasks", {})
        }
        for place in run.get("references", ()):
            folder = PurePath(place["folder"])
            if place["scope"] == "forgot":
                found.pop(place["concept"], None)
                if (place["concept"], folder.parent) in asking:
                    found[place["concept"]] = printable(folder.name)
    return found


def _is_distance(results: Results, row: ScoreRow) -> bool:
    spec = results.spec(row.metric)
    with_reference = results.run_of[row.key]["with_reference"]
    return row.scope == "forgot" and spec.distance and spec.aspect in with_reference


def _against(results: Results) -> dict[ScoreKey, Comparison]:
    """The rates of every method, compared with the original model's."""
    rates = {row.column for row in results.scores if results.spec(row.metric).kind == "rate"}
    try:
        found = compare(results, ORIGINAL, columns=rates)
    except UserError:  # no original model
        return {}
    return {ScoreKey.of(one.concept, one.a, one.column): one for one in found.tested}


def _below_original(
    results: Results, key: ScoreKey, against: Mapping[ScoreKey, Comparison] | None
) -> bool:
    """Whether a presence rate is below the original model's: by a test, or without one by value."""
    original = results.by_key.get(key._replace(method=ORIGINAL))
    if results.spec(key.metric).role != "presence" or original is None or original.value is None:
        return True
    if against is None:
        return float(results.by_key[key]) < original.value
    one = against.get(key)
    return one is not None and one.significant and one.difference < 0
