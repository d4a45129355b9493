"""The terminal's tables of scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from evaluation.layout import ORIGINAL
from evaluation.run import Result, metric_name
from metrics.base import Score
from metrics.indicators import RATE_BY, SCORE_OF
from report.compare import Ties

# In scores.csv but not in the terminal's table, which they would make too wide to read.
_NOT_SHOWN = ("forgetting_rate", "csdr_signed", "clip_score_reference", "kid_no_change", SCORE_OF)


def table(results: Sequence[Result], tied: Ties) -> str:
    """Return the terminal's tables: one a concept, methods down, metrics across.

    Indicators that are compared have a table of their own, with the presence rate by each.

    The best value of each metric among the unlearned methods carries a ``*``, those that cannot
    be told from it a ``=``, where they were tested; numbers in brackets point at the warnings
    below.
    """
    by_task: dict[str, list[Result]] = {}
    for result in results:
        shown = [score for score in result.scores if not score.metric.startswith(_NOT_SHOWN)]
        name = result.cell.task.name
        title = f"{name}: presence_rate" if result.cell.aspect.name == "indicators" else name
        by_task.setdefault(title, []).append(replace(result, scores=shown))
    return "\n\n".join(_task_table(name, mine, tied) for name, mine in by_task.items())


def _task_table(name: str, results: Sequence[Result], tied: Ties) -> str:
    from tabulate import tabulate

    about = {metric_name(r, s): s for r in results for s in r.scores}
    best = {metric: _best(results, metric) for metric in about}
    general = results[0].cell.task.notes
    notes: dict[str, int] = {}
    cells: dict[str, dict[str, str]] = {}
    for result in results:
        method = result.method.method
        row = cells.setdefault(method.folder, {})
        for score in result.scores:
            metric = metric_name(result, score)
            mark = ""
            if (result.cell.task.concept.name, method.folder, metric) in tied.marked:
                mark = "*" if score.value == best[metric] else "="
            special = [note for note in score.warnings if note not in general]
            numbers = [notes.setdefault(note, len(notes) + 1) for note in special]
            row[metric] = _cell(score.value, mark, numbers)
    header = ["method"]
    header += [f"{m.removeprefix(RATE_BY)}{_arrow(s)}" for m, s in about.items()]
    titles = {r.method.method.folder: r.method.method.name for r in results}
    shared = [title for title, n in Counter(titles.values()).items() if n > 1]
    body = [
        [f"{titles[folder]} ({folder})" if titles[folder] in shared else titles[folder]]
        + [row.get(metric, "") for metric in about]
        for folder, row in cells.items()
    ]
    align = ("left", *["right"] * len(about))
    parts = ["\n".join([name, *(f"({note})" for note in general)])]
    parts.append(tabulate(body, header, colalign=align, disable_numparse=True))
    if notes:
        parts.append("\n".join(f"[{number}] {note}" for note, number in notes.items()))
    return "\n\n".join(parts)


def _best(results: Sequence[Result], metric: str) -> float | None:
    values = [
        (score.value, score.higher_is_better)
        for result in results
        for score in result.scores
        if metric_name(result, score) == metric
        and score.value is not None
        and score.higher_is_better is not None
        and result.method.method.folder != ORIGINAL
    ]
    if len(values) < 2:
        return None
    return (max if values[0][1] else min)(value for value, _ in values)


def _cell(value: float | None, mark: str, notes: Sequence[int]) -> str:
    text = "-" if value is None else f"{value:.2f}" if abs(value) >= 10 else f"{value:.4f}"
    return text + mark + (f" [{','.join(map(str, notes))}]" if notes else "")


def _arrow(score: Score) -> str:
    unit = f" {score.unit}" if score.unit else ""
    direction = {True: " ↑", False: " ↓", None: ""}[score.higher_is_better]
    return f"{unit}{direction}"
