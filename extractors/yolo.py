"""YOLO detections, as ``ultralytics.YOLO(weights).predict(file, conf=0.001, iou=0.6)`` gives them.

ultralytics (AGPL-3.0) is called, not copied, and imported when the first image needs it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from extractors.base import Detections, Extractor, Sample
from extractors.yolo_networks import Network, load_onnx, load_pt, process_kept
from inputs.images import Picture, UnreadableImageError
from model_files.digests import file_sha256
from model_files.download import Published
from model_files.published import check_published, find_published, given_file
from utils.errors import MissingModelError, UserError

if TYPE_CHECKING:
    import torch

DEFAULT = Published(
    "https://github.com/ultralytics/assets/releases/download/v8.4.0/yolov8n.pt",
    "f59b3d833e2ff32e194b5bb8e08d211dc7c5bdf144b90d2c8412c47ccfc83b36",
    6.5,
)
_OFFICIAL = (
    DEFAULT.sha256,
    "31e20dde3def09e2cf938c7be6fe23d9150bbbe503982af13345706515f2ef95",  # release v0.0.0
)
_ONNX = ".onnx"
_OPTION = "--model yolo=FILE"

_STORED_ABOVE = 0.001  # any later threshold is a recomputation: see YoloExtractor
_NMS_IOU = 0.6
_MAX_DETECTIONS = 300
_MAX_CANDIDATES = 30_000
_CLASS_OFFSET = 7680  # pixels between the boxes of one class and the next, when they are compared
_THINNEST = 500  # at 640 pixels a side, a strip of 1.3


class YoloExtractor(Extractor):
    """Detections of an ultralytics detection model.

    Rows with score > t are what ``predict(conf=t)`` gives: non-maximum suppression drops a box
    only for one of higher score, and the cut at 300 boxes takes the lowest.

    Args:
        model: an ONNX file that ultralytics exported, or its ``.pt`` file; default
            ``yolov8n.pt``. A ``.pt`` file is a pickle, and loading it can run code.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``fp32``, or ``bf16`` / ``fp16`` (autocast; box corners are then coarse, by
            several pixels with bf16). Of an ONNX file its own, fp32.
        trust: load a ``.pt`` file that is not the published one.

    Raises:
        MissingModelError: ultralytics is not installed, or the file is not to be had.
        UserError: it is not a file that can be read, or a ``.pt`` file that is not trusted.
    """

    name = option = "yolo"
    path: Path
    rows = Detections()
    slow_to_load = True

    def __init__(
        self,
        model: str | None = None,
        device: str = "auto",
        precision: str = "fp32",
        *,
        trust: bool = False,
    ) -> None:
        if find_spec("ultralytics") is None:
            raise MissingModelError(
                "ultralytics is not installed: `pip install ultralytics` (its licence is AGPL-3.0)"
            )
        super().__init__(model, device, precision)
        self.path = _given(model, trust=trust) if model else find_default()
        if self.path.suffix == _ONNX:
            self.precision = "fp32"

    @property
    def published(self) -> bool | str | None:
        return file_sha256(self.path) in _OFFICIAL

    @property
    def spec(self) -> dict[str, Any]:
        return {
            "sha256": file_sha256(self.path),
            "preprocess": "EXIF upright, RGB, letterboxed alone to the model's size, bilinear",
            "precision": self.precision,
            "stored_above": _STORED_ABOVE,
            "iou": _NMS_IOU,
            "most": _MAX_DETECTIONS,
        }

    def prepare(self, picture: Picture) -> Sample:
        """Return the upright pixels, uint8 of shape (height, width, 3), RGB.

        Raises:
            UnreadableImageError: a strip that has no height at the network's size.
        """
        size = picture.upright.size
        if max(size) > _THINNEST * min(size):
            raise UnreadableImageError(f"one side is over {_THINNEST} times the other")
        return Sample(picture.upright_pixels, size)

    def forward(self, batch: Sequence[Sample]) -> list[list[dict[str, Any]] | None]:
        """Return the detections of each sample, highest score first, at most 300.

        Returns:
            for each sample dicts ``label, score, x, y, w, h``; float pixels of the upright image.
            None where the network gives values that are not finite: they would read as "nothing
            there".
        """
        network = self._network
        # Here, not in prepare, which must not wait for ultralytics. It letterboxes BGR and swaps
        # later: the same, channel by channel.
        boxed = np.stack([network.letterbox(image=sample.pixels) for sample in batch])
        anchors = network.anchors(boxed, self.precision)
        if anchors.ndim != 3 or anchors.shape[1] != 4 + len(network.names):
            raise UserError(f"{self.path}: gives no boxes with a score for each class")
        finite = anchors.isfinite().all(2).all(1)
        anchors = anchors.where(finite[:, None, None], 0)
        rows = _detections(anchors, network.names, boxed.shape[1:3], [s.size for s in batch])
        return [row if good else None for row, good in zip(rows, finite.tolist(), strict=True)]

    @cached_property
    def _network(self) -> Network:
        load = load_onnx if self.path.suffix == _ONNX else load_pt
        return load(self.path, self.device)


def find_default() -> Path:
    """Return ``yolov8n.pt``: in ultralytics' weights folder, in ``Weights/``, or downloaded.

    Raises:
        MissingModelError: not to be had.
        UserError: the file there is not the published one.
    """
    place = _weights_dir() / DEFAULT.name
    for path in (place, Path("Weights", DEFAULT.name)):  # there the published script looks
        if os.path.lexists(path):
            if not path.is_file() or file_sha256(path) not in _OFFICIAL:
                check_published(DEFAULT, path, _OPTION)  # says what is wrong
            return path
    return find_published(f"{DEFAULT.name} (yolo)", DEFAULT, place, _OPTION)


def _given(model: str, *, trust: bool) -> Path:
    suffix = Path(model).suffix
    if suffix not in (".pt", _ONNX):
        raise UserError(f"--model yolo={model}: neither an .onnx nor a .pt file of ultralytics")
    path = given_file("yolo", model, suffix)
    if path.suffix == ".pt" and not trust and file_sha256(path) not in _OFFICIAL:
        raise UserError(
            f"--model yolo={model}: a .pt file can run code when it is loaded, and this is not the "
            f"published {DEFAULT.name} (its SHA-256 is {file_sha256(path)}); export it where that "
            "does no harm, `yolo export model=FILE.pt format=onnx dynamic=True`, and give the "
            ".onnx file, or add --trust-weights"
        )
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


def _detections(
    anchors: torch.Tensor,
    names: Mapping[int, str],
    shape: Sequence[int],
    sizes: Sequence[tuple[int, int]],
) -> list[list[dict[str, Any]]]:
    """Suppress overlapping boxes within each class and scale the others to their images.

    Args:
        anchors: the network's output, float32 of shape (n, 4 + classes, anchors).
        names: label of each class.
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
                {"label": names[int(number)], "score": score, "x": x, "y": y, "w": w, "h": h}
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
