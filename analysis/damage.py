"""What unlearning damages: the prices of forgetting, and who pays least."""

from __future__ import annotations

from analysis.ranking import Ranking
from inputs.layout import ORIGINAL
from metrics import specs
from metrics.fid import MOSTLY_BIAS
from metrics.spec import ScoreKey
from records.model import Results, ScoreRow


def prices(results: Results, ranking: Ranking, concept: str) -> list[str]:
    """The metrics of what unlearning may damage, those that say most first.

    That is those that rank methods, have an interval, and are not mostly bias. Metrics without a
    direction are left out: there is none to be damaged in.
    """

    order = {spec.name: place for place, spec in enumerate(specs())}

    def lacks(column: str) -> tuple[float, ...]:
        rows = results.of(concept, column)
        return (
            rows[0].scope == "unrelated",
            not ranking.ranks(concept, column),
            any(w.code == MOSTLY_BIAS for row in rows for w in row.warnings),
            all(row.ci_low is None for row in rows),
            order.get(results.spec(column).name, len(order)),
        )

    mine = [row for row in results.scores if row.concept == concept]
    unranked = {row.column for row in mine if row.higher_is_better is None}
    damage = {row.column: None for row in mine if results.spec(row.metric).role == "damage"}
    return sorted((column for column in damage if column not in unranked), key=lacks)


def damages(results: Results, ranking: Ranking, concept: str) -> list[str]:
    """The prices that presence is plotted against; none where there is no presence rate."""
    if "presence_rate" not in results.columns(concept):
        return []
    return prices(results, ranking, concept)


def pareto(results: Results, ranking: Ranking, concept: str, metric: str) -> list[str]:
    """The methods that none beats in both presence and damage, by presence.

    One that is as good as another in one and better in the other beats it: by their values, since
    of two that no test tells apart either may be on the front. The original model, which forgets
    nothing, is left out, and so is what is stale. Where one of the two ranks no method there is
    no front.
    """
    points = {}
    for method in results.methods(concept):
        rows = both(results, concept, method, metric)
        if rows is None or method == ORIGINAL or any(row.stale for row in rows):
            continue
        presence, better = map(ranking.higher_is_better, rows)
        if None not in (presence, better):
            points[method] = (float(rows[0]), (-1 if better else 1) * float(rows[1]))
    front = [
        method
        for method, (x, y) in points.items()
        if not any(u <= x and v <= y and (u, v) != (x, y) for u, v in points.values())
    ]
    return sorted(front, key=lambda method: points[method])


def directions(row: ScoreRow, ranking: Ranking) -> str:
    """Which values of a damage are better, in words for an axis."""
    if (row.concept, row.column) in ranking.distances:
        return "distance from images with the concept: neither direction is better"
    return f"{'higher' if row.higher_is_better else 'lower'} is better"


def both(
    results: Results, concept: str, method: str, column: str
) -> tuple[ScoreRow, ScoreRow] | None:
    """A method's presence rate and another score, where both are defined."""
    presence = results.by_key.get(ScoreKey.of(concept, method, "presence_rate"))
    other = results.by_key.get(ScoreKey.of(concept, method, column))
    if presence is None or other is None or None in (presence.value, other.value):
        return None
    return presence, other
