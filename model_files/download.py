"""Downloads: a file that came whole and is of the right kind, or none at all."""

from __future__ import annotations

import errno
import hashlib
import http.client
import logging
import os
import time
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass
from pathlib import Path

from model_files.check import LARGEST, fault, zip_fault
from model_files.offline import check_downloads

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 20
_PAUSES = (1, 4, 16)  # seconds before the second try and those after it
_LONGEST_PAUSE = 60  # of what a server asks for
_BUSY = (408, 425, 429, 500, 502, 503, 504)
_BROKEN = (errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE, errno.ETIMEDOUT)


@dataclass(frozen=True)
class Published:
    """A published file: where it is, its SHA-256 where one is known, and about how large it is."""

    url: str
    sha256: str | None = None
    megabytes: float | None = None

    @property
    def name(self) -> str:
        """The file's name."""
        return self.url.rsplit("/", 1)[-1]


class IncompleteError(OSError):
    """An answer that broke off."""


def download(published: Published, target: Path) -> str:
    """Download a file; ``target`` appears whole, of its kind and digest, or not at all.

    Returns:
        its SHA-256.

    Raises:
        OSError: no network, not found, cannot be written, or what came is not a model file or
            not the published one.
    """
    check_downloads()
    logger.info("downloading %s", published.url)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.stem}.{uuid.uuid4().hex}{target.suffix}")
    try:
        digest = _patiently(published.url, unfinished)
        if published.sha256 is None:
            wrong = fault(unfinished) or zip_fault(unfinished)
            if wrong:
                raise OSError(f"what came is {wrong}")
        elif digest != published.sha256:
            wrong = fault(unfinished) or "another file"
            raise OSError(f"what came is {wrong}: its SHA-256 is {digest}, not the published one")
        os.replace(unfinished, target)
    except http.client.HTTPException as error:  # is no OSError
        raise OSError(f"no valid answer: {type(error).__name__}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return digest


def _patiently(url: str, target: Path) -> str:
    """As ``_fetch``, but failures that pass by themselves are waited for, a few times."""
    for pause in _PAUSES:
        try:
            return _fetch(url, target)
        except (OSError, http.client.HTTPException) as error:
            if not _passes(error):
                raise
            seconds = max(_asked_for(error), pause)
            logger.info("%s; next try in %d s", reason(error), seconds)
        time.sleep(seconds)
    return _fetch(url, target)


def _fetch(url: str, target: Path) -> str:
    """Download once; returns the SHA-256."""
    digest, size = hashlib.sha256(), 0
    with (
        urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer,
        target.open("wb") as file,
    ):
        while chunk := answer.read(1 << 20):
            size += len(chunk)
            if size > LARGEST:
                raise OSError(f"over {LARGEST >> 30} GB came: larger than any model here")
            digest.update(chunk)
            file.write(chunk)
        length = answer.headers.get("Content-Length", "")
    if length.isdecimal() and size != int(length):
        raise IncompleteError(f"only {size} of {length} bytes came")
    return digest.hexdigest()


def _passes(error: Exception) -> bool:
    """Whether a later try may do better."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code in _BUSY
    inner = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(inner, (TimeoutError, IncompleteError, http.client.HTTPException)):
        return True
    return isinstance(inner, OSError) and inner.errno in _BROKEN


def _asked_for(error: Exception) -> int:
    """The pause that the server asks for, in seconds, within reason."""
    headers = error.headers if isinstance(error, urllib.error.HTTPError) else {}
    seconds = headers.get("Retry-After", "")
    return min(int(seconds), _LONGEST_PAUSE) if seconds.isdecimal() else 0


def reason(error: Exception) -> str:
    """Return what an exception says, in one line."""
    inner = error.reason if isinstance(error, urllib.error.URLError) else error
    text = getattr(inner, "strerror", None) or str(inner)
    return (text.strip() or type(inner).__name__).splitlines()[0]
