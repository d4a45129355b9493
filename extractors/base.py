"""What an extractor is: the only kind of object that runs a network.

An ``Extractor`` makes one row for an image; a ``PairExtractor`` one row for two images, a
reference and a candidate.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from inputs.images import Picture, UnreadableImageError
from model_files.digests import file_sha256, spec_digest
from utils.errors import UserError

BOX = ("score", "x", "y", "w", "h")  # the numbers of a detection


@dataclass(frozen=True)
class Sample:
    """One image made ready for a network.

    Attributes:
        pixels: the network's input; samples of equal shape may share a batch.
        size: (width, height) of the image as decoded, in pixels.
    """

    pixels: np.ndarray
    size: tuple[int, int]


@dataclass(frozen=True)
class Embeddings:
    """A row is a float32 vector of ``dim`` numbers."""

    dim: int


@dataclass(frozen=True)
class Detections:
    """A row is a list of dicts ``label, score, x, y, w, h``; boxes in pixels, top left + size."""


class Extractor(ABC):
    """A model with its preprocessing. A row depends on its image alone.

    Making one is cheap; the network is loaded when the first image needs it, so a run that finds
    every row in the store never loads it. A subclass states what differs from here; one with a
    network keeps it in a cached property ``_network``.

    Args:
        model: a file, folder or hub id; None for the default.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``fp32``, or ``bf16`` / ``fp16`` (autocast).

    Attributes:
        name: what scores ask for it by.
        rows: what a row is.
        option: on the left of ``--model NAME=...``; None where there is no file to choose.
        slow_to_load: importing its library takes seconds, so others are loaded before it.
        path: the model's file, where there is one.
        published: whether it is the published one; None where there is none.
    """

    name: ClassVar[str]
    rows: Embeddings | Detections
    option: ClassVar[str | None] = None
    slow_to_load: ClassVar[bool] = False
    path: Path | None = None

    def __init__(
        self, model: str | None = None, device: str = "auto", precision: str = "fp32"
    ) -> None:
        if model is not None and self.option is None:
            raise UserError(f"--model {self.name}={model}: {self.name} has no model to choose")
        self.device = device
        self.precision = precision

    @property
    def spec(self) -> dict[str, Any]:
        """Everything that a row depends on: network, weights, preprocessing, dtype.

        Of an extractor that does not say, the file that its class is written in: another version
        of it makes its rows anew.
        """
        return {"code": file_sha256(Path(inspect.getfile(type(self)))), "precision": self.precision}

    @property
    def id(self) -> str:
        """Key of the rows in the store: equal just where name and ``spec`` are."""
        return f"{self.name}-{spec_digest(**self.spec)}"

    @property
    def published(self) -> bool | str | None:
        return None

    @property
    def provenance(self) -> dict[str, Any]:
        """What the manifest says of the model: ``spec``, and where its file is."""
        about = {} if self.path is None else {"path": str(self.path)}
        known = {} if self.published is None else {"published": self.published}
        return {**about, **known, **self.spec}

    @abstractmethod
    def prepare(self, picture: Picture) -> Sample:
        """Make the network's input. Runs in loader threads.

        Raises:
            UnreadableImageError: this image cannot be the network's input. Whatever else is
                raised ends the run.
        """

    @abstractmethod
    def forward(self, batch: Sequence[Any]) -> Any:
        """Return one row for each sample, an array or a list; all samples have the same shape.

        A row with a value that is not finite, and None in the place of one, is a failure of that
        image: the engine names it and keeps nothing.
        """

    def check(self) -> None:
        """Make sure that a model file is this network's, before an image is read.

        Raises:
            UserError: it is not.
        """
        self.load()
        self.unload()

    def load(self) -> None:
        """Import and load what ``forward`` needs; else its first call does."""
        getattr(self, "_network", None)

    def unload(self) -> None:
        """Let go of the network; a later ``forward`` loads it anew."""
        vars(self).pop("_network", None)


class PairExtractor(Extractor):
    """A model that compares a candidate with its reference.

    ``forward`` takes (reference, candidate) pairs. ``prepare`` runs once for each image, however
    many pairs it is in, so the two samples of a pair, and the references of several pairs of a
    batch, may be one and the same object.
    """


def is_finite(row: np.ndarray | Sequence[Mapping[str, Any]] | None) -> bool:
    """Whether a row, an embedding or detections, can be decided on: comparisons with NaN cannot."""
    if row is None:
        return False
    if isinstance(row, np.ndarray):
        return bool(np.isfinite(row).all())
    return all(isfinite(found[field]) for found in row for field in BOX)


def pixels_of(picture: Picture, what: str, smallest: int, largest: int) -> Sample:
    """Return an image's pixels as they are, uint8 of shape (height, width, 3).

    Args:
        what: who takes them, for the message.
        smallest: pixels that each side must have.
        largest: pixels that the image may have.

    Raises:
        UnreadableImageError: it is too small or too large.
    """
    width, height = picture.rgb.size
    if min(width, height) < smallest:
        raise UnreadableImageError(f"{what} needs at least {smallest} pixels a side")
    if width * height > largest:
        raise UnreadableImageError(f"over {largest} pixels")
    return Sample(picture.pixels, picture.rgb.size)


def pair_key(reference: str, candidate: str) -> str:
    """Return the store's key of a pair, from the digests of its two files."""
    return f"{reference}-{candidate}"
