import json
import shutil

import numpy as np
import pytest
import torch
from transformers import CLIPModel, CLIPTokenizer

from extractors.clip import ClipExtractor
from extractors.clip_config import ClipConfig
from extractors.clip_towers import TextTower, VisionTower, load_tower
from features.store import FeatureStore
from features.text import ClipText
from tests.conftest import photo
from tests.models import save_clip
from utils.errors import UserError

TEXTS = ["a church", "a white house on a green hill", "a very long text " * 20, ""]


@pytest.fixture(scope="module", params=["quick_gelu", "gelu"])
def folder(request, tmp_path_factory):
    """A CLIP folder with either of the activations that published models have."""
    folder = save_clip(tmp_path_factory.mktemp("clip") / request.param, photo(1))
    config = json.loads((folder / "config.json").read_text())
    for tower in ("vision_config", "text_config"):
        config[tower]["hidden_act"] = request.param
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_the_vision_tower_is_that_of_transformers(folder):
    config = ClipConfig.of(folder).vision
    pixels = torch.randn(3, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    tower = load_tower(VisionTower, folder, config, 512, torch.device("cpu"))
    theirs = CLIPModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        ours = tower(pixels)
        expected = theirs.visual_projection(theirs.vision_model(pixels).pooler_output)
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("end", [None, 2])  # 2: the first published configs
@pytest.mark.parametrize("keep_end", [True, False])
def test_text_embeddings_are_those_of_transformers(folder, tmp_path, end, keep_end):
    # Another token's state would be another text's embedding, and every CLIP score wrong.
    config = json.loads((folder / "config.json").read_text())
    if end is not None:
        config["text_config"]["eos_token_id"] = end
    copy = tmp_path / "clip"
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    (copy / "config.json").write_text(json.dumps(config))
    text = ClipText(ClipExtractor(str(copy), device="cpu"))
    ours = text.embed(TEXTS, FeatureStore(tmp_path / "store"), keep_end=keep_end)
    theirs = CLIPModel.from_pretrained(copy).eval()
    tokenizer = CLIPTokenizer.from_pretrained(copy)
    ids = tokenizer(TEXTS, truncation=keep_end, max_length=77)["input_ids"]
    with torch.inference_mode():
        for row, embedding in zip(ids, ours, strict=True):
            pooled = theirs.text_model(input_ids=torch.tensor([row[:77]])).pooler_output
            expected = theirs.text_projection(pooled)[0].numpy()
            np.testing.assert_allclose(embedding, expected, rtol=1e-5, atol=1e-5)


def test_a_tokenizer_may_be_vocabulary_and_merges(folder, tmp_path):
    whole = ClipText(ClipExtractor(str(folder), device="cpu"))._token_ids(TEXTS)
    copy = tmp_path / "clip"
    copy.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer_config.json"):
        (copy / name).write_bytes((folder / name).read_bytes())
    tokens = json.loads((folder / "tokenizer.json").read_text())["model"]
    (copy / "vocab.json").write_text(json.dumps(tokens["vocab"]))
    (copy / "merges.txt").write_text("#version: 0.2\n")
    assert ClipText(ClipExtractor(str(copy), device="cpu"))._token_ids(TEXTS) == whole


def test_weights_may_be_a_pytorch_file(folder, tmp_path):
    model = CLIPModel.from_pretrained(folder)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    config = ClipConfig.of(folder).text
    towers = [
        load_tower(TextTower, place, config, 512, torch.device("cpu"))
        for place in (folder, tmp_path)
    ]
    for ours, theirs in zip(*(tower.parameters() for tower in towers), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_a_tokenizer_that_brings_code_of_its_own_does_not_run_it(folder, tmp_path):
    # transformers asks on the terminal whether to, and waits.
    copy = tmp_path / "clip"
    copy.mkdir()
    for name in ("config.json", "model.safetensors"):
        (copy / name).write_bytes((folder / name).read_bytes())
    said = {"auto_map": {"AutoTokenizer": ["own.Tokenizer", None]}, "tokenizer_class": "Tokenizer"}
    (copy / "tokenizer_config.json").write_text(json.dumps(said))
    (copy / "own.py").write_text(f"open({str(tmp_path / 'proof')!r}, 'w')\n")
    with pytest.raises(UserError, match="no usable tokenizer"):
        ClipText(ClipExtractor(str(copy), device="cpu"))._token_ids(TEXTS)
    assert not (tmp_path / "proof").exists()


def test_a_tokenizer_of_another_vocabulary_is_refused(folder, tmp_path):
    # Its numbers are beyond the embeddings: an IndexError from within torch.
    copy = tmp_path / "clip"
    shutil.copytree(folder, copy)
    config = json.loads((copy / "config.json").read_text())
    config["text_config"]["vocab_size"] = 100
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="the tokenizer is not this model's"):
        ClipText(ClipExtractor(str(copy), device="cpu"))._token_ids(TEXTS)
