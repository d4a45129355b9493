"""Do two methods show something in equally many images of the same prompts?"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from stats.clusters import ADDED, numbered, student_quantile, too_few
from stats.tests import PairedTest

FEWEST_PROMPTS = 6  # with fewer no p-value of the exact test can be below 0.05: 2 / 2^5
LEVEL = 0.05
_NORMAL = NormalDist().inv_cdf(1 - LEVEL / 2)
_DENSE, _SPARSE = 200, 100  # small and large totals of images tried beside the other method's
_HALVINGS = 42


def paired_rates(a: ArrayLike, b: ArrayLike, clusters: Sequence[Any]) -> PairedTest | str:
    """Test whether two rates over the same images are equal; those of one cluster go together.

    If they are equal in every prompt, and the samples of a prompt are alike in the same measure in
    both, either method could have had either's images of it, so the signs of the prompts' sums of
    a - b are random: p is the share of all signs under which the total is as far from 0 as it is
    (R. A. Fisher, The Design of Experiments (1935), 21). It is then exact however much the samples
    of a prompt have in common, and is McNemar's exact test where each has one. If one method's
    samples are the more alike, it is a test of that as well: docs/statistics.md.

    The interval is Tango's score interval of a difference of paired proportions (Stat. Med. 17
    (1998)) with a design effect and Student's quantile, as ``rate_interval``'s: it stays within
    [-1, 1] and is never one point. One more image of ``a`` never lowers either limit: the upper one
    is the highest that ``a`` with fewer images, or ``b`` with more, would have, the lower one the
    same with the two exchanged. Where it would say otherwise than p whether 0 is in it, the limit
    beside 0 is moved: to 0, or half an image beyond. So the two always agree.

    Args:
        a, b: bool of shape (n,), n > 0.
        clusters: the cluster (prompt) of each image.

    Returns:
        why there is no test, with fewer than six prompts.
    """
    a, b = np.asarray(a, bool), np.asarray(b, bool)
    which = numbered(clusters)
    sizes = np.bincount(which)
    n, groups = len(a), len(sizes)
    if groups < FEWEST_PROMPTS:
        return too_few(groups, FEWEST_PROMPTS)
    only_a, only_b = (np.rint(np.bincount(which, one)).astype(int) for one in (a & ~b, b & ~a))
    sums = only_a - only_b
    total = int(sums.sum())
    p = float(null_tail(sums)[abs(total)])
    low, high = -_upper_limit(only_b, only_a, sizes), _upper_limit(only_a, only_b, sizes)
    if p >= LEVEL:
        low, high = min(low, 0.0), max(high, 0.0)
    elif total > 0:
        low = max(low, 0.5 / n)
    else:
        high = min(high, -0.5 / n)
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


def _upper_limit(only_a: np.ndarray, only_b: np.ndarray, sizes: np.ndarray) -> float:
    """The highest of the limits of all images in which ``a`` shows no more and ``b`` no less.

    For given totals of both, the limit rises with the spread of the prompts' sums. The most that it
    can be is bounded by moving whole prompts, those first that add most to it. The bound is the
    spread itself where nothing is moved, and never less for images with more of ``a`` or less of
    ``b``: so the limit never falls with these.

    Args:
        only_a, only_b: images of each prompt that show something by one method alone.
        sizes: images of each prompt.
    """
    n, groups = int(sizes.sum()), len(sizes)
    most, least = int(only_a.sum()), int(only_b.sum())
    if groups == n:  # nothing is in common, and Tango's limits rise as they are
        return _highest(np.array([most]), np.array([least]), n, np.array([_NORMAL]))
    a, b = _totals(most, least, n)
    room, added = sizes - only_b, b - least
    squares = (only_b**2).sum() + _filled(a, only_a, only_a - 2 * only_b)
    squares += _filled(added, room, sizes + only_b)
    # Sums below 0 spread further in large prompts, those above it in small ones.
    most_below = _filled(a, only_a, sizes) + _filled(added, room, -sizes)
    least_above = -_filled(a, only_a, -sizes) - _filled(added, room, sizes)
    products = np.where(a < b, most_below, least_above) - (only_b * sizes).sum()
    effects = _design_effect(a - b, a + b, squares, products, sizes)
    quantile = student_quantile(groups - 1) * effects**0.5
    return _highest(a, b, n, quantile)


def _totals(most: int, least: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Totals to try, ``a`` of at most ``most`` and ``b`` of at least ``least`` images of n.

    All of either beside the other's own; of both together all small ones, and of large ones, which
    hardly change a design effect, some: the same whatever ``most`` and ``least`` are.
    """
    some = np.unique(np.concatenate([np.arange(_DENSE), np.geomspace(_DENSE, n, _SPARSE).round()]))
    some = some[some <= n].astype(int)
    pairs = np.meshgrid(np.append(some[some < most], most), np.append(some[some > least], least))
    a = np.concatenate([pairs[0].ravel(), np.arange(most), np.full(n - least, most)])
    b = np.concatenate([pairs[1].ravel(), np.full(most, least), np.arange(least + 1, n + 1)])
    possible = a + b <= n
    return a[possible], b[possible]


def _filled(totals: np.ndarray, room: np.ndarray, worth: np.ndarray) -> np.ndarray:
    """The most that so many images can be worth together, with ``room`` for some of each prompt.

    Args:
        worth: of an image of each prompt.
    """
    order = np.argsort(-worth, kind="stable")
    images, worths = np.cumsum(room[order]), np.cumsum((room * worth)[order])
    return np.interp(totals, np.append(0, images), np.append(0, worths))


def _design_effect(
    total: np.ndarray,
    discordant: np.ndarray,
    squares: np.ndarray,
    products: np.ndarray,
    sizes: np.ndarray,
) -> np.ndarray:
    """The difference's variance by clusters over that of independent pairs, at least 1.

    A tenth of a cluster of which only the first method shows something, and one of which only the
    second does, are added as in ``stats.clusters``.

    Args:
        total: the clusters' sums of differences, in all; arrays of one shape, as all below.
        discordant: images that only one method shows.
        squares: of the clusters' sums, in all.
        products: of these sums with the clusters' sizes, in all.
        sizes: of the clusters.
    """
    groups, size = len(sizes), sizes.mean()
    n = sizes.sum() + 2 * ADDED * size
    difference = total / n
    by_cluster = squares - 2 * difference * products + difference**2 * (sizes**2).sum()
    by_cluster += ADDED * size**2 * ((1 - difference) ** 2 + (1 + difference) ** 2)
    alone = discordant + 2 * ADDED * size - n * difference**2
    return np.maximum(1.0, by_cluster / alone * groups / (groups - 1))


def _highest(only_a: np.ndarray, only_b: np.ndarray, n: int, critical: np.ndarray) -> float:
    """The highest of Tango's upper limits, in [-1, 1], by halving; arrays of shape (totals,)."""
    low, high = -1.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        linear = (2 * n - only_a + only_b) * middle - only_a - only_b
        constant = -only_b * middle * (1 - middle)
        # The most likely rate of images that only b shows, if the rates differ by so much.
        rate_b = (np.sqrt(np.maximum(0, linear**2 - 8 * n * constant)) - linear) / (4 * n)
        variance = np.maximum(0, n * (2 * rate_b + middle * (1 - middle)))
        within = n * middle - only_a + only_b <= critical * np.sqrt(variance)
        if within.any():  # the limits of the others are lower
            low = middle
            only_a, only_b, critical = only_a[within], only_b[within], critical[within]
        else:
            high = middle
    return high
