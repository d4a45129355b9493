"""KID: the kernel distance between two sets of images in Inception features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from stats.clusters import FEWEST_CLUSTERS

MOST = 5000  # images a side that are all compared with each other; the time grows as their square
GROUP = 1000  # images of a group above it, the size of Binkowski et al.'s subsets
_TILE = 2000  # rows and columns of the kernel matrix held at a time


def kernel_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Return KID: the unbiased squared MMD with the kernel (x'y / d + 1)^3, on all samples.

    Binkowski et al., arXiv 1801.01401. It can be negative. Of more than ``MOST`` samples, that of
    ``kernel_distances``.

    Args:
        x: features of shape (n, d), n > 1.
        y: features of shape (m, d), m > 1.
    """
    one_block = np.zeros(len(x), int), np.zeros(len(y), int)
    return kernel_distances(x, y, *one_block)[0]


def kernel_distances(
    x: np.ndarray, y: np.ndarray, x_blocks: np.ndarray, y_blocks: np.ndarray
) -> tuple[float, dict[int, float]]:
    """Return KID, and KID without each block of images.

    With more than ``MOST`` images on a side both are dealt at random (with a fixed seed) into
    ``groups_of`` groups, and KID is the mean of the groups': still unbiased and of every image,
    in time and memory linear in n. Its error is about that of KID on all pairs, save where the
    distributions are nearly equal. Binkowski et al. take the mean of 100 overlapping subsets.

    Args:
        x: features of shape (n, d), n > 1.
        y: features of shape (m, d), m > 1.
        x_blocks, y_blocks: the block of each row, from 0.

    Returns:
        KID, and KID by the block left out; a block that leaves fewer than two images on a side
        of a group is not among them.
    """
    groups = groups_of(len(x), len(y))
    if groups == 1:
        return _on_all_pairs(x, y, x_blocks, y_blocks)
    rng = np.random.default_rng(0)
    dealt = [np.array_split(rng.permutation(len(side)), groups) for side in (x, y)]
    found = [
        _on_all_pairs(x[own], y[other], x_blocks[own], y_blocks[other])
        for own, other in zip(*dealt, strict=True)
    ]
    shared = sorted(set.intersection(*(set(without) for _, without in found)))
    without = {block: float(np.mean([one[block] for _, one in found])) for block in shared}
    return float(np.mean([value for value, _ in found])), without


def same_prompt_share(prompts: Sequence[str], others: Sequence[str]) -> float:
    """How much more often KID's pairs are of one prompt within the two sets than across them.

    Images of one prompt are alike, so that KID of sets that differ in nothing else has this share
    of their likeness in place of 0 as its expectation. It is negative where both sets answer the
    same prompts, of which an image has one fewer within its own set than in the other.

    Args:
        prompts, others: of each image of either set, two at least.
    """
    counts, theirs = Counter(prompts), Counter(others)
    within = sum(
        sum(c * (c - 1) for c in side.values()) / (side.total() * (side.total() - 1))
        for side in (counts, theirs)
    )
    across = sum(c * theirs[prompt] for prompt, c in counts.items())
    return within - 2 * across / (counts.total() * theirs.total())


def likeness(x: np.ndarray, prompts: Sequence[str]) -> float | None:
    """How much greater the kernel is of two images of one prompt than of two prompts.

    Of more than ``MOST`` images, those of two prompts are compared in ``groups_of`` groups.

    Args:
        x: features of shape (n, d), n > 1.
        prompts: of each.

    Returns:
        the difference of the means, unbiased; None where no prompt has two images, or there are
        fewer than four prompts.
    """
    names, which = np.unique(prompts, return_inverse=True)
    alike, pairs = _of_one_prompt(x, which)
    if pairs == 0 or len(names) < FEWEST_CLUSTERS:
        return None
    rng = np.random.default_rng(0)
    apart, others = 0.0, 0
    for rows in np.array_split(rng.permutation(len(x)), groups_of(len(x), len(x))):
        own, own_pairs = _of_one_prompt(x[rows], which[rows])
        apart += _pair_sum(x[rows]) - own
        others += len(rows) * (len(rows) - 1) - own_pairs
    return alike / pairs - apart / others


def _of_one_prompt(x: np.ndarray, which: np.ndarray) -> tuple[float, int]:
    """Sum of the kernel over the pairs of one prompt, and how many they are."""
    order = np.argsort(which, kind="stable")
    samples = np.split(order, np.flatnonzero(np.diff(which[order])) + 1)
    found = [(_pair_sum(x[rows]), len(rows) * (len(rows) - 1)) for rows in samples if len(rows) > 1]
    return sum(one for one, _ in found), sum(pairs for _, pairs in found)


def _pair_sum(x: np.ndarray) -> float:
    """Sum of the kernel over a set's pairs of different images, each counted twice."""
    return float(_sums_within(x, np.ones((len(x), 1)))[0, 0])


def groups_of(n: int, m: int) -> int:
    """Groups whose KIDs are averaged: 1 up to ``MOST`` images a side, then of ``GROUP`` images."""
    return 1 if max(n, m) <= MOST else min(-(-max(n, m) // GROUP), min(n, m) // 2)


def _on_all_pairs(
    x: np.ndarray, y: np.ndarray, x_blocks: np.ndarray, y_blocks: np.ndarray
) -> tuple[float, dict[int, float]]:
    """KID of one group. Every kernel value is computed once: sums over pairs of blocks suffice."""
    number = 1 + max(x_blocks.max(), y_blocks.max())
    sides = [np.eye(number)[blocks] for blocks in (x_blocks, y_blocks)]
    counts = [side.sum(axis=0) for side in sides]
    within = [_sums_within(rows, side) for rows, side in zip((x, y), sides, strict=True)]
    across = _sums_across(x, y, *sides)

    def distance(kept: np.ndarray) -> float:
        n, m = (float(kept @ count) for count in counts)
        xx, yy, xy = (float(kept @ sums @ kept) for sums in (*within, across))
        return xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m)

    all_kept = np.ones(number)
    without = {
        block: distance(all_kept - np.eye(number)[block])
        for block in range(number)
        if min(count.sum() - count[block] for count in counts) > 1
    }
    return distance(all_kept), without


def _sums_within(x: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Sums of a set's own kernel matrix over pairs of blocks, without its diagonal."""
    tiles = list(_tiles(x, side))
    sums = np.zeros((side.shape[1],) * 2)
    for i, (rows, own) in enumerate(tiles):
        kernel = _kernel(rows, rows)
        np.fill_diagonal(kernel, 0)  # an image is not compared with itself
        sums += own.T @ kernel @ own
        for columns, other in tiles[:i]:  # those above the diagonal are the same
            part = own.T @ _kernel(rows, columns) @ other
            sums += part + part.T
    return sums


def _sums_across(
    x: np.ndarray, y: np.ndarray, x_side: np.ndarray, y_side: np.ndarray
) -> np.ndarray:
    """Sums of the kernel matrix of two sets over pairs of blocks."""
    return sum(
        own.T @ _kernel(rows, columns) @ other
        for rows, own in _tiles(x, x_side)
        for columns, other in _tiles(y, y_side)
    )


def _tiles(x: np.ndarray, side: np.ndarray):
    pieces = -(-len(x) // _TILE)
    return zip(np.array_split(x, pieces), np.array_split(side, pieces), strict=True)


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x, y = (np.asarray(rows, np.float64) for rows in (x, y))  # tile by tile: a set may be large
    kernel = x @ y.T / x.shape[1] + 1
    return kernel * kernel * kernel  # many times faster than the power
