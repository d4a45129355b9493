import json

import pytest

from extractors.clip import ClipExtractor
from extractors.clip_config import ClipConfig
from utils.errors import UserError


def written(folder, config):
    """Put a configuration into a folder: a text, or what becomes JSON."""
    text = config if isinstance(config, str) else json.dumps(config)
    (folder / "config.json").write_text(text)
    return folder


def test_what_a_file_leaves_out_is_vit_b_32s(tmp_path):
    config = ClipConfig.of(written(tmp_path, {"vision_config": {}, "text_config": {}}))
    assert config.dim == 512
    assert (config.vision["patch_size"], config.vision["hidden_size"]) == (32, 768)
    assert (config.text["vocab_size"], config.text["max_position_embeddings"]) == (49408, 77)


def test_a_vision_model_alone_states_its_network_at_the_top(tmp_path):
    config = ClipConfig.of(written(tmp_path, {"patch_size": 16, "projection_dim": 640}))
    assert (config.vision["patch_size"], config.dim) == (16, 640)


@pytest.mark.parametrize(
    "config",
    [
        "",
        "[]",
        "null",
        "{",
        "\ud800",
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"vision_config": {"hidden_size": ' + "9" * 10_000 + "}}",
        " " * (2 << 20),
        {"vision_config": None},
        {"vision_config": 3},
        {"vision_config": []},
        {"text_config": "CLIP"},
        {"projection_dim": None},
        {"projection_dim": "512"},
        {"projection_dim": 512.0},
        {"projection_dim": True},
        {"projection_dim": -1},
        {"projection_dim": 10**12},
        {"vision_config": {"hidden_size": 10**9}},
        {"vision_config": {"num_hidden_layers": 0}},
        {"vision_config": {"num_attention_heads": 7}},
        {"vision_config": {"patch_size": [32, 32]}},
        {"vision_config": {"patch_size": 500}},
        {"vision_config": {"image_size": {}}},
        {"vision_config": {"layer_norm_eps": float("nan")}},
        {"vision_config": {"layer_norm_eps": "small"}},
        {"vision_config": {"hidden_act": "relu"}},
        {"vision_config": {"hidden_act": []}},
        {"text_config": {"eos_token_id": [1, 2]}},
        {"text_config": {"vocab_size": None}},
    ],
)
def test_a_configuration_that_cannot_be_is_one_line(tmp_path, config):
    # Tracebacks, or minutes and all memory for a network of such a size.
    if config == "\ud800":
        (tmp_path / "config.json").write_bytes(b"{\xff}")
    else:
        written(tmp_path, config)
    (tmp_path / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    with pytest.raises(UserError, match=r"config\.json: ") as caught:
        ClipExtractor(str(tmp_path))
    assert len(str(caught.value).replace(str(tmp_path), "")) < 200
    assert "\n" not in str(caught.value)


def test_a_network_of_a_size_that_no_file_holds_takes_no_memory_to_refuse(tmp_path):
    size = {"hidden_size": 1 << 16, "intermediate_size": 1 << 20, "num_attention_heads": 1}
    written(tmp_path, {"vision_config": size | {"num_hidden_layers": 8}})
    (tmp_path / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    with pytest.raises(UserError, match="not the state dict of VisionTower"):
        ClipExtractor(str(tmp_path)).check()
