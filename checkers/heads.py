"""The published classifier heads on CLIP embeddings, and how they are loaded.

Source: IGMU, https://github.com/ryliu68/IGMU; state-dict keys are the published ones.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from model_files.state_dicts import load_state_dict, load_strictly
from utils.errors import UserError


class BiMultiCHead(nn.Module):
    """Binary head: a gated embedding through a three-layer perceptron.

    a = sigmoid(W2 relu(W1 x)); logit = MLP(LayerNorm(a * x)).
    """

    def __init__(self, dim: int = 512, dropout: float = 0.3) -> None:
        super().__init__()
        self.attention = nn.Sequential(
            nn.Linear(dim, dim // 2), nn.ReLU(), nn.Linear(dim // 2, dim), nn.Sigmoid()
        )
        self.classifier = nn.Sequential(
            nn.LayerNorm(dim),
            nn.Linear(dim, dim // 2),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(dim // 2, dim // 4),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(dim // 4, 1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits of shape (n, 1) for embeddings of shape (n, dim)."""
        return self.classifier(x * self.attention(x))


class MultiMultiCHead(nn.Module):
    """Multi-class head: gated self-attention of one token, feed-forward, residual MLP.

    Args:
        classes: number of classes C.
        dim: length of the embedding.
    """

    def __init__(self, classes: int, dim: int = 512, dropout: float = 0.3) -> None:
        super().__init__()
        hidden = 512
        self.attn = nn.Sequential(
            nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, dim), nn.Sigmoid()
        )
        self.multihead = nn.MultiheadAttention(dim, 4, batch_first=True)
        self.gate = nn.Sequential(nn.Linear(dim, dim), nn.Sigmoid())
        self.feedforward = nn.Sequential(
            nn.LayerNorm(dim),
            nn.Linear(dim, 4 * dim),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(4 * dim, dim),
        )
        self.mlp1 = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, hidden), nn.GELU(), nn.Dropout(dropout)
        )
        self.mlp2 = nn.Sequential(
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden // 2),
            nn.GELU(),
            nn.Dropout(dropout),
        )
        self.output = nn.Linear(hidden // 2, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits of shape (n, classes) for embeddings of shape (n, dim)."""
        z = x * self.attn(x)
        token = z.unsqueeze(1)
        attended = self.multihead(token, token, token, need_weights=False)[0].squeeze(1)
        gate = self.gate(z)
        fused = gate * z + (1 - gate) * attended
        fused = fused + self.feedforward(fused)
        return self.output(self.mlp2(self.mlp1(fused) + fused))


def load_head(head: nn.Module, path: Path) -> nn.Module:
    """Load a state dict into ``head``, strictly; nothing in the file is executed.

    Returns:
        ``head`` on the CPU, in evaluation mode (dropout off).

    Raises:
        UserError: not a plain state dict, or not this head's.
    """
    return load_strictly(head, load_state_dict(path), path)


def apply_head(head: nn.Module, embeddings: np.ndarray, source: Path) -> np.ndarray:
    """Apply a head to embeddings, float32 of shape (n, dim), in pieces that bound the memory.

    Args:
        source: the head's file, for messages.

    Returns:
        float32 logits of shape (n, classes).

    Raises:
        UserError: the embeddings have another length, or the head gives NaN.
    """
    expected = next(head.parameters()).shape[1]
    if embeddings.shape[1] != expected:
        raise UserError(
            f"{source}: takes embeddings of length {expected}, the CLIP model gives "
            f"{embeddings.shape[1]}"
        )
    with torch.inference_mode():
        pieces = [head(piece) for piece in torch.from_numpy(embeddings).split(1024)]
    out = torch.cat(pieces)
    if not out.isfinite().all():
        raise UserError(f"{source}: gives logits that are not finite; the file is damaged")
    return out.numpy()
