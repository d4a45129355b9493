"""What could falsify a score, found before any model is loaded.

The names and counts need no image; sizes, brightness and contents come from the ``stats``
extractor, which decodes but runs no network, so the benchmark gets them from its one decode.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from extractors.stats import is_constant
from features.engine import Extraction
from inputs.config import Method
from inputs.layout import MethodFolder, Prompts, Task
from inputs.prompts import parse_name, without_words
from metrics.fid import MINIMUM
from utils.text import printable

NAMES_SHOWN = 5
NAME_LENGTH = 160  # characters of a name with what is said of it
MAX_TOKENS = 77  # of CLIP's text tower, start and end token included


@dataclass(frozen=True)
class Finding:
    """One thing found in a method's folder.

    Attributes:
        kind: one of ``KINDS``.
        names: the images, by path below the folder (or the prompts).
    """

    kind: str
    names: Sequence[str]


# What each kind is, and whether it falsifies a score (exit code 1 of --check).
KINDS: Mapping[str, tuple[str, bool]] = {
    "passed_over": ("hidden folders, links to files, archives: not taken for methods", True),
    "broken_link": ("folders that are links to nothing", True),
    "unreadable": ("unreadable files", True),
    "truncated": ("files cut short", True),
    "black": ("all-black images, the mark of a safety filter", True),
    "constant": ("images of one grey level", True),
    "empty": ("folders without an image", True),
    "missing": ("images of the reference without a counterpart", True),
    "surplus": ("images without a counterpart in the reference", True),
    "ambiguous": ("images that differ in extension only", True),
    "unlike_pair": ("images of another size than their pair: they cannot be compared", True),
    "duplicate": ("copies of another image of the method", True),
    "misnamed": ("names that are not {i}_{j}_{k}", True),
    "no_prompt": ("names without a prompt", True),
    "copied": ("copies of an image of another method", False),
    "odd_size": ("images of another size than most", False),
    "long_prompt": (f"prompts over {MAX_TOKENS} tokens, whose end CLIP does not see", False),
    "few": (f"fewer than {MINIMUM} images: FID is mostly bias", False),
}


@dataclass(frozen=True)
class MethodAudit:
    """The findings of one method for one concept.

    Attributes:
        unreadable: files of ``files`` that give no image; None while none of them was read.
    """

    task: Task
    method: MethodFolder
    findings: list[Finding] = field(default_factory=list)
    unreadable: int | None = None

    @property
    def files(self) -> int:
        """Files that were meant to be scored; a folder that is a broken link counts as one."""
        return 1 if self.method.is_broken else len(self.method.images)

    @property
    def is_reference(self) -> bool:
        """Whether this is the reference folder, apart from the methods."""
        return self.method is self.task.reference

    @property
    def label(self) -> str:
        """The method's folder, or that it is the reference."""
        return "(reference)" if self.is_reference else printable(self.method.method.folder)

    @property
    def falsifies(self) -> bool:
        """Whether a finding makes a score wrong or stand for something else."""
        return any(KINDS[finding.kind][1] for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """The audit's entry in ``check.json``."""
        return {
            "concept": self.task.name,
            "method": self.label,
            "folder": str(self.method.folder),
            "images": len(self.method.images),
            **{kind: [] for kind in KINDS},
            **{finding.kind: list(finding.names) for finding in self.findings},
        }


def audit_names(task: Task, prompts: Prompts | None) -> list[MethodAudit]:
    """Audit what needs no image: pairs, file names, prompts, counts.

    Args:
        prompts: (i, j) -> prompt of the task's concept and scope; None where it has no prompts.
    """
    return [
        MethodAudit(task, folder, _named_findings(task, folder, prompts)) for folder in task.folders
    ] + [_passed_over(task, path) for path in task.passed_over]


def _passed_over(task: Task, path: Path) -> MethodAudit:
    """The audit of what may have been meant as a method: no image of it is looked at."""
    method = MethodFolder(Method(path.name, path.name), path, [])
    return MethodAudit(task, method, [Finding("passed_over", [path.name])])


def _named_findings(task: Task, method: MethodFolder, prompts: Prompts | None) -> list[Finding]:
    pairing = task.pairing(method)
    found = {
        "broken_link": [method.method.folder] if method.is_broken else [],
        "empty": [] if method.images or method.is_broken else [method.method.folder],
        "missing": pairing.missing,
        "surplus": pairing.surplus if task.reference else [],
        "ambiguous": pairing.ambiguous,
        "few": [str(len(method.images))] if len(method.images) < MINIMUM else [],
    }
    if prompts is not None:
        names = [method.name(image) for image in method.images]
        named = {name: parse_name(PurePosixPath(name).stem) is not None for name in names}
        found["misnamed"] = [name for name, sound in named.items() if not sound]
        sound_names = [name for name, sound in named.items() if sound]
        found["no_prompt"] = [n for n in sound_names if not task.has_prompt(n, prompts)]
    return [Finding(kind, names) for kind, names in found.items() if names]


def audit_prompts(
    audits: Sequence[MethodAudit], prompts: Callable[[Task], Prompts | None], tokenizer: Path
) -> list[MethodAudit]:
    """Add the prompts that are too long for CLIP.

    Args:
        tokenizer: a CLIP model's ``tokenizer.json``.
    """
    from tokenizers import Tokenizer

    encode = Tokenizer.from_file(str(tokenizer)).encode

    def too_long(task: Task) -> list[str]:
        return [
            f"{i}_{j}"
            for (i, j), prompt in (prompts(task) or {}).items()
            if len(encode(scored_text(prompt, task)).ids) > MAX_TOKENS
        ]

    found = {name: too_long(task) for name, task in {a.task.name: a.task for a in audits}.items()}
    return [
        replace(a, findings=[*a.findings, Finding("long_prompt", found[a.task.name])])
        if found[a.task.name]
        else a
        for a in audits
    ]


def scored_text(prompt: str, task: Task) -> str:
    """The text that CSDR scores images of a prompt with: without the concept's words."""
    return without_words(prompt, task.concept.words if task.scope == "forgot" else ())


def audit_images(audits: Sequence[MethodAudit], extraction: Extraction) -> list[MethodAudit]:
    """Add what the decoded images show.

    Args:
        extraction: with the ``stats`` rows. Folders that no score needed are not in it and are
            returned as they were.
    """
    decoded = [a for a in audits if all(i in extraction.records for i in a.method.images)]
    folders: dict[str, set[int]] = {}
    for audit in decoded:
        for image in audit.method.images:
            folders.setdefault(extraction.records[image].digest, set()).add(id(audit.method))
    known = {id(audit) for audit in decoded}
    return [_seen(a, extraction, folders) if id(a) in known else a for a in audits]


def _seen(
    audit: MethodAudit, extraction: Extraction, folders: Mapping[str, set[int]]
) -> MethodAudit:
    if not audit.method.images:
        return replace(audit, unreadable=audit.files)
    errors = _errors(audit.method, extraction)
    more = [
        *_image_findings(audit.method, extraction, folders, errors),
        *_pair_findings(audit.task, audit.method, extraction),
    ]
    return replace(audit, findings=[*audit.findings, *more], unreadable=len(errors))


def _errors(method: MethodFolder, extraction: Extraction) -> list[str]:
    """Name and reason of each file that gives no image."""
    return [f"{method.name(p)}: {e}" for p in method.images if (e := extraction.error(p, "stats"))]


def _image_findings(
    method: MethodFolder,
    extraction: Extraction,
    folders: Mapping[str, set[int]],
    errors: Sequence[str],
) -> list[Finding]:
    good = [image for image in method.images if not extraction.error(image, "stats")]
    digests = [extraction.records[image].digest for image in good]
    stats = np.asarray(extraction.tables["stats"].get(digests)).reshape(-1, 4)
    names = np.array([method.name(image) for image in good], dtype=object)
    size, brightest = stats[:, :2], stats[:, 3]
    constant = is_constant(stats)
    common = Counter(map(tuple, size.tolist())).most_common(1)
    odd = (size != np.array(common[0][0])).any(axis=1) if common else constant
    first = {digest: i for i, digest in reversed(list(enumerate(digests)))}
    again = np.array([first[digest] != i for i, digest in enumerate(digests)], dtype=bool)
    copied = np.array([len(folders[digest]) > 1 for digest in digests], dtype=bool)
    found = {
        "unreadable": [error for error in errors if "truncated" not in error],
        "truncated": [error for error in errors if "truncated" in error],
        "black": names[constant & (brightest == 0)].tolist(),
        "constant": names[constant & (brightest > 0)].tolist(),
        "duplicate": names[again].tolist(),
        "copied": names[copied].tolist(),
        "odd_size": names[odd].tolist(),
    }
    return [Finding(kind, names) for kind, names in found.items() if names]


def _pair_findings(task: Task, method: MethodFolder, extraction: Extraction) -> list[Finding]:
    good = [
        pair
        for pair in task.pairing(method).pairs
        if all(i in extraction.records and not extraction.error(i, "stats") for i in pair)
    ]
    if not good:
        return []
    theirs, own = (
        extraction.tables["stats"].get([extraction.records[image].digest for image in side])[:, :2]
        for side in zip(*good, strict=True)
    )
    differ = (theirs != own).any(axis=1)
    names = [method.name(own) for (_, own), other in zip(good, differ, strict=True) if other]
    return [Finding("unlike_pair", names)] if names else []


def render(audits: Sequence[MethodAudit]) -> str:
    """Return the audit as a table, a row a method, with what was found named below."""
    from tabulate import tabulate

    found = [{finding.kind: finding.names for finding in audit.findings} for audit in audits]
    columns = [kind for kind in KINDS if kind != "few" and any(kind in kinds for kinds in found)]
    body = [
        [audit.task.name, audit.label, len(audit.method.images)]
        + [len(kinds.get(kind, ())) or "" for kind in columns]
        for audit, kinds in zip(audits, found, strict=True)
    ]
    meaning = [f"{kind}: {KINDS[kind][0]}" for kind in columns]
    tasks = {audit.task.name: audit.task for audit in audits}
    few = sum("few" in kinds for kinds in found)
    if few:
        meaning.append(f"{few} of {len(audits)} folders: {KINDS['few'][0]}")
    notes = [f"{name}: {note}" for name, task in tasks.items() for note in task.notes]
    verdict = [
        "Some of this makes scores wrong or stand for something else."
        if any(audit.falsifies for audit in audits)
        else "Nothing here makes a score wrong."
    ]
    text = tabulate(body, ["concept", "method", "images", *columns], disable_numparse=True)
    parts = ([text], meaning, _falsifying(audits), notes, verdict)
    return "\n\n".join("\n".join(part) for part in parts if part)


def short(audits: Sequence[MethodAudit]) -> str:
    """Return the audit in a few lines: only what falsifies."""
    images = sum(len(audit.method.images) for audit in audits)
    folders = sum(audit.method.folder not in audit.task.passed_over for audit in audits)
    lines = [f"{folders} method folders, {images} images", *_falsifying(audits)]
    return "\n".join(f"check: {line}" for line in lines)


def _falsifying(audits: Sequence[MethodAudit]) -> list[str]:
    return [
        f"{audit.task.name} {audit.label}: {finding.kind}: {shown(finding.names)}"
        for audit in audits
        for finding in audit.findings
        if KINDS[finding.kind][1]
    ]


def shown(names: Sequence[str]) -> str:
    """Return the first names, short and printable, and how many more there are."""
    more = len(names) - NAMES_SHOWN
    first = ", ".join(map(_short, names[:NAMES_SHOWN]))
    return f"{first} and {more} more" if more > 0 else first


def _short(name: str) -> str:
    """A name without its middle, where it is long."""
    text = printable(name)
    if len(text) <= NAME_LENGTH:
        return text
    return f"{text[: NAME_LENGTH // 2]}…{text[-NAME_LENGTH // 2 :]}"
