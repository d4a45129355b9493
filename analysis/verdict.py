"""A sentence about each method: is the concept gone, and at what price."""

from __future__ import annotations

from analysis.compare import Comparison
from analysis.damage import prices
from analysis.notes import number
from analysis.ranking import SIGNS, Ranking
from inputs.layout import ORIGINAL
from metrics.spec import ScoreKey, parse_column
from records.merge import CHANGED
from records.model import Results, ScoreRow
from utils.text import printable

FEW = 50  # images, below which an interval of a rate spans a quarter of the scale
_MOST = 3  # prices in a sentence


def verdicts(results: Results, ranking: Ranking) -> dict[tuple[str, str], str]:
    """Return a sentence for each (concept, method's folder)."""
    return {
        (concept, method): _sentence(results, ranking, concept, method)
        for concept in results.concepts
        for method in results.methods(concept)
    }


def few_images(results: Results, concept: str) -> str:
    """What to say of a concept with few images; nothing if there are enough."""
    least = min(results.images_of(concept, method) for method in results.methods(concept))
    if least >= FEW:
        return ""
    return f"Few images ({least} a method): read the intervals, not the values."


def _sentence(results: Results, ranking: Ranking, concept: str, method: str) -> str:
    def row(column: str) -> ScoreRow | None:
        found = results.by_key.get(ScoreKey.of(concept, method, column))
        return None if found is None or found.value is None else found

    parts = []
    if presence := row("presence_rate"):
        parts.append(_presence(results, ranking, presence))
    known = [found for column in _named(results, ranking, concept) if (found := row(column))]
    parts += [_price(ranking, found) for found in known[:_MOST]]
    people = row("yolo_person")
    one = people and people.higher_is_better and ranking.against.get(people.key)
    if people and one and one.significant:
        beside = _beside(one, people, results.by_key[people.key._replace(method=ORIGINAL)])
        parts.append(f"people in {_percent(people)} of images, {beside}")
    return "; ".join(parts) + "." if parts else "no score that a verdict is made of."


def _presence(results: Results, ranking: Ranking, row: ScoreRow) -> str:
    concept = printable(row.concept)
    if (row.concept, row.column) in ranking.unfit:
        return (
            f"whether {concept} is gone cannot be told (unfit judge: it sees it in {_share(row)})"
        )
    text = f"{concept} still present in {_share(row)} {SIGNS[ranking.marks.get(row.key)]}".rstrip()
    original = results.by_key.get(row.key._replace(method=ORIGINAL))
    if row.method == ORIGINAL or original is None or original.value is None:
        return text
    one = ranking.against.get(row.key)
    if one is None:
        return f"{text}, not tested against the original's {_percent(original)}"
    return f"{text}, {_beside(one, row, original)}"


def _named(results: Results, ranking: Ranking, concept: str) -> list[str]:
    """The price that each aspect is known for: the first of its own."""
    found: dict[tuple[str, str], str] = {}
    for column in prices(results, ranking, concept):
        metric, scope = parse_column(column)
        if metric != "yolo_person":  # compared with the original's, below
            found.setdefault((results.spec(metric).aspect, scope), column)
    return list(found.values())


def _price(ranking: Ranking, row: ScoreRow) -> str:
    name = row.metric if "_" in row.metric else row.metric.upper()
    of = " of unrelated images" if row.scope == "unrelated" else ""
    if (row.concept, row.column) in ranking.distances:
        of = f" to {ranking.references[row.concept]}'s images with the concept"
    interval = ""
    if row.ci_low is not None:
        interval = f" [{number(row.ci_low)} to {number(row.ci_high)}]"
    unit = f" {row.unit}" if row.unit else ""
    return f"{name}{of} {number(row.value)}{unit}{interval}{_dated(row)}"


def _dated(row: ScoreRow) -> str:
    return f" ({CHANGED.text})" if row.stale else ""


def _percent(row: ScoreRow) -> str:
    return f"{float(row) * (1 if row.unit == '%' else 100):.0f}%"


def _share(row: ScoreRow) -> str:
    """A rate in [0, 1] in percent, with its interval."""
    text = f"{_percent(row)} of images"
    if row.ci_low is not None and row.ci_high is not None:
        text += f" [{100 * row.ci_low:.0f} to {100 * row.ci_high:.0f}]"
    return text + _dated(row)


def _beside(one: Comparison, row: ScoreRow, original: ScoreRow) -> str:
    """How a rate stands to the original's: of the images that both have, on which it was tested."""
    how = "more than" if one.difference > 0 else "fewer than"
    how = how if one.significant else "not told from"
    if one.n == row.n == original.n:
        return f"{how} the original's {_percent(original)}"
    points = one.difference * (1 if row.unit == "%" else 100)
    return f"on the {one.n} images that both have {how} the original's ({points:+.0f} points)"
