"""A results folder, read back: scores, the values of single images, block resamples."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from inputs.prompts import ImageName
from metrics.spec import MetricSpec, scope_of
from records import generation
from records.files import read_sealed
from utils.errors import UserError, reason

Key = tuple[str, str, str]  # concept, method's folder, metric


@dataclass(frozen=True)
class ScoreRow:
    """One score; see ``metrics.base.Score``.

    Attributes:
        stale: its images, or its reference's, have been replaced since.
    """

    concept: str
    method: str
    metric: str
    value: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    unit: str
    higher_is_better: bool | None
    warnings: tuple[str, ...]
    stale: bool = False

    @property
    def key(self) -> Key:
        return self.concept, self.method, self.metric


@dataclass(frozen=True)
class PerImage:
    """Values of single images (or pairs), float64 of shape (n,), by their names."""

    names: list[str]
    values: np.ndarray


@dataclass(frozen=True)
class Results:
    """Everything of a results folder that a report needs.

    Attributes:
        scores: in the order of ``scores.json``.
        per_image: the values behind a score, where it is a mean or rate over images that are
            still those of the others: old and new images of one name are never compared.
        resamples: block -> value without that block's images, for scores of whole sets (fid, kid);
            a block holds the same prompts for every method of a concept.
        manifest: ``manifest.json``.
    """

    folder: Path
    scores: list[ScoreRow]
    per_image: Mapping[Key, PerImage]
    resamples: Mapping[Key, Mapping[int, float]]
    manifest: Mapping[str, Any]

    @cached_property
    def by_key(self) -> dict[Key, ScoreRow]:
        return {row.key: row for row in self.scores}

    @property
    def concepts(self) -> list[str]:
        """In the order of the scores."""
        return list(dict.fromkeys(row.concept for row in self.scores))

    @property
    def runs(self) -> list[Mapping[str, Any]]:
        """The manifests of all runs whose scores still stand, the last run's first."""
        return [self.manifest, *reversed(self.manifest.get("earlier", []))]

    @cached_property
    def run_of(self) -> dict[Key, Mapping[str, Any]]:
        """The manifest of the run that computed a score."""
        return {tuple(key): run for run in self.runs for key in run.get("scores", [])}

    def methods(self, concept: str) -> list[str]:
        """The method folders of a concept, the original model's (``ORG``) first."""
        return list(dict.fromkeys(row.method for row in self.scores if row.concept == concept))

    def metrics(self, concept: str) -> list[str]:
        """The metrics of a concept, in the order of the scores."""
        return list(dict.fromkeys(row.metric for row in self.scores if row.concept == concept))

    def values(self, concept: str, method: str, metric: str) -> dict[str, float]:
        """The values of single images by their names; empty where there are none."""
        found = self.per_image.get((concept, method, metric))
        return dict(zip(found.names, found.values.tolist(), strict=True)) if found else {}

    def spec(self, metric: str) -> MetricSpec:
        """What the run that computed a metric knows of it."""
        return next(spec for spec in self._specs if spec.describes(metric))

    @cached_property
    def _specs(self) -> list[MetricSpec]:
        return [MetricSpec(**said) for run in self.runs for said in run["metrics"]]

    def judge_of(self, key: Key) -> Mapping[str, Any]:
        """What tells the checker behind a score from another one; nothing where there is none."""
        spec, run = self.spec(key[2]), self.run_of.get(key, {})
        if spec.aspect == "forgetting":
            said = run.get("checkers", {}).get(key[0], {})
        else:
            several = run.get("indicators", {}).get(key[0], {})
            said = several.get(key[2].removeprefix(spec.name), {}) if spec.family else {}
        return {name: value for name, value in said.items() if name != "head"}  # a file's place

    def title(self, method: str) -> str:
        """The proper name of a method's folder."""
        titles = (run.get("titles", {}).get(method) for run in self.runs)
        return next(filter(None, titles), method)


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


def _prompts(manifest: Mapping[str, Any]) -> dict[Key, Mapping[str, str] | None]:
    """Image name -> its prompt, of the scores whose images do not say it by their names."""
    found = {}
    for run in (manifest, *manifest.get("earlier", [])):
        for concept, method, metric in run.get("scores", []):
            scope = scope_of(metric)
            found[concept, method, metric] = run.get("groups", {}).get(concept, {}).get(scope)
    return found


def _named(names: list[str], prompts: Mapping[str, str] | None) -> list[str]:
    return [ImageName(name, prompts[name]) for name in names] if prompts else names


def _scores(path: Path) -> list[ScoreRow]:
    rows = json.loads(path.read_text(encoding="utf-8"))["scores"]
    return [ScoreRow(**{**row, "warnings": tuple(row["warnings"])}) for row in rows]


def _columns(path: Path, inner: str) -> dict[Key, tuple[list[Any], list[float]]]:
    """Rows (concept, method, metric, inner, value) of a Parquet file, by the first three."""
    import pyarrow.parquet as pq

    if not path.is_file():
        return {}
    with pq.ParquetFile(path) as file:
        table = file.read()
    found: dict[Key, tuple[list[Any], list[float]]] = {}
    names = ("concept", "method", "metric", inner, "value")
    for *key, name, value in zip(*(table[n].to_pylist() for n in names), strict=True):
        one, several = found.setdefault(tuple(key), ([], []))
        one.append(name)
        several.append(value)
    return found
