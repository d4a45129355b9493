"""The published procedure, written again: one aspect, one process, one image after the other.

python benchmarks/published.py fid --data-root DIR --models DIR

What it does is what the published scripts and the libraries they call do, on the same weights
and with the crashes mended: forgetting in batches of five; FID with the reference's features
computed for each method and ``scipy.linalg.sqrtm``; LPIPS pair by pair, the reference through
the network for each method; YOLO file by file; CSDR with CLIP loaded for every call, two calls
for the five images of a prompt. Imports of the metric library it calls (some seconds) are left
out, to its favour. The last line of stdout is ``{method: value}`` as JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from models import ROOT, ModelFiles
from PIL import Image

if TYPE_CHECKING:
    from torch import nn

BATCH = 5


@dataclass(frozen=True)
class Run:
    """What to score: images by folder, models, device."""

    root: Path
    models: ModelFiles
    device: torch.device

    def methods(self) -> list[str]:
        return sorted(folder.name for folder in (self.root / "Church" / "forgot").iterdir())

    def images(self, method: str) -> list[Path]:
        return sorted((self.root / "Church" / "forgot" / method).glob("*.png"))

    def references(self) -> list[Path]:
        return sorted((self.root / "Church" / "remove_word" / "ORG").glob("*.png"))


def batches(paths: Sequence[Path]) -> list[Sequence[Path]]:
    """Split into groups of five."""
    return [paths[start : start + BATCH] for start in range(0, len(paths), BATCH)]


def forgetting(run: Run) -> dict[str, float]:
    """Share of images in percent that the head on CLIP ViT-B/32 calls a church."""
    from transformers import CLIPModel, CLIPProcessor

    from checkers.heads import BiMultiCHead

    processor = CLIPProcessor.from_pretrained(run.models.clip)
    clip = CLIPModel.from_pretrained(run.models.clip).to(run.device).eval()
    head = BiMultiCHead()
    head.load_state_dict(torch.load(run.models.head, weights_only=True))
    head.to(run.device).eval()
    values = {}
    for method in run.methods():
        decisions = torch.empty(0)
        for batch in batches(run.images(method)):
            pixels = torch.empty(0)
            for path in batch:
                image = Image.open(path).convert("RGB")
                one = processor(images=image, return_tensors="pt")["pixel_values"]
                pixels = torch.cat([pixels, one])
            with torch.no_grad():
                features = clip.get_image_features(pixel_values=pixels.to(run.device))
                logits = head(getattr(features, "pooler_output", features))
            decisions = torch.cat([decisions, logits.sigmoid().round().flatten().cpu()])
        values[method] = 100 * float((decisions == 0).float().mean())
    return values


class CleanImages(torch.utils.data.Dataset):
    """Images resized by clean-fid, scaled to the FID network's -1..1."""

    def __init__(self, files: Sequence[Path], transforms: object = None) -> None:
        from cleanfid.resize import build_resizer

        self.files = files
        self.resize = build_resizer("clean")

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> torch.Tensor:
        pixels = np.asarray(Image.open(self.files[index]).convert("RGB"))
        return (torch.from_numpy(self.resize(pixels)).permute(2, 0, 1) - 128) / 128


def fid(run: Run) -> dict[str, float]:
    """Fréchet distance, the reference's features computed for each method."""
    from pytorch_fid.fid_score import calculate_frechet_distance

    network = load_inception(run.models).to(run.device)
    values = {}
    for method in run.methods():
        moments = []
        for paths in (run.references(), run.images(method)):
            features = _inception_features(network, paths, run.device)
            moments += [features.mean(axis=0), np.cov(features, rowvar=False)]
        values[method] = float(calculate_frechet_distance(*moments))
    return values


def load_inception(models: ModelFiles) -> nn.Module:
    """pytorch-fid's network with our weights, for images of 299 x 299 scaled to -1..1."""
    from pytorch_fid import inception

    state = torch.load(models.inception, weights_only=True)
    inception.load_state_dict_from_url = lambda *_, **__: state
    return inception.InceptionV3([3], resize_input=False, normalize_input=False).eval()


def _inception_features(
    network: nn.Module, paths: Sequence[Path], device: torch.device
) -> np.ndarray:
    loader = torch.utils.data.DataLoader(CleanImages(paths), batch_size=BATCH, num_workers=4)
    with torch.no_grad():
        features = [network(batch.to(device))[0].flatten(1).cpu().numpy() for batch in loader]
    return np.concatenate(features)


def lpips(run: Run) -> dict[str, float]:
    """Mean LPIPS of the pairs, both images through AlexNet for every pair."""
    from torchvision.transforms.functional import to_tensor

    network = load_lpips(run.models).to(run.device)
    values = {}
    for method in run.methods():
        distances = []
        for pair in zip(run.references(), run.images(method), strict=True):
            reference, image = (
                to_tensor(Image.open(path).convert("RGB"))[None].to(run.device) for path in pair
            )
            with torch.no_grad():
                distances.append(round(network(image, reference, normalize=True).item(), 4))
        values[method] = float(np.mean(distances))
    return values


def load_lpips(models: ModelFiles) -> nn.Module:
    """The lpips package's network with our AlexNet."""
    from lpips import LPIPS

    network = LPIPS(net="alex", pnet_rand=True, verbose=False)
    state = torch.load(models.alexnet, weights_only=True)
    for name, layer in network.net.named_modules():
        if isinstance(layer, torch.nn.Conv2d):  # named by its place in torchvision's features
            key = f"features.{name.rsplit('.')[-1]}"
            layer.load_state_dict({kind: state[f"{key}.{kind}"] for kind in ("weight", "bias")})
    return network.eval()


def yolo(run: Run) -> dict[str, float]:
    """Share of images in percent with a person."""
    from ultralytics import YOLO

    model = YOLO(run.models.yolo)
    values = {}
    for method in run.methods():
        found = []
        for path in run.images(method):
            (result,) = model.predict(
                str(path), conf=0.5, iou=0.6, device=str(run.device), verbose=False
            )
            found.append(bool((result.boxes.cls == 0).any()))
        values[method] = 100 * float(np.mean(found))
    return values


def csdr(run: Run) -> dict[str, float]:
    """Mean relative difference in percent of CLIP scores, five images of a prompt a call."""
    from compat.igmu import WORDS

    prompts = json.loads((ROOT / "dataset/Benchmarking_prompts/forgot.json").read_text())
    values = {}
    for method in run.methods():
        differences = []
        by_prompt: dict[int, list[Path]] = {}
        for path in run.images(method):
            by_prompt.setdefault(int(path.stem.split("_")[1]), []).append(path)
        for j, paths in by_prompt.items():
            prompt = prompts["object_church"]["church"][j]
            text = "".join(prompt.replace(word, "") for word in WORDS)
            for batch in batches(paths):
                references = [run.root / "Church/remove_word/ORG" / p.name for p in batch]
                own, original = (_clip_scores(images, text, run) for images in (batch, references))
                differences += [
                    round(abs(o - s) / o * 100, 2) for s, o in zip(own, original, strict=True)
                ]
        values[method] = float(np.mean(differences))
    return values


def _clip_scores(paths: Sequence[Path], text: str, run: Run) -> list[float]:
    """100 max(cos, 0) of each image; model and processor loaded, as torchmetrics' function does."""
    from torchvision.transforms.functional import pil_to_tensor
    from transformers import CLIPModel, CLIPProcessor

    model = CLIPModel.from_pretrained(run.models.clip_score).to(run.device)
    processor = CLIPProcessor.from_pretrained(run.models.clip_score)
    images = [pil_to_tensor(Image.open(path).convert("RGB")).float() for path in paths]
    inputs = processor(text=[text] * len(paths), images=images, return_tensors="pt", padding=True)
    inputs = {name: tensor.to(run.device) for name, tensor in inputs.items()}
    most = model.config.text_config.max_position_embeddings
    outputs = (
        model.get_image_features(pixel_values=inputs["pixel_values"]),
        model.get_text_features(inputs["input_ids"][:, :most], inputs["attention_mask"][:, :most]),
    )
    image, text_ = (getattr(output, "pooler_output", output) for output in outputs)
    cosine = torch.nn.functional.cosine_similarity(image, text_)
    # The published script would divide by zero where the clamped score is 0.
    return (100 * cosine).clamp(min=1e-6).tolist()


ASPECTS: Mapping[str, Callable[[Run], dict[str, float]]] = {
    "forgetting": forgetting,
    "fid": fid,
    "lpips": lpips,
    "yolo": yolo,
    "CSDR": csdr,
}


def main() -> None:
    """Score one aspect and print the values."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("aspect", choices=ASPECTS)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    run = Run(args.data_root, ModelFiles(args.models), torch.device(args.device))
    print(json.dumps(ASPECTS[args.aspect](run)))


if __name__ == "__main__":
    main()
