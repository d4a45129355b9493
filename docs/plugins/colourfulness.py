"""Colourfulness of a method's images: D. Hasler and S. Suesstrunk, Proc. SPIE 5007 (2003)."""

import numpy as np

from extractors import EXTRACTORS
from extractors.base import Embeddings, Extractor, Sample
from metrics import ASPECTS
from metrics.base import Aspect
from metrics.spec import MetricSpec


@EXTRACTORS.register
class ColourfulnessExtractor(Extractor):
    name = "colourfulness"
    rows = Embeddings(1)

    def prepare(self, picture):
        red, green, blue = np.moveaxis(picture.pixels.astype(float), 2, 0)
        rg, yb = red - green, (red + green) / 2 - blue
        value = np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())
        return Sample(np.array([value], np.float32), picture.rgb.size)

    def forward(self, batch):
        return np.stack([sample.pixels for sample in batch])


@ASPECTS.register
class Colourfulness(Aspect):
    name = "colourfulness"
    metrics = (
        MetricSpec(
            "colourfulness",
            "colourfulness",
            "colourfulness",
            kind="mean",
            role="quality",
            higher_is_better=True,
            low=0,
            definition="M3 of Hasler and Suesstrunk (2003) on the scale 0 to 255; mean over images.",
        ),
    )
    image_extractors = ("colourfulness",)

    def score(self, data):
        rows = data.images("colourfulness")
        return [self.mean(rows.names, rows.values[:, 0], data)]
