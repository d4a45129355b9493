"""SSIM and mean squared error of pairs of images."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from extractors.base import Embeddings, Sample
from extractors.torch_run import inference
from utils.device import torch_device
from utils.errors import UserError
from utils.images import Picture
from utils.weights import spec_digest

# Z. Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity",
# 2004: a Gaussian window of 11 x 11 pixels.
_SSIM = {"gaussian_kernel": True, "sigma": 1.5, "k1": 0.01, "k2": 0.03, "data_range": 1.0}
_SMALLEST = 6  # pixels; torchmetrics mirrors five at each edge


class PixelsExtractor:
    """Rows are [SSIM, MSE] of images on the scale 0 to 1; PSNR in dB is -10 log10 MSE.

    SSIM is that of ``torchmetrics``: at most 1, the mean over positions and RGB channels.

    Args:
        model: there is none to choose.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ignored: variances need fp32.

    Raises:
        UserError: a model was given, or torchmetrics is not installed.
    """

    name = "pixels"
    rows = Embeddings(2)
    slow_to_load = True

    def __init__(
        self, model: str | None = None, device: str = "auto", precision: str = "fp32"
    ) -> None:
        if model is not None:
            raise UserError(f"--model pixels={model}: pixels has no model to choose")
        self.device = device

    @property
    def provenance(self) -> dict[str, Any]:
        try:
            torchmetrics = version("torchmetrics")
        except PackageNotFoundError as error:
            raise UserError("SSIM needs torchmetrics: pip install torchmetrics") from error
        return {"torchmetrics": torchmetrics, "ssim": _SSIM, "precision": "fp32"}

    @property
    def id(self) -> str:
        return f"pixels-{spec_digest(**self.provenance)}"

    def prepare(self, picture: Picture) -> Sample:
        """Return the pixels, uint8 of shape (height, width, 3).

        Raises:
            ValueError: too small for SSIM's window.
        """
        if min(picture.rgb.size) < _SMALLEST:
            raise ValueError(f"SSIM needs at least {_SMALLEST} pixels a side")
        return Sample(np.asarray(picture.rgb), picture.rgb.size)

    def check(self) -> None:
        """There is no model file."""

    def load(self) -> None:
        """Import torchmetrics."""
        import torchmetrics.functional.image  # noqa: F401

    def unload(self) -> None:
        """There is no network to let go of."""

    def forward(self, batch: Sequence[tuple[Sample, Sample]]) -> np.ndarray:
        """Return SSIM and MSE of each pair, float32 of shape (len(batch), 2).

        Pair by pair: torchmetrics holds ten float images for each, and a whole batch at once is
        slower.
        """
        return np.stack([self._compare(*pair) for pair in batch])

    def _compare(self, reference: Sample, candidate: Sample) -> np.ndarray:
        import torch
        from torchmetrics.functional.image import structural_similarity_index_measure as ssim

        device = torch_device(self.device)
        with inference(device, "fp32"):
            # The batch axis comes before the permutation: so torch sees that channels are last,
            # a layout in which the depthwise convolutions of SSIM are several times faster.
            target, image = (
                torch.tensor(sample.pixels[None], device=device).permute(0, 3, 1, 2).float()
                for sample in (reference, candidate)
            )
            mse = (image - target).square().mean() / 255**2  # differences of integers are exact
            row = torch.stack([ssim(image / 255, target / 255, **_SSIM), mse])
        return row.cpu().numpy()
