"""What every checker of a concept says, side by side: judging the judges."""

from __future__ import annotations

from metrics.base import Aspect, MethodData, Rows, Score, per_pair_score
from metrics.forgetting import presence_score
from metrics.spec import MetricSpec

RATE_BY, SCORE_OF = "presence_rate_", "presence_score_"  # before a checker's names


class Indicators(Aspect):
    """Presence rates by each checker that covers the concept; of a detector, by each preset."""

    name = "indicators"
    metrics = (
        MetricSpec(
            RATE_BY,
            "images in which a checker sees the concept",
            "indicators",
            kind="rate",
            role="presence",
            higher_is_better=False,
            low=0,
            high=1,
            family=True,
            scopes=("forgot",),
            definition="Share of images in which the named checker finds the concept.",
        ),
        MetricSpec(
            SCORE_OF,
            "mean score that a checker gives the concept",
            "indicators",
            kind="mean",
            role="side",
            low=0,
            high=1,
            family=True,
            shown=False,
            scopes=("forgot",),
            definition="Mean of the probability that the named checker gives the concept (of a "
            "detector: of the highest score of a label that counts).",
        ),
    )
    judges = "all"

    def score(self, data: MethodData) -> list[Score]:
        """Return ``presence_rate_<checker>`` of each, then the means of their scores.

        A score, ``presence_score_<name>``, is in [0, 1]; its value of each image is what threshold
        curves are drawn from. Presets that count the same labels share one.
        """
        judged = data.decisions()
        rates = [presence_score(RATE_BY + one.checker, one) for one in judged]
        by_name = {one.score_name: one for one in judged}
        means = [
            per_pair_score(SCORE_OF + name, Rows(one.names, one.score), data)
            for name, one in by_name.items()
        ]
        return rates + means
