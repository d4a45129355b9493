"""Which of many methods may be the best?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stats.clusters import FEWEST_CLUSTERS, too_few

LEVEL = 0.05
PERMUTATIONS = 999
MOST_GROUPS = 250  # prompts above it are permuted in groups: as exact, and hardly less sharp
_PIECE = 4_000_000  # numbers of permuted values held at a time

# For captions: what a mark means.
METHOD = (
    "the best method and those that cannot be told from it, by permutations of the methods within "
    "prompts at the 5% level for all methods together (a model confidence set)"
)


def untestable(prompts: int, methods: int) -> str:
    """Why methods cannot be told from the best, whatever their values; empty if they can.

    Two methods have 2^prompts permutations, of which 2 are as extreme as can be: it takes six
    prompts for these to be less than 5%. More methods have enough with four.
    """
    fewest = FEWEST_CLUSTERS
    while (methods * (methods - 1)) ** (1 - fewest) >= LEVEL:
        fewest += 1
    return "" if prompts >= fewest else too_few(prompts, fewest)


def may_be_best(values: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Which methods cannot be told from the one with the highest mean, itself among them.

    The model confidence set of P. R. Hansen, A. Lunde and J. M. Nason, Econometrica 79 (2011), by
    permutations: if all methods are equal, any of a prompt's values could have been any method's.
    A method is out if some other is better by more, in standard errors, than the widest gap of any
    two in 95% of the permutations; what remains is tested again without it, until none goes. With
    methods of one distribution it is exact, however many they are and whatever it is: in at most 5%
    of data sets is any of them out. With equal means alone it is not: docs/statistics.md. Comparing
    each with the *observed* best, as if it had not been picked for its value, throws one of ten out
    in 12 to 54%.

    Args:
        values: a prompt's sum (or any other number of it, higher is better) by method; float of
            shape (prompts, methods).

    Returns:
        bool of shape (methods,).
    """
    rng = np.random.default_rng(seed)
    groups = _grouped(np.asarray(values, np.float64), rng)
    kept = np.arange(groups.shape[1])
    while len(kept) > 1:
        chosen = groups[:, kept]
        observed = _gaps(chosen[None]).max(axis=1)[0]
        widest = np.concatenate([_gaps(p).max(axis=(1, 2)) for p in _permuted(chosen, rng)])
        # Rounding must not make one of two equal gaps the wider.
        wider = np.count_nonzero(widest[:, None] >= observed - 1e-9, axis=0)
        stays = 1 + wider >= LEVEL * (1 + PERMUTATIONS)
        if stays.all():
            break
        kept = kept[stays]
    return np.isin(np.arange(groups.shape[1]), kept)


def _grouped(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """At most ``MOST_GROUPS`` rows, sums of prompts dealt at random; each of mean 0."""
    values = values - values.mean(axis=1, keepdims=True)
    prompts, methods = values.shape
    if prompts <= MOST_GROUPS:
        return values
    which = rng.permutation(prompts) % MOST_GROUPS
    groups = np.zeros((MOST_GROUPS, methods))
    np.add.at(groups, which, values)
    return groups


def _permuted(values: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Values with each row's permuted, some at a time: of shape (some, rows, methods)."""
    drawn = 0
    while drawn < PERMUTATIONS:
        some = min(PERMUTATIONS - drawn, max(1, _PIECE // values.size))
        yield rng.permuted(np.broadcast_to(values, (some, *values.shape)), axis=2)
        drawn += some


def _gaps(values: np.ndarray) -> np.ndarray:
    """How much better each method is than each, in standard errors of no difference.

    Args:
        values: of shape (some, rows, methods).

    Returns:
        of shape (some, methods, methods): the sum of the rows' differences over the root of their
        squares' sum, which rises with Student's t; 0 of methods that do not differ.
    """
    sums = values.sum(axis=1)
    products = values.transpose(0, 2, 1) @ values
    squares = np.diagonal(products, axis1=1, axis2=2)
    differ = squares[:, :, None] + squares[:, None, :] - 2 * products
    tiny = 1e-12 * squares.max(axis=1)[:, None, None]
    gap = sums[:, :, None] - sums[:, None, :]
    return np.where(differ > tiny, gap / np.sqrt(np.where(differ > tiny, differ, 1)), 0.0)
