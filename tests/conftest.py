"""Images, models and command lines that several tests use. Nothing here needs a network."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

# Before anything imports the hub: no network, and none of this machine's caches, so that what
# the developer has downloaded changes nothing and nothing of theirs is written to.
_CACHES = tempfile.TemporaryDirectory(prefix="igmu-test-caches-")
os.environ["HF_HUB_OFFLINE"] = "1"
for variable in ("HF_HOME", "TORCH_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "YOLO_CONFIG_DIR"):
    os.environ[variable] = f"{_CACHES.name}/{variable}"

ROOT = Path(__file__).parent.parent
DEMO = ROOT / "dataset" / "Benchmarking_images_demo" / "Face"
SHARED = ROOT.parent / "shared" / "data"


def photo(seed: int, width: int = 64, height: int = 48) -> Image.Image:
    """A smooth seeded image: resizing changes it as it does a photograph."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture
def make_images(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that makes a folder of n seeded PNG files."""

    def make(name: str, n: int, first: int = 0, **size: int) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        for i in range(n):
            photo(first + i, **size).save(folder / f"0_0_{i}.png")
        return folder

    return make


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the models of a test session are."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def clip_folder(models_dir: Path) -> Path:
    """CLIP ViT-B/32 of two layers, with its text tower and a tokenizer."""
    from tests.models import save_clip

    return save_clip(models_dir / "clip", photo(1))


@pytest.fixture(scope="session")
def inception_file(models_dir: Path) -> Path:
    """The FID's Inception-v3."""
    from tests.models import save_inception

    return save_inception(models_dir / "inception.pth")


@pytest.fixture(scope="session")
def alexnet_file(models_dir: Path) -> Path:
    """AlexNet."""
    from tests.models import save_alexnet

    return save_alexnet(models_dir / "alexnet.pth")


@pytest.fixture(scope="session")
def yolo_file(models_dir: Path) -> Path:
    """yolov8n."""
    from tests.models import save_yolo

    return save_yolo(models_dir / "yolo.pt", [photo(seed, 320, 320) for seed in range(100, 104)])


@pytest.fixture(scope="session")
def model_flags(
    clip_folder: Path,
    inception_file: Path,
    alexnet_file: Path,
    yolo_file: Path,
    weights_dir: Path,
    models_dir: Path,
) -> list[str]:
    """The command line's flags for every model, so that every aspect can run."""
    from tests.models import save_clip

    models = {
        "clip": clip_folder,
        "clip_score": save_clip(models_dir / "clip16", photo(1), patch=16),
        "inception": inception_file,
        "lpips_backbone": alexnet_file,
        "yolo": yolo_file,
    }
    flags = ["--weights-dir", str(weights_dir), "--trust-weights"]
    return flags + [part for name, path in models.items() for part in ("--model", f"{name}={path}")]


@pytest.fixture(scope="session")
def weights_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Heads of seeded random weights in the published layout."""
    import torch

    from checkers.heads import BiMultiCHead, MultiMultiCHead

    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("weights")
    heads = {
        "bi_multiC/nudity": BiMultiCHead(),
        "bi_multiC/style_vangogh": BiMultiCHead(),
        "bi_multiC/object_church": BiMultiCHead(),
        "bi_multiC/object_parachute": BiMultiCHead(),
        "multi_multiC/Nudity": MultiMultiCHead(2),
        "multi_multiC/Object": MultiMultiCHead(11),
        "multi_multiC/Style": MultiMultiCHead(129),
    }
    for layout, head in heads.items():
        path = folder / layout / "classifier_head.pth"
        path.parent.mkdir(parents=True)
        # Weights larger than the default's, so that decisions differ between images.
        torch.save({key: value * 3 for key, value in head.state_dict().items()}, path)
    return folder
