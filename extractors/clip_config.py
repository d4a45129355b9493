"""What ``config.json`` of a CLIP folder says of its two networks, checked before they are built."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_files.check import check_file
from utils.errors import UserError

ACTIVATIONS = ("quick_gelu", "gelu")
_LARGEST_FILE = 1 << 20  # bytes; published ones have four thousand
_MOST_PARTS = 200  # lists and objects in a file; published ones have ten
_MOST = 1 << 20  # of any number here; the largest is a vocabulary of 49,408
_COMMON = {"hidden_act": "quick_gelu", "layer_norm_eps": 1e-5}
# CLIP's own: of ViT-B/32, for what a file leaves out.
_VISION = _COMMON | {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "image_size": 224,
    "patch_size": 32,
}
_TEXT = _COMMON | {
    "hidden_size": 512,
    "intermediate_size": 2048,
    "num_hidden_layers": 12,
    "num_attention_heads": 8,
    "max_position_embeddings": 77,
    "vocab_size": 49408,
    "eos_token_id": 49407,
}


@dataclass(frozen=True)
class ClipConfig:
    """A CLIP's configuration.

    Attributes:
        dim: length of an embedding.
        vision, text: what shapes the two networks, by transformers' names; nothing is left out.
        stated: the file's ``vision_config`` and ``text_config``, as they are.
    """

    dim: int
    vision: Mapping[str, Any]
    text: Mapping[str, Any]
    stated: tuple[Mapping[str, Any], Mapping[str, Any] | None]

    @classmethod
    def of(cls, folder: Path) -> ClipConfig:
        """Read ``config.json`` of a model folder.

        Raises:
            UserError: it is not a CLIP's, or a number in it cannot be.
        """
        file = folder / "config.json"
        config = read_json(file)
        try:
            vision, text = config.get("vision_config", config), config.get("text_config")
            for part in (vision, text):
                if not isinstance(part, dict | None):
                    raise ValueError(f"a {type(part).__name__} in the place of a configuration")
            dim = config.get("projection_dim", vision.get("projection_dim", 512))
            _check_number("projection_dim", dim)
            return cls(dim, _network(vision, _VISION), _network(text or {}, _TEXT), (vision, text))
        except (ValueError, AttributeError) as error:
            raise UserError(f"{file}: not a CLIP model's: {error}") from error


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON object from a configuration file.

    Raises:
        UserError: it is none, or larger than any such file.
    """
    check_file(file, str(file), _LARGEST_FILE)
    try:
        text = file.read_text(encoding="utf-8")
        if text.count("{") + text.count("[") > _MOST_PARTS:
            raise ValueError(f"over {_MOST_PARTS} lists and objects")
        config = json.loads(text)
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: not a model's configuration: {error}") from error
    if not isinstance(config, dict):
        raise UserError(f"{file}: not a model's configuration but a {type(config).__name__}")
    return config


def _network(stated: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of one network, all of it.

    Raises:
        ValueError: something in it cannot be.
    """
    full = {key: stated.get(key, default) for key, default in defaults.items()}
    for key, value in full.items():
        if key == "hidden_act":
            if value not in ACTIVATIONS:
                raise ValueError(f"hidden_act = {value!s:.80} is not one of CLIP's")
        elif key == "layer_norm_eps":
            if not (isinstance(value, float) and 0 < value < 1):
                raise ValueError(f"layer_norm_eps = {value!s:.80} is not between 0 and 1")
        else:
            _check_number(key, value)
    if full["hidden_size"] % full["num_attention_heads"]:
        raise ValueError(
            f"hidden_size = {full['hidden_size']} does not divide into "
            f"{full['num_attention_heads']} heads"
        )
    if full.get("patch_size", 1) > full.get("image_size", 1):
        raise ValueError(f"patch_size = {full['patch_size']} is larger than the image")
    return full


def _check_number(key: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= _MOST:
        raise ValueError(f"{key} = {value!r:.80} is not a whole number from 1 to {_MOST}")
