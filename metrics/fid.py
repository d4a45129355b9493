"""FID of a method's images, and KID beside it, on Inception features.

The features are clean-fid's, extractors/inception.py; the distances are those of
metrics/frechet.py and metrics/kid.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from posixpath import splitext

import numpy as np

from inputs.prompts import prompt_key
from metrics.base import Aspect, MethodData, Rows, Score, ScoreWarning, noted
from metrics.frechet import MINIMUM, Moments, frechet_distances, moments_distance
from metrics.kid import groups_of, kernel_distances, likeness, same_prompt_share
from metrics.spec import MetricSpec
from stats.intervals import jackknife_interval

MOSTLY_BIAS = "mostly_bias"  # code of a warning
_BLOCKS = 10  # of the jackknife: each needs another Frechet distance
_SHARES = np.linspace(0.25, 1, 5)  # of the subsets whose FIDs are extrapolated
_PER_DIMENSION = 5  # images a dimension, from which on the extrapolation holds
_SHARED = "images share prompts: drawn anew without any change they"


def fid_infinity(x: np.ndarray, y: np.ndarray, whole: float) -> tuple[float, float]:
    """Return the FID that infinitely many images of either kind would have.

    FID of n images is biased by about a constant over n: the intercept of the line through the
    FIDs of random subsets, each within the next, against 1/n. Chong and Forsyth, arXiv 1911.07023.
    The bias is such a line only where n is several times the number of dimensions the features
    fill: of features spread evenly over all d, the intercept is far too high at n = d and 1.5 d
    (its intervals hold the truth in 0 and 50% of simulations), and right from n = 5 d on.

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


class Fid(Aspect):
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
            same_n=True,
            definition="Frechet distance of Inception-v3 (2015-12-05) pool features, images "
            "resized as clean-fid does (arXiv 2104.11222), unbiased covariances.",
        ),
        MetricSpec(
            "fid_common",
            "FID of the images that all methods have",
            "fid",
            kind="set",
            role="damage",
            higher_is_better=False,
            low=0,
            same_n=True,
            definition="FID of the images whose names all methods have, against the whole "
            "reference.",
        ),
        MetricSpec(
            "kid",
            "kernel distance, unbiased",
            "fid",
            kind="set",
            role="damage",
            higher_is_better=False,
            definition="Unbiased squared MMD with the kernel (x.y / d + 1)^3 on FID's features "
            "(Binkowski et al., arXiv 1801.01401); above 5,000 images of random groups of 1,000.",
        ),
        MetricSpec(
            "kid_no_change",
            "KID of images drawn anew without any change, which share their prompts",
            "fid",
            kind="set",
            role="side",
            shown=False,
            compared=False,
            definition="What KID is expected to be of images drawn anew by the same model for the "
            "same prompts.",
        ),
        MetricSpec(
            "fid_infinity",
            "FID of infinitely many images",
            "fid",
            kind="set",
            role="side",
            higher_is_better=False,
            compared=False,
            definition="FID extrapolated to infinitely many images (Chong and Forsyth, arXiv "
            "1911.07023), from 5 images a dimension on.",
        ),
    )
    image_extractors = ("inception",)
    uses_reference = True

    def score(self, data: MethodData) -> list[Score]:
        """Return ``fid`` and ``kid``, and what it takes to read them.

        ``fid_common`` where methods have different numbers of images, of which alone FID differs:
        then ``fid`` has no direction, so that no method is marked as the best by it.
        ``kid_no_change`` where images share prompts. ``fid_infinity`` from 5 images a dimension on.

        Intervals are the jackknife's over blocks of prompts, left out of both sides. FID's is of
        FID at this number of images: its bias, the greater the fewer they are, is not in it.
        That of ``fid_infinity`` holds the jackknife's error of FID and, uncorrelated with it, the
        fit's: in simulations 92 to 98% of them hold the FID of the distributions.
        """
        reference, own = data.reference("inception"), data.images("inception")
        n, fewest = len(own.values), min(len(reference.values), len(own.values))
        if fewest < 2:
            why = f"needs 2 images on each side, there are {len(reference.values)} and {n}"
            lacking = ScoreWarning("too_few_images", why)
            return [Score(m, None, n, "", False).warn(lacking) for m in ("fid", "kid")]
        fid = _fid("fid", reference, own)
        scores = [fid, *_kid(reference, own)]
        peers = [names for names in data.peers("inception") if len(names) > 1]
        counts = sorted({len(names) for names in peers})
        if len(counts) > 1:
            why = (
                f"not ranked: methods have {counts[0]} to {counts[-1]} images, and FID rises as "
                "they get fewer; see fid_common"
            )
            scores[0] = replace(fid, higher_is_better=None).warn(ScoreWarning("not_ranked", why))
            scores.insert(1, _common(reference, own, peers))
        if fewest >= max(MINIMUM, _PER_DIMENSION * reference.values.shape[1]):
            scores.append(_infinity(reference.values, own.values, fid))
        return scores


def _fid(metric: str, reference: Rows, own: Rows) -> Score:
    x, y = reference.values, own.values
    y_blocks, x_blocks = blocks_of(own.names, reference.names)
    score = _score(metric, len(y), *frechet_distances(x, y, x_blocks, y_blocks))
    fewest, enough = min(len(x), len(y)), _PER_DIMENSION * x.shape[1]
    of_them = f"{len(x)} and {len(y)} images"
    if fewest < MINIMUM:
        why = f"{of_them}: under {MINIMUM} FID is mostly bias, which no interval holds, see KID"
        return score.warn(ScoreWarning(MOSTLY_BIAS, why))
    if fewest < enough:
        why = f"{of_them}: FID's bias, which no interval holds, can be told from {enough} on"
        return score.warn(ScoreWarning("biased", why))
    return score


def _common(reference: Rows, own: Rows, peers: Sequence[Sequence[str]]) -> Score:
    """FID of the images, by path without extension, that all methods have."""
    places = {splitext(name)[0]: place for place, name in enumerate(own.names)}
    shared = set.intersection(*({splitext(name)[0] for name in names} for names in peers))
    kept = sorted(places[stem] for stem in shared)
    if len(kept) < 2:
        why = f"{len(kept)} images have a name that all {len(peers)} methods have"
        lacking = ScoreWarning("too_few_images", why)
        return Score("fid_common", None, len(kept), "", False).warn(lacking)
    return _fid("fid_common", reference, Rows([own.names[i] for i in kept], own.values[kept]))


def _kid(reference: Rows, own: Rows) -> list[Score]:
    """``kid``, and ``kid_no_change`` where it is not 0: of the reference's images drawn anew."""
    x, y = reference.values, own.values
    y_blocks, x_blocks = blocks_of(own.names, reference.names)
    score = _score("kid", len(y), *kernel_distances(x, y, x_blocks, y_blocks))
    groups = groups_of(len(x), len(y))
    if groups > 1:
        how = f"mean over {groups} random groups of images, not over all pairs"
        score = score.warn(ScoreWarning("random_groups", how))
    prompts, others = ([prompt_key(name) for name in side.names] for side in (reference, own))
    share = same_prompt_share(prompts, others)
    if abs(share) < 1e-12:
        return [score]
    no_change = Score("kid_no_change", None, len(y))
    alike = likeness(x, prompts)
    if alike is None:
        why = "the reference has fewer than four prompts, or one image of each"
        told = f"{_SHARED} are not at 0; where they are cannot be told: {why}"
        return [
            score.warn(ScoreWarning("shared_prompts", told)),
            no_change.warn(ScoreWarning("too_few_prompts", why)),
        ]
    value = share * alike
    told = f"{_SHARED} are at about {value:.3g}, not at 0"
    return [score.warn(ScoreWarning("shared_prompts", told)), replace(no_change, value=value)]


def _score(metric: str, n: int, value: float, without: Mapping[int, float]) -> Score:
    interval = jackknife_interval(value, without)
    score = Score(metric, value, n, "", False, interval.low, interval.high, resamples=without)
    return score.warn(*noted(interval.note))


def _infinity(x: np.ndarray, y: np.ndarray, fid: Score) -> Score:
    from scipy.special import stdtrit

    value, error = fid_infinity(x, y, fid.value)
    score = Score("fid_infinity", value, fid.n, "", False)
    if fid.ci_low is None:
        return score
    # The FID of nested subsets varies as FID of all of them does, and on its own besides.
    half = np.hypot((fid.ci_high - fid.ci_low) / 2, stdtrit(len(_SHARES) - 2, 0.975) * error)
    return replace(score, ci_low=float(value - half), ci_high=float(value + half))
