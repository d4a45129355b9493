"""LPIPS (AlexNet, version 0.1) of pairs of images, as the lpips package computes it.

R. Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric",
arXiv 1801.03924; https://github.com/richzhang/PerceptualSimilarity. With y_l(x) the activations
after AlexNet's l-th ReLU, scaled to unit length over channels at each position p, and w_l the
learned weights of their channels,

    d(x, x') = sum_l mean_p sum_c w_lc (y_lcp(x) - y_lcp(x'))^2
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from extractors.base import Embeddings, PairExtractor, Sample, pixels_of
from extractors.torch_run import inference, place
from inputs.images import Picture
from model_files.digests import file_sha256
from model_files.download import Published
from model_files.published import find_checkpoint, is_published
from model_files.state_dicts import load_state_dict, load_strictly
from utils.device import torch_device
from utils.errors import MissingModelError, UserError

if TYPE_CHECKING:
    import torch
    from torch import nn

BACKBONE = Published(
    "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
    244,
)
_LINEAR_SHA256 = "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0"
_RELUS = (1, 4, 7, 9, 11)  # positions in AlexNet's features
# The mean and standard deviation the network was calibrated with, on the scale -1 to 1.
_MEAN = (-0.030, -0.088, -0.188)
_STD = (0.458, 0.448, 0.450)
_EPSILON = 1e-10
_SMALLEST = 31  # pixels; below that the second pool has no whole window
_LARGEST = 2048 * 2048  # pixels: AlexNet takes 150 bytes for each of a pair


class LpipsExtractor(PairExtractor):
    """LPIPS distance of a candidate to its reference: 0 for equal images, no upper bound.

    Images are compared at their own size; nothing is resized.

    Args:
        model: an AlexNet state dict in torchvision's format; default torchvision's own, from
            torch.hub's cache.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``fp32``, or ``bf16`` / ``fp16`` (autocast of AlexNet; distances are fp32).

    Raises:
        MissingModelError: the weights are not to be had.
        UserError: those in the cache are not the published ones; of ``check`` and the first
            ``forward``: they are another network's.
    """

    name = "lpips"
    path: Path
    option = "lpips_backbone"  # on the left of --model NAME=...
    rows = Embeddings(1)

    def __init__(
        self, model: str | None = None, device: str = "auto", precision: str = "fp32"
    ) -> None:
        super().__init__(model, device, precision)
        self.linear = _linear_file()
        self.path = find_checkpoint(self.option, model, BACKBONE)

    @property
    def published(self) -> bool | str | None:
        return is_published(BACKBONE, self.path)

    @property
    def spec(self) -> dict[str, Any]:
        return {
            "sha256": file_sha256(self.path),
            "linear_sha256": file_sha256(self.linear),
            "preprocess": "x/127.5-1, not resized",
            "precision": self.precision,
        }

    @property
    def provenance(self) -> dict[str, Any]:
        return {**super().provenance, "linear_path": str(self.linear)}

    def check(self) -> None:
        """Make sure that the weights are AlexNet's, without running it.

        Raises:
            UserError: they are not.
        """
        _alexnet(self.path)

    def prepare(self, picture: Picture) -> Sample:
        """Return the pixels, uint8 of shape (height, width, 3).

        Raises:
            UnreadableImageError: too small for AlexNet, or over ``_LARGEST``.
        """
        return pixels_of(picture, "AlexNet", _SMALLEST, _LARGEST)

    def forward(self, batch: Sequence[tuple[Sample, Sample]]) -> np.ndarray:
        """Return the distances, float32 of shape (len(batch), 1).

        A sample that is in several pairs goes through AlexNet once.
        """
        import torch

        network, device = self._network, torch_device(self.device)
        samples = list({id(sample): sample for pair in batch for sample in pair}.values())
        position = {id(sample): i for i, sample in enumerate(samples)}
        pairs = torch.tensor([[position[id(sample)] for sample in pair] for pair in batch])
        pixels = torch.from_numpy(np.stack([sample.pixels for sample in samples]))
        with inference(device, self.precision):
            distances = network.distances(pixels.to(device), *pairs.to(device).T)
        return distances[:, None].cpu().numpy()

    @cached_property
    def _network(self) -> _Network:
        device = torch_device(self.device)
        state = load_state_dict(self.linear)
        linear = [state[f"lin{i}.model.1.weight"].flatten() for i in range(len(_RELUS))]
        return _Network(place(_alexnet(self.path), device), [w.to(device) for w in linear])


@dataclass(frozen=True)
class _Network:
    """AlexNet's convolutions, and for each ReLU the weights of its channels."""

    features: nn.Sequential
    linear: list[torch.Tensor]

    def distances(
        self, pixels: torch.Tensor, references: torch.Tensor, candidates: torch.Tensor
    ) -> torch.Tensor:
        """Return the distances of pairs of a batch's images.

        Args:
            pixels: uint8 of shape (images, height, width, 3).
            references, candidates: positions in ``pixels``, each of shape (pairs,).

        Returns:
            float32 of shape (pairs,).
        """
        # x/127.5 - 1, then minus the mean, over the standard deviation: in one step.
        mean, std = (pixels.new_tensor(v, dtype=self.linear[0].dtype) for v in (_MEAN, _STD))
        scaled = (pixels - 127.5 * (1 + mean)) / (127.5 * std)
        x = scaled.permute(0, 3, 1, 2)
        total = x.new_zeros(len(references))
        weights = iter(self.linear)
        # Layer by layer, so that only one layer's activations are held.
        for i, layer in enumerate(self.features[: _RELUS[-1] + 1]):
            x = layer(x)
            if i in _RELUS:
                unit = _unit_length(x.float())
                squared = (unit[references] - unit[candidates]).square_().mean((2, 3))
                total += (squared * next(weights)).sum(1)
        return total


def _unit_length(x: torch.Tensor) -> torch.Tensor:
    """Scale activations of shape (n, channels, h, w) to unit length over channels."""
    return x / (x.square().sum(1, keepdim=True).sqrt() + _EPSILON)


def _alexnet(path: Path) -> nn.Sequential:
    """Load the convolutional part of an AlexNet; the file may leave the classifier out.

    A. Krizhevsky, "One weird trick for parallelizing convolutional neural networks", arXiv
    1404.5997, with torchvision's state-dict keys; importing torchvision takes four seconds.
    """
    import torch
    from torch import nn

    def relu() -> nn.ReLU:
        return nn.ReLU(inplace=True)

    with torch.device("meta"):  # no memory for what the file's tensors replace
        layers = [nn.Conv2d(3, 64, 11, stride=4, padding=2), relu(), nn.MaxPool2d(3, 2)]
        layers += [nn.Conv2d(64, 192, 5, padding=2), relu(), nn.MaxPool2d(3, 2)]
        for channels, outputs in ((192, 384), (384, 256), (256, 256)):
            layers += [nn.Conv2d(channels, outputs, 3, padding=1), relu()]
    network = nn.Sequential(OrderedDict(features=nn.Sequential(*layers)))
    state = {k: v for k, v in load_state_dict(path).items() if str(k).startswith("features.")}
    return load_strictly(network, state, path).features


def _linear_file() -> Path:
    """The linear layers in torchmetrics' wheel, which is not imported."""
    spec = find_spec("torchmetrics")
    if spec is None:
        raise MissingModelError(
            "LPIPS takes its linear layers from torchmetrics: pip install torchmetrics"
        )
    path = Path(spec.submodule_search_locations[0], "functional/image/lpips_models/alex.pth")
    if not path.is_file() or file_sha256(path) != _LINEAR_SHA256:
        raise UserError(f"{path}: not the LPIPS v0.1 AlexNet layers: reinstall torchmetrics")
    return path
