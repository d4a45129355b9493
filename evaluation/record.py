"""From the scores of a run, in memory, to its record."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import numpy as np

from evaluation.run import Result
from metrics.base import Score, ScoreWarning
from metrics.spec import ScoreKey
from records.model import PerImage, RunRecord, ScoreRow


def run_record(results: Sequence[Result], manifest: Mapping[str, Any]) -> RunRecord:
    """Return the record of a run; the runs before it are known when it is written."""
    scores = {result.key(score): _finite(score) for result in results for score in result.scores}
    return RunRecord(
        f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid4().hex[:8]}",
        (),
        manifest,
        tuple(_row(key, score) for key, score in scores.items()),
        {
            key: PerImage(list(one.per_image), np.array(list(one.per_image.values()), np.float64))
            for key, one in scores.items()
            if one.per_image
        },
        {key: dict(one.resamples) for key, one in scores.items() if one.resamples},
        {key: one.judged for key, one in scores.items() if one.judged and len(one.judged.names)},
    )


def _row(key: ScoreKey, score: Score) -> ScoreRow:
    return ScoreRow(
        *key,
        value=score.value,
        ci_low=score.ci_low,
        ci_high=score.ci_high,
        n=score.n,
        unit=score.unit,
        higher_is_better=score.higher_is_better,
        warnings=score.warnings,
    )


def _finite(score: Score) -> Score:
    """A score that is no number has none; a gate must not take one for a pass."""
    numbers = (score.value, score.ci_low, score.ci_high)
    if all(number is None or math.isfinite(number) for number in numbers):
        return score
    why = f"came out as {score.value}, from {score.ci_low} to {score.ci_high}"
    warning = ScoreWarning("not_finite", why)
    return replace(score, value=None, ci_low=None, ci_high=None).warn(warning)
