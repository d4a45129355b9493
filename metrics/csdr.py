"""CSDR: how much of the prompt's meaning (without the concept) the unlearned model lost."""

from __future__ import annotations

import numpy as np

from metrics.base import MethodData, PairRows, Rows, Score, per_pair_score
from metrics.spec import MetricSpec


def clip_score(image: np.ndarray, text: np.ndarray) -> np.ndarray:
    """Return 100 max(cos(image, text), 0) of each row, float64 of shape (n,).

    Hessel et al., arXiv 2104.08718, with the weight of torchmetrics.
    """
    image, text = np.asarray(image, np.float64), np.asarray(text, np.float64)
    norms = np.linalg.norm(image, axis=1) * np.linalg.norm(text, axis=1)
    return 100 * np.maximum((image * text).sum(axis=1) / norms, 0)


class Csdr:
    """CLIP score difference rate, in percent of the reference's score; lower is better kept.

    For each pair, with the prompt without the concept's words: 100 |s_ref - s| / s_ref. Signed,
    positive values are losses.
    """

    name = "CSDR"
    metrics = (
        MetricSpec(
            "csdr",
            "CLIP score difference rate",
            "CSDR",
            kind="mean",
            role="damage",
            unit="%",
            higher_is_better=False,
            low=0,
        ),
        MetricSpec(
            "csdr_signed",
            "CLIP score lost",
            "CSDR",
            kind="mean",
            role="side",
            unit="%",
            high=100,
        ),
        MetricSpec(
            "clip_score",
            "CLIP score, text without the concept",
            "CSDR",
            kind="mean",
            role="damage",
            higher_is_better=True,
            low=0,
            high=100,
        ),
        MetricSpec(
            "clip_score_reference",
            "the reference's CLIP score",
            "CSDR",
            kind="mean",
            role="side",
            low=0,
            high=100,
        ),
    )
    image_extractors = ("clip_score",)
    pair_extractors = ()
    uses_reference = True
    uses_pairs = True
    uses_prompts = True
    scopes = ("forgot", "unrelated")

    def score(self, data: MethodData) -> list[Score]:
        """Return ``csdr``, ``csdr_signed``, ``clip_score`` and ``clip_score_reference``."""
        both = data.both("clip_score")
        reference, own = self._scores(both, data.texts(both.names))
        defined = reference > 0
        signed = 100 * (reference - own)[defined] / reference[defined]
        names = [name for name, kept in zip(both.names, defined, strict=True) if kept]
        percent = {"unit": "%"}
        scores = [
            per_pair_score(
                "csdr", Rows(names, abs(signed)), data, higher_is_better=False, **percent
            ),
            per_pair_score("csdr_signed", Rows(names, signed), data, **percent),
        ]
        zero = int((~defined).sum())
        if zero:
            why = f"{zero} pairs left out: the reference's CLIP score is 0"
            scores = [score.warn(why) for score in scores]
        return [
            *scores,
            per_pair_score("clip_score", Rows(both.names, own), data, higher_is_better=True),
            per_pair_score("clip_score_reference", Rows(both.names, reference), data),
        ]

    def as_published(self, data: MethodData) -> float | None:
        """The published text, differences rounded to two decimals, their mean rounded again."""
        both = data.both("clip_score")
        reference, own = self._scores(both, data.texts(both.names, as_published=True))
        if len(own) == 0 or (reference == 0).any():
            return None  # the script divides by zero
        return round(float(np.mean(np.round(100 * abs(reference - own) / reference, 2))), 2)

    def _scores(self, both: PairRows, text: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return clip_score(both.reference, text), clip_score(both.candidate, text)
