"""Distances between two sets of images in Inception features: FID and KID.

The features are clean-fid's: extractors/inception.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from metrics.base import MethodData, Score
from utils.prompts import prompt_key
from utils.stats import jackknife_interval

MINIMUM = 2048  # below it the covariance is singular and FID is mostly bias
_BLOCKS = 10  # of the jackknife: each needs another Frechet distance
_SIZES = 15  # of the subsets whose FIDs are extrapolated


def frechet_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Return the Frechet distance of two samples taken as Gaussians.

    |mean x - mean y|^2 + tr Sx + tr Sy - 2 tr (Sx Sy)^(1/2), covariances with ddof 1. With centred
    X, Y the last trace is the nuclear norm of X Y' / sqrt((n-1)(m-1)): no matrix square root, and
    exact for singular covariances. Heusel et al., arXiv 1706.08500.

    Args:
        x: features of shape (n, d), n > 1.
        y: features of shape (m, d), m > 1.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
    # Dividing first makes the squares below the covariances' traces.
    x = _reduced((x - mean_x) / np.sqrt(len(x) - 1))
    y = _reduced((y - mean_y) / np.sqrt(len(y) - 1))
    nuclear_norm = np.linalg.svd(x @ y.T, compute_uv=False).sum()
    distance = ((mean_x - mean_y) ** 2).sum() + (x**2).sum() + (y**2).sum() - 2 * nuclear_norm
    return float(max(distance, 0.0))


def _reduced(x: np.ndarray) -> np.ndarray:
    """A matrix of at most d rows with the same X' X: singular values are all that counts."""
    if len(x) <= x.shape[1]:
        return x
    try:
        return np.linalg.cholesky(x.T @ x).T  # a third of the time
    except np.linalg.LinAlgError:  # singular
        return np.linalg.qr(x, mode="r")


def kernel_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Return KID: the unbiased squared MMD with the kernel (x'y / d + 1)^3, on all samples.

    Binkowski et al., arXiv 1801.01401. It can be negative.

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

    Every kernel value is computed once: sums over pairs of blocks are all that is needed.

    Args:
        x: features of shape (n, d), n > 1.
        y: features of shape (m, d), m > 1.
        x_blocks, y_blocks: the block of each row, from 0.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    number = 1 + max(x_blocks.max(), y_blocks.max())
    sides = [np.eye(number)[blocks] for blocks in (x_blocks, y_blocks)]
    counts = [side.sum(axis=0) for side in sides]
    # Off the diagonal: an image is not compared with itself.
    within = [
        _block_sums(rows, rows, side, side) - np.diag(side.T @ _kernel_of_itself(rows))
        for rows, side in zip((x, y), sides, strict=True)
    ]
    across = _block_sums(x, y, *sides)

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


def _kernel_of_itself(x: np.ndarray) -> np.ndarray:
    return ((x * x).sum(axis=1) / x.shape[1] + 1) ** 3


def _block_sums(x: np.ndarray, y: np.ndarray, x_side: np.ndarray, y_side: np.ndarray) -> np.ndarray:
    """Sums of the kernel matrix over pairs of blocks, made in pieces that bound the memory."""
    pieces = max(1, len(x) * len(y) // 4_000_000)
    return sum(
        side.T @ (((rows @ y.T) / x.shape[1] + 1) ** 3 @ y_side)
        for rows, side in zip(
            np.array_split(x, pieces), np.array_split(x_side, pieces), strict=True
        )
    )


def fid_infinity(x: np.ndarray, y: np.ndarray) -> float:
    """Return the FID that infinitely many images of either kind would have.

    FID of n images is biased by about a constant over n: the intercept of the line through the
    FIDs of random subsets of ``_SIZES`` sizes, against 1/n. Chong and Forsyth, arXiv 1911.07023.

    Args:
        x: features of shape (n, d).
        y: features of shape (m, d); subsets hold the same share of both.
    """
    rng = np.random.default_rng(0)
    shares = np.linspace(0.2, 1, _SIZES)
    values = []
    for share in shares:
        rows = (rng.permutation(len(side))[: round(share * len(side))] for side in (x, y))
        values.append(
            frechet_distance(*(side[kept] for side, kept in zip((x, y), rows, strict=True)))
        )
    return float(np.polyfit(1 / shares, values, 1)[1])


def blocks_of(
    names: Sequence[str], reference_names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Deal prompts to at most ``_BLOCKS`` blocks, the same for every method of one reference.

    Returns:
        the block of each name and of each reference name, from 0.
    """
    known = sorted({prompt_key(name) for name in reference_names})
    other = sorted({prompt_key(name) for name in names} - set(known))
    number = min(_BLOCKS, max(len(known), len(other)))
    block = {key: i % number for keys in (known, other) for i, key in enumerate(keys)}
    own, reference = (
        np.array([block[prompt_key(name)] for name in several])
        for several in (names, reference_names)
    )
    return own, reference


class Fid:
    """FID, and KID beside it, of a method's images against the reference's."""

    name = "fid"
    image_extractors = ("inception",)
    pair_extractors = ()
    uses_reference = True
    uses_prompts = False
    scopes = ("forgot", "unrelated")

    def score(self, data: MethodData) -> list[Score]:
        """Return ``fid`` and ``kid``, and ``fid_infinity`` where FID's covariances have full rank.

        Intervals are the jackknife's over blocks of prompts, left out of both sides. FID's is of
        FID at this number of images: its bias, the greater the fewer they are, is not in it.
        """
        reference, own = data.reference("inception"), data.images("inception")
        x, y = reference.values, own.values
        n, fewest = len(y), min(len(x), len(y))
        about = {"n": n, "higher_is_better": False}
        if fewest < 2:
            why = f"needs 2 images on each side, there are {len(x)} and {n}"
            return [Score(m, None, **about).warn(why) for m in ("fid", "kid")]
        y_blocks, x_blocks = blocks_of(own.names, reference.names)
        without = {
            block: frechet_distance(*sides)
            for block in range(1 + max(x_blocks.max(), y_blocks.max()))
            if min(map(len, sides := (x[x_blocks != block], y[y_blocks != block]))) > 1
        }
        fid = _score("fid", frechet_distance(x, y), without, about)
        kid = _score("kid", *kernel_distances(x, y, x_blocks, y_blocks), about)
        if fewest < MINIMUM:
            why = (
                f"{len(x)} and {n} images: under {MINIMUM} FID is mostly bias, which its interval "
                "leaves out, see KID"
            )
            return [fid.warn(why), kid]
        return [fid, kid, Score("fid_infinity", fid_infinity(x, y), **about)]

    def as_published(self, data: MethodData) -> float | None:
        """FID rounded to two decimals."""
        x, y = data.reference("inception").values, data.images("inception").values
        return round(frechet_distance(x, y), 2) if min(len(x), len(y)) > 1 else None


def _score(
    metric: str, value: float, without: Mapping[int, float], about: Mapping[str, Any]
) -> Score:
    low, high = jackknife_interval(value, without) or (None, None)
    return Score(metric, value, ci_low=low, ci_high=high, resamples=without, **about)
