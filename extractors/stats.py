"""Plain facts about an image's pixels; no network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from extractors.base import Embeddings, Extractor, Sample
from inputs.images import Picture


class StatsExtractor(Extractor):
    """Rows are [width, height, darkest, brightest].

    Width and height are in pixels; darkest and brightest are the least and the greatest value
    of any channel of any pixel, 0 to 255: equal just when the whole image is one grey, as the
    black images are that a safety filter puts in the place of what it stops.
    """

    name = "stats"
    rows = Embeddings(4)

    @property
    def spec(self) -> dict[str, Any]:
        return {"row": ["width", "height", "darkest", "brightest"]}

    def prepare(self, picture: Picture) -> Sample:
        """Return the row itself as the pixels, float32 of shape (4,)."""
        darkest, brightest = zip(*picture.rgb.getextrema(), strict=True)
        row = (*picture.rgb.size, min(darkest), max(brightest))
        return Sample(np.array(row, np.float32), picture.rgb.size)

    def forward(self, batch: Sequence[Sample]) -> np.ndarray:
        """Return the rows, float32 of shape (len(batch), 4)."""
        return np.stack([sample.pixels for sample in batch])


def is_constant(rows: np.ndarray) -> np.ndarray:
    """Return bool of shape (n,): the image is one grey level, from rows of shape (n, 4)."""
    return rows[:, 2] == rows[:, 3]
