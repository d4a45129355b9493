import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPModel, CLIPVisionModelWithProjection
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from extractors.clip import ClipExtractor, ClipPreprocess, ClipScoreExtractor
from features.text import ClipText
from inputs.images import Picture, UnreadableImageError
from tests.conftest import photo
from utils.errors import UserError

SIZES = [(512, 512), (640, 427), (301, 500), (224, 224), (90, 60), (1, 1), (37, 1000)]


@pytest.mark.parametrize("size", SIZES)
def test_preprocessing_is_bit_identical_to_transformers(size):
    # One grey level off here moves every head's decision near its boundary.
    image = photo(sum(size), *size)
    ours = ClipPreprocess(224, 224)
    theirs = CLIPImageProcessorPil()(images=image, return_tensors="np")["pixel_values"]
    np.testing.assert_array_equal(ours.normalised(ours.resized(image)[None]), theirs)


def test_preprocessing_follows_the_model_folder(tmp_path):
    config = {"size": {"shortest_edge": 48}, "crop_size": {"height": 32, "width": 32}}
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps(config | {"image_mean": [0, 0, 0]})
    )
    image = photo(1, 100, 70)
    ours = ClipPreprocess.of(tmp_path, 32)
    theirs = CLIPImageProcessorPil(**config, image_mean=[0, 0, 0])
    expected = theirs(images=image, return_tensors="np")["pixel_values"]
    np.testing.assert_array_equal(ours.normalised(ours.resized(image)[None]), expected)


@pytest.mark.parametrize(
    "config",
    [
        {"resample": 0},
        {"do_normalize": False},
        {"crop_size": {"height": 224, "width": 200}},
        {"crop_size": 300},
        {"crop_size": None},
        {"size": {"height": 224, "width": 224}},
        {"size": 100},
        {"size": 10**9},
        {"size": "large"},
        {"image_mean": 0.5},
        {"image_mean": [0, 0]},
        {"image_mean": [0, 0, "0"]},
        {"image_std": [0, 1, 1]},
        {"image_std": [1, 1, float("nan")]},
    ],
)
def test_what_clip_does_not_do_is_refused_not_ignored(tmp_path, config):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="is not how CLIP's images are prepared"):
        ClipPreprocess.of(tmp_path, 224)


def test_a_strip_is_refused_before_it_fills_the_memory(clip_folder):
    strip = Picture(photo(1, 1, 20000))
    with pytest.raises(UnreadableImageError, match="224x4480000"):
        ClipExtractor(str(clip_folder)).prepare(strip)


def embed(extractor, images):
    return extractor.forward([extractor.prepare(Picture(image)) for image in images])


def test_embeddings_are_the_projected_ones_of_the_whole_model(clip_folder):
    # The unprojected ones are 768-d, or silently of another space.
    images = [photo(i, 300, 200) for i in range(3)]
    model = CLIPModel.from_pretrained(clip_folder).eval()
    pixels = CLIPImageProcessorPil()(images=images, return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        pooled = model.vision_model(pixel_values=pixels).pooler_output
        expected = model.visual_projection(pooled).numpy()
    np.testing.assert_allclose(embed(ClipExtractor(str(clip_folder)), images), expected, atol=1e-5)


def test_a_row_does_not_depend_on_the_batch(clip_folder):
    images = [photo(i) for i in range(5)]
    extractor = ClipExtractor(str(clip_folder))
    together = embed(extractor, images)
    alone = np.concatenate([embed(extractor, [image]) for image in images])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_the_id_is_of_weights_and_precision_not_of_the_place(clip_folder, tmp_path):
    shutil.copytree(clip_folder, tmp_path / "copy")
    here, there = ClipExtractor(str(clip_folder)), ClipExtractor(str(tmp_path / "copy"))
    assert here.id == there.id
    assert here.id != ClipExtractor(str(clip_folder), precision="bf16").id
    weights = tmp_path / "copy" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.with_suffix(".new").write_bytes(data)
    changed = tmp_path / "changed"
    shutil.copytree(clip_folder, changed)
    weights.with_suffix(".new").replace(changed / "model.safetensors")
    assert ClipExtractor(str(changed)).id != here.id


def test_bf16_is_close_to_fp32(clip_folder):
    images = [photo(i) for i in range(2)]
    exact = embed(ClipExtractor(str(clip_folder)), images)
    rough = embed(ClipExtractor(str(clip_folder), device="cpu", precision="bf16"), images)
    assert 0 < np.abs(rough - exact).max() < 0.05 * np.abs(exact).max()


def test_weights_that_cannot_be_read_are_refused(clip_folder, tmp_path):
    shutil.copy(clip_folder / "config.json", tmp_path)
    weights = tmp_path / "model.safetensors"
    whole = (clip_folder / weights.name).read_bytes()
    for content in (b"", b"<html>", whole[:-1], whole[:5000], b"\xff" * 8 + whole[8:]):
        weights.write_bytes(content)
        with pytest.raises(UserError, match=r"model\.safetensors: "):
            ClipExtractor(str(tmp_path))


def test_what_the_manifest_says_of_a_folders_weights(clip_folder):
    said = ClipExtractor(str(clip_folder)).provenance
    assert said["published"] == "no digest is published"
    assert said["path"] == str(clip_folder / "model.safetensors")


def test_missing_weights_are_not_drawn_at_random(clip_folder, tmp_path):
    # transformers would: the scores were noise, and the store would keep them.
    state = load_file(clip_folder / "model.safetensors")
    del state["visual_projection.weight"]
    save_file(state, tmp_path / "model.safetensors")
    shutil.copy(clip_folder / "config.json", tmp_path)
    extractor = ClipExtractor(str(tmp_path))
    with pytest.raises(UserError, match=r"visual_projection\.weight"):
        extractor.check()
    with pytest.raises(UserError, match=r"visual_projection\.weight"):
        embed(extractor, [photo(1)])


def test_weights_of_another_shape_are_refused(clip_folder, tmp_path):
    shutil.copytree(clip_folder, tmp_path / "clip")
    config = json.loads((tmp_path / "clip" / "config.json").read_text())
    config["projection_dim"] = config["vision_config"]["projection_dim"] = 768
    (tmp_path / "clip" / "config.json").write_text(json.dumps(config))
    extractor = ClipExtractor(str(tmp_path / "clip"))
    with pytest.raises(UserError, match=r"not the state dict of VisionTower: .*visual_projection"):
        extractor.check()


def test_a_score_model_without_text_tower_or_tokenizer_is_refused_before_images(
    clip_folder, tmp_path
):
    # CSDR found it out when every image was decoded and embedded.
    ClipText(ClipScoreExtractor(str(clip_folder))).check()
    folder = tmp_path / "vision"
    CLIPVisionModelWithProjection.from_pretrained(clip_folder).save_pretrained(folder)
    ClipExtractor(str(folder)).check()
    with pytest.raises(UserError, match="no usable tokenizer"):
        ClipText(ClipScoreExtractor(str(folder))).check()
    shutil.copy(clip_folder / "tokenizer.json", folder)
    config = json.loads((folder / "config.json").read_text())
    text = json.loads((clip_folder / "config.json").read_text())["text_config"]
    (folder / "config.json").write_text(json.dumps({"vision_config": config, "text_config": text}))
    with pytest.raises(UserError, match="not the state dict of TextTower: Missing key"):
        ClipText(ClipScoreExtractor(str(folder))).check()
