"""What a checker is: it decides from an extractor's rows whether a concept is in an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from extractors.base import Extractor
from features.store import FeatureStore, FeatureTable


@dataclass(frozen=True)
class Decisions:
    """Decisions on n images.

    Attributes:
        present: bool of shape (n,): the concept is in the image.
        score: float64 of shape (n,), in [0, 1]: the probability that it is; for detectors the
            highest score among the labels that count.
        label: the predicted class of each image, ``""`` for none.
        detections: what a detector reports for each image, else None.
    """

    present: np.ndarray
    score: np.ndarray
    label: list[str]
    detections: list[list[dict[str, Any]]] | None = None


@dataclass(frozen=True)
class CheckerOptions:
    """What a checker may need to find its models.

    Attributes:
        weights_dir: the user's folder of heads, if any.
        cache_dir: where published heads are kept.
        models: the ``--model NAME=VALUE`` options.
        device, precision: for the extractor.
        preset: name of a detector's labels and threshold; None for the concept's first.
        threshold: in place of the preset's.
        trust_weights: load files that can run code, though they are not the published ones.
    """

    cache_dir: Path
    weights_dir: Path | None = None
    models: Mapping[str, str] | None = None
    device: str = "auto"
    precision: str = "fp32"
    preset: str | None = None
    threshold: float | None = None
    trust_weights: bool = False

    def extractor(self, kind: type) -> Extractor:
        """Make an extractor of class ``kind``.

        Raises:
            UserError: its model is not to be had, or the one that the user gave is another
                network's.
        """
        model = (self.models or {}).get(getattr(kind, "option", kind.name))
        more = {"trust": True} if self.trust_weights and kind.name == "yolo" else {}
        made = kind(model, device=self.device, precision=self.precision, **more)
        if model is not None and not self.has_rows(made.id):
            made.check()
        return made

    def has_rows(self, table: str) -> bool:
        """Whether the store has rows under that name, so that their network once ran."""
        return (self.cache_dir / table).is_dir()


class Checker(Protocol):
    """Decides on one concept.

    ``concepts()`` maps every accepted name to the concept's canonical name; ``create`` makes
    the checker of a canonical name.

    Attributes:
        name: what its rates are called: the indicator, and the preset of a detector.
        score_name: what its scores are called: presets of the same labels share it.
    """

    indicator: str
    name: str
    score_name: str
    concept: str
    extractor: Extractor
    classes: Sequence[str]  # what ``Decisions.label`` may be; empty for detectors

    @classmethod
    def concepts(cls) -> Mapping[str, str]:
        """Accepted name -> canonical concept."""

    @classmethod
    def create(cls, concept: str, options: CheckerOptions) -> Checker:
        """Make the checker of a concept; raises UserError when a model is not to be had."""

    @classmethod
    def variants(cls, concept: str, options: CheckerOptions) -> list[Checker]:
        """Make every checker of a concept: of a detector one for each preset, else ``create``'s."""

    @property
    def title(self) -> str:
        """One line for people: indicator, concept, and what counts as present."""

    @property
    def notes(self) -> Sequence[str]:
        """What a reader of its decisions must know: warnings, none where all is as published."""

    @property
    def provenance(self) -> dict[str, Any]:
        """What the manifest says of the head or preset."""

    def decide(self, images: Sequence[str], table: FeatureTable, store: FeatureStore) -> Decisions:
        """Decide on images (SHA-256 of each) whose rows are in the extractor's ``table``."""
