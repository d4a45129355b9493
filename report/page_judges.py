"""What ``report.html`` shows of the checkers themselves: agreement, thresholds, mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analysis.judges import Agreement, CorrectedRate, Curve, agreements, corrected, curves
from analysis.ranking import SIGNS, Ranking
from metrics.indicators import RATE_BY
from metrics.spec import ScoreKey
from records.model import Results
from utils.text import printable

_LISTED = 500  # disagreements of a pair; images.parquet has them all


def judging(results: Results, ranked: Ranking) -> dict[str, dict[str, Any]]:
    """Return, for each concept that the aspect ``indicators`` has judged, the data of its section.

    Methods, checkers and images are given by their places in lists; ``unfit`` holds, for each
    checker, why it is unfit, or nothing.
    """
    agreed, by_threshold, right = agreements(results), curves(results), corrected(results)
    found = {}
    for concept in results.concepts:
        checkers = [
            column.removeprefix(RATE_BY)
            for column in results.columns(concept)
            if column.startswith(RATE_BY)
        ]
        if checkers:
            methods = results.methods(concept)
            found[concept] = {
                "checkers": checkers,
                "unfit": [ranked.unfit.get((concept, RATE_BY + c), "") for c in checkers],
                "rates": [
                    [_rate(results, ranked, ScoreKey.of(concept, m, RATE_BY + c)) for c in checkers]
                    for m in methods
                ],
                "agreements": _agreements(of_concept(concept, agreed), methods),
                "curves": _curves(results, concept, of_concept(concept, by_threshold), methods),
                "calibrated": _calibrated(of_concept(concept, right)),
                "corrected": _corrected(of_concept(concept, right), methods, checkers),
            }
    return found


def of_concept(concept: str, found: Sequence[Any]) -> list[Any]:
    """Those of several concepts' findings that are of one."""
    return [one for one in found if one.concept == concept]


def _rate(results: Results, ranked: Ranking, key: ScoreKey) -> list[Any] | None:
    row = results.by_key.get(key)
    if row is None:
        return None
    return [row.value, row.ci_low, row.ci_high, row.n, SIGNS[ranked.marks.get(key)]]


def _agreements(found: Sequence[Agreement], methods: Sequence[str]) -> dict[str, Any]:
    listed = (name for one in found for _, name, _ in one.disagreements[:_LISTED])
    names = list(dict.fromkeys(listed))
    places = {name: place for place, name in enumerate(names)}
    pairs = [
        {
            **{k: getattr(one, k) for k in ("a", "b", "n", "kappa", "ci_low", "ci_high")},
            "counts": [one.both, one.only_a, one.only_b, one.neither],
            "differ": [
                [methods.index(method), places[name], int(first)]
                for method, name, first in one.disagreements[:_LISTED]
            ],
            "more": max(0, len(one.disagreements) - _LISTED),
        }
        for one in found
    ]
    return {"names": list(map(printable, names)), "pairs": pairs}


def _curves(
    results: Results, concept: str, found: Sequence[Curve], methods: Sequence[str]
) -> list[dict[str, Any]]:
    """Curves by score, with the thresholds that presets have on it."""
    return [
        {
            "score": score,
            "first": float(mine[0].thresholds[0]),
            "methods": [methods.index(one.method) for one in mine],
            "rates": [[round(float(rate), 3) for rate in one.rates] for one in mine],
            "marks": _marks(results, concept, score),
        }
        for score in dict.fromkeys(one.score for one in found)
        if (mine := [one for one in found if one.score == score])
    ]


def _marks(results: Results, concept: str, score: str) -> list[tuple[float, str]]:
    """(threshold, preset) of the presets whose labels a score is of."""
    presets = {
        name: said
        for run in reversed(results.runs)  # the last one's word counts
        for name, said in run.get("indicators", {}).get(concept, {}).items()
    }
    return sorted(
        (said["threshold"], said["preset"])
        for name, said in presets.items()
        if "preset" in said and said["score"] == score
    )


def _calibrated(found: Sequence[CorrectedRate]) -> list[list[Any]]:
    """Checker, sensitivity and specificity with intervals, labelled images; once a checker."""
    rows = {
        one.checker: [
            one.checker,
            [one.sensitivity, *(one.sensitivity_ci or (None, None))],
            [one.specificity, *(one.specificity_ci or (None, None))],
            one.calibration_n,
        ]
        for one in found
    }
    return list(rows.values())


def _corrected(
    found: Sequence[CorrectedRate], methods: Sequence[str], checkers: Sequence[str]
) -> list[list[Any]]:
    """Method, checker, rate, corrected rate with its interval, or the reason why there is none."""
    rows = []
    for one in found:
        rates = (one.presence, one.corrected, one.ci_low, one.ci_high)
        rows.append([methods.index(one.method), checkers.index(one.checker), *rates, one.reason])
    return rows
