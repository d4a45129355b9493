"""CLIP's projected image embedding, the input of the classifier heads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from extractors.base import Embeddings, KeepsNetwork, Sample
from extractors.torch_run import inference
from utils.device import torch_device
from utils.errors import UserError
from utils.images import Picture, check_pixels
from utils.weights import file_sha256, find_hub_model, hub_weights, spec_digest

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

        Raises:
            UserError: it asks for anything that CLIP does not do.
        """
        file = folder / "preprocessor_config.json"
        if not file.is_file():
            return cls(image_size, image_size)
        config = json.loads(file.read_text())
        size, crop = config.get("size", image_size), config.get("crop_size", image_size)
        edges = {crop} if isinstance(crop, int) else set(crop.values())
        standard = {
            "resample": 3,  # bicubic
            "rescale_factor": 1 / 255,
            **dict.fromkeys(("do_resize", "do_center_crop", "do_rescale", "do_normalize"), True),
        }
        other = [key for key, value in standard.items() if config.get(key, value) != value]
        if other or len(edges) != 1:
            what = f"{other[0]} = {config[other[0]]}" if other else f"crop_size = {crop}"
            raise UserError(f"{file}: {what} is not how CLIP's images are prepared")
        return cls(
            size if isinstance(size, int) else size["shortest_edge"],
            edges.pop(),
            tuple(config.get("image_mean", _MEAN)),
            tuple(config.get("image_std", _STD)),
        )

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


class ClipExtractor(KeepsNetwork):
    """Projected CLIP image embeddings, not normalised.

    Args:
        model: a model folder or a hub id.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``fp32``, or ``bf16`` / ``fp16`` (autocast).

    Attributes:
        patch_size: edge of the squares that its image tower sees, in pixels.

    Raises:
        UserError: the model is not to be had, or is no CLIP.
    """

    name = "clip"
    slow_to_load = False
    default_model = "openai/clip-vit-base-patch32"

    def __init__(
        self, model: str | None = None, device: str = "auto", precision: str = "fp32"
    ) -> None:
        self.folder = find_hub_model(
            self.name, model or self.default_model, ("preprocessor_config.json", *TOKENIZER_FILES)
        )
        try:
            config = json.loads((self.folder / "config.json").read_text())
            vision = config.get("vision_config", config)
            dim = config.get("projection_dim", vision.get("projection_dim", 512))
            image_size = vision.get("image_size", 224)
            self.patch_size = vision.get("patch_size", 32)
            self.preprocess = ClipPreprocess.of(self.folder, image_size)
        except (ValueError, AttributeError, LookupError, TypeError) as error:
            raise UserError(f"{self.folder}: not a CLIP model: {error!r}") from error
        self.rows = Embeddings(dim)
        self.device = device
        self.precision = precision

    @property
    def provenance(self) -> dict[str, Any]:
        weights = hub_weights(self.folder)
        return {
            "path": str(weights),
            "sha256": file_sha256(weights),
            "preprocess": asdict(self.preprocess),
            "precision": self.precision,
        }

    @property
    def id(self) -> str:
        config = json.loads((self.folder / "config.json").read_text())
        parts = {k: v for k, v in self.provenance.items() if k != "path"}
        return f"clip-{self.precision}-{spec_digest(config=_architecture(config), **parts)}"

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
        from extractors.clip_towers import VisionTower, load_tower

        config = json.loads((self.folder / "config.json").read_text())
        vision = config.get("vision_config", config)
        device = torch_device(self.device)
        return load_tower(VisionTower, self.folder, vision, self.rows.dim, device)


class ClipScoreExtractor(ClipExtractor):
    """The same of the larger model that CLIP scores are computed with."""

    name = "clip_score"
    default_model = "openai/clip-vit-base-patch16"


def _architecture(config: dict[str, Any]) -> dict[str, Any]:
    """What of a config shapes the vision network; notes such as the version do not."""
    vision = config.get("vision_config", config)
    skip = ("_name_or_path", "transformers_version", "dtype", "torch_dtype")
    return {k: v for k, v in vision.items() if k not in skip}
