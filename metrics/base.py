"""What a score is, and what an aspect is given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from inputs.config import TASKS, Concept
from inputs.prompts import prompt_key
from metrics.spec import MetricSpec, Scope
from stats.intervals import mean_interval


@dataclass(frozen=True)
class ScoreWarning:
    """What a reader of a number must know.

    Attributes:
        code: a stable word for programs, such as ``few_prompts``.
        text: a sentence for people.
        images: those concerned, by path below the method's folder.
    """

    code: str
    text: str
    images: tuple[str, ...] = ()


@dataclass(frozen=True)
class Judged:
    """What a checker says of a method's images.

    Attributes:
        checker, score_name: the checker's ``name`` and ``score_name``.
        names: of the images, n.
        present: bool of shape (n,).
        score: float64 of shape (n,), in [0, 1].
        label: predicted class of each image, ``""`` for none.
        detections: what a detector reports for each image, else None.
    """

    checker: str
    score_name: str
    names: Sequence[str]
    present: np.ndarray
    score: np.ndarray
    label: Sequence[str] = ()
    detections: Sequence[Sequence[Mapping[str, Any]]] | None = None


@dataclass(frozen=True)
class Score:
    """One number about one method.

    Attributes:
        metric: its name, for example ``fid``.
        value: None when it is not defined; ``warnings`` then say why.
        n: images or pairs it is of.
        unit: ``""``, ``"%"`` or ``"dB"``; rates without unit are in [0, 1].
        higher_is_better: None where neither direction is, or none may be ranked by it here: a
            score without a direction gets no mark for the best, whatever its metric's spec says.
        ci_low, ci_high: 95% interval, None where there is none.
        warnings: what a reader of the number must know.
        per_image: value of each image or pair, by path below the method's folder.
        resamples: of a score of whole sets: its value without each block of prompts, by block.
        judged: of a rate by one checker: what it said of each image.
    """

    metric: str
    value: float | None
    n: int
    unit: str = ""
    higher_is_better: bool | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    warnings: tuple[ScoreWarning, ...] = ()
    per_image: Mapping[str, float] = field(default_factory=dict)
    resamples: Mapping[int, float] = field(default_factory=dict)
    judged: Judged | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        """What the warnings say."""
        return tuple(warning.text for warning in self.warnings)

    def __float__(self) -> float:
        return float("nan") if self.value is None else float(self.value)

    def warn(self, *warnings: ScoreWarning) -> Score:
        """Return the score with further warnings."""
        return replace(self, warnings=(*self.warnings, *warnings))


@dataclass(frozen=True)
class Rows:
    """Rows of images that have them: ``values[i]`` is of the image (or pair) ``names[i]``."""

    names: Sequence[str]
    values: Any


@dataclass(frozen=True)
class PairRows:
    """Rows of both images of each pair that has them."""

    names: Sequence[str]
    reference: np.ndarray
    candidate: np.ndarray


class MethodData(Protocol):
    """The rows of one method's images, of its reference's and of its pairs."""

    @property
    def concept(self) -> Concept:
        """What was unlearned."""

    def images(self, extractor: str) -> Rows:
        """Rows of the method's images."""

    def reference(self, extractor: str) -> Rows:
        """Rows of the reference images."""

    def pairs(self, extractor: str) -> Rows:
        """Rows of a pair extractor."""

    def both(self, extractor: str) -> PairRows:
        """Rows of an image extractor for both images of each pair."""

    def peers(self, extractor: str) -> list[Sequence[str]]:
        """Names of each method's images that have rows: those it is compared with, and its own."""

    def texts(self, names: Sequence[str]) -> np.ndarray:
        """Text embedding of the prompt of each named image, without the concept's words.

        Returns:
            float32 of shape (len(names), dim); a row of NaN where nothing is left of a prompt.
        """

    def decisions(self) -> list[Judged]:
        """Decisions on the method's images, of each checker that the aspect has been given."""

    def category(self, name: str) -> str:
        """The category an image belongs to; ``""`` where there are none."""


class Aspect(ABC):
    """What one ``--evaluation-aspect`` computes. A subclass states what differs from here.

    Attributes:
        name: as on the command line.
        metrics: of the scores that it returns.
        image_extractors: extractors of every image, references included if ``uses_reference``.
        pair_extractors: extractors of every pair.
        judges: the checkers whose decisions it takes: none, the preferred one of each concept, or
            every one.
        uses_reference: the score compares with the reference folder.
        uses_pairs: image by image, each with the reference's of its name.
        uses_prompts: the score needs the prompt of each image.
        tasks: of the concepts that ``all`` scores it for; others only where it is asked for.
    """

    name: ClassVar[str]
    metrics: ClassVar[tuple[MetricSpec, ...]]
    image_extractors: ClassVar[tuple[str, ...]] = ()
    pair_extractors: ClassVar[tuple[str, ...]] = ()
    judges: ClassVar[Literal["none", "preferred", "all"]] = "none"
    uses_reference: ClassVar[bool] = False
    uses_pairs: ClassVar[bool] = False
    uses_prompts: ClassVar[bool] = False
    tasks: ClassVar[tuple[str, ...]] = TASKS

    @abstractmethod
    def score(self, data: MethodData) -> list[Score]:
        """Return the aspect's scores of one method; the first is the one it is known for."""

    def mean(self, names: Sequence[str], values: np.ndarray, data: MethodData) -> Score:
        """Return the first metric as a mean over images, with its interval.

        Args:
            values: of each named image or pair, shape (n,).
        """
        spec = self.metrics[0]
        if not len(names) and not self.uses_pairs:
            nothing = ScoreWarning("no_images", "no image could be read")
            return Score(spec.name, None, 0, spec.unit, spec.higher_is_better).warn(nothing)
        about = {"unit": spec.unit, "higher_is_better": spec.higher_is_better}
        return per_pair_score(spec.name, Rows(names, values), data, **about)

    @property
    def scopes(self) -> frozenset[Scope]:
        """What it is defined on: that its metrics are."""
        return frozenset(scope for spec in self.metrics for scope in spec.scopes)


class PairAspect(Aspect):
    """An aspect that compares each image with the reference's of its name."""

    uses_reference = True
    uses_pairs = True


def noted(note: str) -> tuple[ScoreWarning, ...]:
    """What an interval, or its absence, says of itself."""
    code = "no_interval" if note.startswith("no interval") else "interval"
    return (ScoreWarning(code, note),) if note else ()


def category_weights(categories: Sequence[str]) -> np.ndarray:
    """Weights with which the mean over images is the mean over categories of the means in each.

    Args:
        categories: of each image.

    Returns:
        float64 of shape (n,), of mean 1; ones where there is one category.
    """
    _, which, counts = np.unique(categories, return_inverse=True, return_counts=True)
    return len(which) / (len(counts) * counts[which])


def category_values(
    values: np.ndarray, categories: Sequence[str], clusters: Sequence[str]
) -> np.ndarray:
    """Values whose mean over images, and its interval, are those of the mean of category means.

    The categories are fixed: only the spread within each makes the mean uncertain. So a value
    is the mean of means plus its weighted distance from its own category's mean; the distances
    are scaled so that ``mean_interval``'s variance is the sum of the categories' own, each with
    its factor g / (g - 1) of g clusters. A category of one cluster shows no spread: then the
    values are only weighted, and the interval is too wide rather than too narrow. Source:
    W. G. Cochran, Sampling Techniques (1977), 5.3 and 5.4.

    Args:
        values: of shape (n,).
        categories, clusters: of each; a cluster is of one category.

    Returns:
        float64 of shape (n,), linear in ``values``; these themselves where there is one category.
    """
    weights = category_weights(categories)
    names, which, counts = np.unique(categories, return_inverse=True, return_counts=True)
    of_cluster = dict(zip(clusters, which, strict=True))
    within = np.bincount(list(of_cluster.values()), minlength=len(names))
    if len(names) == 1 or within.min() < 2:
        return weights * values
    means = np.bincount(which, values) / counts
    every = len(of_cluster)
    scale = np.sqrt(within / (within - 1) * (every - 1) / every)
    return means.mean() + scale[which] * weights * (values - means[which])


def per_pair_score(metric: str, values: Rows, data: MethodData, **about: Any) -> Score:
    """Return the score that is a mean over pairs (over categories of means, where there are).

    Its interval is that of ``mean_interval``, the samples of a prompt taken together; where there
    is none, a warning says why.

    Args:
        about: further fields of the score.
    """
    return mean_score(metric, values, [data.category(name) for name in values.names], **about)


def mean_score(metric: str, values: Rows, categories: Sequence[str], **about: Any) -> Score:
    """Return the score that is a mean over images; see ``per_pair_score``.

    Args:
        categories: of each image.
    """
    per_image = {n: float(v) for n, v in zip(values.names, values.values, strict=True)}
    if not per_image:
        return Score(metric, None, 0, **about).warn(
            ScoreWarning("no_pairs", "no pair could be compared")
        )
    prompts = [prompt_key(name) for name in per_image]
    raw = np.array(list(per_image.values()))
    balanced = category_values(raw, categories, prompts)
    interval = mean_interval(balanced, prompts, raw=raw)
    score = Score(metric, float(balanced.mean()), len(per_image), per_image=per_image, **about)
    score = replace(score, ci_low=interval.low, ci_high=interval.high)
    return score.warn(*noted(interval.note))
