"""Do results still stand: are weights, prompts and images what they were?"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from inputs.images import UnreadableImageError, decode, first_of_each, read, scan
from records.files import file_sha256, folder_digest
from records.model import Results
from utils.errors import UserError
from utils.text import printable

_NOTHING = folder_digest(())  # of a folder of which no image was read
# Names of paths and of their digests in what models and checkers say of themselves.
_WEIGHTS = (("path", "sha256"), ("linear_path", "linear_sha256"), ("head", "sha256"))


@dataclass(frozen=True)
class Finding:
    """One file or folder that scores were computed from, or stand in.

    Attributes:
        kind: ``results``, ``weights``, ``configuration`` or ``images``.
        state: ``unchanged``, ``changed``, ``gone`` or ``unreadable``.
    """

    kind: str
    path: Path
    state: str

    @property
    def stands(self) -> bool:
        return self.state == "unchanged"


def verify(results: Results) -> list[Finding]:
    """Compute the digests of every run whose scores still stand again.

    Those of the result files themselves were held against the manifest when they were read.
    """
    own = [Finding("results", path, "unchanged") for path in results.files]
    wanted = dict.fromkeys(item for run in results.runs for item in _items(run))
    return own + _findings(wanted)


def verify_run(run: Mapping[str, Any], folders: Collection[str]) -> list[Finding]:
    """Compute the digests of what one run read again, of images only those in ``folders``."""
    kept = {Path(run["folder"], folder) for folder in folders}
    return _findings(
        item for item in dict.fromkeys(_items(run)) if item.kind != "images" or item.path in kept
    )


class _Item(NamedTuple):
    """What a run read; of images a trial run read only the first ``limit`` of each folder."""

    kind: str
    path: Path
    digest: str
    limit: int | None = None


def _findings(items: Iterable[_Item]) -> list[Finding]:
    with ThreadPoolExecutor() as pool:
        return list(pool.map(_finding, items))


def _items(run: Mapping[str, Any]) -> Iterator[_Item]:
    """All that a run read."""
    here = Path(run["folder"])
    judges = [said for several in run.get("indicators", {}).values() for said in several.values()]
    for provenance in (*run.get("models", {}).values(), *run.get("checkers", {}).values(), *judges):
        for path, digest in _WEIGHTS:
            if path in provenance:
                yield _Item("weights", here / provenance[path], provenance[digest])
    for path, digest in run.get("config", {}).items():
        yield _Item("configuration", here / path, digest)
    for path, digest in run.get("folders", {}).items():
        if digest != _NOTHING:
            yield _Item("images", here / path, digest, run.get("limit"))


def _finding(item: _Item) -> Finding:
    same = _same_images if item.kind == "images" else _same_file
    try:
        state = "unchanged" if same(item) else "changed"
    except (OSError, UserError):
        state = "unreadable" if item.path.exists() else "gone"
    return Finding(item.kind, item.path, state)


def _same_file(item: _Item) -> bool:
    return file_sha256(item.path) == item.digest


def _same_images(item: _Item) -> bool:
    images = first_of_each(scan(item.path, recursive=True, may_be_empty=True), item.limit)
    names = [image.relative_to(item.path).as_posix() for image in images]
    # A run has no digest of a file that is no image. Decoding takes ten times as long as hashing:
    # only where it can matter.
    return any(
        folder_digest(zip(names, (_digest(i, must_decode) for i in images), strict=True))
        == item.digest
        for must_decode in (False, True)
    )


def _digest(image: Path, must_decode: bool) -> str:
    try:
        data = read(image)
        if must_decode:
            decode(data)
    except UnreadableImageError:
        return ""
    return hashlib.sha256(data).hexdigest()


def stands(findings: Sequence[Finding]) -> bool:
    """Whether results stand: there is something that they were computed from, all unchanged."""
    return any(one.kind != "results" for one in findings) and all(one.stands for one in findings)


def render(findings: Sequence[Finding]) -> str:
    """Return a line for each thing that is not what it was, and what that means."""
    lines = [
        f"{one.state}: {one.kind} {printable(str(one.path))}" for one in findings if not one.stands
    ]
    same = sum(one.stands for one in findings)
    if not any(one.kind != "results" for one in findings):
        lines.append("the manifest lists no images and no weights: nothing shows that they stand")
    lines.append(
        f"{same} of {len(findings)} files and folders are unchanged: the results "
        + ("stand" if stands(findings) else "do not stand as a whole")
    )
    return "\n".join(lines)
