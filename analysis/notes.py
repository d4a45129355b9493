"""Numbers as tables print them, and warnings as numbered notes below."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from utils.text import printable


@dataclass(frozen=True)
class Notes:
    """What to write below a table, and where its numbers stand.

    Attributes:
        texts: note 1, note 2, ...
        heads: metric -> numbers of what holds for all of its scores.
        cells: (method, metric) -> numbers of what holds for one.
    """

    texts: Sequence[str]
    heads: Mapping[str, Sequence[int]]
    cells: Mapping[tuple[str, str], Sequence[int]]


def number_notes(scores: Iterable[tuple[str, str, Sequence[str]]]) -> Notes:
    """Number the warnings of scores, once each; what a metric says of every method is its head's.

    Args:
        scores: method, metric and warnings of each score.
    """
    columns: dict[str, dict[str, Sequence[str]]] = {}
    for method, metric, warnings in scores:
        columns.setdefault(metric, {})[method] = list(dict.fromkeys(warnings))
    numbers: dict[str, int] = {}
    heads, cells = {}, {}
    for metric, column in columns.items():
        first, *others = column.values()
        shared = [text for text in first if others and all(text in other for other in others)]
        heads[metric] = _numbered(shared, numbers)
        for method, warnings in column.items():
            own = [text for text in warnings if text not in shared]
            cells[method, metric] = _numbered(own, numbers)
    return Notes([printable(text) for text in numbers], heads, cells)


def number(value: float | None) -> str:
    """Three significant digits or so."""
    if value is None:
        return "–"
    size = abs(value)
    return f"{value:.{0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3}f}"


def _numbered(texts: Sequence[str], numbers: dict[str, int]) -> list[int]:
    return sorted(numbers.setdefault(text, len(numbers) + 1) for text in texts)
