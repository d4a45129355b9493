"""Digests: what says that a file or a set of facts is the same as before."""

from __future__ import annotations

import hashlib
import json
import os
from functools import cache
from pathlib import Path


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, as hex; computed once while the file stays what it is."""
    found = os.stat(path)
    return _sha256(path, found.st_ino, found.st_size, found.st_mtime_ns)


@cache
def _sha256(path: Path, *_: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def spec_digest(**parts: object) -> str:
    """Return 16 hex digits that stand for ``parts``: the tail of an extractor id."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
