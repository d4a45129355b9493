"""A sentence about each method: is the concept gone, and at what price."""

from __future__ import annotations

from collections.abc import Mapping

from evaluation.layout import ORIGINAL
from report.compare import Comparison, Ties, compare
from report.results import Key, Results, ScoreRow
from report.tables import number
from utils.errors import UserError

FEW = 50  # images, below which an interval of a rate spans a quarter of the scale
# Metrics of a verdict, in this order -> how they are called in it.
_PRICES = {
    "fid": "FID",
    "lpips": "LPIPS",
    "csdr": "CSDR",
    "ssim": "SSIM",
    "fid_object": "FID of unrelated images",
    "lpips_object": "LPIPS of unrelated images",
}
_MOST = 3  # prices in a sentence


def verdicts(results: Results, tied: Ties) -> dict[tuple[str, str], str]:
    """Return a sentence for each (concept, method's folder).

    Args:
        tied: from ``report.compare.ties``.
    """
    against = _against_original(results)
    return {
        (concept, method): _sentence(results, concept, method, tied, against)
        for concept in results.concepts
        for method in results.methods(concept)
    }


def few_images(results: Results, concept: str) -> str:
    """What to say of a concept with few images; nothing if there are enough."""
    least = min((row.n for row in results.scores if row.concept == concept), default=0)
    if least >= FEW:
        return ""
    return f"Few images ({least}): read the intervals, not the values."


def _against_original(results: Results) -> dict[Key, Comparison]:
    try:
        found = compare(results, ORIGINAL, metrics=("presence_rate", "yolo_person"))
    except UserError:  # no original model
        return {}
    return {(one.concept, one.a, one.metric): one for one in found.tested}


def _sentence(
    results: Results,
    concept: str,
    method: str,
    tied: Ties,
    against: Mapping[Key, Comparison],
) -> str:
    def row(metric: str) -> ScoreRow | None:
        found = results.by_key.get((concept, method, metric))
        return None if found is None or found.value is None else found

    parts = []
    if presence := row("presence_rate"):
        mark = " ★" if presence.key in tied.marked else ""
        parts.append(f"{concept} still present in {_share(presence)}{mark}")
        if one := against.get(presence.key):
            parts[0] += f", {_beside(one)} the original's {_original(results, presence)}"
    known = [metric for metric in _PRICES if row(metric)][:_MOST]
    parts += [
        f"{_PRICES[m]} {number(row(m).value)}{row(m).unit and f' {row(m).unit}'}" for m in known
    ]
    people = row("yolo_person")
    if people and (one := against.get(people.key)) and one.significant:
        beside = f"{_beside(one)} the original's {_original(results, people)}"
        parts.append(f"people in {_percent(people)} of images, {beside}")
    return "; ".join(parts) + "." if parts else "no score that a verdict is made of."


def _percent(row: ScoreRow) -> str:
    return f"{row.value * (1 if row.unit == '%' else 100):.0f}%"


def _share(row: ScoreRow) -> str:
    """A rate in [0, 1] in percent, with its interval."""
    text = f"{_percent(row)} of images"
    if row.ci_low is None:
        return text
    return f"{text} [{100 * row.ci_low:.0f} to {100 * row.ci_high:.0f}]"


def _beside(one: Comparison) -> str:
    if not one.significant:
        return "not told from"
    return "more than" if one.difference > 0 else "fewer than"


def _original(results: Results, row: ScoreRow) -> str:
    """The original model's rate."""
    return _percent(results.by_key[row.concept, ORIGINAL, row.metric])
