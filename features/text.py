"""CLIP's projected text embeddings, kept in the feature store beside the images'."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from extractors.base import Embeddings
from extractors.clip import TOKENIZER_FILES, ClipExtractor
from extractors.torch_run import inference
from features.store import FeatureStore
from model_files.check import check_file
from model_files.digests import file_sha256, spec_digest
from utils.device import torch_device
from utils.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import nn

_BATCH = 64
_LARGEST_FILE = 100 << 20  # bytes of a tokenizer; CLIP's has two million


@dataclass(frozen=True)
class ClipText:
    """The text side of a CLIP model.

    Args:
        images: the image side; folder, device and precision are its.
    """

    images: ClipExtractor

    @property
    def _config(self) -> Mapping[str, Any]:
        return self.images.config.text

    @property
    def max_tokens(self) -> int:
        """The longest text the model takes, start and end token included."""
        return self._config["max_position_embeddings"]

    @cached_property
    def id(self) -> str:
        """Key of the rows in the store: the image side's, the tokenizer, the text config."""
        folder = self.images.folder
        files = [folder / name for name in TOKENIZER_FILES if (folder / name).is_file()]
        digests = {path.name: file_sha256(path) for path in files}
        parts = {"text": self.images.config.stated[1], "tokenizer": digests}
        return f"{self.images.id}-text-{spec_digest(**parts)}"

    def check(self) -> None:
        """Make sure that the tokenizer works and that the weights are this network's.

        Raises:
            UserError: they are not.
        """
        self._token_ids(["a photo"])
        self._tower("cpu")

    def truncated(self, texts: Sequence[str], store: FeatureStore) -> int:
        """Return how many of the texts are too long and embedded without their tail."""
        table = store.table(f"{self.id}-tokens", Embeddings(1))
        keys = [hashlib.sha256(text.encode()).hexdigest() for text in texts]

        def count(lacking: list[str]) -> np.ndarray:
            return np.array([[len(row)] for row in self._token_ids(lacking)], np.float32)

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

        network, device = self._network, torch_device(self.images.device)
        most = self.max_tokens
        ids = [
            torch.tensor([*row[: most - 1], row[-1]] if keep_end else row[:most])
            if len(row) > most
            else torch.tensor(row)
            for row in self._token_ids(texts)
        ]
        last = torch.tensor([self._last(row) for row in ids])
        # Padding stands behind, where causal attention does not see it.
        batch = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True)
        with inference(device, self.images.precision):
            embeddings = network(batch.to(device), last.to(device))
        return embeddings.float().cpu().numpy()

    def _last(self, ids: torch.Tensor) -> int:
        """Where transformers takes the state: at the end token, or at 0 if that was cut off."""
        end = self._config["eos_token_id"]
        # The first published configs say 2, where the greatest id is meant.
        return int(ids.argmax() if end == 2 else (ids == end).int().argmax())

    def _token_ids(self, texts: list[str]) -> list[list[int]]:
        """Return the tokens of each text, start and end included, however many they are."""
        folder: Path = self.images.folder
        file = folder / "tokenizer.json"
        for name in TOKENIZER_FILES:
            if os.path.lexists(folder / name):
                check_file(folder / name, str(folder / name), _LARGEST_FILE)
        try:
            if file.is_file():
                from tokenizers import Tokenizer

                tokenizer = Tokenizer.from_file(str(file))
                tokenizer.no_truncation()
                tokenizer.no_padding()
                rows = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
            else:
                from transformers import AutoTokenizer  # two seconds

                tokenizer = AutoTokenizer.from_pretrained(
                    folder, local_files_only=True, trust_remote_code=False
                )
                rows = tokenizer(texts)["input_ids"]
        except Exception as error:  # transformers raises many kinds for a bad folder
            raise UserError(
                f"{folder}: no usable tokenizer there (tokenizer.json, or vocab.json and "
                "merges.txt); CSDR needs one"
            ) from error
        if not all(row and max(row) < self._config["vocab_size"] for row in rows):
            raise UserError(f"{folder}: the tokenizer is not this model's")
        return rows

    @cached_property
    def _network(self) -> nn.Module:
        return self._tower(self.images.device)

    def _tower(self, device: str) -> nn.Module:
        from extractors.clip_towers import TextTower, load_tower

        folder, place = self.images.folder, torch_device(device)
        return load_tower(TextTower, folder, self._config, self.images.rows.dim, place)
