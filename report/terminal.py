"""The terminal's tables of scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from analysis.notes import number_notes
from analysis.ranking import SIGNS, Mark, Ranking, Signs
from evaluation.run import Result
from metrics.base import Score
from metrics.indicators import RATE_BY
from metrics.spec import ScoreKey
from utils.text import printable

_SIGNS: Signs = {**SIGNS, "best": "*", "tied": "="}


def table(results: Sequence[Result], ranking: Ranking) -> str:
    """Return the terminal's tables: one a concept, methods down, metrics across.

    Indicators that are compared have a table of their own, with the presence rate by each.

    Args:
        ranking: of these and what else is in the results folder. The best score of a metric has a
            ``*``, those that cannot be told from it a ``=``, the best of what was not tested a
            ``†``; what the marks in a table mean stands below it, with the warnings, to which
            numbers in brackets point.
    """
    by_task: dict[str, list[Result]] = {}
    for result in results:
        name = result.cell.task.name
        title = f"{name}: presence_rate" if result.cell.aspect.name == "indicators" else name
        by_task.setdefault(title, []).append(result)
    return "\n\n".join(_task_table(title, mine, ranking) for title, mine in by_task.items())


def _task_table(title: str, results: Sequence[Result], ranking: Ranking) -> str:
    from tabulate import tabulate

    concept = results[0].cell.task.concept.name
    scores = {
        result.key(score): score
        for result in results
        for score in result.scores
        if _is_shown(result, score)
    }
    about = {key.column: score for key, score in scores.items()}
    notes = number_notes((k.method, k.column, s.texts) for k, s in scores.items())
    header = ["method"]
    header += [_head(ranking, concept, c, s) + _numbers(notes.heads[c]) for c, s in about.items()]
    titles = {r.method.method.folder: r.method.method.name for r in results}
    shared = [title for title, n in Counter(titles.values()).items() if n > 1]
    body = [
        [printable(f"{name} ({folder})" if name in shared else name)]
        + [
            _cell(scores[key].value, ranking.marks.get(key)) + _numbers(notes.cells[folder, column])
            if (key := ScoreKey.of(concept, folder, column)) in scores
            else ""
            for column in about
        ]
        for folder, name in titles.items()
    ]
    align = ("left", *["right"] * len(about))
    parts = ["\n".join([printable(title), *(f"({r})" for r in ranking.remarks(concept, [*about]))])]
    parts.append(tabulate(body, header, colalign=align, disable_numparse=True))
    below = ranking.meanings(scores, _SIGNS)
    below += [f"[{number}] {text}" for number, text in enumerate(notes.texts, 1)]
    return "\n\n".join(parts + (["\n".join(below)] if below else []))


def _is_shown(result: Result, score: Score) -> bool:
    return next(s.shown for s in result.cell.aspect.metrics if s.describes(score.metric))


def _head(ranking: Ranking, concept: str, column: str, score: Score) -> str:
    label = ranking.label(concept, column).removeprefix(RATE_BY)
    unit = f" {score.unit}" if score.unit else ""
    better = score.higher_is_better if ranking.ranks(concept, column) else None
    return f"{label}{unit}{ {True: ' ↑', False: ' ↓', None: ''}[better] }"


def _numbers(numbers: Sequence[int]) -> str:
    return f" [{','.join(map(str, numbers))}]" if numbers else ""


def _cell(value: float | None, mark: Mark | None) -> str:
    text = "-" if value is None else f"{value:.2f}" if abs(value) >= 10 else f"{value:.4f}"
    return text + _SIGNS[mark]
