"""What can be told of a model file without loading it: is it one, and is it whole?"""

from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path

from utils.errors import UserError

LARGEST = 16 << 30  # bytes; the largest published CLIP has ten
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)
_ZIP = b"PK\x03\x04"
_PICKLE = b"\x80"  # what torch wrote before 1.6
_ONNX = b"\x08"  # the tag of a model's first field, its version


def check_file(path: Path, said: str, largest: int = LARGEST) -> None:
    """Make sure that a file can be read to its end.

    Args:
        said: how the user named it, for the message.
        largest: bytes.

    Raises:
        UserError: it is missing, no regular file (a device or a pipe may never end), empty or too
            large.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:
        raise UserError(f"{said}: no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise UserError(f"{said}: {getattr(error, 'strerror', None) or error}") from error
    if not stat.S_ISREG(found.st_mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(found.st_mode)), "something else")
        raise UserError(f"{said}: not a file but {kind}")
    if not found.st_size:  # so are the files of /proc, some of which wait for what never comes
        raise UserError(f"{said}: an empty file")
    if found.st_size > largest:
        raise UserError(
            f"{said}: {found.st_size} bytes, more than any file of its kind ({largest})"
        )


def fault(path: Path, suffix: str = "") -> str | None:
    """Return what shows a file to be no model of its kind; None where nothing does.

    A few bytes are read.

    Args:
        suffix: ``.safetensors``, ``.onnx``, any other for PyTorch's; by default the file's own.
    """
    suffix = suffix or path.suffix
    with path.open("rb") as file:
        start = file.read(512)
    if not start:
        return "an empty file"
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return "a web page (HTML), not a model"
    if suffix == ".safetensors":
        return _safetensors_fault(path)
    if suffix == ".onnx":
        return None if start.startswith(_ONNX) else "not an ONNX model"
    if start.startswith(_ZIP):
        # The directory stands at the end.
        return None if zipfile.is_zipfile(path) else "a PyTorch file that was cut short"
    return None if start.startswith(_PICKLE) else "not a PyTorch file"


def zip_fault(path: Path) -> str | None:
    """Return what is damaged in a PyTorch file that is a zip archive; torch does not check that."""
    if not zipfile.is_zipfile(path):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            # torch stores plainly. What is not so could unpack to more than any disk holds.
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                return "a compressed archive, which PyTorch does not write"
            if sum(entry.file_size for entry in entries) > os.path.getsize(path):
                return "an archive whose parts overlap"
            damaged = archive.testzip()
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, NotImplementedError) as error:
        return f"a damaged archive ({error})"
    return f"damaged: the checksum of its {damaged} is wrong" if damaged else None


def _safetensors_fault(path: Path) -> str | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy"):  # reads the header, compares the lengths
            return None
    except SafetensorError as error:
        return f"not a safetensors file, or one that was cut short ({error})"
