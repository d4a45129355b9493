"""Results on disk and on the terminal: the published JSON files, tables, per-image values."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.layout import ORIGINAL
from evaluation.run import Result
from metrics.base import Score
from metrics.indicators import RATE_BY, SCORE_OF
from utils.errors import UserError
from utils.results import CHANGED, replace_file, write_csv, write_json
from utils.weights import reason

if TYPE_CHECKING:
    import pyarrow as pa

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


@dataclass(frozen=True)
class Earlier:
    """What earlier runs left in the results folder.

    Attributes:
        scores: the rows of ``scores.csv``.
        images: ``images.parquet``, None where there is none.
        resamples: ``resamples.parquet``, None where there is none.
        manifest: ``manifest.json``, None where there is none.
        published: the published JSON files, by name.
    """

    scores: list[dict[str, str]]
    images: pa.Table | None
    resamples: pa.Table | None
    manifest: dict[str, Any] | None
    published: dict[str, dict[str, Any]]


def read_earlier(folder: Path) -> Earlier:
    """Read what is to be kept, before any work is done.

    Raises:
        UserError: a file of one of our names that is not ours, or is damaged.
    """
    return Earlier(
        _read(folder / "scores.csv", _read_scores) or [],
        _read(folder / "images.parquet", lambda path: _read_rows(path, _image_schema())),
        _read(folder / "resamples.parquet", lambda path: _read_rows(path, _block_schema())),
        _read(folder / "manifest.json", _read_manifest),
        {
            path.name: _read(path, _read_json)
            for path in sorted(folder.glob("*.json"))
            if path.name in _DEPTHS
        },
    )


def _read(path: Path, reader: Callable[[Path], Any]) -> Any:
    if not path.exists():
        return None
    try:
        return reader(path)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path}: not a result of this program, or damaged ({reason(error)}); move it away, or "
            "name another --results-dir"
        ) from error


def _read_scores(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ValueError(f"its columns are {reader.fieldnames}")
        return list(reader)


def _read_rows(path: Path, schema: pa.Schema) -> pa.Table:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        table = file.read()
    if not table.schema.equals(schema):
        raise ValueError(f"its columns are {table.column_names}")
    return table


def _read_manifest(path: Path) -> dict[str, Any]:
    manifest = _read_json(path)
    for run in (manifest, *manifest["earlier"]):
        [tuple(key) for key in run["scores"]]
    return manifest


def _read_json(path: Path) -> dict[str, Any]:
    document = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")
    return document


def write_results(
    folder: Path, results: Sequence[Result], manifest: Mapping[str, Any], earlier: Earlier
) -> None:
    """Write the published JSON files, ``scores.csv``, two Parquet files and ``manifest.json``.

    A score replaces the earlier one of its concept, method and metric; the others are kept, with a
    warning where the images in the method's folder are others now.
    """
    mine = score_keys(results)
    for name, document in published_json(results).items():
        before = earlier.published.get(name, {})
        write_json(folder / name, _merged(before, document, _DEPTHS[name]))
    key = itemgetter("concept", "method", "metric")
    kept = [row for row in earlier.scores if key(row) not in mine]
    rows = [*_marked(kept, _changed(manifest, earlier.manifest)), *score_rows(results)]
    write_csv(folder / "scores.csv", COLUMNS, ([row[c] for c in COLUMNS] for row in rows))
    _write_images(folder / "images.parquet", results, earlier.images)
    _write_resamples(folder / "resamples.parquet", results, earlier.resamples)
    write_json(folder / "manifest.json", _merged_manifest(manifest, earlier.manifest))


_Place = tuple[str, str, str]  # concept, method's folder, scope


def _digests(run: Mapping[str, Any]) -> dict[_Place, str]:
    """Digest of the images of each method that a run has scored."""
    return {
        (place["concept"], place["method"], place["scope"]): digest
        for place in run.get("places", ())
        if (digest := run["folders"].get(place["folder"]))
    }


def _changed(manifest: Mapping[str, Any], last: Mapping[str, Any] | None) -> set[_Place]:
    """Where this run found other images than an earlier one, whose scores are kept."""
    now = _digests(manifest)
    return {
        place
        for run in ([last, *last["earlier"]] if last else [])
        for place, digest in _digests(run).items()
        if now.get(place, digest) != digest
    }


def _marked(rows: Iterable[dict[str, str]], changed: Set[_Place]) -> Iterator[dict[str, str]]:
    for row in rows:
        scope = "unrelated" if row["metric"].endswith("_object") else "forgot"
        warnings = list(filter(None, row["warnings"].split("; ")))
        if (row["concept"], row["method"], scope) in changed and CHANGED not in warnings:
            row = {**row, "warnings": "; ".join([*warnings, CHANGED])}
        yield row


def score_keys(results: Iterable[Result]) -> set[tuple[str, str, str]]:
    """Return (concept, method, metric) of every score."""
    return {
        (result.cell.task.concept.name, result.method.method.folder, metric_name(result, score))
        for result in results
        for score in result.scores
    }


# Published files -> how many keys lead to a method's value.
_DEPTHS = {
    **dict.fromkeys(("accuracy.json", "FID.json", "FID_object.json", "YOLO.json"), 3),
    **dict.fromkeys(("YOLO_object.json", "LPIPS.json", "LPIPS_avg.json", "LPIPS_object.json"), 3),
    "LPIPS_object_avg.json": 4,
    **dict.fromkeys(("CSDR.json", "CSDR_avg.json"), 2),
    **dict.fromkeys(("CSDR_object.json", "CSDR_object_avg.json"), 2),
}


def _merged(before: Mapping[str, Any], now: Mapping[str, Any], depth: int) -> dict[str, Any]:
    """The earlier document with the methods of this run put in the place of theirs."""
    if depth == 1:
        return {**before, **now}
    inner = {key: _merged(before.get(key, {}), value, depth - 1) for key, value in now.items()}
    return {**before, **inner}


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
            images = list(result.scores[_CSDR_LISTS.index("clipscore")].per_image)
            for score, name in zip(result.scores, _CSDR_LISTS, strict=True):
                values = [score.per_image.get(image) for image in images]
                _put(files, f"CSDR{suffix}.json", values, concept, method, name)
            _put(files, f"CSDR{suffix}_avg.json", main.value, concept, method)
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


def _schema(inner: str, kind: pa.DataType) -> pa.Schema:
    import pyarrow as pa

    text = [(name, pa.string()) for name in ("concept", "method", "metric")]
    return pa.schema([*text, (inner, kind), ("value", pa.float64())])


def _image_schema() -> pa.Schema:
    import pyarrow as pa

    return _schema("image", pa.string())


def _block_schema() -> pa.Schema:
    import pyarrow as pa

    return _schema("block", pa.int64())


def _write_images(path: Path, results: Sequence[Result], earlier: pa.Table | None) -> None:
    from utils.arrow import strings

    rows = _merged_rows(results, earlier, lambda score: score.per_image)
    _write_rows(path, rows, strings, _image_schema())


def _write_resamples(path: Path, results: Sequence[Result], earlier: pa.Table | None) -> None:
    import numpy as np

    from utils.arrow import numbers

    rows = _merged_rows(results, earlier, lambda score: score.resamples)
    _write_rows(path, rows, lambda blocks: numbers(np.array(blocks, np.int64)), _block_schema())


def _merged_rows(
    results: Sequence[Result],
    earlier: pa.Table | None,
    values: Callable[[Score], Mapping[Any, float]],
) -> list[tuple[Any, ...]]:
    """Rows (concept, method, metric, name, value) of these results, and the others' of before."""
    mine = score_keys(results)
    before = zip(*(c.to_pylist() for c in earlier.columns), strict=True) if earlier else ()
    return [row for row in before if row[:3] not in mine] + [
        (
            result.cell.task.concept.name,
            result.method.method.folder,
            metric_name(result, score),
            name,
            value,
        )
        for result in results
        for score in result.scores
        for name, value in values(score).items()
    ]


def _write_rows(
    path: Path,
    rows: Sequence[tuple[Any, ...]],
    column: Callable[[Sequence[Any]], pa.Array],
    schema: pa.Schema,
) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from utils.arrow import numbers, strings

    *texts, names, values = zip(*rows, strict=True) if rows else ((),) * 5
    columns = [*map(strings, texts), column(names), numbers(np.array(values, np.float64))]
    table = pa.Table.from_arrays(columns, schema=schema)
    replace_file(path, lambda unfinished: pq.write_table(table, unfinished))


def _merged_manifest(manifest: Mapping[str, Any], last: Mapping[str, Any] | None) -> dict[str, Any]:
    """This run's manifest; ``earlier`` holds those of runs whose other scores still stand."""
    mine = {tuple(key) for key in manifest["scores"]}
    before = [*last["earlier"], {k: v for k, v in last.items() if k != "earlier"}] if last else []
    kept = [
        {**run, "scores": left}
        for run in before
        if (left := [key for key in run["scores"] if tuple(key) not in mine])
    ]
    return {**manifest, "earlier": kept}


# In scores.csv but not in the terminal's table, which they would make too wide to read.
_NOT_SHOWN = ("forgetting_rate", "csdr_signed", "clip_score_reference", SCORE_OF)


def table(results: Sequence[Result], tied: Set[tuple[str, str, str]] = frozenset()) -> str:
    """Return the terminal's tables: one a concept, methods down, metrics across.

    Indicators that are compared have a table of their own, with the presence rate by each.

    The best value of each metric among the unlearned methods carries a ``*``, those that cannot
    be told from it a ``=``; numbers in brackets point at the warnings below.

    Args:
        tied: (concept, method, metric) of these.
    """
    by_task: dict[str, list[Result]] = {}
    for result in results:
        shown = [score for score in result.scores if not score.metric.startswith(_NOT_SHOWN)]
        name = result.cell.task.name
        title = f"{name}: presence_rate" if result.cell.aspect.name == "indicators" else name
        by_task.setdefault(title, []).append(replace(result, scores=shown))
    return "\n\n".join(_task_table(name, mine, tied) for name, mine in by_task.items())


def _task_table(name: str, results: Sequence[Result], tied: Set[tuple[str, str, str]]) -> str:
    from tabulate import tabulate

    about = {metric_name(r, s): s for r in results for s in r.scores}
    best = {metric: _best(results, metric) for metric in about}
    general = results[0].cell.task.notes
    notes: dict[str, int] = {}
    cells: dict[str, dict[str, str]] = {}
    for result in results:
        method = result.method.method
        row = cells.setdefault(method.folder, {})
        for score in result.scores:
            metric = metric_name(result, score)
            mark = ""
            if method.folder != ORIGINAL and None not in (score.value, best[metric]):
                key = result.cell.task.concept.name, method.folder, metric
                mark = "*" if score.value == best[metric] else "=" if key in tied else ""
            special = [note for note in score.warnings if note not in general]
            numbers = [notes.setdefault(note, len(notes) + 1) for note in special]
            row[metric] = _cell(score.value, mark, numbers)
    header = ["method"]
    header += [f"{m.removeprefix(RATE_BY)}{_arrow(s)}" for m, s in about.items()]
    titles = {r.method.method.folder: r.method.method.name for r in results}
    shared = [title for title, n in Counter(titles.values()).items() if n > 1]
    body = [
        [f"{titles[folder]} ({folder})" if titles[folder] in shared else titles[folder]]
        + [row.get(metric, "") for metric in about]
        for folder, row in cells.items()
    ]
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


def _cell(value: float | None, mark: str, notes: Sequence[int]) -> str:
    text = "-" if value is None else f"{value:.2f}" if abs(value) >= 10 else f"{value:.4f}"
    return text + mark + (f" [{','.join(map(str, notes))}]" if notes else "")


def _arrow(score: Score) -> str:
    unit = f" {score.unit}" if score.unit else ""
    direction = {True: " ↑", False: " ↓", None: ""}[score.higher_is_better]
    return f"{unit}{direction}"
