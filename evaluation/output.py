"""Results on disk: scores, values of single images, resamples; kept from one run to the next."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.published import DEPTHS, merged, published_json
from evaluation.run import Result
from metrics import ASPECTS, specs
from metrics.base import Score, ScoreWarning
from metrics.spec import parse_column
from records import generation
from records.files import CHANGED, MANIFEST, read_sealed, seal, write_csv, write_json
from utils.errors import UserError

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
_SCORES, _TABLE = "scores.json", "scores.csv"
_IMAGES, _RESAMPLES = "images.parquet", "resamples.parquet"
_FILES = (_SCORES, _TABLE, _IMAGES, _RESAMPLES, *DEPTHS)


_Key = tuple[str, str, str]  # concept, method's folder, metric


@dataclass(frozen=True)
class Earlier:
    """What earlier runs left in the results folder.

    Attributes:
        scores: the rows of ``scores.json``.
        images: ``images.parquet``, None where there is none.
        resamples: ``resamples.parquet``, None where there is none.
        manifest: ``manifest.json``, None where there is none.
        published: the published JSON files, by name.
    """

    scores: list[dict[str, Any]]
    images: pa.Table | None
    resamples: pa.Table | None
    manifest: dict[str, Any] | None
    published: dict[str, dict[str, Any]]


def read_earlier(folder: Path) -> Earlier:
    """Read what is to be kept.

    Raises:
        UserError: a file of one of our names that is not ours, or is damaged.
    """
    if not (folder / MANIFEST).exists():
        strange = next((folder / name for name in _FILES if (folder / name).exists()), None)
        if strange is not None:
            raise UserError(
                f"{strange}: not a result of this program (there is no {MANIFEST} beside it); move "
                "it away, or name another --results-dir"
            )
        return Earlier([], None, None, None, {})
    manifest = read_sealed(folder)
    tables = {
        name: _read_rows(folder / name) if name in manifest["files"] else None
        for name in (_IMAGES, _RESAMPLES)
    }
    return Earlier(
        _read_json(folder / _SCORES)["scores"],
        tables[_IMAGES],
        tables[_RESAMPLES],
        manifest,
        {name: _read_json(folder / name) for name in DEPTHS if name in manifest["files"]},
    )


def _read_rows(path: Path) -> pa.Table:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        return file.read()


def _read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def write_results(folder: Path, results: Sequence[Result], manifest: Mapping[str, Any]) -> None:
    """Write the scores, the published JSON files, two Parquet files and the manifest, as one.

    Scores replace all earlier ones of their aspect, for their concept and method; the others are
    kept, with a warning where their images are others now. What another run has written meanwhile
    is kept too.

    Raises:
        UserError: the folder cannot be written, or was damaged meanwhile.
    """
    with generation.held(folder):
        earlier = read_earlier(folder)
        key = itemgetter("concept", "method", "metric")
        replaced = _replaced(results, map(key, earlier.scores))
        kept = [row for row in earlier.scores if key(row) not in replaced]
        rows = [*_marked(kept, _changed(manifest, earlier.manifest)), *score_rows(results)]
        files: dict[str, Callable[[Path], object]] = {
            name: partial(write_json, document=_published(earlier, name, document))
            for name, document in published_json(results).items()
        }
        files |= {
            _SCORES: partial(write_json, document={"scores": rows}),
            _TABLE: partial(_write_table, rows=rows),
            _IMAGES: partial(
                _write_images,
                rows=_merged_rows(results, earlier.images, replaced, attrgetter("per_image")),
            ),
            _RESAMPLES: partial(
                _write_resamples,
                rows=_merged_rows(results, earlier.resamples, replaced, attrgetter("resamples")),
            ),
        }
        merged_manifest = _merged_manifest(manifest, earlier.manifest, replaced)
        kept_files = {name: folder / name for name in earlier.published}

        def write_manifest(path: Path) -> None:
            written = {name: path.with_name(name) for name in files}
            write_json(path, seal(merged_manifest, kept_files | written))

        # The manifest is the last, as it holds the digests of the others.
        generation.commit(folder, {**files, MANIFEST: write_manifest})


def _replaced(results: Sequence[Result], earlier: Iterable[_Key]) -> set[_Key]:
    """Which scores these take the place of: all of an aspect, as it may give others now."""
    aspect_of = cache(_aspect_of)
    scored = {
        (r.cell.task.concept.name, r.method.method.folder, r.cell.task.scope, r.cell.aspect.name)
        for r in results
    }
    return score_keys(results) | {
        key for key in earlier if (*key[:2], parse_column(key[2])[1], aspect_of(key[2])) in scored
    }


def _aspect_of(metric: str) -> str | None:
    return next((spec.aspect for spec in specs() if spec.describes(parse_column(metric)[0])), None)


def _published(earlier: Earlier, name: str, document: Mapping[str, Any]) -> dict[str, Any]:
    return merged(earlier.published.get(name, {}), document, DEPTHS[name])


_Place = tuple[str, str, str]  # concept, method's folder, scope


def _digests(run: Mapping[str, Any]) -> dict[_Place, str]:
    """Digest of the images of each method, and of the reference (method ``""``), of a run."""
    return {
        (place["concept"], place["method"], place["scope"]): digest
        for place in (*run.get("places", ()), *run.get("references", ()))
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


def _marked(rows: Iterable[dict[str, Any]], changed: Set[_Place]) -> Iterator[dict[str, Any]]:
    """The rows; those of images, or of a reference, that are others now say so."""
    compared = {spec.name for name in ASPECTS for spec in _compared(ASPECTS[name])}
    changed_warning = asdict(ScoreWarning("images_changed", CHANGED))
    for row in rows:
        name, scope = parse_column(row["metric"])
        places = {(row["concept"], row["method"], scope)}
        if name in compared:
            places.add((row["concept"], "", scope))
        if places & changed and not row["stale"]:
            row = {**row, "stale": True, "warnings": [*row["warnings"], changed_warning]}
        yield row


def _compared(aspect: Any) -> tuple[Any, ...]:
    return aspect.metrics if aspect.uses_reference else ()


def score_keys(results: Iterable[Result]) -> set[tuple[str, str, str]]:
    """Return (concept, method, metric) of every score."""
    return {
        (result.cell.task.concept.name, result.method.method.folder, result.key(score).column)
        for result in results
        for score in result.scores
    }


def score_rows(results: Iterable[Result]) -> list[dict[str, Any]]:
    """Return the rows of ``scores.json``: ``COLUMNS``, warnings as a list, and ``stale``."""
    return [
        {
            "concept": result.cell.task.concept.name,
            "method": result.method.method.folder,
            "metric": result.key(score).column,
            "value": score.value,
            "ci_low": score.ci_low,
            "ci_high": score.ci_high,
            "n": score.n,
            "unit": score.unit,
            "higher_is_better": score.higher_is_better,
            "warnings": [asdict(warning) for warning in score.warnings],
            "stale": False,
        }
        for result in results
        for score in map(_finite, result.scores)
    ]


def _finite(score: Score) -> Score:
    """A score that is no number has none; a gate must not take one for a pass."""
    numbers = (score.value, score.ci_low, score.ci_high)
    if all(number is None or math.isfinite(number) for number in numbers):
        return score
    why = f"came out as {score.value}, from {score.ci_low} to {score.ci_high}"
    return replace(score, value=None, ci_low=None, ci_high=None).warn(
        ScoreWarning("not_finite", why)
    )


def _write_table(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write ``scores.csv``, the view of ``scores.json`` for people and spreadsheets."""
    told = ({**row, "warnings": "; ".join(w["text"] for w in row["warnings"])} for row in rows)
    write_csv(path, COLUMNS, ([row[column] for column in COLUMNS] for row in told))


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


def _write_images(path: Path, rows: Sequence[tuple[Any, ...]]) -> None:
    from features.arrow import strings

    _write_rows(path, rows, strings, _image_schema())


def _write_resamples(path: Path, rows: Sequence[tuple[Any, ...]]) -> None:
    import numpy as np

    from features.arrow import numbers

    _write_rows(path, rows, lambda blocks: numbers(np.array(blocks, np.int64)), _block_schema())


def _merged_rows(
    results: Sequence[Result],
    earlier: pa.Table | None,
    replaced: Set[_Key],
    values: Callable[[Score], Mapping[Any, float]],
) -> list[tuple[Any, ...]]:
    """Rows (concept, method, metric, name, value) of these results, and the others' of before."""
    before = zip(*(c.to_pylist() for c in earlier.columns), strict=True) if earlier else ()
    return [row for row in before if row[:3] not in replaced] + [
        (
            result.cell.task.concept.name,
            result.method.method.folder,
            result.key(score).column,
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

    from features.arrow import numbers, strings

    *texts, names, values = zip(*rows, strict=True) if rows else ((),) * 5
    columns = [*map(strings, texts), column(names), numbers(np.array(values, np.float64))]
    table = pa.Table.from_arrays(columns, schema=schema)
    pq.write_table(table, path)


def _merged_manifest(
    manifest: Mapping[str, Any], last: Mapping[str, Any] | None, replaced: Set[_Key]
) -> dict[str, Any]:
    """This run's manifest; ``earlier`` holds those of runs whose other scores still stand."""
    before = [*last["earlier"], {k: v for k, v in last.items() if k != "earlier"}] if last else []
    kept = [
        {**run, "scores": left}
        for run in before
        if (left := [key for key in run["scores"] if tuple(key) not in replaced])
    ]
    return {**manifest, "earlier": kept}
