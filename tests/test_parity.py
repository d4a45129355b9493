"""What the benchmark writes, against the reference libraries on the same weights and files.

The extractors' and metrics' own tests compare the parts; these compare what a user reads.
"""

import csv
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

import benchmark
from metrics import ASPECTS
from records.store import read_results
from tests.conftest import ROOT, photo

METHODS = ("ESD", "UCE")
N = 4


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two methods and a reference of four images each."""
    root = tmp_path_factory.mktemp("parity") / "Church"
    for m, folder in enumerate(("remove_word/ORG", *(f"forgot/{name}" for name in METHODS))):
        (root / folder).mkdir(parents=True)
        for k in range(N):
            mixed = Image.blend(photo(k, 120, 90), photo(k + 50 * m, 120, 90), 0.3 * m)
            mixed.save(root / folder / f"0_{k % 2}_{k // 2}.png")
    return root


@pytest.fixture(scope="module")
def results(data, model_flags, tmp_path_factory):
    """The results folder of one run of every aspect, YOLO's too: ``all`` keeps it for nudity."""
    folder = tmp_path_factory.mktemp("results")
    arguments = ["--evaluation-aspect", *ASPECTS, "--data-root", str(data.parent), *model_flags]
    arguments += ["--results-dir", str(folder), "--cache-dir", str(folder / "cache"), "--quiet"]
    assert benchmark.main(arguments) == 0
    return folder


@pytest.fixture(scope="module")
def score(results):
    with (results / "scores.csv").open(newline="") as file:
        rows = {(row["method"], row["metric"]): row["value"] for row in csv.DictReader(file)}
    return lambda method, metric: float(rows[method, metric])


@pytest.fixture(scope="module")
def per_image(results):
    found = read_results(results).per_image
    return {
        (key.method, key.column, name): value
        for key, one in found.items()
        for name, value in zip(one.names, one.values, strict=True)
    }


def files(data, method):
    folder = data / ("remove_word/ORG" if method == "ORG" else f"forgot/{method}")
    return sorted(folder.iterdir())


def tensor(path):
    return (
        torch.from_numpy(np.asarray(Image.open(path).convert("RGB"))).permute(2, 0, 1)[None] / 255
    )


@pytest.fixture(scope="module")
def inception(data, inception_file):
    """pytorch-fid's own network with clean-fid's own resize: folder -> features."""
    import pytorch_fid.inception as theirs
    from cleanfid.resize import build_resizer

    state = torch.load(inception_file, weights_only=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(theirs, "load_state_dict_from_url", lambda *_, **__: state)
        network = theirs.InceptionV3(resize_input=False, normalize_input=False).eval()
    resize = build_resizer("clean")

    def features(method):
        pixels = [resize(np.asarray(Image.open(p).convert("RGB"))) for p in files(data, method)]
        batch = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)
        with torch.inference_mode():
            return network((batch - 128) / 128)[0][:, :, 0, 0].numpy()

    return features


@pytest.mark.parametrize("method", METHODS)
def test_fid_is_clean_fids_within_a_hundredth(score, inception, method):
    from pytorch_fid.fid_score import calculate_frechet_distance

    x, y = inception("ORG").astype(float), inception(method).astype(float)
    expected = calculate_frechet_distance(
        x.mean(0), np.cov(x, rowvar=False), y.mean(0), np.cov(y, rowvar=False)
    )
    assert expected > 1  # else the comparison is of nothing
    assert score(method, "fid") == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("method", METHODS)
def test_kid_is_the_definition_in_double_precision(score, inception, method):
    x, y = inception("ORG").astype(float), inception(method).astype(float)

    def kernel(a, b):
        return (a @ b / len(a) + 1) ** 3

    within = [
        np.mean([kernel(z[i], z[j]) for i, j in product(range(N), repeat=2) if i != j])
        for z in (x, y)
    ]
    expected = sum(within) - 2 * np.mean([kernel(a, b) for a, b in product(x, y)])
    assert score(method, "kid") == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.fixture(scope="module")
def lpips(alexnet_file):
    import torchvision
    from lpips import LPIPS

    alexnet = torchvision.models.alexnet()
    alexnet.load_state_dict(torch.load(alexnet_file, weights_only=True), strict=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torchvision.models, "alexnet", lambda **_: alexnet)
        return LPIPS(net="alex", version="0.1", verbose=False).eval()


@pytest.mark.parametrize("method", METHODS)
def test_pairs_are_those_of_the_lpips_package_and_torchmetrics(data, per_image, lpips, method):
    for reference, own in zip(files(data, "ORG"), files(data, method), strict=True):
        x, y = tensor(reference), tensor(own)
        with torch.inference_mode():
            expected = {
                "lpips": lpips(x, y, normalize=True).item(),
                "ssim": structural_similarity_index_measure(y, x, data_range=1.0).item(),
                "psnr": peak_signal_noise_ratio(y, x, data_range=1.0).item(),
            }
        for metric, value in expected.items():
            assert per_image[method, metric, own.name] == pytest.approx(value, abs=1e-4)


def test_clip_scores_are_those_of_the_model_called_directly(data, per_image, model_flags):
    import json

    from transformers import AutoTokenizer, CLIPModel
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    folder = next(f.partition("=")[2] for f in model_flags if f.startswith("clip_score="))
    model, tokenizer = CLIPModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    prompts = json.loads((ROOT / "dataset/Benchmarking_prompts/forgot.json").read_text())
    for method in METHODS:
        for own in files(data, method):
            prompt = prompts["object_church"]["church"][int(own.stem.split("_")[1])]
            words = [word for word in prompt.split() if word.strip(",.").lower() != "church"]
            text = tokenizer([" ".join(words)], truncation=True, max_length=77, return_tensors="pt")
            image = CLIPImageProcessorPil()(images=Image.open(own), return_tensors="pt")
            with torch.inference_mode():
                out = model.eval()(**text, **image)
            cosine = torch.nn.functional.cosine_similarity(out.image_embeds, out.text_embeds)
            expected = 100 * max(cosine.item(), 0)
            assert expected > 0  # else the comparison is of nothing
            assert per_image[method, "clip_score", own.name] == pytest.approx(expected, abs=1e-3)


def test_person_boxes_are_those_of_predict_on_the_single_file(data, per_image, yolo_file):
    from extractors.yolo_networks import process_kept

    with process_kept():
        from ultralytics import YOLO

        model = YOLO(yolo_file)
        for method in METHODS:
            for own in files(data, method):
                boxes = model.predict(str(own), conf=0.5, iou=0.6, verbose=False)[0].boxes
                person = float((boxes.cls == 0).any())
                assert per_image[method, "yolo_person", own.name] == person


@pytest.fixture(scope="module")
def pyiqa(inception_file, alexnet_file):
    """pyiqa with our weights in the place of its downloads."""
    import pyiqa
    import torchvision
    from pyiqa.archs import inception as theirs
    from pyiqa.archs import lpips_arch

    linear = Path(find_spec("lpips").submodule_search_locations[0], "weights/v0.1/alex.pth")
    alexnet = torchvision.models.alexnet()
    alexnet.load_state_dict(torch.load(alexnet_file, weights_only=True), strict=False)

    def from_file(network, _url, strict=True, **_):
        path, strict = (inception_file, True) if strict else (linear, False)
        state = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(state, strict=strict)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torchvision.models, "alexnet", lambda **_: alexnet)
        patch.setattr(theirs, "load_pretrained_network", from_file)
        patch.setattr(lpips_arch, "load_pretrained_network", from_file)
        yield {name: pyiqa.create_metric(name, device="cpu") for name in ("fid", "lpips")}


@pytest.mark.skipif(find_spec("pyiqa") is None, reason="pyiqa (noncommercial) is not installed")
@pytest.mark.parametrize("method", METHODS)
def test_pyiqa_agrees(data, score, per_image, pyiqa, method):
    reference, own = str(data / "remove_word/ORG"), str(data / "forgot" / method)
    fid = pyiqa["fid"](reference, own, num_workers=0)
    assert score(method, "fid") == pytest.approx(float(fid), abs=0.02)
    for x, y in zip(files(data, "ORG"), files(data, method), strict=True):
        lpips = pyiqa["lpips"](str(x), str(y)).item()
        assert per_image[method, "lpips", y.name] == pytest.approx(lpips, abs=1e-4)
