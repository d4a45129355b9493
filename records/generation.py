"""Files of one folder that change together: a reader finds all of a generation, or none of it.

A generation is written whole into a folder of its own, which is then renamed to ``.commit``: from
there on it counts. Its files are moved to their places one by one; whoever finds ``.commit`` left
by a killed process moves the rest first. Writers take turns by a lock file.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from utils.errors import UserError

_COMMIT, _LOCK, _NEXT = ".commit", ".lock", ".next-"
_PATIENCE = 600  # seconds to wait for another writer, who needs a few


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep other writers out, and finish what a killed one left; one thread may hold it twice.

    A folder that cannot be written is only looked at.

    Raises:
        UserError: another process holds it for too long, or the folder cannot be written and
            holds half a generation.
    """
    from filelock import FileLock, Timeout

    if not os.access(folder, os.W_OK):
        if (folder / _COMMIT).exists():
            raise UserError(
                f"{folder}: a run was stopped while it wrote there, and the folder is read-only; "
                "make it writable and run again"
            )
        yield
        return
    lock = FileLock(folder / _LOCK, timeout=_PATIENCE, is_singleton=True)
    try:
        lock.acquire()
    except Timeout:
        raise UserError(
            f"{folder}: another run has been writing there for {_PATIENCE} seconds; wait for it, "
            "or name another folder"
        ) from None
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror or error})") from error
    try:
        if lock.lock_counter == 1:
            _finish(folder)
        yield
    finally:
        lock.release()


def commit(folder: Path, writers: Mapping[str, Callable[[Path], object]]) -> None:
    """Write files that belong together, in the place of those of the same names; ``held`` by now.

    Args:
        writers: name -> what writes the file at the path it is given.

    Raises:
        UserError: they cannot be written; the files that were there are as they were.
    """
    unfinished = None
    try:
        unfinished = Path(tempfile.mkdtemp(prefix=_NEXT, dir=folder))
        for name, write in writers.items():
            write(unfinished / name)
        unfinished.rename(folder / _COMMIT)
        _finish(folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror or error})") from error
    finally:
        if unfinished is not None:
            shutil.rmtree(unfinished, ignore_errors=True)


def _finish(folder: Path) -> None:
    """Move the files of a generation to their places; remove those of one that never counted.

    Only what ``commit`` can have made is touched: a folder of plain files, never a link.
    """
    for left in folder.glob(f"{_NEXT}*"):
        if not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
    whole = folder / _COMMIT
    if not os.path.lexists(whole):
        return
    if whole.is_symlink() or not whole.is_dir() or not all(map(_is_plain, whole.iterdir())):
        raise UserError(f"{whole}: not what a run left there; move it away")
    for path in whole.iterdir():
        os.replace(path, folder / path.name)
    whole.rmdir()


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()
