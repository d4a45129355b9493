"""Folders and small files that the user names."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from utils.errors import UserError


def check_folder(folder: Path, option: str = "") -> None:
    """Make sure that a folder is there.

    Args:
        option: the flag that named it, for the message.

    Raises:
        UserError: it is missing, or is a file.
    """
    said = f"{option} {folder}".strip()
    try:
        kind = os.stat(folder).st_mode
    except FileNotFoundError:
        raise UserError(f"{said}: no such folder") from None
    except OSError as error:
        raise UserError(f"{said}: {error.strerror}") from error
    if not stat.S_ISDIR(kind):
        raise UserError(f"{said}: not a folder")


def check_writable(folder: Path, option: str) -> None:
    """Make ``folder`` and try it, so that hours of work do not end at a closed door.

    Args:
        option: the flag that names it, for the message.

    Raises:
        UserError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"{option} {folder}: cannot be written ({error.strerror or error})"
        ) from error


def expanded(text: str) -> Path:
    """Return a path whose ``~``, which a shell leaves in quotes and files as it is, is the home.

    Raises:
        UserError: ``~name`` of nobody.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise UserError(f"{text}: there is no such user") from None


def read_text(path: Path, most: int) -> str:
    """Return the text of a small file (UTF-8, with or without a byte order mark).

    Args:
        most: bytes above which a file is refused: what people write is shorter.

    Raises:
        UserError: missing, not a regular file, too long, not UTF-8, or not to be read.
    """
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UserError(f"{path}: not a regular file")
            data = file.read(most + 1)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    if data is None:  # a file of the kernel's, which would keep a reader waiting
        raise UserError(f"{path}: cannot be read: it has no content yet")
    if len(data) > most:
        raise UserError(f"{path}: over {most / 1e6:g} MB; that is no file of its kind")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text: {error.reason} at byte {error.start}") from None


def _open_at_once(path: str, flags: int) -> int:
    # Else opening a pipe waits until someone writes to it.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
