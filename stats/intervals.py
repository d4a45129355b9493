"""Statistics of scores: intervals, and the tests of means and of scores of whole sets.

The tests of rates are in ``stats.paired_rates``, the comparison of many methods in ``stats.best``;
docs/statistics.md explains all of them, and shows how often they hold in simulations. Arrays and
scipy.special only: importing scipy.stats or statsmodels takes longer than a cached run. The tests
hold every function against one of them, or a closed form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np

RESAMPLES = 2000
FEWEST_CLUSTERS = 4  # with fewer, too many resamples hold one cluster alone
MANY_CLUSTERS = 1000  # with more, t is Student's to the second digit, and drawing takes seconds
MANY_DIFFER = 30  # but not where fewer of them differ from the commonest value
ADDED = 0.1  # clusters of successes, and of failures, in a design effect
FEW_BLOCKS = f"fewer than {FEWEST_CLUSTERS} blocks of prompts"
_SAME_BLOCKS = "every block of prompts has the same value, which shows no spread"
_SAME_MEANS = "every prompt has the same mean, which shows no spread"
_WIDEST = 3  # times Student's interval: a bootstrap of four prompts knows no bounds itself

# The note of an interval that does not speak of prompts: with these few, it cannot.
PROMPTS_FIXED = (
    f"the interval is over seeds, with the prompts fixed: fewer than {FEWEST_CLUSTERS} prompts"
)

# The note of an interval that one prompt decides: measured, it covers from 0 to 60%.
UNEVEN = (
    "one prompt has more than a fifth of the images, and more than twice its share: "
    "the interval may be far too narrow"
)


@dataclass(frozen=True)
class Interval:
    """A 95% interval, or why there is none.

    Attributes:
        low, high: None where there is none.
        note: one sentence that a reader needs: why there is none, ``PROMPTS_FIXED`` where other
            prompts than these are left out of account, or ``UNEVEN``; else empty.
    """

    low: float | None
    high: float | None
    note: str = ""


@dataclass(frozen=True)
class PairedTest:
    """A difference, its 95% interval, and the two-sided p-value of no difference.

    Of images, the interval leaves 0 out exactly where p is below 0.05.

    Attributes:
        ci_low, ci_high: None where every pair differs by the same.
    """

    difference: float
    ci_low: float | None
    ci_high: float | None
    p: float


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a rate. Source: E. B. Wilson, JASA 22 (1927).

    Returns:
        (low, high), within [0, 1].

    Raises:
        ValueError: ``n`` is not positive, or ``successes`` not in 0..n.
    """
    if n <= 0 or not 0 <= successes <= n:
        raise ValueError(f"no interval for {successes} of {n}")
    low, high = _wilson(successes / n, n, NormalDist().inv_cdf((1 + confidence) / 2))
    return float(low), float(high)


def _wilson(rate: Any, n: Any, quantile: float) -> tuple[Any, Any]:
    q2 = quantile**2
    centre = (rate * n + q2 / 2) / (n + q2)
    half = (q2 * n * rate * (1 - rate) + q2 * q2 / 4) ** 0.5 / (n + q2)
    return np.where(rate == 0, 0.0, centre - half), np.where(rate == 1, 1.0, centre + half)


def rate_interval(successes: Sequence[bool], clusters: Sequence[Any]) -> Interval:
    """95% interval of a rate over images; those of one cluster (prompt) are not independent.

    Wilson's with ``effective_number`` in the place of n, and Student's quantile with one degree of
    freedom less than there are clusters. More successes never lower either limit: the upper one is
    the highest that these successes, or some of them alone, would have, the lower one the same of
    failures. Without that, 0 of 250 would have a higher upper limit than 1 of 250, as only the
    latter shows that the samples of a prompt can differ. Where every cluster is one image, it is
    Wilson's, modified for one to three successes or failures (L. D. Brown, T. T. Cai and
    A. DasGupta, Stat. Sci. 16 (2001), 4.1.1); else, with fewer than four clusters, Wilson's own,
    which its note says (``PROMPTS_FIXED``). Where one cluster has more than a fifth of the images,
    and twice the average, the design effect cannot be told well, and the note is ``UNEVEN``.
    Source: N. Dean and M. Pagano, J. Surv. Stat. Methodol. 3 (2015).

    Args:
        successes: of shape (n,), n > 0.
        clusters: the cluster of each.

    Returns:
        limits within [0, 1].
    """
    successes = np.asarray(successes, bool)
    _, which = np.unique(np.asarray(clusters), return_inverse=True)
    sizes = np.bincount(which)
    n, groups = len(successes), len(sizes)
    shown = int(np.count_nonzero(successes))
    if groups < FEWEST_CLUSTERS:
        return Interval(*wilson_interval(shown, n), PROMPTS_FIXED)
    if groups == n:
        return Interval(*_modified_wilson(shown, n))
    counts = np.bincount(which, successes).astype(int)
    low, high = 1 - _upper_limit(sizes - counts, sizes), _upper_limit(counts, sizes)
    return Interval(low, high, UNEVEN if sizes.max() > max(n / 5, 2 * sizes.mean()) else "")


def _modified_wilson(successes: int, n: int) -> tuple[float, float]:
    """Wilson's interval, wider beside 0 and 1: there it takes a rate for that of a Poisson."""
    from scipy.special import gammaincinv

    low, high = wilson_interval(successes, n)
    failures = n - successes
    if 1 <= successes <= 3:
        low = min(low, float(gammaincinv(successes, 0.05)) / n)
    if 1 <= failures <= 3:
        high = max(high, 1 - float(gammaincinv(failures, 0.05)) / n)
    return low, high


def _upper_limit(counts: np.ndarray, sizes: np.ndarray) -> float:
    """The highest of the limits of all counts that are nowhere above these.

    For a given total, the limit rises with the pairs of successes that share a cluster. There are
    most when the largest counts are filled first, so one arrangement of each total is enough.
    """
    fullest = np.sort(counts)[::-1]
    before = np.repeat(np.cumsum(fullest) - fullest, fullest)  # successes of the clusters filled
    pairs = np.cumsum(2 * (np.arange(fullest.sum()) - before))
    totals = np.arange(fullest.sum() + 1)
    effects = _design_effect(totals, np.concatenate([[0], pairs]), sizes)
    n = sizes.sum()
    _, limits = _wilson(totals / n, n / effects, student_quantile(len(sizes) - 1))
    return float(limits.max())


def effective_number(successes: Sequence[bool], clusters: Sequence[Any]) -> float:
    """How many independent images would show a rate as surely: n over the design effect.

    Args:
        successes: of shape (n,), n > 0.
        clusters: the cluster of each.

    Returns:
        at most n; n itself with fewer than four clusters.
    """
    _, which = np.unique(np.asarray(clusters), return_inverse=True)
    sizes = np.bincount(which)
    n, groups = len(which), len(sizes)
    if groups == n or groups < FEWEST_CLUSTERS:
        return float(n)
    counts = np.bincount(which, np.asarray(successes, bool)).astype(int)
    effect = _design_effect(counts.sum(), (counts * (counts - 1)).sum(), sizes)
    return float(n / effect)


def _design_effect(total: Any, pairs: Any, sizes: np.ndarray) -> Any:
    """The variance of a rate by clusters over that of independent images, at least 1.

    By the share of pairs within a cluster that are both successes (L. Kish, Survey Sampling (1965),
    5.4 and 8.2); with clusters of one size this is the cluster-robust variance. A rate of 0 or 1
    does not show it, and one near them hardly: so a tenth of a cluster of successes and a tenth of
    one of failures are added for it. Without successes each cluster then counts as about one image.

    Args:
        total: successes, a number or an array.
        pairs: ordered pairs of them in one cluster, of the same shape.
        sizes: of the clusters.
    """
    groups, size = len(sizes), sizes.mean()
    n = sizes.sum() + 2 * ADDED * size
    every = (sizes * (sizes - 1)).sum() + 2 * ADDED * size * (size - 1)
    rate = (total + ADDED * size) / n
    excess = pairs + ADDED * size * (size - 1) - rate**2 * every
    effect = (1 + excess / (n * rate * (1 - rate))) * groups / (groups - 1)
    return np.maximum(1.0, effect)


@dataclass(frozen=True)
class _Resampled:
    """A mean with its cluster-robust standard error, and Student's t of its resamples."""

    mean: float
    error: float
    t: np.ndarray
    clusters: int


def too_few(prompts: int, fewest: int) -> str:
    """Why there is no interval or test."""
    return f"{prompts} prompt{'' if prompts == 1 else 's'}, and it takes {fewest}"


def _no_spread(values: np.ndarray, clusters: Sequence[Any]) -> str:
    """Why values show too little of their spread for an interval; empty if they do not."""
    _, which = np.unique(np.asarray(clusters), return_inverse=True)
    groups = which.max() + 1
    if groups < FEWEST_CLUSTERS:
        return too_few(groups, FEWEST_CLUSTERS)
    common, differ = _differing(values, which)
    if differ < FEWEST_CLUSTERS and differ < groups - 1:  # else no two prompts are alike
        return (
            f"values differ from {common:.4g} in only {differ} of {groups} prompts, too few to "
            "show their spread"
        )
    return ""


def _differing(values: np.ndarray, which: np.ndarray) -> tuple[float, int]:
    """The commonest value, and how many clusters have another."""
    distinct, counts = np.unique(values, return_counts=True)
    common = distinct[counts.argmax()]
    return float(common), len(np.unique(which[values != common]))


def _resample(values: np.ndarray, clusters: Sequence[Any], seed: int) -> _Resampled:
    """Draw clusters with replacement; the values have some spread."""
    _, which = np.unique(np.asarray(clusters), return_inverse=True)
    counts = np.bincount(which).astype(np.float64)
    n = len(counts)
    mean = values.mean()
    sums = np.bincount(which, values - mean)  # centred: what follows loses no digits
    error = float(_means_and_errors(np.ones((1, n)), sums, counts)[1][0])
    if error <= 1e-12 * np.abs(values).max():  # every prompt's is the same, but for rounding
        return _Resampled(float(mean), 0.0, np.empty(0), n)
    if n <= MANY_CLUSTERS:
        means, errors = _means_and_errors(_draws(n, RESAMPLES, seed), sums, counts)
    elif _differing(values, which)[1] >= MANY_DIFFER:
        return _Resampled(float(mean), error, _student(n - 1), n)
    else:
        means, errors = _drawn_in_pieces(sums, counts, seed)
    defined = errors > 1e-6 * error  # of one cluster drawn throughout it is 0, but for rounding
    return _Resampled(float(mean), error, means[defined] / errors[defined], n)


@lru_cache(maxsize=2)  # the same for all metrics and methods: 16 MB for a thousand clusters
def _draws(clusters: int, resamples: int, seed: int | tuple[int, int]) -> np.ndarray:
    """How often each resample has each cluster, of shape (resamples, clusters)."""
    rng = np.random.default_rng(seed)
    evenly = np.full(clusters, 1 / clusters)
    return rng.multinomial(clusters, evenly, size=resamples).astype(np.float64)


def _drawn_in_pieces(
    sums: np.ndarray, counts: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Means and errors of resamples of very many clusters, of which few are held at a time."""
    draw = _draws.__wrapped__  # they are too large to keep
    pieces = [
        _means_and_errors(draw(len(sums), 50, (seed, i)), sums, counts)
        for i in range(RESAMPLES // 50)
    ]
    means, errors = zip(*pieces, strict=True)
    return np.concatenate(means), np.concatenate(errors)


def _student(freedom: int) -> np.ndarray:
    """Evenly spaced quantiles of Student's t, as many as there are resamples."""
    from scipy.special import stdtrit

    return stdtrit(freedom, (np.arange(RESAMPLES) + 0.5) / RESAMPLES)


def _means_and_errors(
    times: np.ndarray, sums: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Means with their cluster-robust standard errors, each cluster taken ``times`` times."""
    n = len(sums)
    powers = np.stack([sums, counts, sums**2, sums * counts, counts**2], axis=1)
    total, images, squares, products, sizes = (times @ powers).T
    means = total / images
    # sum over clusters of times (sum - count mean)^2, multiplied out
    spread = np.maximum(squares - 2 * means * products + means**2 * sizes, 0)
    return means, np.sqrt(spread * n / (n - 1)) / images


def mean_interval(
    values: Sequence[float],
    clusters: Sequence[Any],
    *,
    raw: Sequence[float] | None = None,
    seed: int = 0,
) -> Interval:
    """95% interval of a mean over images; those of one cluster (prompt) are not independent.

    The studentised cluster bootstrap: whole clusters are drawn with replacement, and the quantiles
    of t = (resample's mean - mean) / (resample's cluster-robust error) are turned round the mean.
    Percentiles of resampled means, bias-corrected or not, cover too rarely with few prompts or
    skewed values (76 to 91% instead of 95%). With more than ``MANY_CLUSTERS``, of which
    ``MANY_DIFFER`` or more differ from the commonest value, t is taken as Student's. Sources: B.
    Efron and R. J. Tibshirani, An Introduction to the Bootstrap (1993), 12.5; A. C. Cameron et al.,
    Rev. Econ. Stat. 90 (2008).

    It is at most three times as wide as Student's: of four or five prompts it could be hundreds of
    times as wide, and covers as often without. There is none with fewer than four prompts, nor
    where the values of all but three prompts or fewer are the same, as of rare events, which it
    would cover 30 to 60% of the time.

    Args:
        values: of shape (n,), n > 0.
        clusters: the cluster of each.
        raw: what ``values`` were before they were weighted, where they were: shape (n,).
    """
    values = np.asarray(values, np.float64)
    why = _no_spread(values if raw is None else np.asarray(raw, np.float64), clusters)
    if why:
        return Interval(None, None, f"no interval: {why}")
    resampled = _resample(values, clusters, seed)
    if resampled.error == 0:
        return Interval(None, None, f"no interval: {_SAME_MEANS}")
    widest = _WIDEST * student_quantile(resampled.clusters - 1)
    low, high = np.clip(np.quantile(resampled.t, [0.025, 0.975]), -widest, widest)
    mean, error = resampled.mean, resampled.error
    return Interval(float(mean - high * error), float(mean - low * error))


def paired_test(
    a: Sequence[float],
    b: Sequence[float],
    clusters: Sequence[Any],
    *,
    raw: Sequence[float] | None = None,
    seed: int = 0,
) -> PairedTest | str:
    """Test whether two methods' values of the same images have one mean.

    As ``mean_interval``, on the differences a - b: p is the share of resamples whose t is as far
    from 0 as that of the data, which count as one of them: p is never 0. The interval takes the
    same share on both sides together, so that it leaves out 0 exactly where p is below 0.05. Where
    t is more than three times Student's quantile, p is Student's. Differences that are the same in
    every prompt have no interval, and p is that of their signs.

    Args:
        raw: the differences before they were weighted, where they were.

    Returns:
        why there is no test, where there is none: as of ``mean_interval``.
    """
    from scipy.special import stdtr

    differences = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    groups = len(set(clusters))
    if groups >= FEWEST_CLUSTERS and np.ptp(differences) <= 1e-12 * np.abs(differences).max():
        same = float(differences.mean())
        return PairedTest(same, None, None, 0.5 ** (groups - 1) if same else 1.0)
    why = _no_spread(differences if raw is None else np.asarray(raw, np.float64), clusters)
    if why:
        return why
    resampled = _resample(differences, clusters, seed)
    if resampled.error == 0:
        return _SAME_MEANS
    freedom, mean, error = resampled.clusters - 1, resampled.mean, resampled.error
    widest = _WIDEST * student_quantile(freedom)
    drawn, t = np.sort(np.abs(resampled.t)), abs(mean / error)
    p = (1 + np.count_nonzero(drawn >= t)) / (1 + len(drawn))
    most = int(np.ceil(0.05 * (1 + len(drawn)))) - 2  # are as far where p < 0.05
    half = error * min(float(drawn[-1 - most]), widest)
    if t > widest:
        p = 2 * stdtr(freedom, -t)
    return PairedTest(mean, mean - half, mean + half, float(p))


def holm(p: Sequence[float]) -> np.ndarray:
    """Adjust p-values of several tests by Holm's step-down rule (Scand. J. Stat. 6, 1979)."""
    p = np.asarray(p, np.float64)
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted


def jackknife_interval(
    value: float, replicates: Mapping[int, float], *, confidence: float = 0.95
) -> Interval:
    """Interval of a score of whole sets, from its values without one block of images each.

    Delete-a-block jackknife: variance (g - 1) / g sum (v_i - mean v)^2 of g blocks, Student's t
    with g - 1 degrees of freedom. Source: J. Shao and D. Tu, The Jackknife and Bootstrap (1995),
    2.3. There is none with fewer than four blocks, or where all have the same value.
    """
    values = np.array(list(replicates.values()))
    if len(values) < FEWEST_CLUSTERS:
        return Interval(None, None, f"no interval: {FEW_BLOCKS}")
    if _same(values):
        return Interval(None, None, f"no interval: {_SAME_BLOCKS}")
    half = student_quantile(len(values) - 1, confidence) * _jackknife_error(values)
    return Interval(float(value - half), float(value + half))


def jackknife_test(
    a: float, b: float, a_replicates: Mapping[int, float], b_replicates: Mapping[int, float]
) -> PairedTest | str:
    """Test whether two scores of whole sets are equal, from their values without the same blocks.

    Scores that are equal, as they are without any block, have p = 1 and no interval.

    Returns:
        why there is no test: fewer than four blocks that both have, or all of them differ by the
        same.
    """
    from scipy.special import stdtr

    shared = sorted(a_replicates.keys() & b_replicates.keys())
    if len(shared) < FEWEST_CLUSTERS:
        return FEW_BLOCKS
    values = np.array([a_replicates[block] - b_replicates[block] for block in shared])
    difference, freedom = a - b, len(values) - 1
    if _same(values):
        return _SAME_BLOCKS if difference else PairedTest(0.0, None, None, 1.0)
    error = _jackknife_error(values)
    half = student_quantile(freedom, 0.95) * error
    p = float(2 * stdtr(freedom, -abs(difference) / error))
    return PairedTest(difference, difference - half, difference + half, p)


def _same(values: np.ndarray) -> bool:
    """Whether all are one value, but for rounding."""
    return bool(np.ptp(values) <= 1e-12 * np.abs(values).max())


def _jackknife_error(values: np.ndarray) -> float:
    return float(np.sqrt((len(values) - 1) / len(values) * ((values - values.mean()) ** 2).sum()))


def student_quantile(freedom: int, confidence: float = 0.95) -> float:
    """Half the width of an interval in standard errors, of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + confidence) / 2))
