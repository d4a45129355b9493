"""Judging the judges: do checkers of one concept agree, and how often is each of them right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from statistics import NormalDist
from typing import Any

import numpy as np

from extractors.nudenet import REPORTED_ABOVE
from report.results import Results
from utils.images import natural_key
from utils.prompts import prompt_key
from utils.stats import effective_number, wilson_interval

_RATE, _SCORE = "presence_rate_", "presence_score_"  # metrics of the aspect `indicators`
_DETECTOR = "nudenet"
_Z = NormalDist().inv_cdf(0.975)


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
class Judged:
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
        for a, b in combinations(_named(results, concept, _RATE), 2)
        if _family(a) != _family(b) and (found := _agreement(results, concept, a, b))
    ]


def _agreement(results: Results, concept: str, a: str, b: str) -> Agreement | None:
    counts: Counter[tuple[bool, bool]] = Counter()
    differ = []
    for method in results.methods(concept):
        one, other = (_values(results, concept, method, f"{_RATE}{name}") for name in (a, b))
        said = {name: (bool(one[name]), bool(other[name])) for name in one if name in other}
        counts.update(said.values())
        apart = sorted((name for name, (x, y) in said.items() if x != y), key=natural_key)
        differ += [(method, name, said[name][0]) for name in apart]
    if not counts:
        return None
    cells = [counts[x, y] for x in (True, False) for y in (True, False)]
    return Agreement(concept, a, b, sum(cells), *cells, *cohens_kappa(*cells), tuple(differ))


def cohens_kappa(
    both: int, only_a: int, only_b: int, neither: int
) -> tuple[float | None, float | None, float | None]:
    """Cohen's kappa of two checkers, 0 if they agree as by chance, and its 95% interval.

    For large samples of independent images; variance of J. L. Fleiss, J. Cohen and B. S. Everitt,
    Psychol. Bull. 72 (1969). In exact fractions, so that a variance of 0 is known from a small one.

    Returns:
        (kappa, low, high), within [-1, 1]. Kappa is None where both say the same one thing of all
        images; the interval where the variance is 0: one says the same of all, or none differ.
    """
    n = both + only_a + only_b + neither
    yes_yes, yes_no, no_yes, no_no = (Fraction(c, n) for c in (both, only_a, only_b, neither))
    a, b = yes_yes + yes_no, yes_yes + no_yes
    chance = a * b + (1 - a) * (1 - b)
    if chance == 1:
        return None, None, None
    kappa = (yes_yes + no_no - chance) / (1 - chance)
    miss = 1 - kappa
    agreed = yes_yes * (1 - (a + b) * miss) ** 2 + no_no * (1 - (2 - a - b) * miss) ** 2
    differed = miss**2 * (yes_no * (b + 1 - a) ** 2 + no_yes * (a + 1 - b) ** 2)
    variance = (agreed + differed - (kappa - chance * miss) ** 2) / ((1 - chance) ** 2 * n)
    if variance == 0:
        return float(kappa), None, None
    half = _Z * float(variance) ** 0.5
    return float(kappa), max(-1.0, float(kappa) - half), min(1.0, float(kappa) + half)


def curves(results: Results) -> list[Curve]:
    """Return the threshold curves of every concept, score and method."""
    return [
        Curve(concept, method, score, *_curve(score, np.array(list(values.values()))))
        for concept, score, method, values in _each(results, _SCORE)
    ]


def _curve(score: str, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # Below, a detector's score is 0 whatever the image: a curve would be flat, and wrong.
    first = round(100 * REPORTED_ABOVE) if _family(score) == _DETECTOR else 0
    thresholds = np.arange(first, 101) / 100
    not_above = np.searchsorted(np.sort(values), thresholds, side="right")
    return thresholds, (len(values) - not_above) / len(values)


def corrected(results: Results) -> list[Judged]:
    """Correct the presence rates of every concept, checker and method with labelled images."""
    found = []
    for concept, checker, method, values in _each(results, _RATE):
        counts = _calibration(results, concept).get(checker)
        if counts:
            found.append(_judged((concept, method, checker), values, counts))
    return found


def render(results: Results) -> str:
    """Return the terminal's tables of what labelled images say: of each checker, of each rate."""
    from tabulate import tabulate

    found = corrected(results)
    checkers: dict[tuple[str, str], tuple[str, str, int]] = {}
    rates: dict[tuple[str, str], dict[str, str]] = {}
    for one in found:
        right = (one.sensitivity, one.sensitivity_ci), (one.specificity, one.specificity_ci)
        shares = (_percent(*share) for share in right)
        checkers[one.concept, one.checker] = (*shares, one.calibration_n)
        row = rates.setdefault((one.concept, results.title(one.method)), {})
        row[one.checker] = _percent(one.corrected, (one.ci_low, one.ci_high))
    rightness = [(*key, *row) for key, row in checkers.items()]
    header = ("concept", "checker", "sensitivity", "specificity", "labelled images")
    parts = [tabulate(rightness, header, disable_numparse=True)]
    names = list(dict.fromkeys(one.checker for one in found))
    body = [(*key, *(row.get(name, "") for name in names)) for key, row in rates.items()]
    header = ("concept", "presence rate, corrected", *names)
    parts.append(tabulate(body, header, disable_numparse=True))
    reasons = dict.fromkeys(f"-: {one.checker}: {one.reason}" for one in found if one.reason)
    return "\n\n".join([*parts, *(["\n".join(reasons)] if reasons else [])])


def _percent(rate: float | None, interval: tuple[float, float] | None) -> str:
    if rate is None:
        return "-"
    text = f"{100 * rate:.1f}%"
    return text + (f" [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]" if interval else "")


def _calibration(results: Results, concept: str) -> Mapping[str, Mapping[str, int]]:
    """What each checker got right and wrong, in the last run with labelled images."""
    runs = (run.get("calibration", {}).get(concept) for run in results.runs)
    return next(filter(None, runs), {}).get("checkers", {})


def _judged(
    about: tuple[str, str, str], values: Mapping[str, float], counts: Mapping[str, int]
) -> Judged:
    n, rate = len(values), float(np.mean(list(values.values())))
    hits, right = counts["true_positive"], counts["true_negative"]
    present, absent = hits + counts["false_negative"], right + counts["false_positive"]
    rates = (*_share(hits, present), *_share(right, absent))
    known = (*about, n, *rates, present + absent, rate)
    reason = _uncorrectable(hits, present, right, absent)
    if reason:
        return Judged(*known, None, None, None, reason)
    number = effective_number(list(values.values()), list(map(prompt_key, values)))
    low, high = prevalence_interval(rate * number, number, hits, present, right, absent)
    if high < 0 or low > 1:  # clipped, it would be one point: certainty out of a contradiction
        odd = (
            "less often than by false alarms alone" if high < 0 else "more often than if all had it"
        )
        reason = f"it sees the concept {odd}: the labelled images are unlike these"
        return Judged(*known, None, None, None, reason)
    alarms = 1 - right / absent
    point = min(max((rate - alarms) / (hits / present - alarms), 0.0), 1.0)
    # With a handful of labelled images the interval, which is shifted, may not reach the point.
    return Judged(*known, point, max(0.0, min(low, point)), min(1.0, max(high, point)), "")


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
    metrics = results.metrics(concept)
    return [metric.removeprefix(kind) for metric in metrics if metric.startswith(kind)]


def _each(results: Results, kind: str) -> Iterator[tuple[str, str, str, dict[str, float]]]:
    """Yield (concept, checker or score, method, values of its images) where there are values."""
    for concept in results.concepts:
        for name in _named(results, concept, kind):
            for method in results.methods(concept):
                values = _values(results, concept, method, f"{kind}{name}")
                if values:
                    yield concept, name, method, values


def _values(results: Results, concept: str, method: str, metric: str) -> dict[str, float]:
    found = results.per_image.get((concept, method, metric))
    return dict(zip(found.names, found.values.tolist(), strict=True)) if found else {}
