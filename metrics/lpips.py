"""LPIPS: how different a method's images look from the reference's, pair by pair."""

from __future__ import annotations

import numpy as np

from metrics.base import MethodData, Rows, Score, per_pair_score
from metrics.spec import MetricSpec


class Lpips:
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
        ),
    )
    image_extractors = ()
    pair_extractors = ("lpips",)
    uses_reference = True
    uses_pairs = True
    uses_prompts = False
    scopes = ("forgot", "unrelated")

    def score(self, data: MethodData) -> list[Score]:
        """Return ``lpips``."""
        return [per_pair_score("lpips", self._values(data), data, higher_is_better=False)]

    def as_published(self, data: MethodData) -> float | None:
        """Pairs and their mean each rounded to four decimals; of categories only the first."""
        values = self._values(data)
        first = data.category(values.names[0]) if values.names else ""
        rounded = [
            round(float(value), 4)
            for name, value in zip(values.names, values.values, strict=True)
            if data.category(name) == first
        ]
        return round(float(np.mean(rounded)), 4) if rounded else None

    def _values(self, data: MethodData) -> Rows:
        rows = data.pairs("lpips")
        return Rows(rows.names, rows.values[:, 0])
