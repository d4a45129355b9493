"""What a run has found, and what the runs of a folder have found together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metrics.base import Judged, ScoreWarning
from metrics.spec import MetricSpec, Scope, ScoreKey, parse_column
from utils.errors import UserError

if TYPE_CHECKING:
    from pandas import DataFrame

Manifest = Mapping[str, Any]  # of a run; docs/results.md says what is in it


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
    warnings: tuple[ScoreWarning, ...] = ()
    stale: bool = False

    @property
    def key(self) -> ScoreKey:
        return ScoreKey(self.concept, self.scope, self.method, self.metric)

    def __float__(self) -> float:
        return float("nan") if self.value is None else float(self.value)

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
class RunRecord:
    """Everything that one run has found; it is never changed.

    Attributes:
        id: starts with the time (UTC), so that names sort by it.
        after: the runs that were in the folder before.
        per_image: the values behind a score, where it is a mean or rate over images.
        resamples: block -> value without that block's images, for scores of whole sets (fid, kid);
            a block holds the same prompts for every method of a concept.
        judged: what the checker behind a rate says of each image.
    """

    id: str
    after: tuple[str, ...]
    manifest: Manifest
    scores: tuple[ScoreRow, ...]
    per_image: Mapping[ScoreKey, PerImage]
    resamples: Mapping[ScoreKey, Mapping[int, float]]
    judged: Mapping[ScoreKey, Judged]

    @cached_property
    def specs(self) -> list[MetricSpec]:
        """What the run knew of metrics."""
        return [MetricSpec(**said) for said in self.manifest["metrics"]]

    @cached_property
    def digests(self) -> dict[tuple[str, str, str], str]:
        """(concept, method, scope) -> digest of its images; the method is empty of a reference."""
        run = self.manifest
        return {
            (place["concept"], place["method"], place["scope"]): digest
            for place in (*run.get("places", ()), *run.get("references", ()))
            if (digest := run.get("folders", {}).get(place["folder"]))
        }

    def aspect(self, metric: str) -> str | None:
        """The aspect that computed a metric."""
        return next((spec.aspect for spec in self.specs if spec.describes(metric)), None)


@dataclass(frozen=True, repr=False)
class Results:
    """The scores that stand after several runs, and what is known of them.

    Attributes:
        folder: where they are recorded; the current one of a run that is not.
        scores: those kept from earlier runs first.
        per_image, resamples, judged: as of ``RunRecord``, without what is stale: old and new images
            of one name are never compared.
        records: of the runs whose scores still stand, the last run's first.
        run_of: the manifest of the run that computed a score.
        files: what was read, and found to be as it was written.
    """

    folder: Path
    scores: list[ScoreRow]
    per_image: Mapping[ScoreKey, PerImage]
    resamples: Mapping[ScoreKey, Mapping[int, float]]
    judged: Mapping[ScoreKey, Judged]
    records: tuple[RunRecord, ...]
    run_of: Mapping[ScoreKey, Manifest]
    files: tuple[Path, ...] = ()

    @cached_property
    def by_key(self) -> dict[ScoreKey, ScoreRow]:
        return {row.key: row for row in self.scores}

    @property
    def concepts(self) -> list[str]:
        """In the order of the scores."""
        return list(dict.fromkeys(row.concept for row in self.scores))

    @property
    def manifest(self) -> Manifest:
        """Of the last run."""
        return self.records[0].manifest

    @property
    def runs(self) -> list[Manifest]:
        """The manifests of all runs whose scores still stand, the last run's first."""
        return [record.manifest for record in self.records]

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
        """What the run that computed a metric knows of it; also by its name without a scope.

        Raises:
            UserError: no run knows such a metric.
        """
        metric, _ = parse_column(column)
        specs = (spec for record in self.records for spec in record.specs)
        found = next((spec for spec in specs if spec.describes(metric)), None)
        if found is None:
            raise UserError(f"{self.folder}: no run knows the metric {metric}; score it first")
        return found

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

    def images_of(self, concept: str, method: str) -> int:
        """How many images of a method could be read, of the concept's prompts if there are any."""
        places = [
            place
            for run in self.runs
            for place in run.get("places", ())
            if (place["concept"], place["method"]) == (concept, method)
        ]
        if not places:
            mine = (row for row in self.scores if (row.concept, row.method) == (concept, method))
            return max(row.n for row in mine)
        place = next((one for one in places if one["scope"] == "forgot"), places[0])
        return int(place["images"]) - int(place["unreadable"])

    def frame(self) -> DataFrame:
        """The scores as a ``pandas`` table, one a row; ``warnings`` are tuples of sentences."""
        return _frame({**vars(row), "warnings": row.texts} for row in self.scores)

    def images_frame(self) -> DataFrame:
        """The values of single images as a ``pandas`` table, one a row."""
        return _frame(
            {**key._asdict(), "image": str(name), "value": value}
            for key, found in self.per_image.items()
            for name, value in zip(found.names, found.values.tolist(), strict=True)
        )

    def __repr__(self) -> str:
        return "\n\n".join(f"{concept}\n\n{self._table(concept)}" for concept in self.concepts)

    def _repr_html_(self) -> str:
        """What a notebook shows; ``tabulate`` escapes all names."""
        return "\n".join(self._table(concept, "html", head=concept) for concept in self.concepts)

    def _table(self, concept: str, kind: str = "simple", *, head: str = "method") -> str:
        """The values of a concept: a line a method, a column a metric."""
        from tabulate import tabulate

        columns = self.columns(concept)
        body = [
            [self.title(m), *(_cell(self.by_key.get(ScoreKey.of(concept, m, c))) for c in columns)]
            for m in self.methods(concept)
        ]
        return tabulate(body, [head, *columns], tablefmt=kind, disable_numparse=True)


def _cell(row: ScoreRow | None) -> str:
    if row is None or row.value is None:
        return "-"
    return f"{row.value:.4g}" + (f" {row.unit}" if row.unit else "")


def _frame(rows: Iterable[Mapping[str, Any]]) -> DataFrame:
    import pandas as pd

    return pd.DataFrame(list(rows))
