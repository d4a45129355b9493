"""What an extractor is: the only kind of object that runs a network.

An ``Extractor`` makes one row for an image; a ``PairExtractor`` one row for two images, a
reference and a candidate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Protocol

import numpy as np

from inputs.images import Picture, UnreadableImageError

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


class Extractor(Protocol):
    """A model with its preprocessing. A row depends on its image alone.

    Making one is cheap; the network is loaded when the first image needs it, so a run that finds
    every row in the store never loads it.

    Attributes:
        slow_to_load: importing its library takes seconds, so others are loaded before it.
    """

    name: str
    rows: Embeddings | Detections
    slow_to_load: bool

    @property
    def id(self) -> str:
        """Key of the rows in the store: covers model, weights, preprocessing and dtype."""

    @property
    def provenance(self) -> dict[str, Any]:
        """What the manifest says of the model: path, sha256 of the weights, preprocessing."""

    def prepare(self, picture: Picture) -> Sample:
        """Make the network's input. Runs in loader threads.

        Raises:
            UnreadableImageError: this image cannot be the network's input. Whatever else is
                raised ends the run.
        """

    def check(self) -> None:
        """Make sure that a model file is this network's, before an image is read.

        Raises:
            UserError: it is not.
        """

    def load(self) -> None:
        """Import and load what ``forward`` needs; else its first call does."""

    def unload(self) -> None:
        """Let go of what was loaded; a later ``forward`` loads it anew."""

    def forward(self, batch: Sequence[Sample]) -> Sequence[Any]:
        """Return one row for each sample; all samples have the same shape.

        A row with a value that is not finite, and None in the place of one, is a failure of that
        image: the engine names it and keeps nothing.
        """


class PairExtractor(Protocol):
    """A model that compares a candidate with its reference; else as ``Extractor``.

    ``prepare`` runs once for each image, however many pairs it is in, so the two samples of a
    pair, and the references of several pairs of a batch, may be one and the same object.
    """

    name: str
    rows: Embeddings
    slow_to_load: bool

    @property
    def id(self) -> str:
        """Key of the rows in the store."""

    @property
    def provenance(self) -> dict[str, Any]:
        """What the manifest says of the model."""

    def prepare(self, picture: Picture) -> Sample:
        """Make the network's input, as an ``Extractor`` does."""

    def check(self) -> None:
        """Make sure that a model file is this network's, before an image is read."""

    def load(self) -> None:
        """Import and load what ``forward`` needs; else its first call does."""

    def unload(self) -> None:
        """Let go of what was loaded; a later ``forward`` loads it anew."""

    def forward(self, batch: Sequence[tuple[Sample, Sample]]) -> Sequence[Any]:
        """Return one row for each (reference, candidate); all samples have the same shape."""


class KeepsNetwork:
    """``check``, ``load`` and ``unload`` of extractors whose ``_network`` is a cached property."""

    _network: Any

    def check(self) -> None:
        """Load the network once: what cannot be loaded shows before an image is read."""
        self.load()
        self.unload()

    def load(self) -> None:
        """Load the network, if that was not done before."""
        _ = self._network

    def unload(self) -> None:
        """Let go of the network; a later ``forward`` loads it anew."""
        vars(self).pop("_network", None)


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
