"""Whether models may be downloaded: not while one only looks for what is on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_allowed: ContextVar[bool] = ContextVar("downloads", default=True)


@contextmanager
def no_downloads() -> Iterator[None]:
    """Have every download in the body fail at once, so that what is missing is said to be so."""
    token = _allowed.set(False)
    try:
        yield
    finally:
        _allowed.reset(token)


def check_downloads() -> None:
    """Raise OSError where nothing may be downloaded."""
    if not _allowed.get():
        raise OSError("looked for on this machine only")
