"""Writing results: whole files, atomically, with their provenance."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import platform
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TextIO

from utils.errors import UserError

PACKAGES = (
    "torch",
    "torchvision",
    "torchmetrics",
    "transformers",
    "nudenet",
    "onnxruntime",
    "opencv-python-headless",
    "numpy",
    "pillow",
    "pyarrow",
)


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write one valid JSON document, whole."""

    def write(file: TextIO) -> None:
        json.dump(document, file, indent=2, allow_nan=False)
        file.write("\n")

    _replace(path, write)


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file (UTF-8, comma, one header line), whole."""

    def write(file: TextIO) -> None:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)

    _replace(path, write)


def _replace(path: Path, write: Callable[[TextIO], None]) -> None:
    def write_text(unfinished: Path) -> None:
        # Bytes of a file name that are no UTF-8 are written as an escape.
        with unfinished.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            write(file)

    replace_file(path, write_text)


def replace_file(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` make a file under another name, and put it in the place of ``path``.

    Raises:
        UserError: it cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        write(unfinished)
        os.replace(unfinished, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        unfinished.unlink(missing_ok=True)


# The warning of a kept score when a later run found other images in its method's folder.
CHANGED = "of images that have changed since"


def manifest(
    *,
    started: datetime,
    device: str | None,
    models: Mapping[str, Any],
    folders: Mapping[str, str],
) -> dict[str, Any]:
    """Describe a run, so that a number can be traced.

    Args:
        started: when the run began (timezone-aware).
        device: what torch ran on; None when it was not needed.
        models: what each model's ``provenance`` says, by name.
        folders: digest of each image folder.
    """
    now = datetime.now(UTC)
    return {
        "command": sys.argv,
        "started": started.isoformat(timespec="seconds"),
        "seconds": round((now - started).total_seconds(), 3),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "folder": str(Path.cwd()),
        "device": device,
        "seed": None,  # nothing is drawn at random
        "models": dict(models),
        "folders": dict(folders),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def folder_digest(images: Iterable[tuple[str, str | None]]) -> str:
    """Return one SHA-256 for the (relative path, digest) pairs of a folder's images."""
    total = hashlib.sha256()
    for name, digest in sorted(images, key=lambda pair: pair[0]):
        total.update(f"{name}\0{digest}\n".encode(errors="surrogateescape"))
    return total.hexdigest()
