"""LPIPS: how different a method's images look from the reference's, pair by pair."""

from __future__ import annotations

from metrics.base import MethodData, PairAspect, Rows, Score, per_pair_score
from metrics.spec import MetricSpec


class Lpips(PairAspect):
    """LPIPS (AlexNet, v0.1), range [0, ...), lower is closer. Zhang et al., arXiv 1801.03924."""

    name = "lpips"
    metrics = (
        MetricSpec(
            "lpips",
            "LPIPS, AlexNet v0.1",
            "lpips",
            kind="mean",
            role="damage",
            higher_is_better=False,
            low=0,
            definition="LPIPS v0.1 on AlexNet, images at their own size (Zhang et al., arXiv "
            "1801.03924); mean over pairs.",
        ),
    )
    pair_extractors = ("lpips",)

    def score(self, data: MethodData) -> list[Score]:
        """Return ``lpips``."""
        rows = data.pairs("lpips")
        values = Rows(rows.names, rows.values[:, 0])
        return [per_pair_score("lpips", values, data, higher_is_better=False)]
