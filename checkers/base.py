"""What a checker is: it decides from an extractor's rows whether a concept is in an image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from extractors import EXTRACTORS
from extractors.base import is_finite
from features.store import FeatureStore, FeatureTable
from utils.errors import UserError, did_you_mean
from utils.name_to_id import match


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

    def extractor(self, kind: Any) -> Any:
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


@dataclass(frozen=True)
class Preset:
    """Which labels of a detector count, from which score on (strictly above), and who uses it.

    Attributes:
        label_set: what the labels are called together: presets of one set share their scores.
        caution: what a reader of its decisions must know.
    """

    label_set: str
    labels: tuple[str, ...]
    threshold: float
    source: str
    caution: str = ""


class Checker(ABC):
    """Decides on one concept. A subclass states what differs from here.

    Attributes:
        indicator: as on the command line.
        preference: of those that can judge a concept the least one does, if none is asked for.
        known: accepted names of each concept: the canonical one and others; of a class whose
            concepts are not computed.
        sensitive: the concepts whose images are not to be shown unasked.
        presets: concept -> name -> preset, the default first; empty where there are none.
        lowest_threshold: what the user may put in the place of a preset's; None where nothing may.
        extractor_name: the extractor whose rows it decides on.
        classes: what ``Decisions.label`` may be; empty for detectors.
        name: what its rates are called: the indicator, and the preset of a detector.
        score_name: what its scores are called: presets of the same labels share it.
        notes: what a reader of its decisions must know; none where all is as published.
    """

    indicator: ClassVar[str]
    preference: ClassVar[int] = 100
    known: ClassVar[Mapping[str, Sequence[str]]] = {}
    sensitive: ClassVar[frozenset[str]] = frozenset()
    presets: ClassVar[Mapping[str, Mapping[str, Preset]]] = {}
    lowest_threshold: ClassVar[float | None] = None
    extractor_name: ClassVar[str]
    classes: Sequence[str] = ()

    def __init__(self, concept: str, extractor: Any) -> None:
        self.concept = concept
        self.extractor = extractor
        self.name = self.score_name = self.indicator

    @classmethod
    def concepts(cls) -> Mapping[str, str]:
        """Accepted name -> canonical concept."""
        return {name: concept for concept, also in cls.known.items() for name in (concept, *also)}

    @classmethod
    def create(cls, concept: str, options: CheckerOptions) -> Checker:
        """Make the checker of a concept.

        Raises:
            UserError: a model is missing.
        """
        return cls(concept, options.extractor(EXTRACTORS[cls.extractor_name]))

    @classmethod
    def variants(cls, concept: str, options: CheckerOptions) -> list[Checker]:
        """Make every checker of a concept: of a detector one for each preset, else ``create``'s."""
        return [cls.create(concept, options)]

    @classmethod
    def files(cls) -> Sequence[str]:
        """Names of the published heads that it needs beside its extractor's model."""
        return ()

    @property
    def title(self) -> str:
        """One line for people: indicator, concept, and what counts as present."""
        return f"{self.indicator} · {self.concept}"

    @property
    def notes(self) -> Sequence[str]:
        return ()

    @property
    def provenance(self) -> dict[str, Any]:
        """What the manifest says of the head or preset."""
        return {}

    def decide(self, images: Sequence[str], table: FeatureTable, store: FeatureStore) -> Decisions:
        """Decide on images (SHA-256 of each) whose rows are in the extractor's ``table``.

        Raises:
            UserError: a row or a score is not finite: nothing can be decided by it.
        """
        rows = self.rows(images, table, store)
        array = isinstance(rows, np.ndarray)
        sound = np.isfinite(rows).all() if array else all(map(is_finite, rows))
        found = self.judge(rows) if sound else None
        if found is None or not np.isfinite(found.score).all():
            raise UserError(f"{self.name}: values that are not finite: a model's file is damaged")
        return found

    def rows(self, images: Sequence[str], table: FeatureTable, store: FeatureStore) -> Any:
        """Return what ``judge`` takes; a head's logits are kept in the store."""
        return table.get(images)

    @abstractmethod
    def judge(self, rows: Any) -> Decisions:
        """Decide from finite rows."""


def check_rule(preset: str | None, threshold: float | None, kinds: Iterable[type[Checker]]) -> None:
    """Refuse what no concept could be judged by, before any work.

    Args:
        kinds: the checkers that there are.

    Raises:
        UserError: no concept has the preset, or the threshold is out of range.
    """
    of_detectors = [kind for kind in kinds if kind.presets]
    known = [name for kind in of_detectors for several in kind.presets.values() for name in several]
    if preset is not None and match(preset, known) is None:
        hint = did_you_mean(preset, known)
        raise UserError(f"--preset {preset}: no such preset{hint}; there are {', '.join(known)}")
    lowest = min((k.lowest_threshold for k in of_detectors if k.lowest_threshold), default=0.0)
    if threshold is not None and not lowest <= threshold < 1:
        raise UserError(
            f"--threshold {threshold:g}: must be at least {lowest}, below which "
            f"{' and '.join(kind.indicator for kind in of_detectors)} report nothing, and under 1"
        )
