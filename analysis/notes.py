"""Warnings as numbered notes below a table."""

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


def _numbered(texts: Sequence[str], numbers: dict[str, int]) -> list[int]:
    return sorted(numbers.setdefault(text, len(numbers) + 1) for text in texts)
