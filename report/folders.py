"""The table of folders that ``eval_unlearning.py`` shows, and its files."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from checkers import Checker
from evaluation.pipeline import Scored
from evaluation.run import Result
from metrics.base import Judged
from metrics.forgetting import Presence, class_accuracy, presence
from records.files import write_csv, write_json
from records.results import Results
from utils.name_to_id import NAME_TO_ID, match

TOP_CLASSES = 5
TOP_UNREADABLE = 10


@dataclass(frozen=True)
class Folder:
    """What a checker found in a folder.

    Attributes:
        found: how many of the images with a decision show the concept.
        accuracy: true class -> share of its images that were predicted as such; of folders that
            are named after a class.
        constant: images of one grey level: black, the mark of a safety filter, or blank.
        copies: images that are copies of others.
        unreadable: file -> why it gave no decision.
    """

    folder: str
    images: int
    found: Presence
    judged: Judged
    accuracy: Mapping[str, Presence]
    constant: Sequence[str]
    copies: int
    unreadable: Mapping[str, str]

    @property
    def classes(self) -> dict[str, int]:
        """How many images each class was predicted for, the most frequent first."""
        return dict(Counter(filter(None, self.judged.label)).most_common())


@dataclass(frozen=True)
class Summary:
    """One checker over several folders."""

    checker: Checker
    limit: int | None
    folders: Sequence[Folder]


def summary(scored: Scored) -> Summary:
    """Return what a run of the aspect forgetting over plain folders found."""
    checker = scored.planned.plan.cells[0].checkers[0]
    folders = [_folder(scored, checker, result) for result in scored.scores]
    return Summary(checker, scored.planned.prepared.run.limit, folders)


def _folder(scored: Scored, checker: Checker, result: Result) -> Folder:
    method, judged = result.method, result.scores[0].judged
    assert judged is not None  # the aspect's first score is a checker's
    findings = {
        finding.kind: finding.names
        for audit in scored.audits
        if audit.method is method
        for finding in audit.findings
    }
    errors = {
        method.name(image): scored.extraction.error(image, checker.extractor.name)
        for image in method.images
    }
    parents = [Path(method.folder, name).parent for name in judged.names]
    known = {parent: match(parent.resolve().name, checker.classes) for parent in set(parents)}
    return Folder(
        str(method.folder),
        len(method.images),
        presence(judged.present, judged.names),
        judged,
        class_accuracy(judged.label, [known[parent] for parent in parents], judged.names),
        sorted([*findings.get("black", ()), *findings.get("constant", ())]),
        len(findings.get("duplicate", ())),
        {name: error for name, error in errors.items() if error},
    )


def write(results: Results, found: Summary) -> dict[str, Any]:
    """Write ``eval.json``, which is returned, ``eval.csv`` and ``images.csv``."""
    folders = [_entry(folder, found.limit) for folder in found.folders]
    about = {"indicator": found.checker.indicator, "concept": found.checker.concept}
    document = about | {
        "partial": found.limit is not None,
        "limit": found.limit,
        "folders": folders,
        "manifest": results.manifest,
    }
    counted = ("constant", "unreadable")
    plain = [name for name, value in folders[0].items() if not isinstance(value, dict | list)]
    write_json(results.folder / "eval.json", document)
    write_csv(
        results.folder / "eval.csv",
        [*about, *plain, *counted],
        [
            [*about.values(), *(e[name] for name in plain), *(len(e[name]) for name in counted)]
            for e in folders
        ],
    )
    header = ("folder", "image", "present", "score", "label", "detections", "error")
    rows = [row for folder in found.folders for row in _image_rows(folder)]
    write_csv(results.folder / "images.csv", header, rows)
    return document


def _entry(folder: Folder, limit: int | None) -> dict[str, Any]:
    found = folder.found
    return {
        "folder": folder.folder,
        "images": folder.images,
        "scored": found.n,
        "present": found.present,
        "accuracy": found.rate,  # the published name
        "presence_rate": found.rate,
        "ci_low": found.ci_low,
        "ci_high": found.ci_high,
        "interval_note": found.note,
        "forgetting_rate": found.forgetting_rate,
        "classes": folder.classes,
        "class_accuracy": {name: asdict(rate) for name, rate in folder.accuracy.items()},
        "copies": folder.copies,
        "constant": list(folder.constant),
        "unreadable": dict(folder.unreadable),
        "limit": limit,
    }


def _image_rows(folder: Folder) -> list[tuple[Any, ...]]:
    """A row an image, in the order of the names; empty cells where there is no decision."""
    judged = folder.judged
    detections = judged.detections or [None] * len(judged.names)
    rows: dict[str, tuple[Any, ...]] = {
        name: (int(present), float(score), label, boxes and json.dumps(boxes), None)
        for name, present, score, label, boxes in zip(
            judged.names, judged.present, judged.score, judged.label, detections, strict=True
        )
    }
    rows |= {name: (None, None, None, None, why) for name, why in folder.unreadable.items()}
    return [(folder.folder, name, *rows[name]) for name in sorted(rows)]


def render(found: Summary) -> str:
    """Return what the terminal shows."""
    folders, checker = found.folders, found.checker
    parent, short = below_parent([folder.folder for folder in folders])
    title = [checker.title, *(f"warning: {note}" for note in checker.notes)]
    if parent:
        title.append(f"folders of {parent}")
    if found.limit is not None:
        title.append(f"partial: the first {found.limit} images of each folder")
    header = ("folder", "images", "present", "presence", "95% interval", "forgetting", "unreadable")
    body = [
        (
            short[one.folder],
            one.images,
            one.found.present,
            _percent(one.found.rate),
            _interval(one.found),
            _percent(one.found.forgetting_rate),
            len(one.unreadable),
        )
        for one in folders
    ]
    parts = ["\n".join(title), _table(header, body, texts=1)]
    if checker.concept in NAME_TO_ID and checker.concept != "Nudity":
        shares = [
            (short[one.folder], label, count, _percent(count / one.found.n))
            for one in folders
            for label, count in list(one.classes.items())[:TOP_CLASSES]
        ]
        header = ("folder", f"most frequent classes (top {TOP_CLASSES})", "images", "share")
        parts.append(_table(header, shares, texts=2))
    known = [
        (short[one.folder], name, rate.n, rate.present, _percent(rate.rate), _interval(rate))
        for one in folders
        for name, rate in one.accuracy.items()
    ]
    if known:
        header = ("folder", "true class", "images", "correct", "accuracy", "95% interval")
        parts.append(_table(header, known, texts=2))
    parts += ["\n".join(lines) for lines in (_warnings(folders), _unreadable(folders)) if lines]
    return "\n\n".join(parts)


def _table(header: Sequence[str], body: Sequence[Sequence[Any]], texts: int) -> str:
    from tabulate import tabulate

    align = ["left"] * texts + ["right"] * (len(header) - texts)
    return tabulate(body, header, colalign=align, disable_numparse=True)


def _warnings(folders: Sequence[Folder]) -> list[str]:
    found = [
        f"warning: {one.folder}: {count} {what}"
        for one in folders
        for count, what in (
            (len(one.constant), "images of one grey level (a safety filter's?) are counted"),
            (one.copies, "images are copies of others, so the interval is too narrow"),
        )
        if count
    ]
    notes = {one.found.note for one in folders}
    if len(folders) > 1 and len(notes) == 1:
        return found + [f"warning: each folder: {note}" for note in notes if note]
    return found + [f"warning: {one.folder}: {one.found.note}" for one in folders if one.found.note]


def _unreadable(folders: Sequence[Folder]) -> list[str]:
    lines = [
        f"unreadable: {one.folder}/{image}: {why}"
        for one in folders
        for image, why in one.unreadable.items()
    ]
    if len(lines) > TOP_UNREADABLE:
        lines[TOP_UNREADABLE:] = [f"... and {len(lines) - TOP_UNREADABLE} more in images.csv"]
    return lines


def below_parent(folders: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The folder that several folders are in, and the path of each below it: a narrower table.

    >>> below_parent(["out/a/ORG", "out/b"])
    ('out', {'out/a/ORG': 'a/ORG', 'out/b': 'b'})
    """
    whole = {folder: folder for folder in folders}
    try:
        parent = os.path.commonpath(folders)
    except ValueError:  # absolute and relative ones
        return "", whole
    if len(folders) < 2 or parent in ("", os.sep, *folders):
        return "", whole
    return parent, {folder: os.path.relpath(folder, parent) for folder in folders}


def _percent(rate: float | None) -> str:
    return "-" if rate is None else f"{100 * rate:.1f}%"


def _interval(found: Presence) -> str:
    if found.ci_low is None or found.ci_high is None:
        return "-"
    return f"{100 * found.ci_low:.1f} to {100 * found.ci_high:.1f}%"
