"""YOLO detections, as ``ultralytics.YOLO(weights).predict(file, conf=0.001, iou=0.6)`` gives them.

ultralytics (AGPL-3.0) is called, not copied, and imported when the first image needs it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from extractors.base import Detections, KeepsNetwork, Sample
from extractors.torch_run import inference
from utils.device import torch_device
from utils.errors import UserError
from utils.images import Picture, UnreadableImageError
from utils.weights import Published, download, file_sha256, reason, spec_digest

if TYPE_CHECKING:
    import torch

DEFAULT = Published(
    "https://github.com/ultralytics/assets/releases/download/v8.4.0/yolov8n.pt"  # no digest given
)

_STORED_ABOVE = 0.001  # any later threshold is a recomputation: see YoloExtractor
_NMS_IOU = 0.6
_MAX_DETECTIONS = 300
_MAX_CANDIDATES = 30_000
_CLASS_OFFSET = 7680  # pixels between the boxes of one class and the next, when they are compared
_THINNEST = 500  # at 640 pixels a side, a strip of 1.3

# Read once, while ultralytics is imported: no look-ups on the network, no `pip install` of what
# it or a weights file asks for, no banners on stdout.
_SWITCHES = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "false"}


class YoloExtractor(KeepsNetwork):
    """Detections of an ultralytics detection model.

    Rows with score > t are what ``predict(conf=t)`` gives: non-maximum suppression drops a box
    only for one of higher score, and the cut at 300 boxes takes the lowest.

    Args:
        model: a ``.pt`` file of ultralytics; default ``yolov8n.pt``. Such a file is a pickle,
            and loading it can run code: give only files you trust.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``fp32``, or ``bf16`` / ``fp16`` (autocast; box corners are then coarse, by
            several pixels with bf16).

    Raises:
        UserError: ultralytics is not installed, or the file is not to be had.
    """

    name = "yolo"
    rows = Detections()
    slow_to_load = True

    def __init__(
        self, model: str | None = None, device: str = "auto", precision: str = "fp32"
    ) -> None:
        if find_spec("ultralytics") is None:
            raise UserError(
                "ultralytics is not installed: `pip install ultralytics` (its licence is AGPL-3.0)"
            )
        self.path = _given(model) if model else find_default()
        self.device = device
        self.precision = precision

    @property
    def provenance(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "sha256": file_sha256(self.path),
            "preprocess": "EXIF upright, RGB, letterboxed alone to the model's size, bilinear",
            "precision": self.precision,
        }

    @property
    def id(self) -> str:
        parts = {k: v for k, v in self.provenance.items() if k != "path"}
        nms = {"stored_above": _STORED_ABOVE, "iou": _NMS_IOU, "most": _MAX_DETECTIONS}
        return f"yolo-{self.precision}-{spec_digest(**nms, **parts)}"

    def prepare(self, picture: Picture) -> Sample:
        """Return the upright pixels, uint8 of shape (height, width, 3), RGB.

        Raises:
            UnreadableImageError: a strip that has no height at the network's size.
        """
        size = picture.upright.size
        if max(size) > _THINNEST * min(size):
            raise UnreadableImageError(f"one side is over {_THINNEST} times the other")
        return Sample(picture.upright_pixels, size)

    def forward(self, batch: Sequence[Sample]) -> list[list[dict[str, Any]]]:
        """Return the detections of each sample, highest score first, at most 300.

        Returns:
            for each sample dicts ``label, score, x, y, w, h``; float pixels of the upright image.

        Raises:
            UserError: the network gives values that are not finite.
        """
        import torch

        model, letterbox = self._network.model, self._network.letterbox
        # Here, not in prepare, which must not wait for ultralytics. It letterboxes BGR and swaps
        # later: the same, channel by channel.
        boxed = np.stack([letterbox(image=sample.pixels) for sample in batch])
        pixels = torch.from_numpy(boxed).to(model.device)
        with inference(model.device, self.precision):
            images = pixels.permute(0, 3, 1, 2).contiguous().float() / 255
            anchors = model(images)[0].float()
            if not anchors.isfinite().all():  # else a NaN score would read as "nothing there"
                raise UserError(f"{self.path}: gives values that are not finite ({self.precision})")
            return _detections(anchors, model, images.shape[2:], [s.size for s in batch])

    @cached_property
    def _network(self) -> _Network:
        return _load(self.path, self.device)


@dataclass(frozen=True)
class _Network:
    """A loaded model (ultralytics' ``AutoBackend``) and the ``LetterBox`` for its input."""

    model: Any
    letterbox: Any


def find_default() -> Path:
    """Return ``yolov8n.pt``: in ultralytics' weights folder, in ``Weights/``, or downloaded.

    Raises:
        UserError: not to be had.
    """
    name = DEFAULT.url.rsplit("/", 1)[-1]
    place = _weights_dir() / name
    for path in (place, Path("Weights", name)):  # the second is where the published script looks
        if path.is_file():
            return path
    try:
        download(DEFAULT, place)
    except OSError as error:
        raise UserError(
            f"{name} (yolo) is not on this machine and cannot be downloaded "
            f"({reason(error)}); get {DEFAULT.url} and put it at {place}, or "
            "give it with --model yolo=FILE"
        ) from error
    return place


def _given(model: str) -> Path:
    path = Path(model).expanduser()
    if not os.path.isfile(path):
        raise UserError(f"--model yolo={model}: no such file")
    if path.suffix.lower() != ".pt":
        raise UserError(f"--model yolo={model}: not a .pt file of ultralytics")
    return path


def _weights_dir() -> Path:
    """The weights folder of ultralytics' settings, which importing it makes if there are none."""
    try:
        folder = json.loads(_settings_file().read_text())["weights_dir"]
    except (OSError, ValueError, LookupError, TypeError):
        with process_kept():
            from ultralytics import settings

            folder = settings["weights_dir"]
    return Path(folder).absolute()  # the default is relative to the current folder


def _settings_file() -> Path:
    """Where ultralytics keeps its settings (``get_user_config_dir`` in its ``utils``)."""
    places = {"win32": "~/AppData/Roaming", "darwin": "~/Library/Application Support"}
    place = places.get(sys.platform) or os.environ.get("XDG_CONFIG_HOME", "~/.config")
    folder = os.environ.get("YOLO_CONFIG_DIR") or place
    return Path(folder).expanduser() / "Ultralytics" / "settings.json"


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


def _load(path: Path, device: str) -> _Network:
    """Load a model as ``YOLO(path).predict`` does: fused, with the image size of its training.

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
    return _Network(model.eval(), LetterBox(size, auto=True, stride=model.stride))


def _detections(
    anchors: torch.Tensor, model: Any, shape: Sequence[int], sizes: Sequence[tuple[int, int]]
) -> list[list[dict[str, Any]]]:
    """Suppress overlapping boxes within each class and scale the others to their images.

    Args:
        anchors: the network's output, float32 of shape (n, 4 + classes, anchors).
        model: the network, which names the classes.
        shape: (height, width) of the network's input.
        sizes: (width, height) of each image.
    """
    from ultralytics.utils.ops import scale_boxes

    rows = []
    for found, (width, height) in zip(_suppressed(anchors), sizes, strict=True):
        scale_boxes(shape, found[:, :4], (height, width))  # in place
        found[:, 2:4] -= found[:, :2]
        rows.append(
            [
                {"label": model.names[int(number)], "score": score, "x": x, "y": y, "w": w, "h": h}
                for x, y, w, h, score, number in found[:, :6].tolist()
            ]
        )
    return rows


def _suppressed(anchors: torch.Tensor) -> list[np.ndarray]:
    """The boxes that stay, of each image: left, top, right, bottom, score, class; best first.

    As ``ultralytics.utils.nms``, which takes ten times as long unless torchvision is loaded, and
    that takes four seconds.
    """
    import torch
    from ultralytics.utils.ops import xywh2xyxy

    scores, classes = anchors[:, 4:].max(1)
    image, place = (scores > _STORED_ABOVE).nonzero(as_tuple=True)
    boxes = xywh2xyxy(anchors[image, :4, place])
    about = (scores[image, place, None], classes[image, place, None])
    rows, image = torch.cat((boxes, *about), 1).cpu().numpy(), image.cpu().numpy()
    several = np.split(rows, np.searchsorted(image, np.arange(1, len(anchors))))
    return [candidates[_best(candidates)] for candidates in several]


def _best(rows: np.ndarray) -> np.ndarray:
    """Places of the rows that overlap with no better one of their class, best first."""
    import cv2

    boxes = rows[:, :4] + _CLASS_OFFSET * rows[:, 5:]  # rounded as ultralytics rounds
    boxes[:, 2:] -= boxes[:, :2]
    order = cv2.dnn.NMSBoxes(
        boxes, rows[:, 4], _STORED_ABOVE, _NMS_IOU, eta=1.0, top_k=_MAX_CANDIDATES
    )
    return np.array(order[:_MAX_DETECTIONS], int)
