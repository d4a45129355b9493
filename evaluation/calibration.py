"""Labelled images: how often each checker of a concept is right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from checkers import Checker
from evaluation.run import Cell
from extractors.base import Extractor
from features.engine import Extraction
from features.store import FeatureStore
from inputs.images import scan
from records.files import folder_digest
from utils.errors import UserError
from utils.files import check_folder
from utils.name_to_id import match
from utils.text import printable

_LABELS = ("present", "absent")


@dataclass(frozen=True)
class Labelled:
    """Images of which it is known whether they show a concept.

    Attributes:
        cell: the concept, and the checkers to try on them.
        folder: holds the folders ``present`` and ``absent``.
        images: of each of the two.
    """

    cell: Cell
    folder: Path
    images: Mapping[str, list[Path]]

    @property
    def concept(self) -> str:
        return self.cell.task.concept.name

    def wanted(self) -> dict[Path, tuple[Extractor, ...]]:
        """The extractors that the checkers need of every image."""
        extractors = tuple(checker.extractor for checker in self.cell.checkers)
        return {image: extractors for label in _LABELS for image in self.images[label]}

    def digests(self, extraction: Extraction) -> dict[str, str]:
        """The digest of each folder, as ``manifest.json`` has it."""
        return {
            str(self.folder / label): folder_digest(
                (
                    image.relative_to(self.folder / label).as_posix(),
                    extraction.records[image].digest,
                )
                for image in self.images[label]
            )
            for label in _LABELS
        }

    def as_json(self, extraction: Extraction, store: FeatureStore) -> dict[str, Any]:
        """What each checker got right and wrong; which images were left out, and why."""
        left_out: dict[str, str] = {}
        kept = {label: self._kept(label, extraction, left_out) for label in _LABELS}
        return {
            "folder": str(self.folder),
            "left_out": [f"{printable(name)} ({why})" for name, why in left_out.items()],
            "checkers": {c.name: _counts(c, kept, extraction, store) for c in self.cell.checkers},
        }

    def _kept(self, label: str, extraction: Extraction, left_out: dict[str, str]) -> list[str]:
        """Digests of the images that every checker can judge, each once."""
        (other,) = set(_LABELS) - {label}
        contradicted = {extraction.records[image].digest for image in self.images[other]}
        kept: dict[str, None] = {}
        for image in self.images[label]:
            digest = extraction.records[image].digest
            failures = [extraction.error(image, c.extractor.name) for c in self.cell.checkers]
            why = next(filter(None, failures), None)
            if why is None and digest in contradicted:
                why = f"it is labelled {other} too"
            elif why is None and digest in kept:
                why = "a copy of another"
            if why:
                left_out[image.relative_to(self.folder).as_posix()] = why
            else:
                kept[digest] = None
        return list(kept)


def _counts(
    checker: Checker,
    kept: Mapping[str, list[str]],
    extraction: Extraction,
    store: FeatureStore,
) -> dict[str, int]:
    table = extraction.tables[checker.extractor.name]
    said = {}
    for label, digests in kept.items():
        decisions = checker.decide(digests, table, store)
        said[label] = int(np.count_nonzero(decisions.present)), len(digests)
    (hits, present), (alarms, absent) = said["present"], said["absent"]
    return {
        "true_positive": hits,
        "false_negative": present - hits,
        "true_negative": absent - alarms,
        "false_positive": alarms,
    }


def find_labelled(root: Path, cells: Iterable[Cell]) -> list[Labelled]:
    """Find the labelled images of the concepts whose checkers are compared.

    Args:
        root: holds ``<Concept>/present`` and ``<Concept>/absent``; with one concept also these two
            themselves.

    Raises:
        UserError: there are none, or one of the two is missing or empty.
    """
    compared = {cell.task.concept.name: cell for cell in cells if cell.aspect.judges == "all"}
    check_folder(root, "--calibration")
    try:
        folders = {path.name: path for path in sorted(root.iterdir()) if path.is_dir()}
    except OSError as error:
        raise UserError(f"--calibration {root}: cannot be listed ({error.strerror})") from error
    found = []
    for concept, cell in compared.items():
        known = (concept, *Path(cell.task.concept.forgot).parts[:1])  # object_church, Church
        own = next(filter(None, (match(name, folders) for name in known)), None)
        folder = folders[own] if own else root
        if own or (len(compared) == 1 and set(_LABELS) & folders.keys()):
            images = {label: scan(folder / label, recursive=True) for label in _LABELS}
            found.append(Labelled(cell, folder, images))
    if not found:
        wanted = " or ".join(compared) or "concept with a checker"
        raise UserError(
            f"--calibration {root}: no {wanted} there; it holds <Concept>/present "
            "and <Concept>/absent, with images that do and do not show the concept"
        )
    return found
