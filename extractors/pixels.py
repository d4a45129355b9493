"""SSIM and mean squared error of pairs of images."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from extractors.base import Embeddings, PairExtractor, Sample, pixels_of
from extractors.torch_run import inference
from inputs.images import Picture
from utils.device import torch_device
from utils.errors import UserError

if TYPE_CHECKING:
    import torch

# Z. Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity",
# 2004: a Gaussian window of 11 x 11 pixels.
_SSIM = {"gaussian_kernel": True, "sigma": 1.5, "k1": 0.01, "k2": 0.03, "data_range": 1.0}
_CONTEXT = 5  # pixels on each side of one that its window takes
_SMALLEST = _CONTEXT + 1  # pixels; torchmetrics mirrors five at each edge
_LARGEST = 4096 * 4096  # pixels: of a pair and its loading a run holds up to 40 bytes for each
_STRIP = 1 << 20  # pixels that are compared at a time; torchmetrics takes 450 bytes for each


class PixelsExtractor(PairExtractor):
    """Rows are [SSIM, MSE] of images on the scale 0 to 1; PSNR in dB is -10 log10 MSE.

    SSIM is that of ``torchmetrics``: at most 1, the mean over positions and RGB channels.

    In fp32 whatever precision is asked for: variances need it.

    Raises:
        UserError: torchmetrics is not installed.
    """

    name = "pixels"
    rows = Embeddings(2)
    slow_to_load = True

    @property
    def spec(self) -> dict[str, Any]:
        try:
            torchmetrics = version("torchmetrics")
        except PackageNotFoundError as error:
            raise UserError("SSIM needs torchmetrics: pip install torchmetrics") from error
        return {"torchmetrics": torchmetrics, "ssim": _SSIM, "precision": "fp32"}

    def prepare(self, picture: Picture) -> Sample:
        """Return the pixels, uint8 of shape (height, width, 3).

        Raises:
            UnreadableImageError: too small for SSIM's window, or over ``_LARGEST``.
        """
        return pixels_of(picture, "SSIM", _SMALLEST, _LARGEST)

    def load(self) -> None:
        """Import torchmetrics."""
        import torchmetrics.functional.image  # noqa: F401

    def forward(self, batch: Sequence[tuple[Sample, Sample]]) -> np.ndarray:
        """Return SSIM and MSE of each pair, float32 of shape (len(batch), 2).

        Pair by pair: torchmetrics holds ten float images for each, and a whole batch at once is
        slower.
        """
        return np.stack([self._compare(*pair) for pair in batch])

    def _compare(self, reference: Sample, candidate: Sample) -> np.ndarray:
        device = torch_device(self.device)
        height, width, _ = reference.pixels.shape
        step = max(1, _STRIP // width)
        total = np.zeros(2)
        with inference(device, "fp32"):
            for first in range(0, height, step):
                end = min(first + step, height)
                above, below = min(first, _CONTEXT), min(height - end, _CONTEXT)
                rows = slice(first - above, end + below)
                target, image = (
                    _as_tensor(sample.pixels[rows], device) for sample in (reference, candidate)
                )
                own = slice(above, above + end - first)
                total += (end - first) / height * _means(target, image, own)
        return total.astype(np.float32)


def _as_tensor(pixels: np.ndarray, device: torch.device) -> torch.Tensor:
    """Pixels of shape (height, width, 3) as float32 of shape (1, 3, height, width).

    The batch axis comes before the permutation: so torch sees that channels are last, a layout in
    which the depthwise convolutions of SSIM are several times faster.
    """
    import torch

    return torch.tensor(pixels[None], device=device).permute(0, 3, 1, 2).float()


def _means(target: torch.Tensor, image: torch.Tensor, rows: slice) -> np.ndarray:
    """SSIM and MSE over some rows of images, both of shape (1, 3, height, width), 0 to 255."""
    from torchmetrics.functional.image import structural_similarity_index_measure as ssim

    # Differences of integers are exact.
    mse = (image[:, :, rows] - target[:, :, rows]).square().mean() / 255**2
    _, similarity = ssim(image / 255, target / 255, **_SSIM, return_full_image=True)
    return np.array([similarity[:, :, rows].mean().item(), mse.item()])
