"""CLIP's projected text embeddings, kept in the feature store beside the images'."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from extractors.base import Embeddings
from extractors.clip import TOKENIZER_FILES, ClipExtractor, load_tower
from extractors.store import FeatureStore
from extractors.torch_run import inference
from utils.device import torch_device
from utils.errors import UserError
from utils.weights import file_sha256, spec_digest

_BATCH = 64


@dataclass(frozen=True)
class ClipText:
    """The text side of a CLIP model.

    Args:
        images: the image side; folder, device and precision are its.
    """

    images: ClipExtractor

    @cached_property
    def _config(self) -> dict[str, Any]:
        return json.loads((self.images.folder / "config.json").read_text())

    @cached_property
    def max_tokens(self) -> int:
        """The longest text the model takes, start and end token included."""
        return self._config.get("text_config", {}).get("max_position_embeddings", 77)

    @cached_property
    def id(self) -> str:
        """Key of the rows in the store: the image side's, the tokenizer, the text config."""
        folder = self.images.folder
        files = [folder / name for name in TOKENIZER_FILES if (folder / name).is_file()]
        digests = {path.name: file_sha256(path) for path in files}
        parts = {"text": self._config.get("text_config"), "tokenizer": digests}
        return f"{self.images.id}-text-{spec_digest(**parts)}"

    def truncated(self, texts: Sequence[str], store: FeatureStore) -> int:
        """Return how many of the texts are too long and embedded without their tail."""
        table = store.table(f"{self.id}-tokens", Embeddings(1))
        keys = [hashlib.sha256(text.encode()).hexdigest() for text in texts]

        def count(lacking: list[str]) -> np.ndarray:
            ids = self._tokenizer(lacking)["input_ids"]
            return np.array([[len(row)] for row in ids], np.float32)

        table.complete(dict(zip(keys, texts, strict=True)), count)
        return int((table.get(keys) > self.max_tokens).sum())

    def embed(
        self, texts: Sequence[str], store: FeatureStore, *, keep_end: bool = True
    ) -> np.ndarray:
        """Return projected text embeddings, float32 of shape (len(texts), dim).

        Equal texts are embedded once, and never again while the store has them.

        Args:
            keep_end: truncate a text that is too long before its end token, whose state is the
                embedding. False cuts the end token off, as torchmetrics does (its issue 2883).

        Raises:
            UserError: the folder holds no tokenizer or no text tower.
        """
        table = store.table(self.id, Embeddings(self.images.rows.dim))
        keys = [hashlib.sha256(f"{keep_end}\0{text}".encode()).hexdigest() for text in texts]

        def forward(lacking: list[str]) -> np.ndarray:
            starts = range(0, len(lacking), _BATCH)
            return np.concatenate(
                [self._forward(lacking[i : i + _BATCH], keep_end) for i in starts]
            )

        table.complete(dict(zip(keys, texts, strict=True)), forward)
        return table.get(keys)

    def _forward(self, texts: list[str], keep_end: bool) -> np.ndarray:
        import torch

        ids = self._tokenizer(texts, truncation=keep_end, max_length=self.max_tokens)["input_ids"]
        ids = [torch.tensor(row[: self.max_tokens]) for row in ids]
        # Padding stands behind the end token, where causal attention does not see it.
        padding = self._tokenizer.pad_token_id or 0
        batch = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=padding)
        mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in ids], True)
        device = self._network.device
        with inference(device, self.images.precision):
            out = self._network(input_ids=batch.to(device), attention_mask=mask.to(device))
        return out.text_embeds.float().cpu().numpy()

    @cached_property
    def _tokenizer(self):
        from transformers import AutoTokenizer

        folder: Path = self.images.folder
        try:
            return AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except Exception as error:  # transformers raises many kinds for a bad folder
            raise UserError(
                f"{folder}: no usable tokenizer there (tokenizer.json, or vocab.json and "
                "merges.txt); CSDR needs one"
            ) from error

    @cached_property
    def _network(self):
        from transformers import CLIPTextModelWithProjection

        kind, folder = CLIPTextModelWithProjection, self.images.folder
        return load_tower(kind, folder, torch_device(self.images.device))
