"""Distances between two sets of images in Inception features: FID and KID.

The features are clean-fid's: extractors/inception.py.
"""

from __future__ import annotations

import numpy as np

from metrics.base import MethodData, Score

MINIMUM = 2048  # below it the covariance is singular and FID is mostly bias


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
    return np.linalg.qr(x, mode="r") if len(x) > x.shape[1] else x


def kernel_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Return KID: the unbiased squared MMD with the kernel (x'y / d + 1)^3, on all samples.

    Binkowski et al., arXiv 1801.01401. It can be negative.

    Args:
        x: features of shape (n, d), n > 1.
        y: features of shape (m, d), m > 1.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    return _mean_off_diagonal(x) + _mean_off_diagonal(y) - 2 * _kernel_sum(x, y) / len(x) / len(y)


def _mean_off_diagonal(x: np.ndarray) -> float:
    n = len(x)
    diagonal = (((x * x).sum(axis=1) / x.shape[1] + 1) ** 3).sum()
    return (_kernel_sum(x, x) - diagonal) / (n * (n - 1))


def _kernel_sum(x: np.ndarray, y: np.ndarray) -> float:
    """Sum of the kernel matrix, made in pieces that bound the memory."""
    pieces = np.array_split(x, max(1, len(x) * len(y) // 4_000_000))
    return float(sum((((piece @ y.T) / x.shape[1] + 1) ** 3).sum() for piece in pieces))


class Fid:
    """FID, and KID beside it, of a method's images against the reference's."""

    name = "fid"
    image_extractors = ("inception",)
    pair_extractors = ()
    uses_reference = True
    uses_prompts = False
    scopes = ("forgot", "unrelated")

    def score(self, data: MethodData) -> list[Score]:
        """Return ``fid`` and ``kid``."""
        x, y = data.reference("inception").values, data.images("inception").values
        n = len(y)
        about = {"n": n, "higher_is_better": False}
        if min(len(x), n) < 2:
            why = f"needs 2 images on each side, there are {len(x)} and {n}"
            return [Score(m, None, **about).warn(why) for m in ("fid", "kid")]
        fid = Score("fid", frechet_distance(x, y), **about)
        if min(len(x), n) < MINIMUM:
            fid = fid.warn(f"{len(x)} and {n} images: under {MINIMUM} FID is mostly bias, see KID")
        return [fid, Score("kid", kernel_distance(x, y), **about)]

    def as_published(self, data: MethodData) -> float | None:
        """FID rounded to two decimals."""
        value = self.score(data)[0].value
        return None if value is None else round(value, 2)
