"""FID of all method folders against one reference, by other libraries, on the same weights.

python benchmarks/rivals.py clean-fid --data-root DIR --models DIR

Each is called the way its documentation tells its users to, statistics of the reference kept
where the library can keep them. Batch sizes are the libraries' own; loader workers are the cores,
where the library lets its user choose. The last line of stdout is ``{method: value}`` as JSON.
torch-fidelity resizes in its own way, so its values are others.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

import torch
from models import ModelFiles

CORES = os.cpu_count() or 1
PACKAGES = {  # name -> what it is imported as
    "clean-fid": "cleanfid",
    "pytorch-fid": "pytorch_fid",
    "torch-fidelity": "torch_fidelity",
    "pyiqa": "pyiqa",
}


def installed() -> list[str]:
    """Names of the libraries that are installed."""
    return [name for name, package in PACKAGES.items() if find_spec(package)]


def clean_fid(
    folders: list[Path], reference: Path, models: ModelFiles, device: str
) -> dict[str, float]:
    """``make_custom_stats`` of the reference once, ``compute_fid`` for each folder."""
    from cleanfid import features, fid

    class Network(features.InceptionV3W):
        """clean-fid's wrapper, round our weights instead of a download."""

        def __init__(self, *_: object, **__: object) -> None:
            torch.nn.Module.__init__(self)
            self.layers = torch.jit.load(models.inception_script).eval()
            self.resize_inside = False

    features.InceptionV3W = Network
    where = {"num_workers": CORES, "device": torch.device(device), "verbose": False}
    name = f"igmu-benchmark-{os.getpid()}"
    fid.make_custom_stats(name, str(reference), **where)  # into its own package's folder
    try:
        return {
            folder.name: float(
                fid.compute_fid(str(folder), dataset_name=name, dataset_split="custom", **where)
            )
            for folder in folders
        }
    finally:
        fid.remove_custom_stats(name)


def pytorch_fid(
    folders: list[Path], reference: Path, models: ModelFiles, device: str
) -> dict[str, float]:
    """Statistics of the reference once (its ``--save-stats``), with clean-fid's resize."""
    from published import CleanImages, load_inception
    from pytorch_fid import fid_score

    fid_score.ImagePathDataset = CleanImages
    network = load_inception(models).to(device)

    def statistics(folder: Path):
        return fid_score.compute_statistics_of_path(str(folder), network, 50, 2048, device, CORES)

    of_reference = statistics(reference)
    return {
        folder.name: float(fid_score.calculate_frechet_distance(*statistics(folder), *of_reference))
        for folder in folders
    }


def torch_fidelity(
    folders: list[Path], reference: Path, models: ModelFiles, device: str
) -> dict[str, float]:
    """``calculate_metrics`` for each folder, the reference kept under a cache name."""
    from torch_fidelity import calculate_metrics

    with tempfile.TemporaryDirectory() as cache:
        return {
            folder.name: calculate_metrics(
                input1=str(folder),
                input2=str(reference),
                input2_cache_name="reference",
                cache_root=cache,
                fid=True,
                cuda=device != "cpu",
                feature_extractor_weights_path=str(models.inception),
                verbose=False,
            )["frechet_inception_distance"]
            for folder in folders
        }


def pyiqa(
    folders: list[Path], reference: Path, models: ModelFiles, device: str
) -> dict[str, float]:
    """One metric object, called with folder and reference; it keeps nothing between calls."""
    import pyiqa as library
    from pyiqa.archs import inception

    def load(network: torch.nn.Module, *_: object, **__: object) -> None:
        network.load_state_dict(torch.load(models.inception, weights_only=True))

    inception.load_pretrained_network = load
    metric = library.create_metric("fid", device=torch.device(device))
    options = {"num_workers": CORES, "verbose": False}
    return {
        folder.name: float(metric(str(folder), str(reference), **options)) for folder in folders
    }


LIBRARIES: Mapping[str, Callable[..., dict[str, float]]] = {
    "clean-fid": clean_fid,
    "pytorch-fid": pytorch_fid,
    "torch-fidelity": torch_fidelity,
    "pyiqa": pyiqa,
}


def main() -> None:
    """Score every folder and print the values."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("library", choices=LIBRARIES)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    concept = args.data_root / "Church"
    folders = sorted((concept / "forgot").iterdir())
    library = LIBRARIES[args.library]
    values = library(folders, concept / "remove_word" / "ORG", ModelFiles(args.models), args.device)
    print(json.dumps(values))


if __name__ == "__main__":
    main()
