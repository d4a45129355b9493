"""Writing results: whole files, atomically, with their provenance."""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import os
import platform
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from glob import escape
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TextIO

from utils.errors import UserError
from utils.text import printable
from utils.version import VERSION, commit

PACKAGES = (  # that a number may depend on
    "torch",
    "torchvision",
    "torchmetrics",
    "transformers",
    "tokenizers",
    "safetensors",
    "nudenet",
    "onnxruntime",
    "ultralytics",
    "opencv-python-headless",
    "numpy",
    "scipy",
    "pillow",
    "pyarrow",
)
MANIFEST = "manifest.json"
FORMAT = 2  # of a results folder; 1 had no scores.json and no digests of its own files
# What starts from a fixed seed, so that the same images give the same numbers.
SEEDS = {"intervals and tests": 0, "kid: groups of images": 0, "fid_infinity: subsets": 0}


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write one valid JSON document, whole."""

    def write(file: TextIO) -> None:
        json.dump(document, file, indent=2, allow_nan=False)
        file.write("\n")

    _replace(path, write)


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file (UTF-8, comma, one header line, control characters escaped), whole."""

    def write(file: TextIO) -> None:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow([printable(cell) if isinstance(cell, str) else cell for cell in row])

    _replace(path, write)


def _replace(path: Path, write: Callable[[TextIO], None]) -> None:
    def write_text(unfinished: Path) -> None:
        # Bytes of a file name that are no UTF-8 are written as an escape.
        with unfinished.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            write(file)

    replace_file(path, write_text)


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
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


def remove_unfinished(paths: Iterable[Path]) -> None:
    """Remove what ``replace_file`` left beside files when it was killed."""
    for path in paths:
        for left in path.parent.glob(f".{escape(path.name)}.{'[0-9a-f]' * 32}"):
            if left.is_file():
                left.unlink(missing_ok=True)


def seal(manifest: Mapping[str, Any], files: Mapping[str, Path]) -> dict[str, Any]:
    """Return a manifest with the digests of the result files, and its own.

    Args:
        files: name in the results folder -> where it is now.
    """
    digests = {name: file_sha256(path) for name, path in sorted(files.items())}
    document = {**manifest, "format": FORMAT, "files": digests}
    document.pop("digest", None)
    return document | {"digest": _digest(document)}


def read_sealed(folder: Path) -> dict[str, Any]:
    """Read the manifest of a results folder, and check that all files are what a run wrote.

    Raises:
        UserError: there is none, it is of another format, or a file was changed since.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise UserError(f"{folder}: no {MANIFEST} there; give the --results-dir of a finished run")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        found, digests = document.get("format"), document.get("files")
        if found != FORMAT and "scores" in document:
            raise UserError(
                f"{folder}: written by another version (format {found or 1}, this one reads "
                f"{FORMAT}); score again into another --results-dir"
            )
        said = document.pop("digest")
        whole = said == _digest(document)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise UserError(_not_as_written(path))
    for name, digest in digests.items():
        try:
            same = file_sha256(folder / name) == digest
        except OSError:
            same = False
        if not same:
            raise UserError(_not_as_written(folder / name))
    return document


def _not_as_written(path: Path) -> str:
    return (
        f"{path}: not what the run wrote (damaged, changed by hand, or gone); restore it, or score "
        "again into another --results-dir"
    )


def _digest(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file as it is now, as hex.

    Raises:
        OSError: it cannot be read, or is no plain file; a pipe would never end.
    """
    if not path.is_file():
        raise OSError(errno.EINVAL, "not a file", str(path))
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
        "run": uuid.uuid4().hex,
        "version": VERSION,
        "commit": commit(),
        "command": sys.argv,
        "started": started.isoformat(timespec="seconds"),
        "seconds": round((now - started).total_seconds(), 3),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "folder": str(Path.cwd()),
        "device": device,
        "seeds": SEEDS,
        "models": dict(models),
        "folders": dict(folders),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def folder_digest(images: Iterable[tuple[str, str]]) -> str:
    """Return one SHA-256 for the (relative path, digest) pairs of a folder's images."""
    total = hashlib.sha256()
    for name, digest in sorted(images, key=lambda pair: pair[0]):
        total.update(f"{name}\0{digest}\n".encode(errors="surrogateescape"))
    return total.hexdigest()
