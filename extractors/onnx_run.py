"""Opening ONNX models."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from utils.errors import UserError, reason

logger = logging.getLogger(__name__)


def open_session(path: Path, device: str, name: str) -> Any:
    """Return an onnxruntime session; without its CUDA provider it runs on the CPU.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        name: the extractor's, for messages.

    Raises:
        UserError: not an ONNX model.
    """
    import onnxruntime

    providers: list[Any] = ["CPUExecutionProvider"]
    if device.startswith("cuda") or device == "auto":
        if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            number = int(device.partition(":")[2] or 0)
            providers.insert(0, ("CUDAExecutionProvider", {"device_id": number}))
        elif device != "auto":
            logger.warning("%s runs on the CPU: this onnxruntime has no CUDA provider", name)
    try:
        return onnxruntime.InferenceSession(path, providers=providers)
    except Exception as error:  # onnxruntime's exceptions share no other base
        raise UserError(f"{path}: not an ONNX model: {reason(error)}") from error
