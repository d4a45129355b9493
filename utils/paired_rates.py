"""Do two methods show something in equally many images of the same prompts?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np

from utils.stats import ADDED, PairedTest, student_quantile, too_few

FEWEST_PROMPTS = 6  # with fewer no p-value of the exact test can be below 0.05: 2 / 2^5
LEVEL = 0.05
_NORMAL = NormalDist().inv_cdf(1 - LEVEL / 2)


def paired_rates(a: Sequence[bool], b: Sequence[bool], clusters: Sequence[Any]) -> PairedTest | str:
    """Test whether two rates over the same images are equal; those of one cluster go together.

    If they are, either method could have had either's images of a prompt, so the signs of the
    prompts' sums of a - b are random: p is the share of all signs under which the total is as far
    from 0 as it is (R. A. Fisher, The Design of Experiments (1935), 21). It is exact however much
    the samples of a prompt have in common, and is McNemar's exact test where each has one.

    The interval is Tango's score interval of a difference of paired proportions (Stat. Med. 17
    (1998)) with a design effect and Student's quantile, as ``rate_interval``'s: it stays within
    [-1, 1] and is never one point. Where it would say otherwise than p whether 0 is in it, the
    critical value is moved to the nearest of those that the exact test leaves open: beyond the
    totals that it accepts, below those that it rejects. So the two always agree.

    Args:
        a, b: of shape (n,), n > 0.
        clusters: the cluster (prompt) of each image.

    Returns:
        why there is no test, with fewer than six prompts.
    """
    a, b = np.asarray(a, bool), np.asarray(b, bool)
    _, which = np.unique(np.asarray(clusters), return_inverse=True)
    sizes = np.bincount(which)
    n, groups = len(a), len(sizes)
    if groups < FEWEST_PROMPTS:
        return too_few(groups, FEWEST_PROMPTS)
    sums = np.rint(np.bincount(which, a) - np.bincount(which, b)).astype(int)
    total = int(sums.sum())
    exact = null_tail(sums)
    p = float(exact[abs(total)])
    only_a, only_b = np.count_nonzero(a & ~b), np.count_nonzero(b & ~a)

    def spread(difference: float) -> float:
        return _restricted_variance(difference, only_a, only_b, n) ** 0.5

    quantile = _NORMAL if groups == n else student_quantile(groups - 1)
    critical = quantile * _design_effect(sums, sizes, only_a + only_b) ** 0.5
    if (p < LEVEL) != (abs(total) > critical * spread(0)):
        accepted = np.flatnonzero(exact >= LEVEL)[-1]  # half an image below a rejected total
        critical = max(accepted, abs(total) - 0.5) / spread(0)
    low, high = (
        _solve(lambda d: abs(total - n * d) - critical * spread(d), total / n, end)
        for end in (-1.0, 1.0)
    )
    if p >= LEVEL:  # a limit at 0 may have been rounded to the other side
        low, high = min(low, 0.0), max(high, 0.0)
    return PairedTest(total / n, low, high, p)


def null_tail(sums: np.ndarray) -> np.ndarray:
    """The chance that a total of ``sums`` with random signs is at least so far from 0.

    The distribution is the inverse Fourier transform of the product of cosines that is its
    characteristic function: exact but for rounding, in time linear in images and distinct sums.

    Args:
        sums: int of shape (prompts,).

    Returns:
        float64 of shape (s + 1,), of distances 0 to s, the sum of all sizes.
    """
    sizes, counts = np.unique(np.abs(sums[sums != 0]), return_counts=True)
    most = int(sizes @ counts)
    angles = 2 * np.pi * np.arange(most + 1) / (2 * most + 1)
    transform = np.ones(most + 1)
    for size, count in zip(sizes, counts, strict=True):
        transform *= np.cos(size * angles) ** count
    chance = np.fft.irfft(transform, 2 * most + 1)[: most + 1]
    chance[(most + 1) % 2 :: 2] = 0  # totals are all odd, or all even
    least = 0.5 ** counts.sum()  # that all have one sign
    chance[most] = max(least, chance[most]) if most else 1.0
    tail = 2 * np.cumsum(np.maximum(chance, 0)[::-1])[::-1]
    tail[0] = 1.0
    return np.minimum(tail, 1.0)


def _design_effect(sums: np.ndarray, sizes: np.ndarray, discordant: int) -> float:
    """The difference's variance by clusters over that of independent pairs, at least 1.

    A tenth of a cluster of which only the first method shows something, and one of which only the
    second does, are added as in ``utils.stats``.
    """
    groups, size = len(sizes), sizes.mean()
    if groups == sizes.sum():
        return 1.0
    n = sizes.sum() + 2 * ADDED * size
    difference = sums.sum() / n
    by_cluster = ((sums - difference * sizes) ** 2).sum()
    by_cluster += ADDED * size**2 * ((1 - difference) ** 2 + (1 + difference) ** 2)
    alone = discordant + 2 * ADDED * size - n * difference**2
    return max(1.0, by_cluster / alone * groups / (groups - 1))


def _restricted_variance(difference: float, only_a: int, only_b: int, n: int) -> float:
    """The variance of only_a - only_b that is most likely if the rates differ by so much."""
    linear = (2 * n - only_a + only_b) * difference - only_a - only_b
    constant = -only_b * difference * (1 - difference)
    rate_b = (max(0.0, linear**2 - 8 * n * constant) ** 0.5 - linear) / (4 * n)
    return max(0.0, n * (2 * rate_b + difference * (1 - difference)))


def _solve(outside: Callable[[float], float], inner: float, end: float) -> float:
    """Where ``outside`` turns positive between a point of the interval and an end of the scale."""
    from scipy.optimize import brentq

    if outside(end) <= 0:
        return end
    # At the point itself the variance, and so the function, can be 0.
    return float(brentq(outside, inner + 1e-9 * (end - inner), end))
