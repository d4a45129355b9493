"""Downloads: a file that came whole, of the right kind and digest, or none at all."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from model_files.check import LARGEST, fault, zip_fault
from model_files.digests import file_sha256
from utils.errors import reason

if TYPE_CHECKING:
    from requests import Response

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 20
_TRIES = 4
_CHUNK = 1 << 20  # bytes
_LONGEST_PAUSE = 60  # seconds, of what a server asks for
_BUSY = (408, 425, 429, 500, 502, 503, 504)
_allowed: ContextVar[bool] = ContextVar("downloads", default=True)


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


@contextmanager
def no_downloads() -> Iterator[None]:
    """Have every download in the body fail at once: one only looks for what is on this machine."""
    token = _allowed.set(False)
    try:
        yield
    finally:
        _allowed.reset(token)


def check_downloads() -> None:
    """Raise OSError where nothing may be downloaded."""
    if not _allowed.get():
        raise OSError("looked for on this machine only")


def download(published: Published, target: Path) -> str:
    """Download a file; ``target`` appears whole, of its kind and digest, or not at all.

    Returns:
        its SHA-256.

    Raises:
        OSError: no network, not found, cannot be written, or what came is not a model file or
            not the published one.
    """
    import pooch

    def fetch(url: str, unfinished: str, _: object) -> None:
        _fetch(url, Path(unfinished))
        wrong = fault(Path(unfinished), target.suffix)
        if wrong is None and published.sha256 is None:
            wrong = zip_fault(Path(unfinished))
        if wrong:
            raise OSError(f"what came is {wrong}")

    check_downloads()
    logger.info("downloading %s", published.url)
    pooch.get_logger().setLevel(logging.WARNING)  # it would say the same in its own words
    try:
        pooch.retrieve(published.url, published.sha256, target.name, target.parent, None, fetch)
    except OSError:  # some of requests' are a ValueError too
        raise
    except ValueError as error:  # pooch's, of the digest
        raise OSError(
            f"what came is another file than the published one: its SHA-256 is not "
            f"{published.sha256}"
        ) from error
    return file_sha256(target)


def _fetch(url: str, file: Path) -> None:
    """Write what a server sends to ``file``; where the connection breaks, ask for the rest.

    Raises:
        OSError: no network, not found, or too much came.
    """
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3 import Retry

    retries = Retry(
        _TRIES - 1,
        connect=0,  # no network is no network
        status_forcelist=_BUSY,
        backoff_factor=1,
        retry_after_max=_LONGEST_PAUSE,
        raise_on_status=False,
    )
    broken = (requests.exceptions.ChunkedEncodingError, requests.ConnectionError)
    file.unlink()  # pooch makes it for one user alone, but caches are shared
    with requests.Session() as session, file.open("xb") as out:
        session.headers["Accept-Encoding"] = "identity"  # so that offsets are the file's
        session.mount("http://", HTTPAdapter(max_retries=retries))
        session.mount("https://", HTTPAdapter(max_retries=retries))
        for left in reversed(range(_TRIES)):
            resume = {"Range": f"bytes={out.tell()}-"} if out.tell() else {}
            with session.get(url, headers=resume, stream=True, timeout=TIMEOUT_SECONDS) as answer:
                answer.raise_for_status()
                if answer.status_code != requests.codes.partial_content:
                    out.truncate(out.seek(0))
                try:
                    _append(answer, out)
                    return
                except broken as error:
                    if not left:
                        raise
                    logger.info("%s; going on after %d bytes", reason(error), out.tell())


def _append(answer: Response, out: BinaryIO) -> None:
    from tqdm import tqdm

    length = answer.headers.get("Content-Length", "")
    with tqdm(
        total=out.tell() + int(length) if length.isdecimal() else None,
        initial=out.tell(),
        unit="B",
        unit_scale=True,
        disable=None if logger.isEnabledFor(logging.INFO) else True,  # None: where no terminal is
    ) as progress:
        for chunk in answer.iter_content(_CHUNK):
            progress.update(out.write(chunk))
            if out.tell() > LARGEST:
                raise OSError(f"over {LARGEST >> 30} GB came: larger than any model here")
