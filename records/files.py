"""Whole files: written at once or not at all, and told by their digests."""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from glob import escape
from pathlib import Path
from typing import Any, TextIO

from utils.errors import UserError
from utils.text import printable


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


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file as it is now, as hex.

    Raises:
        OSError: it cannot be read, or is no plain file; a pipe would never end.
    """
    if not path.is_file():
        raise OSError(errno.EINVAL, "not a file", str(path))
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_digest(images: Iterable[tuple[str, str]]) -> str:
    """Return one SHA-256 for the (relative path, digest) pairs of a folder's images."""
    total = hashlib.sha256()
    for name, digest in sorted(images, key=lambda pair: pair[0]):
        total.update(f"{name}\0{digest}\n".encode(errors="surrogateescape"))
    return total.hexdigest()
