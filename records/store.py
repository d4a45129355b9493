"""Results on disk: one folder a run, never changed, and views of them all.

``runs/<id>/`` is made under another name and renamed once it is whole: from there on the run
counts. The views and ``manifest.json``, which lists runs and views, come after; whoever finds them
behind (a process was killed in between) makes them anew. Writers and readers take turns by a lock
file. ``docs/results.md`` describes the files.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from metrics.base import Judged, ScoreWarning
from metrics.spec import ScoreKey
from records.files import file_sha256, remove_unfinished, write_json
from records.merge import merge
from records.model import PerImage, Results, RunRecord, ScoreRow
from records.published import FILES
from records.views import SCORES, TABLE, score_json, views
from utils.errors import UserError

FORMAT_VERSION = 3
MANIFEST, RUNS = "manifest.json", "runs"
_RECORD = "record.json"
_IMAGES, _RESAMPLES, _JUDGED = "images.parquet", "resamples.parquet", "judged.parquet"
_TABLES: Mapping[str, Mapping[str, str]] = {  # own columns -> their types; before them the key
    _IMAGES: {"image": "string", "value": "float64"},
    _RESAMPLES: {"block": "int64", "value": "float64"},
    _JUDGED: {
        "checker": "string",
        "score_name": "string",
        "image": "string",
        "present": "bool_",
        "score": "float64",
        "label": "string",
        "detections": "string",  # JSON
    },
}
_RUN = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
_LOCK = ".lock"
_PATIENCE = 600  # seconds to wait for another writer, who needs a few
_Columns = tuple[Sequence[Any] | np.ndarray, ...]
# What a file that is damaged, or was changed, may end in when it is read.
_DAMAGE = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)


def read_results(folder: str | os.PathLike[str]) -> Results:
    """Read a results folder, having checked that its files are what the runs wrote.

    Raises:
        UserError: it is none, or a file is damaged, was changed, or is missing.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give the --results-dir of a finished run")
    with _held(folder):
        records, index = _read(folder)
        if not records:
            raise UserError(
                f"{folder}: no {MANIFEST} there; give the --results-dir of a finished run"
            )
        results = merge(folder, records, _files(folder, records, index))
        if index["runs"] != [record.id for record in records] and os.access(folder, os.W_OK):
            _write_views(results, records, index)
        return results


def check_folder(folder: Path) -> None:
    """Make sure that a run could be added to a folder, before hours of work.

    Raises:
        UserError: it holds what is damaged, of another format, or not ours.
    """
    if folder.is_dir():
        with _held(folder):
            _read(folder)


def write_run(folder: Path, record: RunRecord) -> Results:
    """Add a run to a folder, also if another one has been added meanwhile; return what stands.

    Raises:
        UserError: the folder cannot be written, or holds what is damaged or not ours.
    """
    try:
        (folder / RUNS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror or error})") from error
    with _held(folder):
        records, index = _read(folder)
        record = replace(record, after=tuple(one.id for one in records))
        _write_record(folder / RUNS, record)
        records = [*records, record]
        results = merge(folder, records)
        return replace(results, files=_write_views(results, records, index))


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Keep others out; a folder without runs, or that cannot be written, is only looked at.

    Raises:
        UserError: another process holds it for too long.
    """
    from filelock import FileLock, Timeout

    if not (folder / RUNS).is_dir() or not os.access(folder, os.W_OK):
        yield
        return
    try:
        with FileLock(folder / _LOCK, timeout=_PATIENCE):
            yield
    except Timeout:
        raise UserError(
            f"{folder}: another run has been writing there for {_PATIENCE} seconds; wait for it, "
            "or name another folder"
        ) from None


def _read(folder: Path) -> tuple[list[RunRecord], Mapping[str, Any]]:
    """The runs of a folder in their order, and its ``manifest.json``; nothing where there is none.

    Raises:
        UserError: something is not what a run wrote.
    """
    index = _read_index(folder)
    places = (folder / RUNS).iterdir() if (folder / RUNS).is_dir() else ()
    records = [_read_record(place) for place in places if _RUN.fullmatch(place.name)]
    # Each run knows all that were there before it, whatever the clocks say.
    records.sort(key=lambda record: len(record.after))
    known = {record.id for record in records}
    for run in (*index["runs"], *(before for record in records for before in record.after)):
        if run not in known:
            raise UserError(_not_as_written(folder / RUNS / run))
    if index["runs"] == [record.id for record in records]:  # else a run has come since
        _check(folder, index["files"])
    if not records:
        for name in (SCORES, TABLE, *FILES):
            if (folder / name).exists():
                raise UserError(
                    f"{folder / name}: not a result of this program (there is no {MANIFEST} beside "
                    "it); move it away, or name another --results-dir"
                )
    return records, index


def _read_index(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not os.path.lexists(path):
        return {"runs": [], "files": {}}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        version = document.get("format_version", document.get("format", 1))
        if version != FORMAT_VERSION and document.keys() & {"format_version", "format", "scores"}:
            raise UserError(
                f"{folder}: written by another version (format {version}, this one reads "
                f"{FORMAT_VERSION}); score again into another --results-dir"
            )
        return _sealed(document)
    except _DAMAGE as error:
        raise UserError(_not_as_written(path)) from error


def _read_record(folder: Path) -> RunRecord:
    path = folder / _RECORD
    try:
        document = _sealed(json.loads(path.read_text(encoding="utf-8")))
        if document["id"] != folder.name:
            raise ValueError("of another run")
        _check(folder, document["files"])
        return RunRecord(
            document["id"],
            tuple(document["after"]),
            document["manifest"],
            tuple(map(_row, document["scores"])),
            {
                key: PerImage(columns["image"], np.array(columns["value"], np.float64))
                for key, columns in _tables(folder / _IMAGES).items()
            },
            {
                key: dict(zip(columns["block"], columns["value"], strict=True))
                for key, columns in _tables(folder / _RESAMPLES).items()
            },
            {key: _judged(columns) for key, columns in _tables(folder / _JUDGED).items()},
        )
    except _DAMAGE as error:
        raise UserError(_not_as_written(path)) from error


def _row(said: Mapping[str, Any]) -> ScoreRow:
    warnings = (ScoreWarning(w["code"], w["text"], tuple(w["images"])) for w in said["warnings"])
    return ScoreRow(**{**said, "warnings": tuple(warnings)})


def _judged(columns: Mapping[str, list[Any]]) -> Judged:
    boxes = [found and json.loads(found) for found in columns["detections"]]
    return Judged(
        columns["checker"][0],
        columns["score_name"][0],
        columns["image"],
        np.array(columns["present"], bool),
        np.array(columns["score"], np.float64),
        columns["label"],
        None if None in boxes else boxes,
    )


def _tables(path: Path) -> dict[ScoreKey, dict[str, list[Any]]]:
    """The rows of each score in a Parquet file, column by column."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        columns = file.read().to_pydict()
    own = [name for name in columns if name not in ScoreKey._fields]
    found: dict[ScoreKey, dict[str, list[Any]]] = {}
    keys = zip(*(columns[name] for name in ScoreKey._fields), strict=True)
    for key, *values in zip(keys, *(columns[name] for name in own), strict=True):
        mine = found.setdefault(ScoreKey(*key), {name: [] for name in own})
        for name, value in zip(own, values, strict=True):
            mine[name].append(value)
    return found


def _write_record(runs: Path, record: RunRecord) -> None:
    """Write a run whole, and only then under its own name."""
    unfinished = runs / f".{record.id}"
    try:
        for left in runs.glob(".*"):  # of a run that was killed
            if _RUN.fullmatch(left.name[1:]) and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
        unfinished.mkdir()
        tables: dict[str, dict[ScoreKey, _Columns]] = {
            _IMAGES: {k: (one.names, one.values) for k, one in record.per_image.items()},
            _RESAMPLES: {k: (list(one), list(one.values())) for k, one in record.resamples.items()},
            _JUDGED: {key: _judged_columns(one) for key, one in record.judged.items()},
        }
        for name, columns in tables.items():
            _write_table(unfinished / name, columns)
        document = {
            "format_version": FORMAT_VERSION,
            "id": record.id,
            "after": record.after,
            "manifest": record.manifest,
            "scores": [score_json(row) for row in record.scores],
            "files": {name: file_sha256(unfinished / name) for name in tables},
        }
        write_json(unfinished / _RECORD, _seal(document))
        unfinished.rename(runs / record.id)
    except OSError as error:
        raise UserError(f"{runs}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _judged_columns(judged: Judged) -> _Columns:
    n = len(judged.names)
    boxes = [json.dumps(found) for found in judged.detections] if judged.detections else [None] * n
    labels = judged.label or [""] * n
    names = [judged.checker] * n, [judged.score_name] * n, judged.names
    return (*names, judged.present, judged.score, labels, boxes)


def _write_table(path: Path, tables: Mapping[ScoreKey, _Columns]) -> None:
    """Write the rows of several scores, each with its key."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {**dict.fromkeys(ScoreKey._fields, "string"), **_TABLES[path.name]}
    columns: dict[str, list[Any]] = {name: [] for name in kinds}
    for key, own in tables.items():
        several = (*([part] * len(own[0]) for part in key), *own)
        for (name, kind), values in zip(kinds.items(), several, strict=True):
            columns[name].extend(map(_utf8, values) if kind == "string" else values)
    schema = pa.schema([(name, getattr(pa, kind)()) for name, kind in kinds.items()])
    pq.write_table(pa.table(columns, schema=schema), path)


def _utf8(text: str | None) -> str | None:
    """The text; bytes of a file's name that are no UTF-8 as an escape."""
    return text and text.encode(errors="backslashreplace").decode()


def _write_views(
    results: Results, records: Sequence[RunRecord], before: Mapping[str, Any]
) -> tuple[Path, ...]:
    """Make all views anew, and last the index of runs and views; returns all files there are."""
    folder, writers = results.folder, views(results)
    remove_unfinished(folder / name for name in (*writers, MANIFEST))
    for name, write in writers.items():
        write(folder / name)
    for name in before["files"].keys() - writers.keys():
        (folder / name).unlink(missing_ok=True)
    index = {
        "format_version": FORMAT_VERSION,
        "runs": [record.id for record in records],
        "files": {name: file_sha256(folder / name) for name in writers},
    }
    write_json(folder / MANIFEST, _seal(index))
    return _files(folder, records, index)


def _files(
    folder: Path, records: Sequence[RunRecord], index: Mapping[str, Any]
) -> tuple[Path, ...]:
    """The views, and the files of every run."""
    runs = [folder / RUNS / record.id / name for record in records for name in (_RECORD, *_TABLES)]
    return (*(folder / name for name in index["files"]), *runs)


def _seal(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with its own digest."""
    return {**document, "digest": _digest(document)}


def _sealed(document: dict[str, Any]) -> dict[str, Any]:
    """The document without its digest, if that is right; else a ValueError."""
    if document.pop("digest") != _digest(document):
        raise ValueError("changed")
    return document


def _digest(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _check(folder: Path, digests: Mapping[str, str]) -> None:
    """Hold files against their digests.

    Raises:
        UserError: one is another now, or missing.
    """
    for name, digest in digests.items():
        try:
            same = file_sha256(folder / name) == digest
        except OSError:
            same = False
        if not same:
            raise UserError(_not_as_written(folder / name))


def _not_as_written(path: Path) -> str:
    return (
        f"{path}: not what the run wrote (damaged, changed by hand, or gone); restore it, or score "
        "again into another --results-dir"
    )
