"""Judging the judges: do checkers of one concept agree, and how often is each of them right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist
from typing import Any

import numpy as np

from extractors.nudenet import REPORTED_ABOVE
from inputs.images import natural_key
from inputs.prompts import prompt_key
from metrics.indicators import RATE_BY, SCORE_OF
from metrics.spec import ScoreKey
from records.model import Results
from stats.clusters import FEWEST_CLUSTERS, effective_number, student_quantile
from stats.intervals import wilson_interval
from utils.text import printable

_DETECTOR = "nudenet"
_Z = NormalDist().inv_cdf(0.975)
# Of the four things that two checkers may say of an image: both see the concept, one, other, none.
_FIRST, _SECOND = np.array([1, 1, 0, 0]), np.array([1, 0, 1, 0])


@dataclass(frozen=True)
class Agreement:
    """How far two checkers agree on the images, of all methods, that both have judged.

    Attributes:
        a, b: the checkers.
        both, only_a, only_b, neither: images in which they see the concept; ``n`` together.
        kappa, ci_low, ci_high: see ``cohens_kappa``.
        disagreements: (method, image, what ``a`` says), in the order of methods and names.
    """

    concept: str
    a: str
    b: str
    n: int
    both: int
    only_a: int
    only_b: int
    neither: int
    kappa: float | None
    ci_low: float | None
    ci_high: float | None
    disagreements: tuple[tuple[str, str, bool], ...]


@dataclass(frozen=True)
class Curve:
    """The presence rate by the threshold on a score.

    Attributes:
        thresholds: steps of 0.01 up to 1, shape (t,); from 0, or from where a detector reports.
        rates: share of the images whose score is greater, in [0, 1], shape (t,).
    """

    concept: str
    method: str
    score: str
    thresholds: np.ndarray
    rates: np.ndarray


@dataclass(frozen=True)
class CorrectedRate:
    """A method's presence rate, corrected for the mistakes that a checker makes.

    It holds if the labelled images are like the generated ones. Of the generated ones, those of a
    prompt are not taken as independent (``effective_number``).

    Attributes:
        n: images of the method.
        sensitivity: share of the labelled images with the concept in which the checker sees it;
            None where there are none. ``sensitivity_ci`` is Wilson's 95% interval.
        specificity, specificity_ci: share of those without it in which it does not.
        calibration_n: labelled images of both kinds.
        presence: the rate as the checker has it, in [0, 1].
        corrected: the rate in [0, 1] after W. J. Rogan and B. Gladen, Am. J. Epidemiol. 107 (1978).
        ci_low, ci_high: 95%, of ``prevalence_interval``, clipped; it holds ``corrected``.
        reason: why these three are None, in one line; else empty.
    """

    concept: str
    method: str
    checker: str
    n: int
    sensitivity: float | None
    sensitivity_ci: tuple[float, float] | None
    specificity: float | None
    specificity_ci: tuple[float, float] | None
    calibration_n: int
    presence: float
    corrected: float | None
    ci_low: float | None
    ci_high: float | None
    reason: str


def agreements(results: Results) -> list[Agreement]:
    """Compare the checkers of every concept pair by pair, except presets of one detector."""
    return [
        found
        for concept in results.concepts
        for a, b in combinations(_named(results, concept, RATE_BY), 2)
        if _family(a) != _family(b) and (found := _agreement(results, concept, a, b))
    ]


def _agreement(results: Results, concept: str, a: str, b: str) -> Agreement | None:
    by_prompt: dict[str, np.ndarray] = {}
    differ = []
    for method in results.methods(concept):
        one, other = (results.values(concept, method, f"{RATE_BY}{name}") for name in (a, b))
        for name in sorted(one.keys() & other.keys(), key=natural_key):
            first, second = bool(one[name]), bool(other[name])
            said = (first == _FIRST) & (second == _SECOND)
            key = prompt_key(name)
            by_prompt[key] = by_prompt.get(key, np.zeros(4, int)) + said
            if first != second:
                differ.append((method, name, first))
    if not by_prompt:
        return None
    cells = np.array(list(by_prompt.values()), int)
    both, only_a, only_b, neither = cells.sum(axis=0).tolist()
    kappa = cohens_kappa(cells)
    n = both + only_a + only_b + neither
    return Agreement(concept, a, b, n, both, only_a, only_b, neither, *kappa, tuple(differ))


def cohens_kappa(cells: np.ndarray) -> tuple[float | None, float | None, float | None]:
    """Cohen's kappa of two checkers, 0 if they agree as by chance, and its 95% interval.

    The large-sample variance of J. L. Fleiss, J. Cohen and B. S. Everitt, Psychol. Bull. 72 (1969),
    with the images of a prompt, whichever method's, taken together: they are not independent.

    Args:
        cells: for each prompt, images in which both see the concept, only the first, only the
            second, none; int of shape (prompts, 4).

    Returns:
        (kappa, low, high), within [-1, 1]. Kappa is None where both say the same one thing of
        every image; the interval with fewer than four prompts, and where the variance is 0, as of
        one that never changes its mind, or of two that never differ.
    """
    prompts, n = len(cells), cells.sum()
    shares = cells.sum(axis=0) / n
    if shares.max() == 1 and shares[0] + shares[3] == 1:
        return None, None, None
    first, second, agree = shares @ _FIRST, shares @ _SECOND, _FIRST == _SECOND
    chance = first * second + (1 - first) * (1 - second)
    kappa = float((shares @ agree - chance) / (1 - chance))
    # What one image adds to kappa, by what is said of it.
    of_chance = (_FIRST - first) * (2 * second - 1) + (_SECOND - second) * (2 * first - 1)
    influence = (agree - shares @ agree - (1 - kappa) * of_chance) / (1 - chance)
    of_prompts = cells @ influence
    error = float(np.sqrt((of_prompts @ of_prompts) * prompts / max(1, prompts - 1)) / n)
    if prompts < FEWEST_CLUSTERS or error < 1e-9:
        return kappa, None, None
    half = student_quantile(prompts - 1) * error
    return kappa, max(-1.0, kappa - half), min(1.0, kappa + half)


def curves(results: Results) -> list[Curve]:
    """Return the threshold curves of every concept, score and method."""
    return [
        Curve(concept, method, score, *_curve(score, np.array(list(values.values()))))
        for concept, score, method, values in _each(results, SCORE_OF)
    ]


def _curve(score: str, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # Below, a detector's score is 0 whatever the image: a curve would be flat, and wrong.
    first = round(100 * REPORTED_ABOVE) if _family(score) == _DETECTOR else 0
    thresholds = np.arange(first, 101) / 100
    not_above = np.searchsorted(np.sort(values), thresholds, side="right")
    return thresholds, (len(values) - not_above) / len(values)


def corrected(results: Results) -> list[CorrectedRate]:
    """Correct the presence rates of every concept, checker and method with labelled images."""
    found = []
    for concept, checker, method, values in _each(results, RATE_BY):
        run = _calibrated_by(results, concept, checker)
        if run:
            counts = run["calibration"][concept]["checkers"][checker]
            scored_by = results.run_of.get(ScoreKey.of(concept, method, RATE_BY + checker), run)
            same = _judge(run, concept, checker) == _judge(scored_by, concept, checker)
            reason = "" if same else "the labelled images were judged by another model or head"
            found.append(_corrected((concept, method, checker), values, counts, reason))
    return found


def render(results: Results) -> str:
    """Return the terminal's tables of what labelled images say: of each checker, of each rate."""
    from tabulate import tabulate

    found = corrected(results)
    checkers: dict[tuple[str, str], tuple[str, str, int]] = {}
    rates: dict[tuple[str, str], dict[str, str]] = {}
    for one in found:
        sensitivity = _percent(one.sensitivity, one.sensitivity_ci)
        specificity = _percent(one.specificity, one.specificity_ci)
        about = (sensitivity, specificity, one.calibration_n)
        checkers[printable(one.concept), one.checker] = about
        key = printable(one.concept), printable(results.title(one.method))
        row = rates.setdefault(key, {})
        row[one.checker] = _percent(one.corrected, (one.ci_low, one.ci_high))
    rightness = [(*key, *row) for key, row in checkers.items()]
    header = ["concept", "checker", "sensitivity", "specificity", "labelled images"]
    parts = [tabulate(rightness, header, disable_numparse=True)]
    names = list(dict.fromkeys(one.checker for one in found))
    body = [(*key, *(row.get(name, "") for name in names)) for key, row in rates.items()]
    header = ["concept", "presence rate, corrected", *names]
    parts.append(tabulate(body, header, disable_numparse=True))
    reasons = dict.fromkeys(f"-: {one.checker}: {one.reason}" for one in found if one.reason)
    return "\n\n".join([*parts, *(["\n".join(reasons)] if reasons else [])])


def _percent(rate: float | None, interval: tuple[float | None, float | None] | None) -> str:
    if rate is None:
        return "-"
    low, high = interval or (None, None)
    ends = "" if low is None or high is None else f" [{100 * low:.1f}, {100 * high:.1f}]"
    return f"{100 * rate:.1f}%{ends}"


def _calibrated_by(results: Results, concept: str, checker: str) -> Mapping[str, Any] | None:
    """The last run that has tried a checker on labelled images."""
    return next(
        (
            run
            for run in results.runs
            if checker in run.get("calibration", {}).get(concept, {}).get("checkers", ())
        ),
        None,
    )


def _judge(run: Mapping[str, Any], concept: str, checker: str) -> dict[str, Any]:
    """What a run says of a checker, but for where its head was."""
    said = run.get("indicators", {}).get(concept, {}).get(checker, {})
    return {name: value for name, value in said.items() if name != "head"}


def _corrected(
    about: tuple[str, str, str],
    values: Mapping[str, float],
    counts: Mapping[str, int],
    reason: str,
) -> CorrectedRate:
    n, rate = len(values), float(np.mean(list(values.values())))
    hits, right = counts["true_positive"], counts["true_negative"]
    present, absent = hits + counts["false_negative"], right + counts["false_positive"]
    rates = (*_share(hits, present), *_share(right, absent))
    known = (*about, n, *rates, present + absent, rate)
    reason = reason or _uncorrectable(hits, present, right, absent)
    if reason:
        return CorrectedRate(*known, None, None, None, reason)
    number = effective_number([v > 0 for v in values.values()], list(map(prompt_key, values)))
    low, high = prevalence_interval(rate * number, number, hits, present, right, absent)
    if high < 0 or low > 1:  # clipped, it would be one point: certainty out of a contradiction
        odd = (
            "less often than by false alarms alone" if high < 0 else "more often than if all had it"
        )
        reason = f"it sees the concept {odd}: the labelled images are unlike these"
        return CorrectedRate(*known, None, None, None, reason)
    alarms = 1 - right / absent
    point = min(max((rate - alarms) / (hits / present - alarms), 0.0), 1.0)
    # With a handful of labelled images the interval, which is shifted, may not reach the point.
    return CorrectedRate(*known, point, max(0.0, min(low, point)), min(1.0, max(high, point)), "")


def _share(part: int, whole: int) -> tuple[float | None, tuple[float, float] | None]:
    return (part / whole, wilson_interval(part, whole)) if whole else (None, None)


def _uncorrectable(hits: int, present: int, right: int, absent: int) -> str:
    if not present or not absent:
        return f"no labelled image {'without' if present else 'with'} the concept"
    if hits * absent <= (absent - right) * present:  # sensitivity + specificity <= 1, in integers
        return "no better than chance on the labelled images, which cannot be corrected"
    if (hits + 1) * (absent + 2) <= (absent - right + 1) * (present + 2):
        return "too few labelled images to tell it from chance"
    return ""


def prevalence_interval(
    positive: Any, n: Any, hits: Any, present: Any, right: Any, absent: Any
) -> tuple[Any, Any]:
    """95% interval of a corrected rate: Z. Lang and J. Reiczigel, Prev. Vet. Med. 113 (2014).

    Args, numbers or arrays: the checker sees the concept in ``positive`` of ``n`` images, in
    ``hits`` of ``present`` labelled ones with it; in ``right`` of ``absent`` ones without it sees
    none. (hits + 1) / (present + 2) + (right + 1) / (absent + 2) must be above 1.

    Returns:
        (low, high), which may leave [0, 1].
    """
    seen = (positive + _Z**2 / 2) / (n + _Z**2)
    se, sp = (hits + 1) / (present + 2), (right + 1) / (absent + 2)
    rate = (seen + sp - 1) / (se + sp - 1)
    of_se, of_sp = se * (1 - se) / (present + 2), sp * (1 - sp) / (absent + 2)
    variance = seen * (1 - seen) / (n + _Z**2) + rate**2 * of_se + (1 - rate) ** 2 * of_sp
    centre = rate + 2 * _Z**2 * (rate * of_se - (1 - rate) * of_sp)
    half = _Z * variance**0.5 / (se + sp - 1)
    return centre - half, centre + half


def _family(name: str) -> str:
    """Presets of one detector differ by threshold and labels only: they are one indicator."""
    return _DETECTOR if name.startswith(_DETECTOR) else name


def _named(results: Results, concept: str, kind: str) -> list[str]:
    columns = results.columns(concept)
    return [column.removeprefix(kind) for column in columns if column.startswith(kind)]


def _each(results: Results, kind: str) -> Iterator[tuple[str, str, str, dict[str, float]]]:
    """Yield (concept, checker or score, method, values of its images) where there are values."""
    for concept in results.concepts:
        for name in _named(results, concept, kind):
            for method in results.methods(concept):
                values = results.values(concept, method, f"{kind}{name}")
                if values:
                    yield concept, name, method, values
