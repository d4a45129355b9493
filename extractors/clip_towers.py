"""CLIP's two networks, with the state-dict keys of transformers.

A. Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", arXiv
2103.00020. Written out because importing transformers' takes seven seconds, more than scoring a
hundred images; the tests hold them against it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import backends, nn
from torch.nn import functional

from model_files.check import fault
from model_files.hub import hub_weights
from model_files.state_dicts import load_state_dict, load_strictly
from utils.errors import UserError, reason


def quick_gelu(x: torch.Tensor) -> torch.Tensor:
    """OpenAI's approximation of GELU, x sigmoid(1.702 x), in place: it is bound by the memory."""
    return functional.silu(x.mul_(1.702), inplace=True).div_(1.702)


_ACTIVATIONS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "quick_gelu": quick_gelu,
    "gelu": functional.gelu,
}  # ClipConfig lets no other through

# As on x86. Where torch lacks one of them (Arm, macOS) the plain product stays: not measured there.
_HAS_BOTH = backends.mkl.is_available() and backends.mkldnn.is_available()


class _Linear(nn.Linear):
    def reset_parameters(self) -> None:
        """Drawing weights would take a second; those of a file come."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """On a CPU, as a convolution with one pixel a token: by oneDNN, not by MKL.

        On an AMD EPYC that makes the networks a tenth faster. Values differ by float noise.
        """
        if x.device.type != "cpu" or not _HAS_BOTH:
            return super().forward(x)
        tokens = x.reshape(1, -1, 1, self.in_features).permute(0, 3, 1, 2)
        mapped = functional.conv2d(tokens, self.weight[:, :, None, None], self.bias)
        return mapped.permute(0, 2, 3, 1).reshape(*x.shape[:-1], self.out_features)


class _Embedding(nn.Embedding):
    def reset_parameters(self) -> None:
        """As for ``_Linear``."""


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (
            _Linear(width, width) for _ in range(4)
        )

    def forward(self, x: torch.Tensor, *, causal: bool, first: int | None = None) -> torch.Tensor:
        q, k, v = (
            project(tokens).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for project, tokens in ((self.q_proj, x[:, :first]), (self.k_proj, x), (self.v_proj, x))
        )
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return self.out_proj(mixed.transpose(1, 2).flatten(-2))


class _Mlp(nn.Module):
    def __init__(self, width: int, inner: int, activation: str) -> None:
        super().__init__()
        self.fc1, self.fc2 = _Linear(width, inner), _Linear(inner, width)
        self.activation = _ACTIVATIONS[activation]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(self.activation(self.fc1(x)))


class _Layer(nn.Module):
    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        width, epsilon = config["hidden_size"], config["layer_norm_eps"]
        self.layer_norm1 = nn.LayerNorm(width, epsilon)
        self.self_attn = _Attention(width, config["num_attention_heads"])
        self.layer_norm2 = nn.LayerNorm(width, epsilon)
        self.mlp = _Mlp(width, config["intermediate_size"], config["hidden_act"])

    def forward(self, x: torch.Tensor, *, causal: bool, first: int | None = None) -> torch.Tensor:
        x = x[:, :first] + self.self_attn(self.layer_norm1(x), causal=causal, first=first)
        return x + self.mlp(self.layer_norm2(x))


class _Encoder(nn.Module):
    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config["num_hidden_layers"]))

    def forward(self, x: torch.Tensor, *, causal: bool, first: int | None = None) -> torch.Tensor:
        """Return the states of the ``first`` tokens (None: of all), shape (n, tokens, width)."""
        *layers, last = self.layers
        for layer in layers:
            x = layer(x, causal=causal)
        return last(x, causal=causal, first=first)


class _VisionEmbeddings(nn.Module):
    def __init__(self, width: int, patch: int, image_size: int) -> None:
        super().__init__()
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.patch_embedding = nn.Conv2d(3, width, patch, stride=patch, bias=False)
        self.position_embedding = _Embedding((image_size // patch) ** 2 + 1, width)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        patches = self.patch_embedding(pixels).flatten(2).transpose(1, 2)
        token = self.class_embedding.expand(len(pixels), 1, -1)
        return torch.cat([token, patches], 1) + self.position_embedding.weight


class _VisionTransformer(nn.Module):
    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        width, epsilon = config["hidden_size"], config["layer_norm_eps"]
        self.embeddings = _VisionEmbeddings(width, config["patch_size"], config["image_size"])
        self.pre_layrnorm = nn.LayerNorm(width, epsilon)  # the published key
        self.encoder = _Encoder(config)
        self.post_layernorm = nn.LayerNorm(width, epsilon)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        # Of the last layer nothing but the class token is asked: a fifteenth of the work.
        x = self.encoder(self.pre_layrnorm(self.embeddings(pixels)), causal=False, first=1)
        return self.post_layernorm(x[:, 0])


class VisionTower(nn.Module):
    """Images to projected embeddings.

    Args:
        config: what transformers' ``vision_config`` has.
        dim: length of an embedding.
    """

    prefixes = ("vision_model.", "visual_projection.")

    def __init__(self, config: Mapping[str, Any], dim: int) -> None:
        super().__init__()
        self.vision_model = _VisionTransformer(config)
        self.visual_projection = _Linear(config["hidden_size"], dim, bias=False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return float of shape (n, dim) for pixels of shape (n, 3, image_size, image_size)."""
        return self.visual_projection(self.vision_model(pixels))


class _TextEmbeddings(nn.Module):
    def __init__(self, vocabulary: int, positions: int, width: int) -> None:
        super().__init__()
        self.token_embedding = _Embedding(vocabulary, width)
        self.position_embedding = _Embedding(positions, width)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.token_embedding(ids) + self.position_embedding.weight[: ids.shape[1]]


class _TextTransformer(nn.Module):
    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        width = config["hidden_size"]
        self.embeddings = _TextEmbeddings(
            config["vocab_size"], config["max_position_embeddings"], width
        )
        self.encoder = _Encoder(config)
        self.final_layer_norm = nn.LayerNorm(width, config["layer_norm_eps"])

    def forward(self, ids: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        x = self.encoder(self.embeddings(ids), causal=True)
        return self.final_layer_norm(x[torch.arange(len(ids), device=ids.device), last])


class TextTower(nn.Module):
    """Token ids to projected embeddings.

    Args:
        config: what transformers' ``text_config`` has.
        dim: length of an embedding.
    """

    prefixes = ("text_model.", "text_projection.")

    def __init__(self, config: Mapping[str, Any], dim: int) -> None:
        super().__init__()
        self.text_model = _TextTransformer(config)
        self.text_projection = _Linear(config["hidden_size"], dim, bias=False)

    def forward(self, ids: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        """Return float of shape (n, dim).

        Args:
            ids: tokens of shape (n, length), padded behind.
            last: position of the token whose state is the embedding, of shape (n,).
        """
        return self.text_projection(self.text_model(ids, last))


def load_tower(
    kind: type[VisionTower] | type[TextTower],
    folder: Path,
    config: Mapping[str, Any],
    dim: int,
    device: torch.device,
) -> nn.Module:
    """Load one tower of a CLIP folder, whole, in evaluation mode.

    Args:
        config: the tower's, whole (``ClipConfig``).
        dim: length of an embedding.

    Raises:
        UserError: weights are missing or do not fit, or it is no CLIP.
    """
    weights = hub_weights(folder)
    state = {
        key: value
        for key, value in _state_dict(weights).items()
        if key.startswith(kind.prefixes) and not key.endswith("position_ids")
    }
    with torch.device("meta"):  # no memory for what the file's tensors replace
        tower = kind(config, dim)
    return load_strictly(tower, state, weights).to(device)


def _state_dict(weights: Path) -> dict[str, torch.Tensor]:
    if weights.suffix != ".safetensors":
        return load_state_dict(weights)
    from safetensors.torch import load_file

    wrong = fault(weights)
    if wrong:
        raise UserError(f"{weights}: {wrong}")
    try:
        return load_file(weights)  # maps the tensors: what is not used is not read
    except Exception as error:  # a damaged file
        raise UserError(f"{weights}: cannot be loaded: {reason(error)}") from error
