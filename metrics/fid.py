"""FID of a method's images, and KID beside it, on Inception features.

The features are clean-fid's, extractors/inception.py; the distances are those of
metrics/frechet.py and metrics/kid.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from metrics.base import MethodData, Score
from metrics.frechet import MINIMUM, Moments, frechet_distance, frechet_distances, moments_distance
from metrics.kid import groups_of, kernel_distances
from metrics.spec import MetricSpec
from utils.prompts import prompt_key
from utils.stats import jackknife_interval

_BLOCKS = 10  # of the jackknife: each needs another Frechet distance
_SHARES = np.linspace(0.25, 1, 5)  # of the subsets whose FIDs are extrapolated


def fid_infinity(x: np.ndarray, y: np.ndarray, whole: float) -> tuple[float, float]:
    """Return the FID that infinitely many images of either kind would have.

    FID of n images is biased by about a constant over n: the intercept of the line through the
    FIDs of random subsets, each within the next, against 1/n. Chong and Forsyth, arXiv 1911.07023.
    The bias is such a line only where n is many times the number of dimensions the features fill:
    of features spread evenly over all d, the intercept is too high up to about n = 10 d.

    Args:
        x: features of shape (n, d).
        y: features of shape (m, d); subsets hold the same share (``_SHARES``) of both.
        whole: their Frechet distance, that of the last subset.

    Returns:
        the intercept and its standard error in the fit, of ``len(_SHARES) - 2`` degrees of
        freedom: that of the subsets' choice only, x and y being given.
    """
    rng = np.random.default_rng(0)
    steps = [
        np.split(rng.permutation(len(side)), np.round(_SHARES[:-1] * len(side)).astype(int))[:-1]
        for side in (x, y)
    ]
    held = [Moments.none(side) for side in (x, y)]
    values = []
    for added in zip(*steps, strict=True):
        held = [
            moments.more(Moments.of(side, rows, moments.centre))
            for moments, side, rows in zip(held, (x, y), added, strict=True)
        ]
        values.append(moments_distance(*held))
    return _intercept(np.array([*values, whole]))


def _intercept(values: np.ndarray) -> tuple[float, float]:
    """Intercept of the least-squares line against 1 / share, and its standard error."""
    design = np.stack([np.ones_like(_SHARES), 1 / _SHARES], axis=1)
    solve = np.linalg.pinv(design)
    rest = values - design @ (solve @ values)
    error = np.sqrt(rest @ rest / (len(values) - 2) * (solve[0] @ solve[0]))
    return float(solve[0] @ values), float(error)


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
    metrics = (
        MetricSpec(
            "fid",
            "Frechet distance (clean-fid)",
            "fid",
            kind="set",
            role="damage",
            higher_is_better=False,
            low=0,
        ),
        MetricSpec(
            "kid",
            "kernel distance, unbiased",
            "fid",
            kind="set",
            role="damage",
            higher_is_better=False,
        ),
        MetricSpec(
            "fid_infinity",
            "FID of infinitely many images",
            "fid",
            kind="set",
            role="side",
            higher_is_better=False,
        ),
    )
    image_extractors = ("inception",)
    pair_extractors = ()
    uses_reference = True
    uses_pairs = False
    uses_prompts = False
    scopes = ("forgot", "unrelated")

    def score(self, data: MethodData) -> list[Score]:
        """Return ``fid`` and ``kid``, and ``fid_infinity`` where FID's covariances have full rank.

        Intervals are the jackknife's over blocks of prompts, left out of both sides. FID's is of
        FID at this number of images: its bias, the greater the fewer they are, is not in it.
        That of ``fid_infinity`` holds the jackknife's error of FID and, uncorrelated with it, the
        fit's: in simulations 93 to 97% of them hold the FID of the distributions, but 87% where
        the line does not hold (features spread evenly over all d dimensions, n = 2.4 d).
        """
        reference, own = data.reference("inception"), data.images("inception")
        x, y = reference.values, own.values
        n, fewest = len(y), min(len(x), len(y))
        about = {"n": n, "higher_is_better": False}
        if fewest < 2:
            why = f"needs 2 images on each side, there are {len(x)} and {n}"
            return [Score(m, None, **about).warn(why) for m in ("fid", "kid")]
        y_blocks, x_blocks = blocks_of(own.names, reference.names)
        fid = _score("fid", *frechet_distances(x, y, x_blocks, y_blocks), about)
        kid = _score("kid", *kernel_distances(x, y, x_blocks, y_blocks), about)
        groups = groups_of(len(x), n)
        if groups > 1:
            kid = kid.warn(f"mean over {groups} random groups of images, not over all pairs")
        if fewest < MINIMUM:
            why = (
                f"{len(x)} and {n} images: under {MINIMUM} FID is mostly bias, which its interval "
                "leaves out, see KID"
            )
            return [fid.warn(why), kid]
        return [fid, kid, _infinity(x, y, fid, about)]

    def as_published(self, data: MethodData) -> float | None:
        """FID rounded to two decimals."""
        x, y = data.reference("inception").values, data.images("inception").values
        return round(frechet_distance(x, y), 2) if min(len(x), len(y)) > 1 else None


def _score(
    metric: str, value: float, without: Mapping[int, float], about: Mapping[str, Any]
) -> Score:
    low, high = jackknife_interval(value, without) or (None, None)
    return Score(metric, value, ci_low=low, ci_high=high, resamples=without, **about)


def _infinity(x: np.ndarray, y: np.ndarray, fid: Score, about: Mapping[str, Any]) -> Score:
    from scipy.special import stdtrit

    value, error = fid_infinity(x, y, fid.value)
    if fid.ci_low is None:
        return Score("fid_infinity", value, **about)
    # The FID of nested subsets varies as FID of all of them does, and on its own besides.
    half = np.hypot((fid.ci_high - fid.ci_low) / 2, stdtrit(len(_SHARES) - 2, 0.975) * error)
    low, high = float(value - half), float(value + half)
    return Score("fid_infinity", value, ci_low=low, ci_high=high, **about)
