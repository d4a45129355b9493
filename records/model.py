"""What is known of results: scores, the values of single images, block resamples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from metrics.base import ScoreWarning
from metrics.spec import MetricSpec, Scope, ScoreKey, parse_column


@dataclass(frozen=True)
class ScoreRow:
    """One score; see ``metrics.base.Score``.

    Attributes:
        stale: its images, or its reference's, have been replaced since.
    """

    concept: str
    scope: Scope
    method: str
    metric: str
    value: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    unit: str
    higher_is_better: bool | None
    warnings: tuple[ScoreWarning, ...]
    stale: bool = False

    @property
    def key(self) -> ScoreKey:
        return ScoreKey(self.concept, self.scope, self.method, self.metric)

    @property
    def texts(self) -> tuple[str, ...]:
        """What the warnings say."""
        return tuple(warning.text for warning in self.warnings)

    @property
    def column(self) -> str:
        """The metric's name in CSV files, tables and rules."""
        return self.key.column


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
    per_image: Mapping[ScoreKey, PerImage]
    resamples: Mapping[ScoreKey, Mapping[int, float]]
    manifest: Mapping[str, Any]

    @cached_property
    def by_key(self) -> dict[ScoreKey, ScoreRow]:
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
    def run_of(self) -> dict[ScoreKey, Mapping[str, Any]]:
        """The manifest of the run that computed a score."""
        return {ScoreKey.of(*key): run for run in self.runs for key in run.get("scores", [])}

    def methods(self, concept: str) -> list[str]:
        """The method folders of a concept, the original model's (``ORG``) first."""
        return list(dict.fromkeys(row.method for row in self.scores if row.concept == concept))

    def columns(self, concept: str) -> list[str]:
        """The metrics of a concept as columns, in the order of the scores."""
        return list(dict.fromkeys(row.column for row in self.scores if row.concept == concept))

    def of(self, concept: str, column: str) -> list[ScoreRow]:
        """The scores of a concept's methods in one column."""
        return [row for row in self.scores if (row.concept, row.column) == (concept, column)]

    def values(self, concept: str, method: str, column: str) -> dict[str, float]:
        """The values of single images by their names; empty where there are none."""
        found = self.per_image.get(ScoreKey.of(concept, method, column))
        return dict(zip(found.names, found.values.tolist(), strict=True)) if found else {}

    def spec(self, column: str) -> MetricSpec:
        """What the run that computed a metric knows of it; also by its name without a scope."""
        metric, _ = parse_column(column)
        return next(spec for spec in self._specs if spec.describes(metric))

    @cached_property
    def _specs(self) -> list[MetricSpec]:
        return [MetricSpec(**said) for run in self.runs for said in run["metrics"]]

    def judge_of(self, key: ScoreKey) -> Mapping[str, Any]:
        """What tells the checker behind a score from another one; nothing where there is none."""
        spec, run = self.spec(key.metric), self.run_of.get(key, {})
        if spec.aspect == "forgetting":
            said = run.get("checkers", {}).get(key.concept, {})
        else:
            several = run.get("indicators", {}).get(key.concept, {})
            said = several.get(key.metric.removeprefix(spec.name), {}) if spec.family else {}
        return {name: value for name, value in said.items() if name != "head"}  # a file's place

    def title(self, method: str) -> str:
        """The proper name of a method's folder."""
        titles = (run.get("titles", {}).get(method) for run in self.runs)
        return next(filter(None, titles), method)
