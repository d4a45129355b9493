"""Published files: given by path, in their place in a cache, or downloaded there."""

from __future__ import annotations

import os
from pathlib import Path

from model_files.check import check_file, fault, zip_fault
from model_files.digests import file_sha256
from model_files.download import Published, download
from utils.errors import MissingModelError, UserError, reason

LARGEST = 2 << 30  # bytes of a checkpoint or a head; the largest known has a ninth of it


def torch_home() -> Path:
    """The folder in which torch.hub keeps checkpoints (``TORCH_HOME``), without importing torch."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser()


def find_checkpoint(option: str, given: str | None, published: Published) -> Path:
    """Return a checkpoint file, given by path or looked for where torch.hub keeps them.

    Args:
        option: the name on the left of ``--model NAME=...``, for messages.
        given: the user's path, if any; it is used as it is.

    Raises:
        MissingModelError: not on this machine, and not downloaded.
        UserError: it is not a file that can be read, or the cached one is not the published one.
    """
    if given is not None:
        return given_file(option, given)
    cached = torch_home() / "hub" / "checkpoints" / published.name
    what = f"{published.name} ({option})"
    return find_published(what, published, cached, f"--model {option}=FILE")


def given_file(option: str, given: str, suffix: str = ".pth") -> Path:
    """Return the path of ``--model option=given``.

    Args:
        suffix: the usual one of such files, whatever this one's.

    Raises:
        UserError: it is not a file that can be read, or plainly no such model.
    """
    path, said = Path(given).expanduser(), f"--model {option}={given}"
    check_file(path, said, LARGEST)
    wrong = fault(path, suffix)
    if wrong:
        raise UserError(f"{said}: {wrong}")
    return path


def find_published(what: str, published: Published, place: Path, option: str) -> Path:
    """Return a published file at its place in a cache, downloaded when missing.

    Where no digest is published, that of what was downloaded is kept beside it, and the file is
    held to that from then on.

    Args:
        what: the file's name, for messages.
        option: with what the user gives a file of their own, for messages.

    Raises:
        MissingModelError: not on this machine, and not downloaded.
        UserError: the file there is not the published one.
    """
    if os.path.lexists(place):
        check_published(published, place, option)
        return place
    try:
        digest = download(published, place)
        if published.sha256 is None:
            _record(place).write_text(f"{digest}  {place.name}\n")
    except OSError as error:
        raise MissingModelError(
            f"{what} is not on this machine and cannot be downloaded ({reason(error)}); get "
            f"{published.url} and put it at {place}, or give it with {option}",
            published.url,
            str(place),
            reason(error),
            what,
            published.megabytes,
        ) from error
    return place


def check_published(published: Published, path: Path, option: str) -> None:
    """Make sure that a file under a published name is the published file.

    Raises:
        UserError: it is not.
    """
    mend = f"delete it, or give a file of your own with {option}"
    try:
        check_file(path, str(path), LARGEST)
    except UserError as error:
        raise UserError(f"{error}; {mend}") from error
    expected = published.sha256 or _recorded(path)
    if expected is None:
        wrong = fault(path) or zip_fault(path)
    elif file_sha256(path) != expected:
        came = "that was downloaded" if published.sha256 is None else "that is published"
        wrong = fault(path) or f"not the file {came} (another SHA-256)"
    else:
        return
    if wrong:
        raise UserError(f"{path}: {wrong}; {mend}")


def is_published(published: Published, path: Path) -> bool | str:
    """Return what the manifest says of a file's digest: whether it is the published one.

    Where none is published, a text that says so.
    """
    if published.sha256 is not None:
        return file_sha256(path) == published.sha256
    kept = _recorded(path) == file_sha256(path)
    return "no digest is published" + ("; the one first downloaded" if kept else "")


def _record(path: Path) -> Path:
    """Where the digest of a file as first downloaded is kept, in the form of ``sha256sum``."""
    return path.with_name(f"{path.name}.sha256")


def _recorded(path: Path) -> str | None:
    try:
        return _record(path).read_text()[:64]
    except (OSError, ValueError):
        return None
