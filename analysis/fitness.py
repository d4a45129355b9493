"""Is a judge fit to say that a concept is gone: does it find it where it is known to be there?"""

from __future__ import annotations

from collections.abc import Mapping

from inputs.layout import ORIGINAL
from metrics.indicators import RATE_BY
from metrics.spec import ScoreKey
from records.model import Results
from stats.intervals import wilson_interval

_LEAST = 0.5  # of the original model's images: a judge that may find it in fewer is blind


def unfit(results: Results) -> dict[tuple[str, str], str]:
    """Return why the judge behind a metric is unfit, by (concept, column).

    A judge is unfit if the 95% interval of its rate on the original model's images reaches below
    one half, if it judged some methods but not the original model's images though these are there,
    or if on labelled images it tells those with the concept from those without it no better than
    chance may (the interval of sensitivity + specificity - 1 reaches down to 0). Where there are
    neither, nothing is known against it.
    """
    found = {}
    for concept in results.concepts:
        for column in results.columns(concept):
            reason = _reason(results, concept, column)
            if reason:
                found[concept, column] = reason
    return found


def judged_rate(results: Results, column: str) -> str | None:
    """Return the presence rate that shows what a metric's judge sees; None where nobody judges."""
    spec = results.spec(column)
    if spec.role == "presence":
        return column
    return "presence_rate" if spec.aspect == "forgetting" else None


def _reason(results: Results, concept: str, column: str) -> str | None:
    seen_by = judged_rate(results, column)
    if seen_by is None:
        return None
    row = results.by_key.get(ScoreKey.of(concept, ORIGINAL, seen_by))
    if row is not None and (row.value is None or row.stale):
        return "the judge has seen no image of the original model as it is now"
    if row is not None and row.ci_low is not None:
        found = f"the judge finds the concept in {float(row):.0%} of the original model's images"
        found += f" [{row.ci_low:.0%} to {row.ci_high:.0%}]"
        judges = [results.judge_of(other.key) for other in results.of(concept, seen_by)]
        if any(judge != judges[0] for judge in judges):
            return "not all methods and the original model were judged by the same checker"
        if row.ci_low < _LEAST:
            blind = float(row) < _LEAST
            return f"{found}{', so not finding it says little' if blind else ': too few to tell'}"
    counts = _calibration(results, concept, seen_by)
    if counts is not None and _difference_low(counts) <= 0:
        return "on labelled images the judge is no better than chance"
    return None


def _calibration(results: Results, concept: str, metric: str) -> Mapping[str, int] | None:
    """What the judge of a presence rate got right and wrong of labelled images."""
    judge = metric.removeprefix(RATE_BY)
    if judge == metric:
        judges = (run.get("checkers", {}).get(concept, {}).get("name") for run in results.runs)
        judge = next(filter(None, judges), "")
    tried = (run.get("calibration", {}).get(concept, {}) for run in results.runs)
    return next((said["checkers"].get(judge) for said in tried if said), None)


def _difference_low(counts: Mapping[str, int]) -> float:
    """Lower end of the 95% interval of the hit rate less the false-alarm rate.

    From Wilson's intervals of both: R. G. Newcombe, Stat. Med. 17 (1998), method 10.
    """
    hits, present = counts["true_positive"], counts["true_positive"] + counts["false_negative"]
    alarms, absent = counts["false_positive"], counts["false_positive"] + counts["true_negative"]
    if not present or not absent:
        return 1.0  # half of the labels: nothing is known against it
    hit, alarm = hits / present, alarms / absent
    hit_low, alarm_high = wilson_interval(hits, present)[0], wilson_interval(alarms, absent)[1]
    return hit - alarm - ((hit - hit_low) ** 2 + (alarm_high - alarm) ** 2) ** 0.5
