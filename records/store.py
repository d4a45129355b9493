"""A results folder, read back: scores, the values of single images, block resamples."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from inputs.prompts import ImageName
from metrics.base import ScoreWarning
from metrics.spec import ScoreKey, parse_column
from records import generation
from records.files import read_sealed
from records.model import PerImage, Results, ScoreRow
from utils.errors import UserError, reason


def read_results(folder: Path) -> Results:
    """Read a results folder, having checked that its files are what a run wrote.

    Raises:
        UserError: it is none, or a file is damaged or was changed.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give the --results-dir of a finished run")
    with generation.held(folder):
        manifest = read_sealed(folder)
        try:
            scores = _scores(folder / "scores.json")
            old = {row.key for row in scores if row.stale}
            prompts = _prompts(manifest)
            return Results(
                folder,
                scores,
                {
                    key: PerImage(_named(names, prompts.get(key)), np.array(values, np.float64))
                    for key, (names, values) in _columns(folder / "images.parquet", "image").items()
                    if key not in old
                },
                {
                    key: dict(zip(blocks, values, strict=True))
                    for key, (blocks, values) in _columns(
                        folder / "resamples.parquet", "block"
                    ).items()
                    if key not in old
                },
                manifest,
            )
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise UserError(f"{folder}: damaged, or not results ({reason(error)})") from error


def _prompts(manifest: Mapping[str, Any]) -> dict[ScoreKey, Mapping[str, str] | None]:
    """Image name -> its prompt, of the scores whose images do not say it by their names."""
    found = {}
    for run in (manifest, *manifest.get("earlier", [])):
        for key in (ScoreKey.of(*said) for said in run.get("scores", [])):
            found[key] = run.get("groups", {}).get(key.concept, {}).get(key.scope)
    return found


def _named(names: list[str], prompts: Mapping[str, str] | None) -> list[str]:
    return [ImageName(name, prompts[name]) for name in names] if prompts else names


def _scores(path: Path) -> list[ScoreRow]:
    rows = json.loads(path.read_text(encoding="utf-8"))["scores"]
    found = []
    for row in rows:
        metric, scope = parse_column(row["metric"])
        about = {"metric": metric, "scope": scope, "warnings": _warnings(row["warnings"])}
        found.append(ScoreRow(**{**row, **about}))
    return found


def _columns(path: Path, inner: str) -> dict[ScoreKey, tuple[list[Any], list[float]]]:
    """Rows (concept, method, metric, inner, value) of a Parquet file, by the first three."""
    import pyarrow.parquet as pq

    if not path.is_file():
        return {}
    with pq.ParquetFile(path) as file:
        table = file.read()
    found: dict[ScoreKey, tuple[list[Any], list[float]]] = {}
    names = ("concept", "method", "metric", inner, "value")
    for *key, name, value in zip(*(table[n].to_pylist() for n in names), strict=True):
        one, several = found.setdefault(ScoreKey.of(*key), ([], []))
        one.append(name)
        several.append(value)
    return found


def _warnings(said: list[dict[str, Any]]) -> tuple[ScoreWarning, ...]:
    return tuple(ScoreWarning(**{**one, "images": tuple(one["images"])}) for one in said)
