"""Intervals of rates, of means and of scores of whole sets.

``docs/statistics.md`` explains them. SciPy and statsmodels are imported at first use: that takes
the better part of a second, and ``--help`` needs neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from stats.clusters import (
    FEWEST_CLUSTERS,
    SAME_MEANS,
    all_same,
    design_effect,
    no_spread,
    numbered,
    resample,
    student_quantile,
)

FEW_BLOCKS = f"fewer than {FEWEST_CLUSTERS} blocks of prompts"
SAME_BLOCKS = "every block of prompts has the same value, which shows no spread"

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


def _wilson(rate: ArrayLike, n: ArrayLike, quantile: float) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's limits with any quantile, and any number of images, in the places of its own."""
    from scipy.special import ndtr
    from statsmodels.stats.proportion import proportion_confint

    rate, beyond = np.asarray(rate), 2 * ndtr(-quantile)  # as the share that a normal leaves out
    low, high = proportion_confint(rate * n, n, beyond, method="wilson")
    return np.where(rate == 0, 0.0, low), np.where(rate == 1, 1.0, high)


def rate_interval(successes: ArrayLike, clusters: Sequence[Any]) -> Interval:
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
        successes: bool of shape (n,), n > 0.
        clusters: the cluster of each.

    Returns:
        limits within [0, 1].
    """
    successes = np.asarray(successes, bool)
    which = numbered(clusters)
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
    effects = design_effect(totals, np.concatenate([[0], pairs]), sizes)
    n = sizes.sum()
    _, limits = _wilson(totals / n, n / effects, student_quantile(len(sizes) - 1))
    return float(limits.max())


def mean_interval(
    values: ArrayLike, clusters: Sequence[Any], *, raw: ArrayLike | None = None, seed: int = 0
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
        values: float of shape (n,), n > 0.
        clusters: the cluster of each.
        raw: what ``values`` were before they were weighted, where they were: shape (n,).
    """
    values, which = np.asarray(values, np.float64), numbered(clusters)
    why = no_spread(values if raw is None else np.asarray(raw, np.float64), which)
    if why:
        return Interval(None, None, f"no interval: {why}")
    found = resample(values, which, seed)
    if found.error == 0:
        return Interval(None, None, f"no interval: {SAME_MEANS}")
    low, high = np.clip(np.quantile(found.t, [0.025, 0.975]), -found.widest, found.widest)
    return Interval(float(found.mean - high * found.error), float(found.mean - low * found.error))


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
    if all_same(values):
        return Interval(None, None, f"no interval: {SAME_BLOCKS}")
    half = student_quantile(len(values) - 1, confidence) * jackknife_error(values)
    return Interval(float(value - half), float(value + half))


def jackknife_error(values: np.ndarray) -> float:
    """The standard error of a score, from its values without one block each."""
    return float(np.sqrt((len(values) - 1) * values.var()))
