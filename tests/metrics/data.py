"""Arrays in the place of the store, for tests of aspects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from inputs.config import Concept
from metrics.base import Judged, PairRows, Rows

CHURCH = Concept("church", "object", "Church/forgot")


@dataclass
class Data:
    """A ``MethodData`` that answers every extractor's name with the same arrays.

    Attributes:
        others: names of the images of each other method.
    """

    images: Any = None
    reference: Any = None
    pairs: Any = None
    text: Any = None
    present: Any = None
    names: list[str] | None = None
    reference_names: list[str] | None = None
    others: Sequence[list[str]] = ()
    concept: Concept = CHURCH

    def __post_init__(self):
        for field in ("images", "reference", "pairs"):
            setattr(self, f"_{field}", getattr(self, field))
            setattr(self, field, lambda extractor, field=field: self._rows(field))

    def _rows(self, field):
        values = getattr(self, f"_{field}")
        names = (field == "reference" and self.reference_names) or self.names
        return Rows(names or [f"{i}.png" for i in range(len(values))], values)

    def both(self, extractor):
        return PairRows(self._rows("images").names, self._reference, self._images)

    def peers(self, extractor):
        return [self._rows("images").names, *self.others]

    def texts(self, names):
        return self.text

    def decisions(self):
        names = [f"{i}.png" for i in range(len(self.present))]
        present = np.array(self.present, bool)
        return [Judged("nudenet_face", "nudenet_2labels", names, present, present.astype(float))]

    def category(self, name):
        return name.partition("/")[0] if "/" in name else ""
