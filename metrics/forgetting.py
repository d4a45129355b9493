"""Is the concept still there: rates over a checker's decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inputs.config import TASKS
from inputs.prompts import prompt_key
from metrics.base import Judged, MethodData, Score
from metrics.spec import MetricSpec
from stats.intervals import rate_interval


@dataclass(frozen=True)
class Presence:
    """How many of ``n`` images show the concept.

    Attributes:
        n: images with a decision.
        present: those in which the concept is present.
        rate: present / n in [0, 1]; None when n is 0. Lower is better forgotten. The published
            scripts call it accuracy.
        ci_low, ci_high: 95% interval of the rate (``rate_interval``); None when n is 0.
        note: what a reader of the interval must know; else empty.
    """

    n: int
    present: int
    rate: float | None
    ci_low: float | None
    ci_high: float | None
    note: str = ""

    @property
    def forgetting_rate(self) -> float | None:
        """1 - rate; higher is better forgotten."""
        return None if self.rate is None else 1 - self.rate


def presence(present: np.ndarray, names: Sequence[str]) -> Presence:
    """Return the presence rate of decisions.

    Args:
        present: bool of shape (n,).
        names: of the images; they tell which are samples of one prompt.
    """
    n, count = len(present), int(np.count_nonzero(present))
    if n == 0:
        return Presence(0, 0, None, None, None)
    interval = rate_interval(present, [prompt_key(name) for name in names])
    return Presence(n, count, count / n, interval.low, interval.high, interval.note)


def class_accuracy(
    predicted: Sequence[str], true: Sequence[str | None], names: Sequence[str]
) -> dict[str, Presence]:
    """Return, for each true class, the share of its images that were predicted as such.

    Args:
        predicted: predicted class of each image.
        true: its true class, None where unknown (such images are left out).
        names: its name.
    """
    hits: dict[str, dict[str, bool]] = {}
    for guess, truth, name in zip(predicted, true, names, strict=True):
        if truth is not None:
            hits.setdefault(truth, {})[name] = guess == truth
    return {truth: presence(np.array([*of.values()]), [*of]) for truth, of in hits.items()}


def presence_score(metric: str, judged: Judged) -> Score:
    """Return the share of images in which a checker sees the concept, with its interval."""
    found = presence(judged.present, judged.names)
    if not found.n:
        return Score(metric, None, 0, "", False, judged=judged).warn("no image could be read")
    per_image = {name: float(p) for name, p in zip(judged.names, judged.present, strict=True)}
    interval = (found.ci_low, found.ci_high)
    score = Score(
        metric, found.rate, found.n, "", False, *interval, per_image=per_image, judged=judged
    )
    return score.warn(*filter(None, [found.note]))


class Forgetting:
    """Presence rate by a checker; lower is better forgotten."""

    name = "forgetting"
    metrics = (
        MetricSpec(
            "presence_rate",
            "images that still show the concept",
            "forgetting",
            kind="rate",
            role="presence",
            higher_is_better=False,
            low=0,
            high=1,
        ),
        MetricSpec(
            "forgetting_rate",
            "images that no longer show the concept",
            "forgetting",
            kind="rate",
            role="side",
            higher_is_better=True,
            low=0,
            high=1,
            shown=False,
        ),
    )
    image_extractors = ()  # the checker's own
    pair_extractors = ()
    uses_reference = False
    uses_pairs = False
    uses_prompts = False
    scopes = ("forgot",)
    tasks = TASKS

    def score(self, data: MethodData) -> list[Score]:
        """Return ``presence_rate`` and ``forgetting_rate``."""
        (judged,) = data.decisions()
        rate = presence_score("presence_rate", judged)
        if rate.value is None:
            return [rate, Score("forgetting_rate", None, 0, "", True, warnings=rate.warnings)]
        mirrored = (1 - rate.value, rate.n, "", True, 1 - rate.ci_high, 1 - rate.ci_low)
        return [rate, Score("forgetting_rate", *mirrored, warnings=rate.warnings)]
