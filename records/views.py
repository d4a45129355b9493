"""Files made of all results of a folder: for people, spreadsheets, programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from records.files import write_csv, write_json
from records.model import Results, ScoreRow
from records.published import published_json

SCORES, TABLE = "scores.json", "scores.csv"
COLUMNS = ("value", "ci_low", "ci_high", "n", "unit", "higher_is_better")


def views(results: Results) -> dict[str, Callable[[Path], None]]:
    """Return what writes each view, by its name in the results folder."""
    rows = [score_json(row) for row in results.scores]
    return {
        SCORES: partial(write_json, document={"scores": rows}),
        TABLE: partial(_write_table, results=results),
        **{
            name: partial(write_json, document=document)
            for name, document in published_json(results).items()
        },
    }


def score_json(row: ScoreRow) -> dict[str, Any]:
    """Return a score as in JSON files: the fields of ``ScoreRow``, warnings as a list."""
    return {**vars(row), "warnings": [asdict(warning) for warning in row.warnings]}


def _write_table(path: Path, results: Results) -> None:
    """Write ``scores.csv``; warnings are joined for people."""
    write_csv(
        path,
        ("concept", "method", "metric", *COLUMNS, "warnings"),
        (
            (
                *(row.concept, row.method, row.column),
                *(getattr(row, name) for name in COLUMNS),
                "; ".join(row.texts),
            )
            for row in results.scores
        ),
    )
