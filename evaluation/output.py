"""Results on disk and on the terminal: the published JSON files, tables, per-image values.

A run replaces what earlier runs wrote about its own aspects and scope, and keeps the rest.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from evaluation.layout import ORIGINAL
from evaluation.run import Result
from metrics.base import Score
from utils.results import write_csv, write_json

COLUMNS = (
    "concept",
    "method",
    "metric",
    "value",
    "ci_low",
    "ci_high",
    "n",
    "unit",
    "higher_is_better",
    "warnings",
)
# Aspect -> name in its published JSON file, and whether there is a file of single values too.
_JSON = {
    "forgetting": ("accuracy", False),
    "fid": ("FID", False),
    "lpips": ("LPIPS", True),
    "yolo": ("YOLO", False),
    "CSDR": ("CSDR", True),
}


def metric_name(result: Result, score: Score) -> str:
    """The metric's name in tables: scores of unrelated images are told apart."""
    return score.metric if result.cell.task.scope == "forgot" else f"{score.metric}_object"


def write_results(folder: Path, results: Sequence[Result], manifest: Mapping[str, Any]) -> None:
    """Write the published JSON files, ``scores.csv``, ``images.parquet`` and ``manifest.json``."""
    for name, document in published_json(results).items():
        write_json(folder / name, document)
    _write_scores(folder / "scores.csv", results)
    _write_images(folder / "images.parquet", results)
    write_json(folder / "manifest.json", _merged_manifest(folder / "manifest.json", manifest))


def published_json(results: Sequence[Result]) -> dict[str, dict[str, Any]]:
    """Return the published files by name, with the published nesting."""
    files: dict[str, dict[str, Any]] = {}
    for result in results:
        aspect, task = result.cell.aspect.name, result.cell.task
        if aspect not in _JSON:
            continue
        key, singles = _JSON[aspect]
        method, concept = result.method.method.folder, task.concept.name
        suffix = "" if task.scope == "forgot" else "_object"
        main = result.scores[0]
        if not singles:
            _put(files, f"{key}{suffix}.json", main.value, key, concept, method)
        elif aspect == "lpips":
            _put_lpips(files, result, suffix)
        else:
            for score, name in zip(result.scores, _CSDR_LISTS, strict=True):
                values = list(score.per_image.values())
                _put(files, f"CSDR{suffix}.json", values, concept, method, name)
            _put(files, f"CSDR_avg{suffix}.json", main.value, concept, method)
    return files


# Published names of the lists in CSDR.json, in the order of the aspect's scores.
_CSDR_LISTS = ("clipscore_diff", "clipscore_diff_signed", "clipscore", "clipscore_org")


def _put_lpips(files: dict[str, dict[str, Any]], result: Result, suffix: str) -> None:
    concept, method = result.cell.task.concept.name, result.method.method.folder
    main = result.scores[0]
    average = f"LPIPS{suffix}_avg.json"
    if not suffix:
        _put(files, "LPIPS.json", dict(main.per_image), "LPIPS", concept, method)
        _put(files, average, main.value, "LPIPS", concept, method)
        return
    categories: dict[str, dict[str, float]] = {}
    for name, value in main.per_image.items():
        category, _, image = name.partition("/")
        categories.setdefault(category, {})[image] = value
    _put(files, "LPIPS_object.json", categories, "LPIPS", concept, method)
    for category, values in categories.items():
        mean = sum(values.values()) / len(values)
        _put(files, average, mean, "LPIPS", "categories", concept, method, category)
    _put(files, average, main.value, "LPIPS", "all", concept, method)


def _put(files: dict[str, dict[str, Any]], file: str, value: Any, *keys: str) -> None:
    place = files.setdefault(file, {})
    for key in keys[:-1]:
        place = place.setdefault(key, {})
    place[keys[-1]] = value


def score_rows(results: Iterable[Result]) -> list[dict[str, Any]]:
    """Return the rows of ``scores.csv``."""
    return [
        {
            "concept": result.cell.task.concept.name,
            "method": result.method.method.folder,
            "metric": metric_name(result, score),
            "value": score.value,
            "ci_low": score.ci_low,
            "ci_high": score.ci_high,
            "n": score.n,
            "unit": score.unit,
            "higher_is_better": score.higher_is_better,
            "warnings": "; ".join(score.warnings),
        }
        for result in results
        for score in result.scores
    ]


def _write_scores(path: Path, results: Sequence[Result]) -> None:
    rows = [[row[c] for c in COLUMNS] for row in score_rows(results)]
    mine = {row[COLUMNS.index("metric")] for row in rows}
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as file:
            earlier = list(csv.DictReader(file))
        if earlier and tuple(earlier[0]) == COLUMNS:
            rows = [
                [row[c] for c in COLUMNS] for row in earlier if row["metric"] not in mine
            ] + rows
    write_csv(path, COLUMNS, rows)


def _write_images(path: Path, results: Sequence[Result]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            ("concept", pa.string()),
            ("method", pa.string()),
            ("metric", pa.string()),
            ("image", pa.string()),
            ("value", pa.float64()),
        ]
    )
    rows = [
        {
            "concept": result.cell.task.concept.name,
            "method": result.method.method.folder,
            "metric": metric_name(result, score),
            "image": image,
            "value": value,
        }
        for result in results
        for score in result.scores
        for image, value in score.per_image.items()
    ]
    mine = {metric_name(result, score) for result in results for score in result.scores}
    tables = [pa.Table.from_pylist(rows, schema)]
    if path.is_file():
        with pq.ParquetFile(path) as file:
            earlier = file.read()
        if earlier.schema.equals(schema):
            kept = [metric not in mine for metric in earlier["metric"].to_pylist()]
            tables.insert(0, earlier.filter(pa.array(kept, pa.bool_())))
    unfinished = path.with_suffix(".tmp")
    pq.write_table(pa.concat_tables(tables), unfinished)
    os.replace(unfinished, path)


def _merged_manifest(path: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """This run's manifest; ``earlier`` holds those of runs whose other metrics still stand."""
    before: list[dict[str, Any]] = []
    if path.is_file():
        try:
            last = json.loads(path.read_text(encoding="utf-8"))
            before = [*last.pop("earlier"), last]
        except (ValueError, LookupError, AttributeError):
            pass  # not ours
    kept = [
        run | {"metrics": left}
        for run in before
        if (left := [m for m in run["metrics"] if m not in manifest["metrics"]])
    ]
    return {**manifest, "earlier": kept}


# In scores.csv but not in the terminal's table, which they would make too wide to read.
_NOT_SHOWN = frozenset({"forgetting_rate", "csdr_signed", "clip_score_reference"})


def table(results: Sequence[Result]) -> str:
    """Return the terminal's tables: one a concept, methods down, metrics across.

    The best value of each metric among the unlearned methods carries a ``*``; numbers in
    brackets point at the warnings below.
    """
    by_task: dict[str, list[Result]] = {}
    for result in results:
        shown = [score for score in result.scores if score.metric not in _NOT_SHOWN]
        by_task.setdefault(result.cell.task.name, []).append(replace(result, scores=shown))
    return "\n\n".join(_task_table(name, mine) for name, mine in by_task.items())


def _task_table(name: str, results: Sequence[Result]) -> str:
    from tabulate import tabulate

    about = {metric_name(r, s): s for r in results for s in r.scores}
    best = {metric: _best(results, metric) for metric in about}
    general = results[0].cell.task.notes
    notes: dict[str, int] = {}
    cells: dict[str, dict[str, str]] = {}
    for result in results:
        method = result.method.method
        row = cells.setdefault(method.name, {})
        for score in result.scores:
            metric = metric_name(result, score)
            mark = best[metric] if method.folder != ORIGINAL else None
            special = [note for note in score.warnings if note not in general]
            numbers = [notes.setdefault(note, len(notes) + 1) for note in special]
            row[metric] = _cell(score.value, mark, numbers)
    header = ["method", *(f"{metric}{_arrow(score)}" for metric, score in about.items())]
    body = [[method, *(row.get(m, "") for m in about)] for method, row in cells.items()]
    align = ("left", *["right"] * len(about))
    parts = ["\n".join([name, *(f"({note})" for note in general)])]
    parts.append(tabulate(body, header, colalign=align, disable_numparse=True))
    if notes:
        parts.append("\n".join(f"[{number}] {note}" for note, number in notes.items()))
    return "\n\n".join(parts)


def _best(results: Sequence[Result], metric: str) -> float | None:
    values = [
        (score.value, score.higher_is_better)
        for result in results
        for score in result.scores
        if metric_name(result, score) == metric
        and score.value is not None
        and score.higher_is_better is not None
        and result.method.method.folder != ORIGINAL
    ]
    if len(values) < 2:
        return None
    return (max if values[0][1] else min)(value for value, _ in values)


def _cell(value: float | None, best: float | None, notes: Sequence[int]) -> str:
    text = "-" if value is None else f"{value:.2f}" if abs(value) >= 10 else f"{value:.4f}"
    mark = "*" if best is not None and value == best else ""
    return text + mark + (f" [{','.join(map(str, notes))}]" if notes else "")


def _arrow(score: Score) -> str:
    unit = f" {score.unit}" if score.unit else ""
    direction = {True: " ↑", False: " ↓", None: ""}[score.higher_is_better]
    return f"{unit}{direction}"
