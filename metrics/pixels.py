"""SSIM and PSNR: how close a method's pixels are to the reference's, pair by pair."""

from __future__ import annotations

import numpy as np

from metrics.base import MethodData, Rows, Score, per_pair_score
from metrics.spec import MetricSpec


class _PairAspect:
    image_extractors = ()
    pair_extractors = ("pixels",)
    uses_reference = True
    uses_pairs = True
    uses_prompts = False
    scopes = ("forgot", "unrelated")

    def as_published(self, data: MethodData) -> None:
        """The published scripts have none."""


class Ssim(_PairAspect):
    """SSIM, range [-1, 1], 1 for equal images. Wang et al., IEEE TIP 13 (2004)."""

    name = "ssim"
    metrics = (
        MetricSpec("ssim", "structural similarity", name, "mean", "damage", "", True, -1, 1),
    )

    def score(self, data: MethodData) -> list[Score]:
        """Return ``ssim``."""
        rows = data.pairs("pixels")
        values = Rows(rows.names, rows.values[:, 0])
        return [per_pair_score("ssim", values, data, higher_is_better=True)]


class Psnr(_PairAspect):
    """PSNR in dB, -10 log10 of the mean squared error on the scale [0, 1]."""

    name = "psnr"
    metrics = (
        MetricSpec(
            "psnr",
            "peak signal-to-noise ratio",
            "psnr",
            kind="mean",
            role="damage",
            unit="dB",
            higher_is_better=True,
            low=0,
        ),
    )

    def score(self, data: MethodData) -> list[Score]:
        """Return ``psnr``; pairs of equal images, whose PSNR is infinite, are left out."""
        rows = data.pairs("pixels")
        error = rows.values[:, 1].astype(np.float64)
        differ = error > 0
        values = Rows(
            [name for name, kept in zip(rows.names, differ, strict=True) if kept],
            -10 * np.log10(error[differ]),
        )
        score = per_pair_score("psnr", values, data, unit="dB", higher_is_better=True)
        equal = int((~differ).sum())
        return [score.warn(f"{equal} pairs are equal and left out") if equal else score]
