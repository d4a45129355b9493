"""The two forms of a YOLO network: ultralytics' ``.pt``, and ONNX, which runs no code of its own.

ultralytics (AGPL-3.0) is called, not copied, and imported when a network is loaded.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from extractors.onnx_run import open_session
from extractors.torch_run import inference
from utils.device import torch_device
from utils.errors import UserError, reason

if TYPE_CHECKING:
    import torch

# Read once, while ultralytics is imported: no look-ups on the network, no `pip install` of what
# it or a weights file asks for, no banners on stdout.
_SWITCHES = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "false"}
_LONGEST_NAMES = 1 << 20  # characters of a list of classes
_USUAL_SIZE, _USUAL_STRIDE = 640, 32


class Network(Protocol):
    """A loaded detection network.

    Attributes:
        names: label of each class.
        letterbox: brings an image to the network's size (ultralytics' ``LetterBox``).
    """

    names: Mapping[int, str]
    letterbox: Any

    def anchors(self, pixels: np.ndarray, precision: str) -> torch.Tensor:
        """Return boxes and class scores, float32 of shape (n, 4 + classes, anchors).

        Args:
            pixels: letterboxed images, uint8 of shape (n, height, width, 3), RGB.
        """


@dataclass(frozen=True)
class TorchNetwork:
    """A ``.pt`` file's network (ultralytics' ``AutoBackend``)."""

    model: Any
    letterbox: Any

    @property
    def names(self) -> Mapping[int, str]:
        return self.model.names

    def anchors(self, pixels: np.ndarray, precision: str) -> torch.Tensor:
        import torch

        device = self.model.device
        with inference(device, precision):
            images = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).contiguous()
            return self.model(images.float() / 255)[0].float()


@dataclass(frozen=True)
class OnnxNetwork:
    """An ONNX file's network; its precision is the file's own."""

    session: Any
    names: Mapping[int, str]
    letterbox: Any

    def anchors(self, pixels: np.ndarray, precision: str) -> torch.Tensor:
        import torch

        images = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), np.float32) / 255
        (given,) = self.session.get_inputs()
        several = [images] if isinstance(given.shape[0], str) else np.split(images, len(images))
        found = [self.session.run(None, {given.name: some})[0] for some in several]
        return torch.from_numpy(np.concatenate(found))


@contextmanager
def process_kept() -> Iterator[None]:
    """Import and load with ultralytics, and undo what that does to the rest of the process.

    It sets OMP_NUM_THREADS and CUBLAS_WORKSPACE_CONFIG, stops OpenCV's threads, and replaces
    ``torch.save`` and ``PIL.Image.open``; the latter would try to pip-install a HEIF reader for
    each damaged image.
    """
    import cv2
    import torch  # before ultralytics: torch reads OMP_NUM_THREADS when it is imported
    from PIL import Image

    environment = dict(os.environ)
    threads = torch.get_num_threads(), cv2.getNumThreads()
    replaced = torch.save, Image.open
    os.environ.update(_SWITCHES)
    try:
        yield
    finally:
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)
        torch.set_num_threads(threads[0])
        cv2.setNumThreads(threads[1])
        torch.save, Image.open = replaced


def load_pt(path: Path, device: str) -> TorchNetwork:
    """Load a model as ``YOLO(path).predict`` does: fused, with the image size of its training.

    The file is a pickle: loading it can run code.

    Raises:
        UserError: not a detection model of ultralytics.
    """
    try:
        with process_kept():
            from ultralytics import YOLO
            from ultralytics.data.augment import LetterBox
            from ultralytics.nn.autobackend import AutoBackend
            from ultralytics.utils.checks import check_imgsz

            yolo = YOLO(path.absolute())  # a bare name could be deleted and downloaded anew
            if type(yolo) is not YOLO or yolo.task != "detect":
                raise UserError(
                    f"{path}: a {type(yolo).__name__} model for {yolo.task}, not YOLO's"
                )
            model = AutoBackend(
                yolo.model,
                device=torch_device(device),
                verbose=False,
                end2end=False,  # predict's default is NMS, also for models that can do without
            )
            size = check_imgsz(yolo.overrides["imgsz"], stride=model.stride, min_dim=2)
    except UserError:
        raise
    except Exception as error:  # unpickling a damaged or foreign file raises many kinds
        raise UserError(f"{path}: ultralytics cannot load it: {reason(error)}") from error
    return TorchNetwork(model.eval(), LetterBox(size, auto=True, stride=model.stride))


def load_onnx(path: Path, device: str) -> OnnxNetwork:
    """Load a model that ultralytics exported to ONNX, as ``YOLO(path).predict`` uses it.

    Where the export fixed the size of the input, every image is padded to that square.

    Raises:
        UserError: not such a detection model.
    """
    session = open_session(path, device, "yolo")
    try:
        with process_kept():
            from ultralytics.data.augment import LetterBox

        said = session.get_modelmeta().custom_metadata_map
        if said.get("task", "detect") != "detect":
            raise ValueError(f"a model for {said['task']:.80}, not for detection")
        names = _names(said)
        (given,), found = session.get_inputs(), session.get_outputs()
        if given.type != "tensor(float)" or len(given.shape) != 4 or len(found) != 1:
            raise ValueError("its input is not images in fp32, or it has several outputs")
        outputs = found[0].shape[1]
        if isinstance(outputs, int) and outputs != 4 + len(names):
            raise ValueError(f"{outputs} outputs an anchor, not 4 and its {len(names)} classes")
        free = any(isinstance(edge, str) for edge in given.shape[2:])
        size = ast.literal_eval(said.get("imgsz", f"[{_USUAL_SIZE}, {_USUAL_SIZE}]"))
        size = tuple(map(int, size if free else given.shape[2:]))
        stride = int(said.get("stride", _USUAL_STRIDE))
        if len(size) != 2 or not all(0 < stride <= edge <= 10_000 for edge in size):
            raise ValueError(f"images of {size} in steps of {stride}")
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise UserError(
            f"{path}: not a detection model of ultralytics: {reason(error)}; export one with "
            "`yolo export model=FILE.pt format=onnx dynamic=True`"
        ) from error
    return OnnxNetwork(session, names, LetterBox(size, auto=free, stride=stride))


def _names(said: Mapping[str, str]) -> dict[int, str]:
    """The classes' labels, from what an exported model says of itself."""
    text = said.get("names", "")
    names = ast.literal_eval(text) if 0 < len(text) < _LONGEST_NAMES else None
    if not isinstance(names, dict) or list(names) != list(range(len(names))):
        raise ValueError("it does not name its classes")
    return {number: str(name) for number, name in names.items()}
