"""Devices and precisions by the names the CLIs use."""

from __future__ import annotations

import os
import re
import shutil
import sys

from utils.errors import UserError

PRECISIONS = ("fp32", "bf16", "fp16")


def check_device(name: str) -> str:
    """Return ``name`` if this machine has the device; only ``cuda`` needs torch to tell.

    Raises:
        UserError: not a device name, or a GPU that is not there.
    """
    if name in ("auto", "cpu"):
        return name
    if not re.fullmatch(r"cuda(:\d+)?", name):
        raise UserError(f"--device {name}: give auto, cpu, cuda or cuda:N")
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count == 0:
        raise UserError(f"--device {name}: torch sees no CUDA GPU here; give --device cpu")
    if int(name.partition(":")[2] or 0) >= count:
        raise UserError(f"--device {name}: there are {count} GPUs, cuda:0 to cuda:{count - 1}")
    return name


def default_batch_size(name: str) -> int:
    """Return how many images a forward pass is fastest with, without importing torch.

    On a CPU fewer lay out the weights too often, and more gain nothing and take memory.
    """
    on_gpu = name.startswith("cuda") or (name == "auto" and shutil.which("nvidia-smi"))
    return 64 if on_gpu else 16


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def torch_device(name: str):
    """Return the ``torch.device``; ``auto`` is the first GPU, or the CPU where there is none."""
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def used_device(name: str) -> str | None:
    """Return the device torch ran on; None when this run never needed torch."""
    return str(torch_device(name)) if "torch" in sys.modules else None
