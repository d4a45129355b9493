"""CSDR: how much of the prompt's meaning (without the concept) the unlearned model lost."""

from __future__ import annotations

import numpy as np

from metrics.base import MethodData, PairAspect, Rows, Score, ScoreWarning, per_pair_score
from metrics.spec import MetricSpec


def clip_score(image: np.ndarray, text: np.ndarray) -> np.ndarray:
    """Return 100 max(cos(image, text), 0) of each row, float64 of shape (n,).

    Hessel et al., arXiv 2104.08718, with the weight of torchmetrics.
    """
    image, text = np.asarray(image, np.float64), np.asarray(text, np.float64)
    norms = np.linalg.norm(image, axis=1) * np.linalg.norm(text, axis=1)
    return 100 * np.maximum((image * text).sum(axis=1) / norms, 0)


class Csdr(PairAspect):
    """CLIP score difference rate, in percent of the reference's score; lower is better kept.

    For each pair, with the prompt without the concept's words: 100 |s_ref - s| / s_ref. Signed,
    positive values are losses. A prompt of nothing but these words says nothing about a scene.
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
            definition="100 |s_ref - s| / s_ref of each pair, s the CLIP score with the prompt "
            "without the concept's words (IGMU, arXiv 2506.02761); mean over pairs.",
        ),
        MetricSpec(
            "csdr_signed",
            "CLIP score lost",
            "CSDR",
            kind="mean",
            role="side",
            unit="%",
            high=100,
            shown=False,
            definition="100 (s_ref - s) / s_ref of each pair, a loss being positive; mean over "
            "pairs.",
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
            distance=False,
            definition="100 max(cos(image, text), 0) by CLIP ViT-B/16, text without the concept's "
            "words (Hessel et al., arXiv 2104.08718, with torchmetrics' weight); mean over images.",
        ),
        MetricSpec(
            "clip_score_reference",
            "the reference's CLIP score",
            "CSDR",
            kind="mean",
            role="side",
            low=0,
            high=100,
            shown=False,
            compared=False,
            distance=False,
            definition="The same of the reference's image of each pair.",
        ),
    )
    image_extractors = ("clip_score",)
    uses_prompts = True

    def score(self, data: MethodData) -> list[Score]:
        """Return ``csdr``, ``csdr_signed``, ``clip_score`` and ``clip_score_reference``."""
        both = data.both("clip_score")
        texts = data.texts(both.names)
        told = ~np.isnan(texts).any(axis=1)
        paired = [name for name, kept in zip(both.names, told, strict=True) if kept]
        reference, own = (
            clip_score(side[told], texts[told]) for side in (both.reference, both.candidate)
        )
        defined = reference > 0
        signed = 100 * (reference - own)[defined] / reference[defined]
        names = [name for name, kept in zip(paired, defined, strict=True) if kept]
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
            warning = ScoreWarning("reference_zero", why)
            scores = [score.warn(warning) for score in scores]
        scores += [
            per_pair_score("clip_score", Rows(paired, own), data, higher_is_better=True),
            per_pair_score("clip_score_reference", Rows(paired, reference), data),
        ]
        empty = int((~told).sum())
        if not empty:
            return scores
        why = f"{empty} pairs left out: their prompt is nothing but the concept's words"
        return [score.warn(ScoreWarning("empty_prompt", why)) for score in scores]
