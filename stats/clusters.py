"""What the images of one prompt have in common, and what that does to an error.

Here a prompt is a cluster. ``docs/statistics.md`` explains the methods, and shows in simulations
how often they hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

RESAMPLES = 2000
FEWEST_CLUSTERS = 4  # with fewer, too many resamples hold one cluster alone
MANY_CLUSTERS = 1000  # with more, t is Student's to the second digit, and drawing takes seconds
MANY_DIFFER = 30  # but not where fewer of them differ from the commonest value
ADDED = 0.1  # clusters of successes, and of failures, in a design effect
SAME_MEANS = "every prompt has the same mean, which shows no spread"
_WIDEST = 3  # times Student's interval: a bootstrap of four prompts knows no bounds itself


def numbered(clusters: Sequence[Any]) -> np.ndarray:
    """The number of each image's cluster, from 0; int of shape (n,)."""
    return np.unique(np.asarray(clusters), return_inverse=True)[1]


def student_quantile(freedom: int, confidence: float = 0.95) -> float:
    """Half the width of an interval in standard errors, of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + confidence) / 2))


def student_p(t: float, freedom: int) -> float:
    """The two-sided p-value of Student's t."""
    from scipy.special import stdtr

    return float(2 * stdtr(freedom, -abs(t)))


def effective_number(successes: ArrayLike, clusters: Sequence[Any]) -> float:
    """How many independent images would show a rate as surely: n over the design effect.

    Args:
        successes: bool of shape (n,), n > 0.
        clusters: the cluster of each.

    Returns:
        at most n; n itself with fewer than four clusters.
    """
    which = numbered(clusters)
    sizes = np.bincount(which)
    n, groups = len(which), len(sizes)
    if groups == n or groups < FEWEST_CLUSTERS:
        return float(n)
    counts = np.bincount(which, np.asarray(successes, bool)).astype(int)
    return float(n / design_effect(counts.sum(), (counts * (counts - 1)).sum(), sizes))


def design_effect(total: ArrayLike, pairs: ArrayLike, sizes: np.ndarray) -> np.ndarray:
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
    rate = (np.asarray(total) + ADDED * size) / n
    excess = np.asarray(pairs) + ADDED * size * (size - 1) - rate**2 * every
    effect = (1 + excess / (n * rate * (1 - rate))) * groups / (groups - 1)
    return np.maximum(1.0, effect)


def too_few(prompts: int, fewest: int) -> str:
    """Why there is no interval or test."""
    return f"{prompts} prompt{'' if prompts == 1 else 's'}, and it takes {fewest}"


def no_spread(values: np.ndarray, which: np.ndarray) -> str:
    """Why values show too little of their spread for an interval; empty if they do not."""
    groups = int(which.max()) + 1
    if groups < FEWEST_CLUSTERS:
        return too_few(groups, FEWEST_CLUSTERS)
    common, differ = _differing(values, which)
    if differ < FEWEST_CLUSTERS and differ < groups - 1:  # else no two prompts are alike
        return (
            f"values differ from {common:.4g} in only {differ} of {groups} prompts, too few to "
            "show their spread"
        )
    return ""


def all_same(values: np.ndarray) -> bool:
    """Whether all are one value, but for rounding."""
    return bool(np.ptp(values) <= 1e-12 * np.abs(values).max())


def _differing(values: np.ndarray, which: np.ndarray) -> tuple[float, int]:
    """The commonest value, and how many clusters have another."""
    distinct, counts = np.unique(values, return_counts=True)
    common = distinct[counts.argmax()]
    return float(common), len(np.unique(which[values != common]))


@dataclass(frozen=True)
class Resampled:
    """A mean with its cluster-robust standard error, and Student's t of its resamples.

    Attributes:
        error: 0 where all clusters have one mean.
        t: (resample's mean - mean) / resample's error, of those where it is defined.
        clusters: how many there are.
    """

    mean: float
    error: float
    t: np.ndarray
    clusters: int

    @property
    def widest(self) -> float:
        """The largest t that an interval may use."""
        return _WIDEST * student_quantile(self.clusters - 1)


def resample(values: np.ndarray, which: np.ndarray, seed: int) -> Resampled:
    """Draw clusters with replacement; the values have some spread.

    ``scipy.stats.bootstrap`` draws single values, and studentises none: this is our own.
    """
    counts = np.bincount(which).astype(np.float64)
    n = len(counts)
    mean = values.mean()
    sums = np.bincount(which, values - mean)  # centred: what follows loses no digits
    error = float(_means_and_errors(np.ones((1, n)), sums, counts)[1][0])
    if error <= 1e-12 * np.abs(values).max():  # every prompt's is the same, but for rounding
        return Resampled(float(mean), 0.0, np.empty(0), n)
    if n <= MANY_CLUSTERS:
        means, errors = _means_and_errors(_draws(n, RESAMPLES, seed), sums, counts)
    elif _differing(values, which)[1] >= MANY_DIFFER:
        return Resampled(float(mean), error, _student(n - 1), n)
    else:
        means, errors = _drawn_in_pieces(sums, counts, seed)
    defined = errors > 1e-6 * error  # of one cluster drawn throughout it is 0, but for rounding
    return Resampled(float(mean), error, means[defined] / errors[defined], n)


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
