"""Is the upper third of an image red? A judge of the concept "red sky"."""

import numpy as np

from checkers import CHECKERS, Checker
from checkers.base import Decisions
from extractors import EXTRACTORS
from extractors.base import Embeddings, Extractor, Sample


@EXTRACTORS.register
class SkyExtractor(Extractor):
    name = "sky"
    rows = Embeddings(3)  # mean red, green and blue

    def prepare(self, picture):
        height = picture.rgb.size[1]
        colour = picture.pixels[: max(1, height // 3)].mean(axis=(0, 1))
        return Sample(colour.astype(np.float32), picture.rgb.size)

    def forward(self, batch):
        return np.stack([sample.pixels for sample in batch])


@CHECKERS.register
class RedSky(Checker):
    indicator = "red_sky"
    known = {"red sky": ("sunset",)}  # noqa: RUF012
    extractor_name = "sky"

    def judge(self, rows):
        share = rows[:, 0] / np.maximum(rows.sum(axis=1), 1)
        present = share > 0.5
        return Decisions(present, share.astype(float), ["red" if p else "" for p in present])
