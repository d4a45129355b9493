"""The FID's Inception features, preprocessed as clean-fid does."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from extractors.base import Embeddings, Extractor, Sample
from extractors.torch_run import inference, place
from inputs.images import Picture
from model_files.digests import file_sha256
from model_files.download import Published
from model_files.published import find_checkpoint, is_published
from model_files.state_dicts import load_state_dict, load_strictly
from utils.device import torch_device

if TYPE_CHECKING:
    from torch import nn

    from extractors.inception_v3 import FidInceptionV3

WEIGHTS = Published(
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
    "pt_inception-2015-12-05-6726825d.pth",
    "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    96,
)
_SIZE = (299, 299)


class InceptionExtractor(Extractor):
    """Pool features of the 2015-12-05 Inception-v3, the space of FID and KID.

    Preprocessing is bit-identical to clean-fid's mode ``clean`` (G. Parmar et al., "On Aliased
    Resizing and Surprising Subtleties in GAN Evaluation", arXiv 2104.11222).

    Args:
        model: a weights file; default the published one, from torch.hub's cache.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``fp32``, or ``bf16`` / ``fp16`` (autocast).

    Raises:
        MissingModelError: the weights are not to be had.
        UserError: those in the cache are not the published ones; of ``check`` and the first
            ``forward``: they are another network's.
    """

    name = "inception"
    path: Path
    option = "inception"
    rows = Embeddings(2048)
    slow_to_load = True

    def __init__(
        self, model: str | None = None, device: str = "auto", precision: str = "fp32"
    ) -> None:
        super().__init__(model, device, precision)
        self.path = find_checkpoint(self.name, model, WEIGHTS)

    @property
    def published(self) -> bool | str | None:
        return is_published(WEIGHTS, self.path)

    @property
    def spec(self) -> dict[str, Any]:
        return {
            "sha256": file_sha256(self.path),
            "preprocess": "channels as float, bicubic to 299x299, clipped to 0..255, (x-128)/128",
            "precision": self.precision,
        }

    def check(self) -> None:
        """Make sure that the weights are this network's, without running it.

        Raises:
            UserError: they are not.
        """
        self._read()

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
    def _network(self) -> nn.Module:
        from extractors.inception_v3 import fused

        return place(fused(self._read()), torch_device(self.device))

    def _read(self) -> FidInceptionV3:
        import torch

        from extractors.inception_v3 import FidInceptionV3

        with torch.device("meta"):  # no memory for what the file's tensors replace
            network = FidInceptionV3()
        return load_strictly(network, load_state_dict(self.path), self.path)
