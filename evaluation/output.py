"""Results on disk: scores, values of single images, resamples; kept from one run to the next."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.published import DEPTHS, merged, published_json
from evaluation.run import Result, metric_name
from metrics.base import Score
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
            if path.name in DEPTHS
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
        write_json(folder / name, merged(before, document, DEPTHS[name]))
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
