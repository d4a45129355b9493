"""Logits of a classifier head, kept in the feature store beside the embeddings they come from.

With every logit in the store a run needs neither the head nor torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from checkers.base import CheckerOptions
from extractors.base import Embeddings
from features.store import FeatureStore, FeatureTable
from model_files.digests import file_sha256, spec_digest
from model_files.heads import HEADS
from model_files.published import is_published
from utils.errors import UserError

if TYPE_CHECKING:
    from extractors.clip import ClipExtractor

EMBEDDING = 512  # numbers in the embeddings that the published heads take
_PATCH_SIZE = 32  # of the CLIP that they were trained on


@dataclass(frozen=True)
class Head:
    """A classifier head on CLIP embeddings.

    Attributes:
        path: its state dict.
        outputs: length of its logits.
        build: makes the module; called only when a logit is missing, as it imports torch.
    """

    path: Path
    outputs: int
    build: Callable[[], Any]

    @property
    def sha256(self) -> str:
        """Digest of the file."""
        return file_sha256(self.path)

    def notes(self, layout: str, clip: ClipExtractor) -> list[str]:
        """What a reader must know: another head than the published one, another model under it.

        Args:
            layout: the head's key in ``HEADS``.
            clip: where the embeddings come from.
        """
        notes = []
        if is_published(HEADS[layout], self.path) is False:
            notes.append(f"head {self.path} is not the published one: its SHA-256 differs")
        if clip.patch_size != _PATCH_SIZE:
            notes.append(
                f"CLIP ViT-B/{clip.patch_size} under a head: unless it was trained on that, not on "
                f"ViT-B/{_PATCH_SIZE} as the published ones, its decisions mean nothing"
            )
        return notes

    @property
    def provenance(self) -> dict[str, str]:
        """What the manifest says of the file."""
        return {"head": str(self.path), "sha256": self.sha256}

    def check(self, layout: str, clip: ClipExtractor, options: CheckerOptions) -> None:
        """Make sure, before an image is read, that the file is this head's and fits the model.

        Args:
            layout: the head's key in ``HEADS``.

        Raises:
            UserError: it is not, takes embeddings of another length, or is a published head under
                another CLIP than it was trained on.
        """
        published = options.weights_dir is None or is_published(HEADS[layout], self.path) is True
        if published and clip.patch_size != _PATCH_SIZE:
            raise UserError(
                f"{self.path}: the published head of {layout} was trained on CLIP "
                f"ViT-B/{_PATCH_SIZE}, this is a ViT-B/{clip.patch_size}; give such a model with "
                "--model clip=FOLDER, or a head of your own with --weights-dir"
            )
        if clip.rows.dim != EMBEDDING:
            raise UserError(
                f"{self.path}: takes embeddings of length {EMBEDDING}, the CLIP model gives "
                f"{clip.rows.dim}"
            )
        if options.weights_dir is not None and not options.has_rows(self._table(clip.id)):
            from checkers.heads import load_head

            load_head(self.build(), self.path)

    def logits(
        self, images: Sequence[str], embeddings: FeatureTable, store: FeatureStore
    ) -> np.ndarray:
        """Return the logits of images, float32 of shape (len(images), outputs).

        Args:
            images: SHA-256 of each file; the embeddings of all must be in ``embeddings``.

        Raises:
            UserError: the file is not this head's state dict, or does not fit the embeddings.
        """
        known = store.table(self._table(embeddings.folder.name), Embeddings(self.outputs))

        def compute(lacking: list[str]) -> np.ndarray:
            from checkers.heads import apply_head, load_head

            head = load_head(self.build(), self.path)
            return apply_head(head, embeddings.get(lacking), self.path)

        known.complete({image: image for image in images}, compute)
        return known.get(images)

    def _table(self, source: str) -> str:
        """The store's name of these logits, from that of the embeddings."""
        return f"{source}-head-{spec_digest(head=self.sha256)}"
