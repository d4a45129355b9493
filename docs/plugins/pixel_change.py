"""How many grey levels a method's pixels are away from the reference's, pair by pair."""

import numpy as np

from extractors import EXTRACTORS
from extractors.base import Embeddings, PairExtractor, Sample
from metrics import ASPECTS
from metrics.base import PairAspect
from metrics.spec import MetricSpec


@EXTRACTORS.register
class PixelChangeExtractor(PairExtractor):
    name = "pixel_change"
    rows = Embeddings(1)

    def prepare(self, picture):
        return Sample(picture.pixels, picture.rgb.size)

    def forward(self, batch):
        pairs = [[sample.pixels.astype(np.float32) for sample in pair] for pair in batch]
        return np.array([[abs(reference - own).mean()] for reference, own in pairs], np.float32)


@ASPECTS.register
class PixelChange(PairAspect):
    name = "pixel_change"
    metrics = (
        MetricSpec(
            "pixel_change",
            "mean absolute difference of pixels",
            "pixel_change",
            kind="mean",
            role="damage",
            higher_is_better=False,
            low=0,
            high=255,
            definition="Mean of |x - y| over pixels and channels, 0 to 255; mean over pairs.",
        ),
    )
    pair_extractors = ("pixel_change",)

    def score(self, data):
        rows = data.pairs("pixel_change")
        return [self.mean(rows.names, rows.values[:, 0], data)]
