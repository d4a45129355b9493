"""Are there still people in the pictures: the share of images with a person box."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from metrics.base import MethodData, Score
from metrics.forgetting import presence
from metrics.spec import MetricSpec

CONFIDENCE = 0.5  # the published one; boxes are stored from 0.001 on


class Yolo:
    """Share of images in which YOLO finds a person, in percent; higher is better kept."""

    name = "yolo"
    metrics = (
        MetricSpec(
            "yolo_person",
            "images with a person (YOLOv8n)",
            "yolo",
            kind="rate",
            role="damage",
            unit="%",
            higher_is_better=True,
            low=0,
            high=100,
        ),
    )
    image_extractors = ("yolo",)
    pair_extractors = ()
    uses_reference = False
    uses_pairs = False
    uses_prompts = False
    scopes = ("forgot", "unrelated")

    def score(self, data: MethodData) -> list[Score]:
        """Return ``yolo_person``."""
        rows = data.images("yolo")
        people = [
            any(box["label"] == "person" and box["score"] > CONFIDENCE for box in boxes)
            for boxes in rows.values
        ]
        found = presence(np.array(people, dtype=bool), rows.names)
        per_image = {name: float(p) for name, p in zip(rows.names, people, strict=True)}
        score = Score("yolo_person", None, found.n, "%", True, per_image=per_image)
        if not found.n:
            return [score.warn("no image could be read")]
        low, high = 100 * found.ci_low, 100 * found.ci_high
        score = replace(score, value=100 * found.rate, ci_low=low, ci_high=high)
        return [score.warn(*filter(None, [found.note]))]

    def as_published(self, data: MethodData) -> float | None:
        """The percentage rounded to two decimals."""
        value = self.score(data)[0].value
        return None if value is None else round(value, 2)
