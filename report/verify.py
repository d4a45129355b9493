"""Do results still stand: are weights, prompts and images what they were?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from report.results import Results
from utils.images import UnreadableImageError, read, scan
from utils.results import folder_digest
from utils.weights import file_sha256


@dataclass(frozen=True)
class Finding:
    """One file or folder that scores were computed from.

    Attributes:
        kind: ``weights``, ``configuration`` or ``images``.
        state: ``unchanged``, ``changed`` or ``gone``.
    """

    kind: str
    path: Path
    state: str

    @property
    def stands(self) -> bool:
        return self.state == "unchanged"


def verify(results: Results) -> list[Finding]:
    """Compute the digests of ``manifest.json`` again, of every run whose scores still stand."""
    runs = (results.manifest, *results.manifest.get("earlier", []))
    wanted = dict.fromkeys(item for run in runs for item in _items(run))
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda item: _finding(*item), wanted))


def _items(run: Mapping[str, Any]) -> Iterator[tuple[str, Path, str]]:
    """(kind, path, digest) of all that a run read."""
    here = Path(run["folder"])
    for kind in ("models", "checkers"):
        for provenance in run.get(kind, {}).values():
            for prefix in ("", "linear_"):
                if f"{prefix}path" in provenance:
                    path = here / provenance[f"{prefix}path"]
                    yield "weights", path, provenance[f"{prefix}sha256"]
    for path, digest in run.get("config", {}).items():
        yield "configuration", here / path, digest
    for path, digest in run.get("folders", {}).items():
        yield "images", here / path, digest


def _finding(kind: str, path: Path, digest: str) -> Finding:
    if not path.exists():
        return Finding(kind, path, "gone")
    now = _images_digest(path) if kind == "images" else file_sha256(path)
    return Finding(kind, path, "unchanged" if now == digest else "changed")


def _images_digest(folder: Path) -> str:
    images = scan(folder, recursive=True, may_be_empty=True)
    return folder_digest((image.relative_to(folder).as_posix(), _digest(image)) for image in images)


def _digest(image: Path) -> str | None:
    try:
        return hashlib.sha256(read(image)).hexdigest()
    except UnreadableImageError:
        return None


def render(findings: list[Finding]) -> str:
    """Return a line for each thing that is not what it was, and what that means."""
    lines = [f"{one.state}: {one.kind} {one.path}" for one in findings if not one.stands]
    same = sum(one.stands for one in findings)
    lines.append(
        f"{same} of {len(findings)} files and folders are unchanged: the results "
        + ("stand" if same == len(findings) else "do not stand as a whole")
    )
    return "\n".join(lines)
