"""Which differences between methods are more than chance."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from inputs.layout import ORIGINAL
from inputs.prompts import prompt_key
from metrics.base import category_values, category_weights
from metrics.spec import ScoreKey
from records.model import PerImage, Results, ScoreRow
from stats.best import may_be_best, untestable
from stats.clusters import FEWEST_CLUSTERS
from stats.intervals import FEW_BLOCKS
from stats.multiple import holm
from stats.paired_rates import paired_rates
from stats.tests import PairedTest, jackknife_test, paired_test
from utils.errors import UserError, did_you_mean
from utils.name_to_id import match
from utils.text import printable

if TYPE_CHECKING:
    from analysis.ranking import Ranking

LEVEL = 0.05
_NOTHING_SHARED = "no image in common"


@dataclass(frozen=True)
class Comparison:
    """A method against another, by one metric.

    Attributes:
        a, b: folders of the methods.
        n: images (pairs) that both have; for scores of whole sets the fewer of the two.
        difference: of a minus b, in the metric's unit; its interval is ``ci_low, ci_high``, None
            where every pair differs by the same.
        p: two-sided; ``p_holm`` adjusted for the methods compared by this metric.
        effect: Cohen's h of rates, d_z of means, None of whole sets.
        effect_name, test: names of both for a table.
    """

    concept: str
    column: str
    a: str
    b: str
    n: int
    difference: float
    ci_low: float | None
    ci_high: float | None
    p: float
    p_holm: float
    effect: float | None
    effect_name: str
    test: str

    @property
    def significant(self) -> bool:
        return self.p_holm < LEVEL


@dataclass(frozen=True)
class Untested:
    """Two methods that no test compares by a metric, and why."""

    concept: str
    column: str
    a: str
    b: str
    reason: str


@dataclass(frozen=True)
class Comparisons:
    """What was compared, and what was not, in the order of concepts, metrics and methods."""

    tested: tuple[Comparison, ...]
    untested: tuple[Untested, ...]


@dataclass(frozen=True)
class Ties:
    """The best methods of each metric, on each scope's images.

    Attributes:
        best: with the best value, whether or not anything was tested.
        tied: not to be told from the best, and not of the best value themselves.
        untested: (concept, column) -> why there is no test. Nothing of it is in ``tied``, and what
            has the best value is not known to be better than any; nothing is in ``best`` where
            values do not even compare.
    """

    best: frozenset[ScoreKey] = frozenset()
    tied: frozenset[ScoreKey] = frozenset()
    untested: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @cached_property
    def marked(self) -> frozenset[ScoreKey]:
        """The best, and those not to be told from them, by metrics that were tested."""
        return frozenset(
            key for key in self.best | self.tied if (key.concept, key.column) not in self.untested
        )


def compare(
    results: Results,
    baseline: str,
    other: str | None = None,
    *,
    columns: Collection[str] | None = None,
) -> Comparisons:
    """Compare methods on the same prompts, concept by concept and metric by metric.

    Rates by the exact test of random signs of prompts; means by the paired bootstrap of prompts;
    FID and KID by the jackknife over blocks of prompts. Holm's correction is over the methods of a
    metric.

    Args:
        baseline: a method (its folder, or its proper name).
        other: compared with the baseline; None for every other method.
        columns: to compare by; None for all.

    Raises:
        UserError: no such method, or no other method than the baseline.
    """
    baseline = _method(results, baseline)
    chosen = None if other is None else _method(results, other)
    tested: list[Comparison] = []
    untested: list[Untested] = []
    for concept in results.concepts:
        methods = [m for m in results.methods(concept) if m != baseline and chosen in (None, m)]
        for column in _compared(results, concept):
            if columns is None or column in columns:
                against = ScoreKey.of(concept, baseline, column)
                keys = [against._replace(method=method) for method in methods]
                found = [compare_scores(results, key, results, against) for key in keys]
                tested += _adjusted(one for one in found if isinstance(one, Comparison))
                untested += [one for one in found if isinstance(one, Untested)]
    if not tested and not untested:
        raise UserError(f"{results.folder}: nothing to compare with {baseline}")
    return Comparisons(tuple(tested), tuple(untested))


def _compared(results: Results, concept: str) -> list[str]:
    return [column for column in results.columns(concept) if results.spec(column).compared]


def _adjusted(found: Iterable[Comparison]) -> list[Comparison]:
    """Comparisons of one metric, with the adjusted p-values."""
    found = list(found)
    adjusted = holm([one.p for one in found])
    return [replace(one, p_holm=float(p)) for one, p in zip(found, adjusted, strict=True)]


def _method(results: Results, name: str) -> str:
    known = {results.title(row.method): row.method for row in results.scores}
    known |= {row.method: row.method for row in results.scores}
    found = match(name, known)
    if found is None:
        hint = did_you_mean(name, known)
        there = ", ".join(dict.fromkeys(known.values()))
        raise UserError(f"{results.folder}: no method {name}{hint}; there are {there}")
    return known[found]


def compare_scores(one: Results, a: ScoreKey, other: Results, b: ScoreKey) -> Comparison | Untested:
    """Compare two scores of the same prompts, of one results folder or two."""
    kind = one.spec(a.metric).kind if a in one.by_key else None
    found: Comparison | str
    if kind is None or b not in other.by_key:
        found = "only one of the two has it"
    elif None in (one.by_key[a].value, other.by_key[b].value):
        found = "a value is not defined"
    elif lacking := _lacking(one, a) or _lacking(other, b):
        found = lacking
    elif kind == "set":
        found = _compare_sets(one, a, other, b)
    else:
        found = _compare_images(one, a, other, b, kind)
    if isinstance(found, str):
        return Untested(a.concept, a.column, a.method, b.method, found)
    return found


def _lacking(results: Results, key: ScoreKey) -> str:
    """What a test of a score lacks; empty if nothing."""
    if results.by_key[key].stale:
        return "the images have changed since"
    if results.spec(key.metric).kind == "set":
        return "" if len(results.resamples.get(key, ())) >= FEWEST_CLUSTERS else FEW_BLOCKS
    return "" if key in results.per_image else "no values of single images"


def _compare_sets(one: Results, a: ScoreKey, other: Results, b: ScoreKey) -> Comparison | str:
    rows = one.by_key[a], other.by_key[b]
    if biased := _biased(one, rows):
        return biased
    blocks = one.resamples[a], other.resamples[b]
    test = jackknife_test(float(rows[0]), float(rows[1]), *blocks)
    if isinstance(test, str):
        return test
    n = min(row.n for row in rows)
    return _comparison(a, b, n, test, None, "", "jackknife over prompts")


def _compare_images(
    one: Results, a: ScoreKey, other: Results, b: ScoreKey, kind: str
) -> Comparison | str:
    names, (x, y) = _shared([one.per_image[a], other.per_image[b]])
    if not names:
        return _NOTHING_SHARED
    prompts = [prompt_key(name) for name in names]
    if kind == "rate":
        test = paired_rates(x > 0, y > 0, prompts)
        if isinstance(test, str):
            return test
        scale = 100 if one.by_key[a].unit == "%" else 1
        low, high = (None if end is None else scale * end for end in (test.ci_low, test.ci_high))
        scaled = replace(test, difference=scale * test.difference, ci_low=low, ci_high=high)
        effect = _cohens_h(x.mean(), y.mean())
        return _comparison(a, b, len(names), scaled, effect, "Cohen's h", "signs of prompts, exact")
    test = paired_test(_as_scored(a, names, x), _as_scored(a, names, y), prompts, raw=x - y)
    if isinstance(test, str):
        return test
    spread = (x - y).std(ddof=1)
    effect = float((x - y).mean() / spread) if spread else 0.0
    return _comparison(a, b, len(names), test, effect, "Cohen's d_z", "paired bootstrap of prompts")


def _shared(several: Sequence[PerImage]) -> tuple[list[str], np.ndarray]:
    """Names of images that all scores are of, and their values, a row a score."""
    values = [dict(zip(one.names, one.values, strict=True)) for one in several]
    names = [name for name in values[0] if all(name in one for one in values)]
    return names, np.array([[one[name] for name in names] for one in values], np.float64)


def _as_scored(key: ScoreKey, names: Sequence[str], values: np.ndarray) -> np.ndarray:
    """Values whose mean is the score: one over unrelated images is over categories of means."""
    if key.scope == "forgot":
        return values
    return category_values(values, _categories(names), [prompt_key(name) for name in names])


def _categories(names: Sequence[str]) -> list[str]:
    return [name.split("/")[0] for name in names]


def _cohens_h(one: float, other: float) -> float:
    """J. Cohen, Statistical Power Analysis for the Behavioral Sciences (1988), ch. 6."""
    return float(2 * np.arcsin(np.sqrt(one)) - 2 * np.arcsin(np.sqrt(other)))


def _comparison(
    a: ScoreKey, b: ScoreKey, n: int, test: PairedTest, effect: float | None, *names: str
) -> Comparison:
    numbers = (test.difference, test.ci_low, test.ci_high, test.p, test.p)
    return Comparison(a.concept, a.column, a.method, b.method, n, *numbers, effect, *names)


def ties(results: Results) -> Ties:
    """Return which methods are the best by each metric, and which cannot be told from them.

    ``stats.best.may_be_best`` on the images that all methods have; ``stats.best.METHOD`` says it in
    captions. The original model, and metrics without a direction, are left out.
    """
    best: set[ScoreKey] = set()
    tied: set[ScoreKey] = set()
    untested: dict[tuple[str, str], str] = {}
    for concept in results.concepts:
        for column in _compared(results, concept):
            rows = [
                row
                for row in results.of(concept, column)
                if row.method != ORIGINAL and None not in (row.value, row.higher_is_better)
            ]
            if len(rows) < 2:
                continue
            if biased := _biased(results, rows):
                untested[concept, column] = biased
                continue
            sign = 1 if rows[0].higher_is_better else -1
            highest = max(sign * float(row) for row in rows)
            mine = {row.key for row in rows if sign * float(row) == highest}
            best |= mine
            values = _by_prompt(results, rows)
            if isinstance(values, str):
                untested[concept, column] = values
            else:
                kept = may_be_best(sign * values)
                stays = {row.key for row, stay in zip(rows, kept, strict=True) if stay}
                if mine <= stays:
                    tied |= stays
                else:  # the best of its own images is not among the best on those of all
                    untested[concept, column] = "methods have different images"
    return Ties(frozenset(best), frozenset(tied - best), untested)


def _biased(results: Results, rows: Sequence[ScoreRow]) -> str:
    """Why the values of a metric do not compare, where bias makes them differ; else nothing."""
    counts = sorted({row.n for row in rows})
    if len(counts) == 1 or not results.spec(rows[0].metric).same_n:
        return ""
    return f"of {counts[0]} to {counts[-1]} images, and its bias hangs on their number"


def _by_prompt(results: Results, rows: Sequence[ScoreRow]) -> np.ndarray | str:
    """Numbers of each prompt (row) and method (column) whose means compare; or why there are none.

    Of images their sums, of whole sets the jackknife's pseudo-values of blocks of prompts.
    """
    of_sets = results.spec(rows[0].metric).kind == "set"
    for row in rows:
        if lacking := _lacking(results, row.key):
            return f"{results.title(row.method)}: {lacking}"
    values = _pseudo_values(results, rows) if of_sets else _prompt_sums(results, rows)
    if not len(values):
        return FEW_BLOCKS if of_sets else _NOTHING_SHARED
    return untestable(len(values), len(rows)) or values


def _prompt_sums(results: Results, rows: Sequence[ScoreRow]) -> np.ndarray:
    names, values = _shared([results.per_image[row.key] for row in rows])
    if not names:
        return np.empty((0, len(rows)))
    if rows[0].scope == "unrelated" and results.spec(rows[0].metric).kind == "mean":
        values = values * category_weights(_categories(names))
    _, which = np.unique([prompt_key(name) for name in names], return_inverse=True)
    return np.array([np.bincount(which, one) for one in values]).T


def _pseudo_values(results: Results, rows: Sequence[ScoreRow]) -> np.ndarray:
    """J. W. Tukey, Ann. Math. Stat. 29 (1958); their mean here is the score itself."""
    several = [results.resamples[row.key] for row in rows]
    shared = sorted(set.intersection(*(set(one) for one in several)))
    values = np.array([[one[block] for one in several] for block in shared])
    values = values.reshape(len(shared), len(rows))
    if not shared:
        return values
    scores = np.array([row.value for row in rows])
    return scores - (len(shared) - 1) * (values - values.mean(axis=0))


def render(compared: Comparisons, results: Results) -> str:
    """Return the tables for the terminal, one a concept; ``*`` marks what is significant.

    Metrics that rank no method are named as in other tables, and have no mark. Below a table is
    what must be known of it, and at the end what was not tested, and why.
    """
    from tabulate import tabulate

    from analysis.ranking import ranking, trials  # which compares

    ranked = ranking(results, Ties())
    parts = []
    header = ["metric", "method", "against", "n", "difference", "95% interval", "p", "p (Holm)"]
    for concept in dict.fromkeys(one.concept for one in compared.tested):
        tested = [one for one in compared.tested if one.concept == concept]
        body = [
            [
                ranked.label(concept, one.column),
                printable(results.title(one.a)),
                printable(results.title(one.b)),
                one.n,
                f"{one.difference:+.4g}" + _star(one, ranked),
                "-" if one.ci_low is None else f"{one.ci_low:+.4g} to {one.ci_high:+.4g}",
                p_text(one.p),
                p_text(one.p_holm),
                "" if one.effect is None else f"{one.effect:+.2f} ({one.effect_name})",
                one.test,
            ]
            for one in tested
        ]
        table = tabulate(body, [*header, "effect size", "test"], disable_numparse=True)
        parts.append(f"{printable(concept)}\n\n{table}")
        remarks = ranked.remarks(concept, [*dict.fromkeys(one.column for one in tested)])
        if remarks:
            parts.append("\n".join(remarks))
    if compared.tested:
        parts.append(f"*: p (Holm) below {LEVEL}; a difference is method minus against")
    if compared.untested:
        parts.append("\n".join(["not tested:", *_reasons(compared.untested, results)]))
    return "\n\n".join([*trials(results), *parts])


def _star(one: Comparison, ranked: Ranking) -> str:
    return "*" if one.significant and ranked.ranks(one.concept, one.column) else ""


def _reasons(untested: Sequence[Untested], results: Results) -> list[str]:
    """A line for what has one reason: concept, methods, metrics, reason."""
    methods: dict[tuple[str, str, str, str], list[str]] = {}
    for one in untested:
        about = one.concept, printable(results.title(one.b)), one.column, one.reason
        methods.setdefault(about, []).append(printable(results.title(one.a)))
    columns: dict[tuple[str, str, str], list[str]] = {}
    for (concept, against, column, reason), several in methods.items():
        pairs = f"{', '.join(several)} against {against}"
        columns.setdefault((concept, pairs, reason), []).append(column)
    return [
        f"  {concept}, {pairs}: {', '.join(several)} ({reason})"
        for (concept, pairs, reason), several in columns.items()
    ]


def p_text(p: float) -> str:
    """Return a p-value as a paper prints it."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"
