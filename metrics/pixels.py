"""SSIM and PSNR: how close a method's pixels are to the reference's, pair by pair."""

from __future__ import annotations

import numpy as np

from metrics.base import MethodData, PairAspect, Rows, Score, ScoreWarning, per_pair_score
from metrics.spec import MetricSpec

CAP = 100.0  # dB: of 8-bit images, one level in one of 150,000 values


class Ssim(PairAspect):
    """SSIM, range [-1, 1], 1 for equal images. Wang et al., IEEE TIP 13 (2004).

    The variant is that of ``torchmetrics``: a Gaussian window of 11 x 11 pixels with a standard
    deviation of 1.5, population variances, the mean over the RGB channels and over all positions,
    the image being mirrored at its edges. Wang's program takes grey images, halves large ones and
    leaves out positions whose window is not inside; scikit-image does the latter too, and its
    default window is a square of 7 x 7.
    """

    name = "ssim"
    metrics = (
        MetricSpec(
            "ssim",
            "structural similarity (torchmetrics: Gaussian window 11, sigma 1.5, mirrored edges)",
            "ssim",
            kind="mean",
            role="damage",
            higher_is_better=True,
            low=-1,
            high=1,
            definition="SSIM of torchmetrics: Gaussian window of 11 x 11 pixels, sigma 1.5, "
            "population variances, mirrored edges, mean over RGB and all positions (Wang et al., "
            "IEEE TIP 13, 2004); mean over pairs.",
        ),
    )

    pair_extractors = ("pixels",)

    def score(self, data: MethodData) -> list[Score]:
        """Return ``ssim``; it has a direction only where pairs share their seeds."""
        rows = data.pairs("pixels")
        score = per_pair_score("ssim", Rows(rows.names, rows.values[:, 0]), data, **_rank(data))
        return [_with_seeds_told(score, data)]


class Psnr(PairAspect):
    """PSNR in dB, -10 log10 of the mean squared error on the scale [0, 1], at most ``CAP`` a pair.

    Equal images have no error and an infinite PSNR. Left out, the method that changes least would
    be judged by the few images that it does change; with them at the cap it comes first.
    """

    name = "psnr"
    metrics = (
        MetricSpec(
            "psnr",
            f"peak signal-to-noise ratio, at most {CAP:.0f} dB a pair",
            "psnr",
            kind="mean",
            role="damage",
            unit="dB",
            higher_is_better=True,
            low=0,
            high=CAP,
            definition="-10 log10 of the mean squared error on the scale 0 to 1, at most "
            f"{CAP:.0f} dB a pair; mean over pairs.",
        ),
    )

    pair_extractors = ("pixels",)

    def score(self, data: MethodData) -> list[Score]:
        """Return ``psnr``; it has a direction only where pairs share their seeds."""
        rows = data.pairs("pixels")
        error = rows.values[:, 1].astype(np.float64)
        values = Rows(rows.names, -10 * np.log10(np.maximum(error, 10 ** (-CAP / 10))))
        score = per_pair_score("psnr", values, data, unit="dB", **_rank(data))
        equal = int((error == 0).sum())
        if equal:
            score = score.warn(
                ScoreWarning("equal_pairs", f"{equal} pairs are equal and count as {CAP:.0f} dB")
            )
        return [_with_seeds_told(score, data)]


def _rank(data: MethodData) -> dict[str, bool | None]:
    return {"higher_is_better": True if data.concept.shared_seeds else None}


def _with_seeds_told(score: Score, data: MethodData) -> Score:
    """Of two unlike scenes the smoother is the closer in pixels: a blur would win."""
    if data.concept.shared_seeds:
        return score
    return score.warn(
        ScoreWarning(
            "not_ranked",
            "not ranked: where pairs do not share a seed SSIM and PSNR reward smoothness (if they "
            "do, set shared_seeds: true of the concept in the YAML)",
        )
    )
