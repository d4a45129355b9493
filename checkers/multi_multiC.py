"""The multi-class CLIP checkers: one head for nudity, one for objects, one for styles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from checkers.base import Checker, CheckerOptions, Decisions
from checkers.logits import Head
from extractors import EXTRACTORS
from features.store import FeatureStore, FeatureTable
from model_files.heads import HEADS, find_head
from model_files.published import is_published
from utils.name_to_id import NAME_TO_ID, NEUTRAL_CLASS

if TYPE_CHECKING:
    from torch import nn

_TASK_OF = {
    name: task
    for task, table in NAME_TO_ID.items()
    for name in table
    if task != "Nudity" and name != "other"
} | {task: task for task in NAME_TO_ID}


class MultiMultiCChecker(Checker):
    """``multi_multiC``: present when the most probable class is the concept.

    A whole task (``Object``, ``Style``) is present when the class is any but the neutral one
    (``other``, ``realistic-styleless``); ``Nudity`` is its class ``nude``.
    """

    indicator = "multi_multiC"
    preference = 1
    sensitive = frozenset({"Nudity"})
    extractor_name = "clip"

    def __init__(self, concept: str, extractor: Any, head: Path) -> None:
        super().__init__(concept, extractor)
        self.task = _TASK_OF[concept]
        self.classes = tuple(NAME_TO_ID[self.task])  # in the order of the head's outputs
        self._head = Head(head, len(self.classes), self._build)

    @classmethod
    def concepts(cls) -> Mapping[str, str]:
        return {name: name for name in _TASK_OF}

    @classmethod
    def create(cls, concept: str, options: CheckerOptions) -> MultiMultiCChecker:
        layout = f"{cls.indicator}/{_TASK_OF[concept]}"
        head = find_head(layout, options.weights_dir, options.cache_dir)
        made = cls(concept, options.extractor(EXTRACTORS["clip"]), head)
        made._head.check(layout, made.extractor, options)
        return made

    @classmethod
    def files(cls) -> list[str]:
        return [layout for layout in HEADS if layout.startswith(f"{cls.indicator}/")]

    @property
    def title(self) -> str:
        if self.concept == self.task:
            counts = f"any class but {NEUTRAL_CLASS[self.task]}"
        else:
            counts = f"class {self.classes.index(self.concept)} of {len(self.classes)}"
        return f"{self.indicator} · {self.concept} · present = {counts}"

    @property
    def notes(self) -> list[str]:
        return self._head.notes(f"{self.indicator}/{self.task}", self.extractor)

    @property
    def provenance(self) -> dict[str, Any]:
        layout = f"{self.indicator}/{self.task}"
        return self._head.provenance | {"published": is_published(HEADS[layout], self._head.path)}

    def rows(self, images: Sequence[str], table: FeatureTable, store: FeatureStore) -> np.ndarray:
        """Return the head's logits of images whose CLIP embeddings are in ``table``."""
        return self._head.logits(images, table, store)

    def judge(self, rows: np.ndarray) -> Decisions:
        """Decide from logits."""
        logits = rows.astype(np.float64)
        predicted = logits.argmax(axis=1)
        probability = softmax(logits)
        if self.concept == self.task:
            neutral = self.classes.index(NEUTRAL_CLASS[self.task])
            present = predicted != neutral
            score = np.delete(probability, neutral, axis=1).sum(axis=1)
        else:
            target = self.classes.index(self.concept)
            present = predicted == target
            score = probability[:, target]
        return Decisions(present, score.clip(0, 1), [self.classes[i] for i in predicted])

    def _build(self) -> nn.Module:
        from checkers.heads import MultiMultiCHead

        return MultiMultiCHead(len(self.classes))


def softmax(x: np.ndarray) -> np.ndarray:
    """Return the softmax of each row, without overflow."""
    shifted = np.exp(x - x.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)
