"""LPIPS: how different a method's images look from the reference's, pair by pair."""

from __future__ import annotations

from metrics.base import MethodData, Rows, Score, mean_by_category, per_pair_score


class Lpips:
    """LPIPS (AlexNet, v0.1), range [0, ...), lower is closer. Zhang et al., arXiv 1801.03924."""

    name = "lpips"
    image_extractors = ()
    pair_extractors = ("lpips",)
    uses_reference = True
    uses_prompts = False
    scopes = ("forgot", "unrelated")

    def score(self, data: MethodData) -> list[Score]:
        """Return ``lpips``."""
        return [per_pair_score("lpips", self._values(data), data, higher_is_better=False)]

    def as_published(self, data: MethodData) -> float | None:
        """Pairs, means of categories and their mean each rounded to four decimals."""
        values = self._values(data)
        rounded = Rows(values.names, [round(float(v), 4) for v in values.values])
        by_category: dict[str, list[tuple[str, float]]] = {}
        for name, value in zip(rounded.names, rounded.values, strict=True):
            by_category.setdefault(data.category(name), []).append((name, value))
        means = {
            group[0][0]: round(mean_by_category(Rows(*zip(*group, strict=True)), data), 4)
            for group in by_category.values()
        }
        mean = mean_by_category(Rows(list(means), list(means.values())), data)
        return None if mean is None else round(mean, 4)

    def _values(self, data: MethodData) -> Rows:
        rows = data.pairs("lpips")
        return Rows(rows.names, rows.values[:, 0])
