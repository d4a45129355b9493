"""CLIP's projected image embedding, the input of the classifier heads."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from extractors.base import Embeddings, Extractor, Sample
from extractors.clip_config import ClipConfig, read_json
from extractors.torch_run import inference
from inputs.images import Picture, check_pixels
from model_files.digests import file_sha256
from model_files.hub import as_published, find_hub_model, hub_weights
from utils.device import torch_device
from utils.errors import UserError

if TYPE_CHECKING:
    from torch import nn

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
)
# CLIP's own, for a model folder without preprocessor_config.json
# (https://github.com/openai/CLIP, clip/clip.py).
_MEAN = (0.48145466, 0.4578275, 0.40821073)
_STD = (0.26862954, 0.26130258, 0.27577711)
_STANDARD = {
    "resample": 3,  # bicubic
    "rescale_factor": 1 / 255,
    **dict.fromkeys(("do_resize", "do_center_crop", "do_rescale", "do_normalize"), True),
}


@dataclass(frozen=True)
class ClipPreprocess:
    """Preprocessing of a CLIP image tower: bicubic resize of the short edge, centre crop.

    Bit-identical to the PIL backend of transformers' ``CLIPImageProcessor``.

    Attributes:
        resize: length of the shorter edge after resizing, in pixels.
        crop: edge of the square crop, in pixels; at most ``resize``.
        mean, std: of each channel, on the scale 0 to 1.
    """

    resize: int
    crop: int
    mean: tuple[float, ...] = _MEAN
    std: tuple[float, ...] = _STD

    @classmethod
    def of(cls, folder: Path, image_size: int) -> ClipPreprocess:
        """Read ``preprocessor_config.json`` of a model folder; CLIP's own where there is none.

        Args:
            image_size: edge of the images that the network takes, in pixels.

        Raises:
            UserError: it asks for anything that CLIP does not do.
        """
        file = folder / "preprocessor_config.json"
        if not file.is_file():
            return cls(image_size, image_size)
        config = read_json(file)
        size, crop = config.get("size", image_size), config.get("crop_size", image_size)
        resize = size.get("shortest_edge") if isinstance(size, dict) else size
        edges = crop.values() if isinstance(crop, dict) else [crop]
        mean, std = config.get("image_mean", _MEAN), config.get("image_std", _STD)
        fits = {key: config.get(key, value) == value for key, value in _STANDARD.items()} | {
            "size": isinstance(resize, int) and image_size <= resize <= 10 * image_size,
            "crop_size": all(edge == image_size for edge in edges),
            "image_mean": _is_colour(mean),
            "image_std": _is_colour(std) and min(std) > 0,
        }
        wrong = next((key for key, right in fits.items() if not right), None)
        if wrong:
            what = f"{wrong} = {config.get(wrong)!s:.80}"
            raise UserError(f"{file}: {what} is not how CLIP's images are prepared")
        return cls(resize, image_size, tuple(mean), tuple(std))

    def resized(self, image: Image.Image) -> np.ndarray:
        """Resize and crop.

        Returns:
            uint8 array of shape (crop, crop, 3).
        """
        width, height = image.size
        short = min(width, height)
        scaled = (int(self.resize * width / short), int(self.resize * height / short))
        check_pixels(*scaled)
        image = image.resize(scaled, Image.Resampling.BICUBIC)
        left, top = (scaled[0] - self.crop) // 2, (scaled[1] - self.crop) // 2
        return np.asarray(image.crop((left, top, left + self.crop, top + self.crop)))

    def normalised(self, pixels: np.ndarray) -> np.ndarray:
        """Scale to 0..1, subtract the mean, divide by the standard deviation.

        Args:
            pixels: uint8 array of shape (n, crop, crop, 3).

        Returns:
            float32 array of shape (n, 3, crop, crop).
        """
        scaled = (pixels * (1 / 255)).astype(np.float32)
        scaled = (scaled - np.float32(self.mean)) / np.float32(self.std)
        return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


class ClipExtractor(Extractor):
    """Projected CLIP image embeddings, not normalised.

    Args:
        model: a model folder or a hub id.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``fp32``, or ``bf16`` / ``fp16`` (autocast).

    Attributes:
        patch_size: edge of the squares that its image tower sees, in pixels.

    Raises:
        MissingModelError: the model is not to be had.
        UserError: it is no CLIP, or the file is not the published one.
    """

    name = option = "clip"
    path: Path
    rows: Embeddings
    default_model = "openai/clip-vit-base-patch32"

    def __init__(
        self, model: str | None = None, device: str = "auto", precision: str = "fp32"
    ) -> None:
        super().__init__(model, device, precision)
        self.folder = find_hub_model(
            self.name, model or self.default_model, ("preprocessor_config.json", *TOKENIZER_FILES)
        )
        self.config = ClipConfig.of(self.folder)
        self.patch_size = self.config.vision["patch_size"]
        self.preprocess = ClipPreprocess.of(self.folder, self.config.vision["image_size"])
        self.path = hub_weights(self.folder)
        self._published = as_published(self.path)
        self.rows = Embeddings(self.config.dim)

    @property
    def published(self) -> bool | str | None:
        return self._published

    @property
    def spec(self) -> dict[str, Any]:
        return {
            "architecture": _architecture(self.config.stated[0]),
            "sha256": file_sha256(self.path),
            "preprocess": asdict(self.preprocess),
            "precision": self.precision,
        }

    def check(self) -> None:
        """Make sure that the weights are this network's, without running it.

        Raises:
            UserError: they are not.
        """
        self._tower("cpu")

    def prepare(self, picture: Picture) -> Sample:
        return Sample(self.preprocess.resized(picture.rgb), picture.rgb.size)

    def forward(self, batch: Sequence[Sample]) -> np.ndarray:
        """Return image embeddings, float32 of shape (len(batch), dim)."""
        import torch

        network, device = self._network, torch_device(self.device)
        pixels = self.preprocess.normalised(np.stack([sample.pixels for sample in batch]))
        with inference(device, self.precision):
            embeddings = network(torch.from_numpy(pixels).to(device))
        return embeddings.float().cpu().numpy()

    @cached_property
    def _network(self) -> nn.Module:
        return self._tower(self.device)

    def _tower(self, device: str) -> nn.Module:
        from extractors.clip_towers import VisionTower, load_tower

        place = torch_device(device)
        return load_tower(VisionTower, self.folder, self.config.vision, self.config.dim, place)


class ClipScoreExtractor(ClipExtractor):
    """The same of the larger model that CLIP scores are computed with."""

    name = option = "clip_score"
    default_model = "openai/clip-vit-base-patch16"


def _architecture(vision: Mapping[str, Any]) -> dict[str, Any]:
    """What of a config shapes the vision network; notes such as the version do not."""
    skip = ("_name_or_path", "transformers_version", "dtype", "torch_dtype")
    return {k: v for k, v in vision.items() if k not in skip}


def _is_colour(values: object) -> bool:
    """Whether these are three finite numbers."""
    return (
        isinstance(values, list | tuple)
        and len(values) == 3
        and all(isinstance(v, int | float) and math.isfinite(v) for v in values)
    )
