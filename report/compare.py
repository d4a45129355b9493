"""Which differences between methods are more than chance."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from evaluation.layout import ORIGINAL
from metrics.base import category_values
from report.results import Key, PerImage, Results
from utils.errors import UserError, did_you_mean
from utils.name_to_id import match
from utils.prompts import prompt_key
from utils.stats import PairedTest, holm, jackknife_test, mcnemar, paired_test

LEVEL = 0.05
METHOD = "the best method and those that cannot be told from it"
_BOOTSTRAP = "paired bootstrap of prompts"
# Say the same as another metric, or the same of every method.
_LEFT_OUT = ("forgetting_rate", "clip_score_reference", "fid_infinity")


@dataclass(frozen=True)
class Comparison:
    """A method against another, by one metric.

    Attributes:
        a, b: folders of the methods.
        n: images (pairs) that both have; for scores of whole sets the fewer of the two.
        difference: of a minus b, in the metric's unit; its interval is ``ci_low, ci_high``.
        p: two-sided; ``p_holm`` adjusted for the methods compared by this metric.
        effect: Cohen's h of rates, d_z of means, None of whole sets.
        effect_name, test: names of both for a table.
    """

    concept: str
    metric: str
    a: str
    b: str
    n: int
    difference: float
    ci_low: float
    ci_high: float
    p: float
    p_holm: float
    effect: float | None
    effect_name: str
    test: str

    @property
    def significant(self) -> bool:
        return self.p_holm < LEVEL


@dataclass(frozen=True)
class Comparisons:
    """What was compared."""

    tested: tuple[Comparison, ...]


@dataclass(frozen=True)
class Ties:
    """The best methods of each metric; (concept, method, metric) each.

    Attributes:
        best: with the best value, whether or not anything was tested.
        tied: not to be told from the best, and not of the best value themselves.
        untested: (concept, metric) -> why there is no test. Nothing of it is in ``tied``, and what
            has the best value is not known to be better than any.
    """

    best: frozenset[Key] = frozenset()
    tied: frozenset[Key] = frozenset()
    untested: Mapping[tuple[str, str], str] = field(default_factory=dict)


def compare(
    results: Results,
    baseline: str,
    other: str | None = None,
    *,
    metrics: Collection[str] | None = None,
) -> Comparisons:
    """Compare methods on the same prompts, concept by concept and metric by metric.

    Rates by McNemar's exact test where every prompt has one image; else rates, and means, by the
    paired bootstrap of prompts; FID and KID by the jackknife over blocks of prompts. Holm's
    correction is over the methods of a metric.

    Args:
        baseline: a method (its folder, or its proper name).
        other: compared with the baseline; None for every other method.
        metrics: to compare by; None for all.

    Raises:
        UserError: no such method, or nothing in common.
    """
    baseline = _method(results, baseline)
    chosen = None if other is None else _method(results, other)
    found: list[Comparison] = []
    for concept in results.concepts:
        methods = [m for m in results.methods(concept) if m != baseline and chosen in (None, m)]
        for metric in results.metrics(concept):
            wanted = metrics is None or metric in metrics
            if wanted and metric.removesuffix("_object") not in _LEFT_OUT:
                found += _family(results, concept, metric, [(m, baseline) for m in methods])
    if not found:
        raise UserError(
            f"{results.folder}: nothing to compare with {baseline} (fewer than four prompts, or no "
            "images in common)"
        )
    return Comparisons(tuple(found))


def ties(results: Results) -> Ties:
    """Return (concept, method, metric) of methods that cannot be told from the best, and the best.

    The original model, and metrics without a direction, are left out.
    """
    best: set[Key] = set()
    tied: set[Key] = set()
    untested: dict[tuple[str, str], str] = {}
    for concept in results.concepts:
        for metric in results.metrics(concept):
            rows = [
                row
                for row in results.scores
                if (row.concept, row.metric) == (concept, metric)
                and row.method != ORIGINAL
                and None not in (row.value, row.higher_is_better)
            ]
            if len(rows) < 2:
                continue
            sign = 1 if rows[0].higher_is_better else -1
            first = max(rows, key=lambda row: sign * row.value)
            pairs = [(row.method, first.method) for row in rows if row is not first]
            compared = _family(results, concept, metric, pairs)
            best |= {row.key for row in rows if row.value == first.value}
            tied |= {(concept, one.a, metric) for one in compared if not one.significant}
            if len(compared) < len(pairs):
                untested[concept, metric] = "fewer than four prompts"
    return Ties(frozenset(best), frozenset(tied - best), untested)


def _method(results: Results, name: str) -> str:
    known = {results.title(row.method): row.method for row in results.scores}
    known |= {row.method: row.method for row in results.scores}
    found = match(name, known)
    if found is None:
        hint = did_you_mean(name, known)
        there = ", ".join(dict.fromkeys(known.values()))
        raise UserError(f"{results.folder}: no method {name}{hint}; there are {there}")
    return known[found]


def _family(
    results: Results, concept: str, metric: str, pairs: Sequence[tuple[str, str]]
) -> list[Comparison]:
    """Comparisons of one metric, with the adjusted p-values."""
    found = [
        one
        for a, b in pairs
        if (one := compare_scores(results, (concept, a, metric), results, (concept, b, metric)))
    ]
    adjusted = holm([one.p for one in found])
    return [replace(one, p_holm=float(p)) for one, p in zip(found, adjusted, strict=True)]


def compare_scores(one: Results, a: Key, other: Results, b: Key) -> Comparison | None:
    """Compare two scores of the same prompts, of one results folder or two.

    Returns:
        None where there is no test: fewer than four prompts, or nothing in common.
    """
    rows = (one.by_key.get(a), other.by_key.get(b))
    if any(row is None or row.value is None for row in rows):
        return None
    if a in one.resamples and b in other.resamples:
        blocks = one.resamples[a], other.resamples[b]
        test = jackknife_test(rows[0].value, rows[1].value, *blocks)
        n = min(row.n for row in rows)
        return _comparison(a, b, n, test, None, "", "jackknife over prompts")
    if a not in one.per_image or b not in other.per_image:
        return None
    names, x, y = _shared(one.per_image[a], other.per_image[b])
    if not names:
        return None
    clusters = [prompt_key(name) for name in names]
    if _is_rate(x) and _is_rate(y):
        scale = 100 if rows[0].unit == "%" else 1
        test, name = _test_rates(scale * x, scale * y, clusters)
        effect = _cohens_h(x.mean(), y.mean())
        return _comparison(a, b, len(names), test, effect, "Cohen's h", name)
    test = paired_test(_as_scored(a[2], names, x), _as_scored(a[2], names, y), clusters)
    spread = (x - y).std(ddof=1) if len(names) > 1 else 0.0
    effect = float((x - y).mean() / spread) if spread else 0.0
    return _comparison(a, b, len(names), test, effect, "Cohen's d_z", _BOOTSTRAP)


def _test_rates(
    x: np.ndarray, y: np.ndarray, clusters: Sequence[str]
) -> tuple[PairedTest | None, str]:
    test = paired_test(x, y, clusters)
    # McNemar's pairs are independent. With five or ten samples of a prompt, which are not, it
    # finds 18 to 32% of equal methods different at the 5% level.
    if test is None or len(set(clusters)) < len(clusters):
        return test, _BOOTSTRAP
    return replace(test, p=mcnemar(x > 0, y > 0)), "McNemar, exact"


def _shared(a: PerImage, b: PerImage) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names of images that two scores are both of, and the values of each."""
    first, second = (dict(zip(one.names, one.values, strict=True)) for one in (a, b))
    names = [name for name in first if name in second]
    return names, *(np.array([values[name] for name in names]) for values in (first, second))


def _as_scored(metric: str, names: Sequence[str], values: np.ndarray) -> np.ndarray:
    """Values whose mean is the score: one over unrelated images is over categories of means."""
    if not metric.endswith("_object"):
        return values
    categories = [name.split("/")[0] for name in names]
    return category_values(values, categories, [prompt_key(name) for name in names])


def _is_rate(values: np.ndarray) -> bool:
    return bool(np.isin(values, (0, 1)).all())


def _cohens_h(one: float, other: float) -> float:
    """J. Cohen, Statistical Power Analysis for the Behavioral Sciences (1988), ch. 6."""
    return float(2 * np.arcsin(np.sqrt(one)) - 2 * np.arcsin(np.sqrt(other)))


def _comparison(
    a: Key, b: Key, n: int, test: PairedTest | None, effect: float | None, *names: str
) -> Comparison | None:
    if test is None:
        return None
    numbers = (test.difference, test.ci_low, test.ci_high, test.p, test.p)
    return Comparison(a[0], a[2], a[1], b[1], n, *numbers, effect, *names)


def render(compared: Comparisons, results: Results) -> str:
    """Return the tables for the terminal, one a concept; ``*`` marks what is significant."""
    from tabulate import tabulate

    comparisons = compared.tested
    parts = []
    header = ["metric", "method", "against", "n", "difference", "95% interval", "p", "p (Holm)"]
    for concept in dict.fromkeys(one.concept for one in comparisons):
        body = [
            [
                one.metric,
                results.title(one.a),
                results.title(one.b),
                one.n,
                f"{one.difference:+.4g}" + ("*" if one.significant else ""),
                f"{one.ci_low:+.4g} to {one.ci_high:+.4g}",
                p_text(one.p),
                p_text(one.p_holm),
                "" if one.effect is None else f"{one.effect:+.2f} ({one.effect_name})",
                one.test,
            ]
            for one in comparisons
            if one.concept == concept
        ]
        table = tabulate(body, [*header, "effect size", "test"], disable_numparse=True)
        parts.append(f"{concept}\n\n{table}")
    parts.append(f"*: p (Holm) below {LEVEL}; a difference is method minus against")
    return "\n\n".join(parts)


def p_text(p: float) -> str:
    """Return a p-value as a paper prints it."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"
