"""The FID's Inception features, preprocessed as clean-fid does."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from PIL import Image

from extractors.base import Embeddings, KeepsNetwork, Sample
from extractors.torch_run import inference, place
from utils.device import torch_device
from utils.images import Picture
from utils.weights import (
    Published,
    file_sha256,
    find_checkpoint,
    load_state_dict,
    load_strictly,
    spec_digest,
)

WEIGHTS = Published(
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
    "pt_inception-2015-12-05-6726825d.pth",
    "6726825d",
)
_SIZE = (299, 299)


class InceptionExtractor(KeepsNetwork):
    """Pool features of the 2015-12-05 Inception-v3, the space of FID and KID.

    Preprocessing is bit-identical to clean-fid's mode ``clean`` (G. Parmar et al., "On Aliased
    Resizing and Surprising Subtleties in GAN Evaluation", arXiv 2104.11222).

    Args:
        model: a weights file; default the published one, from torch.hub's cache.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``fp32``, or ``bf16`` / ``fp16`` (autocast).

    Raises:
        UserError: the weights are not to be had; at the first ``forward``: they are another
            network's.
    """

    name = "inception"
    rows = Embeddings(2048)
    slow_to_load = True

    def __init__(
        self, model: str | None = None, device: str = "auto", precision: str = "fp32"
    ) -> None:
        self.path = find_checkpoint(self.name, model, WEIGHTS)
        self.device = device
        self.precision = precision

    @property
    def provenance(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "sha256": file_sha256(self.path),
            "preprocess": "channels as float, bicubic to 299x299, clipped to 0..255, (x-128)/128",
            "precision": self.precision,
        }

    @property
    def id(self) -> str:
        parts = {k: v for k, v in self.provenance.items() if k != "path"}
        return f"inception-{self.precision}-{spec_digest(**parts)}"

    def prepare(self, picture: Picture) -> Sample:
        """Resize each channel by itself in float: float32 of shape (3, 299, 299), 0 to 255."""
        channels = [
            channel.convert("F").resize(_SIZE, Image.Resampling.BICUBIC)
            for channel in picture.rgb.split()
        ]
        pixels = np.stack([np.asarray(channel) for channel in channels]).clip(0, 255)
        return Sample(pixels, picture.rgb.size)

    def forward(self, batch: Sequence[Sample]) -> np.ndarray:
        """Return pool features, float32 of shape (len(batch), 2048)."""
        import torch

        network, device = self._network, torch_device(self.device)
        pixels = torch.from_numpy(np.stack([sample.pixels for sample in batch])).to(device)
        with inference(device, self.precision):
            features = network((pixels - 128) / 128)
        return features.float().cpu().numpy()

    @cached_property
    def _network(self):
        from extractors.inception_v3 import FidInceptionV3, fused

        network = load_strictly(FidInceptionV3(), load_state_dict(self.path), self.path)
        return place(fused(network), torch_device(self.device))
