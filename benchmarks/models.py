"""Models of full size with seeded random weights, made once: speed does not hang on the values.

python benchmarks/models.py DIR

In one place it does: the work of non-maximum suppression grows with the boxes that YOLO finds.
Its scores are therefore spread as a trained network's: few anchors are sure, some hundreds are
above the lowest threshold.
"""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from data import Painted

if TYPE_CHECKING:
    from PIL import Image
    from torch import nn

ROOT = Path(__file__).parent.parent
_ANCHORS_SURE = 5  # of 8400: above a score of 0.5
_ANCHORS_STORED = 400  # above 0.001


@dataclass(frozen=True)
class ModelFiles:
    """Where the models are."""

    folder: Path

    @property
    def clip(self) -> Path:
        return self.folder / "clip-vit-base-patch32"

    @property
    def clip_score(self) -> Path:
        return self.folder / "clip-vit-base-patch16"

    @property
    def inception(self) -> Path:
        return self.folder / "inception.pth"

    @property
    def inception_script(self) -> Path:
        """The same network as TorchScript, the form that clean-fid loads."""
        return self.folder / "inception.pt"

    @property
    def alexnet(self) -> Path:
        return self.folder / "alexnet.pth"

    @property
    def yolo(self) -> Path:
        return self.folder / "yolov8n.pt"

    @property
    def head(self) -> Path:
        return self.folder / "bi_multiC" / "object_church" / "classifier_head.pth"

    def flags(self) -> list[str]:
        """The toolkit's command line that uses them."""
        models = {
            "clip": self.clip,
            "clip_score": self.clip_score,
            "inception": self.inception,
            "lpips_backbone": self.alexnet,
            "yolo": self.yolo,
        }
        flags = [part for name, path in models.items() for part in ("--model", f"{name}={path}")]
        own = ["--weights-dir", str(self.folder), "--trust-weights"]
        return [*own, "--indicator", "bi_multiC", *flags]


def make_models(folder: Path) -> None:
    """Make what is not there yet; all of it or nothing."""
    if folder.exists():
        return
    sys.path.insert(0, str(ROOT))
    small = _test_models()
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    files = ModelFiles(unfinished)
    images = [_painted(number) for number in range(4)]
    for path, patch in ((files.clip, 32), (files.clip_score, 16)):
        small.save_clip(path, images[0], patch)
        _grow_clip(path, patch)
    small.save_inception(files.inception)
    _save_script(files)
    small.save_alexnet(files.alexnet)
    small.save_yolo(files.yolo, images)
    _train_yolo(files.yolo, images)
    _save_head(files.head)
    unfinished.rename(folder)


def _test_models() -> ModuleType:
    """Load ``tests/models.py`` by its path: an installed package may be called tests too."""
    spec = spec_from_file_location("test_models", ROOT / "tests" / "models.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _grow_clip(folder: Path, patch: int) -> None:
    """Give the tests' CLIP all its layers, the whole vocabulary and a processor."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    config = CLIPConfig.from_pretrained(folder)
    for tower in (config.vision_config, config.text_config):
        tower.num_hidden_layers = 12
    config.text_config.vocab_size = 49408
    torch.manual_seed(patch)
    CLIPModel(config).save_pretrained(folder)
    CLIPImageProcessor().save_pretrained(folder)


def _save_script(files: ModelFiles) -> None:
    import torch

    from extractors.inception_v3 import FidInceptionV3

    network = FidInceptionV3()
    network.load_state_dict(torch.load(files.inception, weights_only=True), strict=False)
    with torch.no_grad():
        script = torch.jit.trace(network.eval(), torch.zeros(2, 3, 299, 299))
    script.save(files.inception_script)


def _save_head(path: Path) -> None:
    import torch

    from checkers.heads import BiMultiCHead

    torch.manual_seed(1)
    path.parent.mkdir(parents=True)
    torch.save(BiMultiCHead().state_dict(), path)


def _painted(number: int) -> Image.Image:
    from PIL import Image

    return Image.open(io.BytesIO(Painted(640).png("ORG", number)))


def _train_yolo(path: Path, images: Sequence[Image.Image]) -> None:
    """Make the tests' yolov8n one of 640 pixels whose scores are spread as if it were trained."""
    import torch

    checkpoint = torch.load(path, weights_only=False)
    checkpoint["train_args"]["imgsz"] = 640
    _spread_scores(checkpoint["model"], images)
    torch.save(checkpoint, path)


def _spread_scores(network: nn.Module, images: Sequence[Image.Image]) -> None:
    """Scale and shift the class logits so that as many anchors as wanted pass two thresholds."""
    import numpy as np
    import torch

    dtype = next(network.parameters()).dtype
    network.float().eval()
    with torch.no_grad():
        pixels = torch.from_numpy(np.stack([np.asarray(image) for image in images]))
        scores = network(pixels.permute(0, 3, 1, 2) / 255)[0][:, 4:].amax(1).flatten()
    logits = scores.double().logit().sort(descending=True).values
    sure, stored = (logits[n * len(images)] for n in (_ANCHORS_SURE, _ANCHORS_STORED))
    scale = float(np.log(0.999 / 0.001) / (sure - stored))
    for branch in network.model[-1].cv3:
        branch[-1].weight.data.mul_(scale)
        branch[-1].bias.data.mul_(scale).sub_(scale * float(sure))
    network.to(dtype)


if __name__ == "__main__":
    make_models(Path(sys.argv[1]))
