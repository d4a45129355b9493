"""State dicts of PyTorch: loaded without running what is in the file, and strictly."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from model_files.check import check_file, fault, zip_fault
from utils.errors import UserError, reason

if TYPE_CHECKING:
    from torch import nn

_SHOWN = 200  # characters of torch's message, which names every tensor


def load_state_dict(path: Path) -> dict[str, Any]:
    """Load a PyTorch state dict on the CPU; nothing in the file is executed.

    Raises:
        UserError: not a plain state dict, or a damaged one.
    """
    import torch

    check_file(path, str(path))
    wrong = fault(path) or zip_fault(path)
    try:
        if wrong:
            raise ValueError(wrong)
        mapped = zipfile.is_zipfile(path)  # what torch wrote before 1.6 has to be read
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # unpickling a damaged or hostile file raises many kinds
        unsafe = isinstance(error, pickle.UnpicklingError)  # torch's own text is of how to run it
        why = "more than tensors in it, or damaged" if unsafe else reason(error)
        raise UserError(
            f"{path}: refused, not a plain PyTorch state dict ({why}); nothing in it was executed"
        ) from error
    if not isinstance(state, Mapping):
        raise UserError(f"{path}: not a state dict but a {type(state).__name__}")
    return dict(state)


def load_strictly(module: nn.Module, state: Mapping[str, Any], path: Path) -> nn.Module:
    """Load a state dict into ``module`` and return it in evaluation mode, without gradients.

    The module takes the tensors themselves, as fp32, in place of its own, which may be on the
    device ``meta``.

    Raises:
        UserError: the state dict is not this module's, or holds NaN or infinity.
    """
    import torch

    what = f"{path}: not the state dict of {type(module).__name__}"
    if not all(isinstance(k, str) and torch.is_tensor(v) for k, v in state.items()):
        raise UserError(f"{what}: it holds more than tensors by name")
    try:
        full = {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
        module.load_state_dict(full, strict=True, assign=True)
        damaged = next((key for key, value in full.items() if not value.isfinite().all()), None)
    except RuntimeError as error:  # also of tensors without values, sparse ones and others
        text = " ".join(str(error).partition(":\n\t")[2].split()) or reason(error)
        raise UserError(f"{what}: {shorten(text, _SHOWN)}") from error
    if damaged:
        raise UserError(f"{path}: {damaged} holds values that are not finite; the file is damaged")
    return module.eval().requires_grad_(False)
