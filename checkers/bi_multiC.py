"""The binary CLIP checkers: one head a concept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from checkers.base import Checker, CheckerOptions, Decisions
from checkers.logits import Head
from extractors import EXTRACTORS
from features.store import FeatureStore, FeatureTable
from model_files.heads import HEADS, find_head
from model_files.published import is_published

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class _Concept:
    """Classes 0 and 1 of a head (the training folders in alphabetical order)."""

    classes: tuple[str, str]
    present: int
    also: tuple[str, ...] = ()


_CONCEPTS = {
    "nudity": _Concept(("nude", "safe"), present=0),
    "style_vangogh": _Concept(("non_vangogh", "vangogh"), 1, ("vangogh", "vincent-van-gogh")),
    "object_church": _Concept(("church", "other"), present=0, also=("church",)),
    "object_parachute": _Concept(("other", "parachute"), present=1, also=("parachute",)),
}


class BiMultiCChecker(Checker):
    """``bi_multiC``: present when the rounded sigmoid is the class of the concept."""

    indicator = "bi_multiC"
    preference = 2
    sensitive = frozenset({"nudity"})
    extractor_name = "clip"

    def __init__(self, concept: str, extractor: Any, head: Path) -> None:
        super().__init__(concept, extractor)
        self.classes = _CONCEPTS[concept].classes
        self._present = _CONCEPTS[concept].present
        self._head = Head(head, 1, _build)

    @classmethod
    def concepts(cls) -> Mapping[str, str]:
        return {name: c for c, spec in _CONCEPTS.items() for name in (*spec.also, c)}

    @classmethod
    def create(cls, concept: str, options: CheckerOptions) -> BiMultiCChecker:
        layout = f"{cls.indicator}/{concept}"
        head = find_head(layout, options.weights_dir, options.cache_dir)
        made = cls(concept, options.extractor(EXTRACTORS["clip"]), head)
        made._head.check(layout, made.extractor, options)
        return made

    @classmethod
    def files(cls) -> list[str]:
        return [layout for layout in HEADS if layout.startswith(f"{cls.indicator}/")]

    @property
    def title(self) -> str:
        what = f"class {self._present} ({self.classes[self._present]})"
        return f"{self.indicator} · {self.concept} · present = {what}"

    @property
    def notes(self) -> list[str]:
        return self._head.notes(f"{self.indicator}/{self.concept}", self.extractor)

    @property
    def provenance(self) -> dict[str, Any]:
        layout = f"{self.indicator}/{self.concept}"
        return self._head.provenance | {"published": is_published(HEADS[layout], self._head.path)}

    def rows(self, images: Sequence[str], table: FeatureTable, store: FeatureStore) -> np.ndarray:
        """Return the head's logits of images whose CLIP embeddings are in ``table``."""
        return self._head.logits(images, table, store)

    def judge(self, rows: np.ndarray) -> Decisions:
        """Decide from logits."""
        logit = rows.astype(np.float64).squeeze(1)
        predicted = (logit > 0).astype(int)  # sigmoid > 1/2; at 1/2 the published rounding gives 0
        score = sigmoid(logit if self._present == 1 else -logit)
        label = [self.classes[i] for i in predicted]
        return Decisions(predicted == self._present, score, label)


def _build() -> nn.Module:
    from checkers.heads import BiMultiCHead

    return BiMultiCHead()


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-x)) without overflow."""
    return np.exp(-np.logaddexp(0, -x))
