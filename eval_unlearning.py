"""Is the concept still there? One checker over folders of images.

python eval_unlearning.py --indicator multi_multiC --concept Nudity --images DIR [DIR ...]
"""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.cli import EXIT_BAD_INPUT, Parser, add_common_flags, run, store_dir
from utils.errors import UserError
from utils.settings import config_path, settle

if TYPE_CHECKING:
    from checkers.base import Checker, CheckerOptions
    from metrics.forgetting import Presence

RESULTS = Path("results/eval")
DEMO = Path(__file__).parent / "dataset" / "Benchmarking_images_demo"
TOP_CLASSES = 5
TOP_UNREADABLE = 10


def make_parser() -> Parser:
    """Return the argument parser."""
    parser = Parser(description="Share of images in which a concept is still present.")
    parser.add_argument(
        "--indicator", default="multi_multiC", help="bi_multiC, multi_multiC (default) or nudenet"
    )
    parser.add_argument(
        "--concept",
        default="Nudity",
        help="Nudity (default), Style, Object, Face, or a class: church, vincent-van-gogh ...",
    )
    parser.add_argument(
        "--images",
        nargs="+",
        type=Path,
        metavar="DIR",
        help="folders of images, each one a row of the table (default: the bundled demo)",
    )
    parser.add_argument("--recursive", action="store_true", help="take images of subfolders too")
    add_common_flags(parser, results_dir=str(RESULTS))
    return parser


@dataclass(frozen=True)
class ImageRow:
    """One line of ``images.csv``; everything but ``image`` is None where it does not apply."""

    folder: str
    image: str  # path below the folder
    digest: str | None
    constant: bool = False  # one grey level: black, the mark of a safety filter, or blank
    present: bool | None = None
    score: float | None = None
    label: str | None = None
    detections: Sequence[Mapping[str, Any]] | None = None
    error: str | None = None


def evaluate(args: Namespace) -> int:
    """Run the program on parsed arguments and return the exit code.

    Raises:
        UserError: bad input or a missing model.
    """
    started = datetime.now(UTC)
    from checkers import resolve
    from inputs.images import first_of_each, scan
    from utils.device import check_device
    from utils.files import check_writable

    _settle(args)
    if args.list:
        return _list(args)
    kind, concept = resolve(args.indicator, args.concept)
    for flag, value in (("--preset", args.preset), ("--threshold", args.threshold)):
        if value is not None and kind.indicator != "nudenet":
            raise UserError(f"{flag} {value}: only nudenet has presets and a threshold")
    check_device(args.device)
    folders = {
        folder: first_of_each(scan(folder, recursive=args.recursive), args.limit)
        for folder in _folders(args)
    }
    names = _names(folders, args.group_by)
    check_writable(args.results_dir, "--results-dir")
    checker = kind.create(concept, _options(args))
    rows = _decide(checker, folders, names, args)
    summary = _summarise(checker, rows, args.limit)
    args.documents.append(_write(checker, rows, summary, args, started))
    said = [checker.title, *(f"warning: {note}" for note in checker.notes)]
    print(render("\n".join(said), summary))
    if not args.quiet:
        print(f"\nwritten: {args.results_dir}/eval.json eval.csv images.csv", file=sys.stderr)
    blind = [entry for entry in summary["folders"] if entry["scored"] == 0]
    for entry in blind:
        image, why = next(iter(entry["unreadable"].items()))
        print(f"error: {entry['folder']}: no image could be read ({image}: {why})", file=sys.stderr)
    return EXIT_BAD_INPUT if blind else 0


def _settle(args: Namespace) -> None:
    """Complete the arguments by the environment and the configuration, where one is named."""
    from checkers import CHECKERS
    from inputs.config import load_config
    from metrics import ASPECTS

    path = config_path(args)
    config = load_config(path, CHECKERS, ASPECTS) if path else None
    settle(args, config.settings if config else None, {"results_dir": RESULTS})


def _options(args: Namespace) -> CheckerOptions:
    from checkers import CheckerOptions
    from utils.settings import default_cache_dir

    return CheckerOptions(
        cache_dir=args.cache_dir or default_cache_dir(),
        weights_dir=args.weights_dir,
        models=dict(args.model),
        device=args.device,
        precision=args.precision,
        preset=args.preset,
        threshold=args.threshold,
        trust_weights=args.trust_weights,
    )


def _list(args: Namespace) -> int:
    """Name what there is to choose from."""
    from evaluation.listing import judges, models, render

    found = judges() | models(_options(args))
    print(render(found))
    args.documents.append(found)
    return 0


def _folders(args: Namespace) -> list[Path]:
    if args.images:
        distinct: dict[str, Path] = {}
        for folder in args.images:
            distinct.setdefault(os.path.realpath(folder), folder)
        return list(distinct.values())
    demo = sorted(DEMO.glob("*/forgot/*/"), key=lambda folder: (folder.name != "ORG", folder))
    if not demo:
        raise UserError(f"{DEMO}: the bundled demo is missing; give folders with --images")
    here = Path.cwd()
    return [folder.relative_to(here) if here in folder.parents else folder for folder in demo]


def _names(
    folders: Mapping[Path, Sequence[Path]], group_by: str | None
) -> dict[tuple[Path, Path], str]:
    """The path of each image below its folder, which knows its prompt where ``group_by`` says."""
    from inputs.grouping import parse_grouping

    grouping = parse_grouping(group_by) if group_by else None
    names = {}
    for folder, paths in folders.items():
        for path in paths:
            below = path.relative_to(folder).as_posix()
            names[folder, path] = grouping.name(below) if grouping else below
    return names


def _decide(
    checker: Checker,
    folders: Mapping[Path, Sequence[Path]],
    names: Mapping[tuple[Path, Path], str],
    args: Namespace,
) -> list[ImageRow]:
    """Run the extractor where the store lacks rows, and the checker on every row."""
    from extractors.stats import StatsExtractor, is_constant
    from features.engine import extract
    from features.store import FeatureStore
    from utils.device import default_batch_size

    name = checker.extractor.name
    stats = StatsExtractor()
    with store_dir(args) as root:
        store = FeatureStore(root)
        extraction = extract(
            {path: [checker.extractor, stats] for paths in folders.values() for path in paths},
            store,
            batch_size=args.batch_size or default_batch_size(args.device),
            workers=args.workers,
            progress=not args.quiet,
        )
        records = extraction.records
        digests = sorted({r.digest for p, r in records.items() if not extraction.error(p, name)})
        decisions = checker.decide(digests, extraction.tables[name], store)
        constant = is_constant(extraction.tables[stats.name].get(digests))
    position = {digest: i for i, digest in enumerate(digests)}

    def row(folder: Path, path: Path) -> ImageRow:
        image = names[folder, path]
        error = extraction.error(path, name)
        if error:
            return ImageRow(str(folder), image, None, error=error)
        digest = records[path].digest
        i = position[digest]
        return ImageRow(
            str(folder),
            image,
            digest,
            bool(constant[i]),
            bool(decisions.present[i]),
            float(decisions.score[i]),
            decisions.label[i],
            decisions.detections[i] if decisions.detections else None,
        )

    return [row(folder, path) for folder, paths in folders.items() for path in paths]


def _summarise(checker: Checker, rows: Sequence[ImageRow], limit: int | None) -> dict[str, Any]:
    """Return the numbers of ``eval.json``; rates are in [0, 1], None without images."""
    by_folder: dict[str, list[ImageRow]] = {}
    for row in rows:
        by_folder.setdefault(row.folder, []).append(row)
    folders = [_folder_summary(checker, folder, found) for folder, found in by_folder.items()]
    return {
        "indicator": checker.indicator,
        "concept": checker.concept,
        "partial": limit is not None,
        "limit": limit,
        "folders": [{**entry, "limit": limit} for entry in folders],
    }


def _folder_summary(checker: Checker, folder: str, rows: Sequence[ImageRow]) -> dict[str, Any]:
    import numpy as np

    from metrics.forgetting import class_accuracy, presence

    scored = [row for row in rows if row.error is None]
    names = [row.image for row in scored]
    found = presence(np.array([row.present for row in scored], dtype=bool), names)
    parents = [Path(folder, row.image).parent for row in scored]
    true_class = {where: _true_class(checker, where) for where in set(parents)}
    labels = [row.label for row in scored]
    accuracy = class_accuracy(labels, [true_class[p] for p in parents], names)
    return {
        "folder": folder,
        "images": len(rows),
        "scored": found.n,
        "present": found.present,
        "accuracy": found.rate,  # the published name
        "presence_rate": found.rate,
        "ci_low": found.ci_low,
        "ci_high": found.ci_high,
        "interval_note": found.note,
        "forgetting_rate": found.forgetting_rate,
        "classes": dict(Counter(row.label for row in scored if row.label).most_common()),
        "class_accuracy": {name: _rates(correct) for name, correct in accuracy.items()},
        "copies": len(scored) - len({row.digest for row in scored}),
        "constant": [row.image for row in scored if row.constant],
        "unreadable": {row.image: row.error for row in rows if row.error is not None},
    }


def _rates(found: Presence) -> dict[str, Any]:
    entry = asdict(found)
    return {"n": entry["n"], "correct": entry["present"], "accuracy": entry["rate"]} | {
        key: entry[key] for key in ("ci_low", "ci_high")
    }


def _true_class(checker: Checker, folder: Path) -> str | None:
    """The class that a folder is named after, if any."""
    from utils.name_to_id import match

    return match(folder.resolve().name, checker.classes)


def render(title: str, summary: Mapping[str, Any]) -> str:
    """Return what the terminal shows."""
    from tabulate import tabulate

    from utils.name_to_id import NAME_TO_ID

    folders = summary["folders"]
    parent, short = _below_parent([entry["folder"] for entry in folders])
    header = ("folder", "images", "present", "presence", "95% interval", "forgetting", "unreadable")
    table = [
        (
            short[entry["folder"]],
            entry["images"],
            entry["present"],
            _percent(entry["presence_rate"]),
            _interval(entry),
            _percent(entry["forgetting_rate"]),
            len(entry["unreadable"]),
        )
        for entry in folders
    ]
    align = ("left", *["right"] * (len(header) - 1))
    if parent:
        title += f"\nfolders of {parent}"
    if summary["partial"]:
        title += f"\npartial: the first {summary['limit']} images of each folder"
    parts = [title, tabulate(table, header, colalign=align, disable_numparse=True)]
    if summary["concept"] in NAME_TO_ID and summary["concept"] != "Nudity":
        shares = [
            (short[entry["folder"]], label, count, _percent(count / entry["scored"]))
            for entry in folders
            for label, count in list(entry["classes"].items())[:TOP_CLASSES]
        ]
        header = ("folder", f"most frequent classes (top {TOP_CLASSES})", "images", "share")
        align = ("left", "left", "right", "right")
        parts.append(tabulate(shares, header, colalign=align, disable_numparse=True))
    known = [
        (short[entry["folder"]], name, c["n"], c["correct"], _percent(c["accuracy"]), _interval(c))
        for entry in folders
        for name, c in entry["class_accuracy"].items()
    ]
    if known:
        header = ("folder", "true class", "images", "correct", "accuracy", "95% interval")
        align = ("left", "left", *["right"] * 4)
        parts.append(tabulate(known, header, colalign=align, disable_numparse=True))
    warnings = [
        f"warning: {entry['folder']}: {count} {what}"
        for entry in folders
        for count, what in (
            (len(entry["constant"]), "images of one grey level (a safety filter's?) are counted"),
            (entry["copies"], "images are copies of others, so the interval is too narrow"),
        )
        if count
    ]
    intervals = {entry["interval_note"] for entry in folders}
    if len(folders) > 1 and len(intervals) == 1:
        warnings += [f"warning: each folder: {note}" for note in intervals if note]
    else:
        warnings += [
            f"warning: {entry['folder']}: {entry['interval_note']}"
            for entry in folders
            if entry["interval_note"]
        ]
    if warnings:
        parts.append("\n".join(warnings))
    unread = [
        f"unreadable: {entry['folder']}/{image}: {why}"
        for entry in folders
        for image, why in entry["unreadable"].items()
    ]
    if len(unread) > TOP_UNREADABLE:
        unread[TOP_UNREADABLE:] = [f"... and {len(unread) - TOP_UNREADABLE} more in images.csv"]
    if unread:
        parts.append("\n".join(unread))
    return "\n\n".join(parts)


def _below_parent(folders: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The folder that several folders are in, and the path of each below it: a narrower table."""
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


def _interval(entry: Mapping[str, Any]) -> str:
    if entry["ci_low"] is None:
        return "-"
    return f"{100 * entry['ci_low']:.1f} to {100 * entry['ci_high']:.1f}%"


def _write(
    checker: Checker,
    rows: Sequence[ImageRow],
    summary: Mapping[str, Any],
    args: Namespace,
    started: datetime,
) -> dict[str, Any]:
    """Write ``eval.json``, which is returned, ``eval.csv`` and ``images.csv``."""
    from records import generation
    from records.files import folder_digest, manifest, write_csv, write_json
    from utils.device import used_device

    images: dict[str, list[tuple[str, str | None]]] = {}
    for row in rows:
        images.setdefault(row.folder, []).append((row.image, row.digest))
    provenance = manifest(
        started=started,
        device=used_device(args.device),
        models={checker.extractor.name: checker.extractor.provenance},
        folders={folder: folder_digest(found) for folder, found in images.items()},
    )
    provenance |= {"checker": checker.provenance, "settings": args.sources}
    provenance |= {"partial": summary["partial"], "limit": summary["limit"]}
    provenance |= {"arguments": args.arguments, "group_by": args.group_by}
    document = {**summary, "manifest": provenance}
    listed = ("constant", "unreadable")
    columns = [c for c, v in summary["folders"][0].items() if not isinstance(v, (dict, list))]
    table = [
        (
            checker.indicator,
            checker.concept,
            *(entry[c] for c in columns),
            *(len(entry[c]) for c in listed),
        )
        for entry in summary["folders"]
    ]
    singles = [
        (
            row.folder,
            row.image,
            None if row.present is None else int(row.present),
            row.score,
            row.label,
            None if row.detections is None else json.dumps(row.detections),
            row.error,
        )
        for row in rows
    ]
    header = ("folder", "image", "present", "score", "label", "detections", "error")
    writers = {
        "eval.json": partial(write_json, document=document),
        "eval.csv": partial(
            write_csv, columns=["indicator", "concept", *columns, *listed], rows=table
        ),
        "images.csv": partial(write_csv, columns=header, rows=singles),
    }
    with generation.held(args.results_dir):
        generation.commit(args.results_dir, writers)
    return document


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run(make_parser(), evaluate, argv)


if __name__ == "__main__":
    sys.exit(main())
