"""The Frechet distance between two sets of features taken as Gaussians."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MINIMUM = 2048  # below it the covariance is singular and FID is mostly bias
_ROWS = 1024  # in float64 at a time


def frechet_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Return the Frechet distance of two samples taken as Gaussians.

    |mean x - mean y|^2 + tr Sx + tr Sy - 2 tr (Sx Sy)^(1/2), covariances with ddof 1; exact for
    singular covariances. Heusel et al., arXiv 1706.08500.

    Args:
        x: features of shape (n, d), n > 1.
        y: features of shape (m, d), m > 1.
    """
    one_block = np.zeros(len(x), int), np.zeros(len(y), int)
    return frechet_distances(x, y, *one_block)[0]


def frechet_distances(
    x: np.ndarray, y: np.ndarray, x_blocks: np.ndarray, y_blocks: np.ndarray
) -> tuple[float, dict[int, float]]:
    """Return the Frechet distance, and the distance without each block of images.

    From ``MINIMUM`` images a side on, a set without a block has the whole set's sums less the
    block's: beside the features, some d x d matrices and ``_ROWS`` rows are all that is held.

    Args:
        x: features of shape (n, d), n > 1.
        y: features of shape (m, d), m > 1.
        x_blocks, y_blocks: the block of each row, from 0.

    Returns:
        the distance, and the distance by the block left out; a block that leaves fewer than two
        images on a side is not among them.
    """
    number = 1 + max(x_blocks.max(), y_blocks.max())
    counts = [np.bincount(blocks, minlength=number) for blocks in (x_blocks, y_blocks)]
    left_out = [b for b in range(number) if min(c.sum() - c[b] for c in counts) > 1]
    if min(len(x), len(y)) < MINIMUM:
        return _of_few(x, y), {
            block: _of_few(x[x_blocks != block], y[y_blocks != block]) for block in left_out
        }
    sides = [(x, x_blocks), (y, y_blocks)]
    whole = [Moments.of(rows) for rows, _ in sides]
    without = {}
    for block in left_out:
        kept = [
            all_rows.less(Moments.of(rows, np.flatnonzero(blocks == block), all_rows.centre))
            for all_rows, (rows, blocks) in zip(whole, sides, strict=True)
        ]
        without[block] = moments_distance(*kept)
    return moments_distance(*whole), without


def _of_few(x: np.ndarray, y: np.ndarray) -> float:
    """The distance of samples that may be fewer than d.

    With centred X, Y the trace of the root is the nuclear norm of X Y' / sqrt((n-1)(m-1)).
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


@dataclass(frozen=True)
class Moments:
    """Sums over a set of features, from which its mean and covariance follow.

    Attributes:
        n: rows.
        centre: of shape (d,), taken off every row first, so that no digits are lost; sums can
            be added and taken away where it is the same.
        total: sum of the rows less the centre, of shape (d,).
        products: sum of their outer products, of shape (d, d).
    """

    n: int
    centre: np.ndarray
    total: np.ndarray
    products: np.ndarray

    @classmethod
    def none(cls, x: np.ndarray) -> Moments:
        """Sums over no row, about the mean of features of shape (n, d)."""
        return cls.of(x, np.empty(0, int))

    @classmethod
    def of(
        cls, x: np.ndarray, rows: np.ndarray | None = None, centre: np.ndarray | None = None
    ) -> Moments:
        """Sums over some rows (all, unless told) of features of shape (n, d).

        Args:
            x: the features.
            rows: indices of those meant.
            centre: the mean of all rows, unless told.
        """
        rows = np.arange(len(x)) if rows is None else rows
        centre = x.mean(axis=0, dtype=np.float64) if centre is None else centre
        total, products = np.zeros(x.shape[1]), np.zeros((x.shape[1],) * 2)
        for first in range(0, len(rows), _ROWS):
            centred = x[rows[first : first + _ROWS]] - centre
            total += centred.sum(axis=0)
            products += centred.T @ centred
        return cls(len(rows), centre, total, products)

    def more(self, other: Moments) -> Moments:
        """Sums over both sets."""
        total, products = self.total + other.total, self.products + other.products
        return Moments(self.n + other.n, self.centre, total, products)

    def less(self, other: Moments) -> Moments:
        """Sums over this set without the other, which is part of it."""
        total, products = self.total - other.total, self.products - other.products
        return Moments(self.n - other.n, self.centre, total, products)

    @property
    def mean(self) -> np.ndarray:
        """Of shape (d,)."""
        return self.centre + self.total / self.n

    @property
    def trace(self) -> float:
        """Of the covariance."""
        return float(np.trace(self.products) - self.total @ self.total / self.n) / (self.n - 1)

    @property
    def covariance(self) -> np.ndarray:
        """Of shape (d, d), with ddof 1."""
        covariance = np.outer(self.total, self.total / -self.n)
        covariance += self.products
        covariance /= self.n - 1
        return covariance


def moments_distance(x: Moments, y: Moments) -> float:
    """Return the distance of two sets from their sums.

    By the eigenvalues of L' Sy L, Sx = L L', which are those of Sx Sy.
    """
    squares = np.linalg.eigvalsh(_sandwich(x, y))
    root = np.sqrt(np.maximum(squares, 0)).sum()
    return float(max(((x.mean - y.mean) ** 2).sum() + x.trace + y.trace - 2 * root, 0.0))


def _sandwich(x: Moments, y: Moments) -> np.ndarray:
    """L' Sy L with Sx = L L'; as many rows as Sx has rank."""
    from scipy.linalg import blas, lapack

    try:
        upper = np.linalg.cholesky(x.covariance).T
    except np.linalg.LinAlgError:  # singular: pivoting leaves the null space out
        factor, pivots, rank, _ = lapack.dpstrf(x.covariance.T, lower=1, tol=0.0)
        lower = np.empty((len(factor), rank))
        lower[pivots - 1] = np.tril(factor)[:, :rank]
        return lower.T @ y.covariance @ lower
    # Products of triangular matrices are half the work. A transpose is in BLAS's order already.
    half = blas.dtrmm(1.0, upper, y.covariance.T)
    return blas.dtrmm(1.0, upper, half, side=1, trans_a=1, overwrite_b=1)
