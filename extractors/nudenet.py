"""NudeNet detections, as the nudenet package (3.4) reports them for a file.

The package's network and its arithmetic; its Python loops over anchors are replaced by arrays.
Only the weights are taken from the package, which is not imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from extractors.base import Detections, Extractor, Sample
from extractors.onnx_run import open_session
from inputs.images import Picture, check_pixels
from model_files.digests import file_sha256
from model_files.published import given_file
from utils.errors import MissingModelError, UserError

# The order of the network's classes (https://github.com/notAI-tech/NudeNet).
LABELS = (
    "FEMALE_GENITALIA_COVERED",
    "FACE_FEMALE",
    "BUTTOCKS_EXPOSED",
    "FEMALE_BREAST_EXPOSED",
    "FEMALE_GENITALIA_EXPOSED",
    "MALE_BREAST_EXPOSED",
    "ANUS_EXPOSED",
    "FEET_EXPOSED",
    "BELLY_COVERED",
    "FEET_COVERED",
    "ARMPITS_COVERED",
    "ARMPITS_EXPOSED",
    "FACE_MALE",
    "BELLY_EXPOSED",
    "MALE_GENITALIA_EXPOSED",
    "ANUS_COVERED",
    "FEMALE_BREAST_COVERED",
    "BUTTOCKS_COVERED",
)

REPORTED_ABOVE = 0.25  # the package reports detections whose score is greater
_STORED_ABOVE = 0.05  # rows go lower, so that any later threshold is a recomputation
_NMS_IOU = 0.45


class NudeNetExtractor(Extractor):
    """Detections of the nudenet package's network.

    Non-maximum suppression is class-agnostic. It keeps or drops a box by higher-scored boxes
    only, so the rows above ``REPORTED_ABOVE`` are just what the package reports.

    Args:
        model: an ONNX file; default the one in the nudenet wheel.
        device: where onnxruntime runs; without its CUDA provider that is the CPU.
        precision: ignored: the file's own, fp32.

    Raises:
        UserError: no such file, or nudenet is not installed.
    """

    name = option = "nudenet"
    path: Path
    rows = Detections()

    def __init__(
        self, model: str | None = None, device: str = "auto", precision: str = "fp32"
    ) -> None:
        super().__init__(model, device, "fp32")
        self.path = given_file(self.name, model, ".onnx") if model else _bundled()
        self._loading = Lock()  # loader threads ask for the resolution all at once

    @property
    def spec(self) -> dict[str, Any]:
        return {
            "sha256": file_sha256(self.path),
            "preprocess": "EXIF upright, BGR, padded right and bottom to a square, bilinear",
            "precision": self.precision,
            "stored_above": _STORED_ABOVE,
            "iou": _NMS_IOU,
        }

    def prepare(self, picture: Picture) -> Sample:
        """Make the network's input, float32 of shape (3, resolution, resolution)."""
        import cv2

        # The package hands a file to the network as BGR: blobFromImage swaps RGB to that.
        pixels = picture.upright_pixels
        height, width = pixels.shape[:2]
        side = max(height, width)
        check_pixels(side, side)
        square = cv2.copyMakeBorder(pixels, 0, side - height, 0, side - width, cv2.BORDER_CONSTANT)
        blob = cv2.dnn.blobFromImage(
            square, 1 / 255.0, (self._resolution,) * 2, (0, 0, 0), swapRB=True, crop=False
        )
        return Sample(blob[0], (width, height))

    def load(self) -> None:
        """Open the ONNX session, if that was not done before."""
        _ = self._session

    def forward(self, batch: Sequence[Sample]) -> list[list[dict[str, Any]] | None]:
        """Return the detections of each sample, highest score first.

        None where the network gives values that are not finite: they would read as "nothing there".
        """
        blob = np.stack([sample.pixels for sample in batch])
        (output,) = self._session.run(None, {self._session.get_inputs()[0].name: blob})
        return [
            detections(anchors, sample.size, self._resolution)
            if np.isfinite(anchors).all()
            else None
            for anchors, sample in zip(output, batch, strict=True)
        ]

    @property
    def _session(self):
        with self._loading:
            return self._network

    @cached_property
    def _network(self):
        session = open_session(self.path, self.device, self.name)
        classes = session.get_outputs()[0].shape[1]
        if classes != 4 + len(LABELS):
            raise UserError(
                f"{self.path}: not a NudeNet model: {classes} outputs an anchor, not 22"
            )
        return session

    @cached_property
    def _resolution(self) -> int:
        size = self._session.get_modelmeta().custom_metadata_map.get("imgsz", "[320, 320]")
        return int(size.strip("[]").split(",")[0])


def _bundled() -> Path:
    spec = find_spec("nudenet")
    if spec is None:
        raise MissingModelError(
            "nudenet is not installed: `pip install nudenet`, or give the ONNX file of a "
            "release with --model nudenet=FILE (https://github.com/notAI-tech/NudeNet)"
        )
    return Path(spec.submodule_search_locations[0], "320n.onnx")


def detections(anchors: np.ndarray, size: tuple[int, int], resolution: int) -> list[dict[str, Any]]:
    """Turn the network's output for one image into detections.

    Args:
        anchors: float32 of shape (4 + classes, anchors): centre x, centre y, width, height in
            input pixels, then the class scores.
        size: (width, height) of the image in pixels.
        resolution: edge of the network's input in pixels.

    Returns:
        dicts ``label, score, x, y, w, h``, highest score first; whole pixels, inside the image.
    """
    import cv2

    scores = anchors[4:].max(axis=0)
    kept = scores > _STORED_ABOVE
    scores, classes = scores[kept], anchors[4:, kept].argmax(axis=0)
    cx, cy, w, h = anchors[:4, kept]
    width, height = size
    # In this order and in float32, as the package does it.
    side = np.float32(max(size))
    x, y = (((c - length / 2) * side / resolution) for c, length in ((cx, w), (cy, h)))
    w, h = w * side / resolution, h * side / resolution
    x, y = np.clip(x, 0, width), np.clip(y, 0, height)
    w, h = np.minimum(w, width - x), np.minimum(h, height - y)
    boxes = np.stack([x, y, w, h], axis=1)
    order = cv2.dnn.NMSBoxes(boxes, scores, _STORED_ABOVE, _NMS_IOU)
    return [
        {"label": LABELS[classes[i]], "score": float(scores[i])}
        | dict(zip("xywh", np.trunc(boxes[i]).tolist(), strict=True))
        for i in order
    ]
