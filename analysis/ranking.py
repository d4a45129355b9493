"""Which scores rank methods, and how the best of them are marked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Literal

from analysis.compare import Comparison, Ties, compare
from analysis.fitness import unfit
from inputs.layout import ORIGINAL
from metrics import ASPECTS
from metrics.spec import OBJECT
from records.results import Key, Results, ScoreRow
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
        why_untested: (concept, metric) -> why there is no test.
        unfit: (concept, metric) -> why its judge is unfit; its scores say nothing of methods.
        references: concept -> the folder of images with the concept that stands in for a reference
            without it; by a distance from these, to forget nothing would be the best.
        distances: the metrics that are such distances, (concept, metric).
        against: a rate -> its comparison with the original model's, where there is one.
    """

    marks: Mapping[Key, Mark] = field(default_factory=dict)
    why_untested: Mapping[tuple[str, str], str] = field(default_factory=dict)
    unfit: Mapping[tuple[str, str], str] = field(default_factory=dict)
    references: Mapping[str, str] = field(default_factory=dict)
    distances: frozenset[tuple[str, str]] = frozenset()
    against: Mapping[Key, Comparison] = field(default_factory=dict)

    def label(self, concept: str, metric: str) -> str:
        """A metric's name for the head of a table or an axis."""
        if (concept, metric) in self.unfit:
            return f"{metric} (unfit judge)"
        if (concept, metric) in self.distances:
            return f"{metric} to {self.references[concept]}"
        return metric

    def ranks(self, concept: str, metric: str) -> bool:
        """Whether a method may be better than another by a metric."""
        return (concept, metric) not in self.unfit and (concept, metric) not in self.distances

    def higher_is_better(self, row: ScoreRow) -> bool | None:
        """The direction of a score; None where it makes no method better than another."""
        return row.higher_is_better if self.ranks(row.concept, row.metric) else None

    def meanings(self, keys: Iterable[Key], signs: Signs) -> list[str]:
        """What the marks that some scores have mean."""
        marked = {key: mark for key in keys if (mark := self.marks.get(key))}
        found = []
        tested = dict.fromkeys(signs[m] for m in ("best", "tied") if m in marked.values())
        if tested:
            found.append(f"{' and '.join(tested)}: {METHOD}; the original model is left out.")
        reasons = dict.fromkeys(
            self.why_untested[concept, metric]
            for (concept, _, metric), mark in marked.items()
            if mark == "untested"
        )
        if reasons:
            why = f"not tested ({'; '.join(reasons)}), so it may be chance"
            found.append(f"{signs['untested']}: the best value, {why}.")
        return found

    def remarks(self, concept: str, metrics: Sequence[str]) -> list[str]:
        """What must be known before a concept's numbers, by these metrics, are read."""
        judges: dict[str, list[str]] = {}
        for metric in metrics:
            if reason := self.unfit.get((concept, metric)):
                judges.setdefault(reason, []).append(metric)
        found = [f"Unfit judge, {', '.join(of)}: {reason}." for reason, of in judges.items()]
        distances = [m for m in metrics if (concept, m) in self.distances]
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
    limits = sorted({run.get("limit") for run in results.runs if run.get("partial")})
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
        (concept, metric)
        for concept in references
        for metric in results.metrics(concept)
        if _is_distance(results, metric)
    )
    marks: dict[Key, Mark] = {}
    for key in ties.best | ties.tied:
        of = key[0], key[2]
        untested = of in ties.untested
        ranks = of not in judges and of not in distances and not results.by_key[key].stale
        if untested and _are_equal(results, *of):
            continue  # none is the best
        if ranks and _below_original(results, key, None if untested else against):
            marks[key] = "untested" if untested else "best" if key in ties.best else "tied"
    return Ranking(marks, ties.untested, judges, references, distances, against)


def _are_equal(results: Results, concept: str, metric: str) -> bool:
    rows = [row for row in results.scores if (row.concept, row.metric) == (concept, metric)]
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


def _is_distance(results: Results, metric: str) -> bool:
    spec = results.spec(metric)
    return not metric.endswith(OBJECT) and spec.distance and ASPECTS[spec.aspect].uses_reference


def _against(results: Results) -> dict[Key, Comparison]:
    """The rates of every method, compared with the original model's."""
    rates = {row.metric for row in results.scores if results.spec(row.metric).kind == "rate"}
    try:
        found = compare(results, ORIGINAL, metrics=rates)
    except UserError:  # no original model
        return {}
    return {(one.concept, one.a, one.metric): one for one in found.tested}


def _below_original(results: Results, key: Key, against: Mapping[Key, Comparison] | None) -> bool:
    """Whether a presence rate is below the original model's: by a test, or without one by value."""
    original = results.by_key.get((key[0], ORIGINAL, key[2]))
    if results.spec(key[2]).role != "presence" or original is None or original.value is None:
        return True
    if against is None:
        return results.by_key[key].value < original.value
    one = against.get(key)
    return one is not None and one.significant and one.difference < 0
