"""Folders that the user names."""

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
