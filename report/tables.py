"""The methods x metrics tables of a paper: Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from analysis.notes import Notes, number, number_notes
from analysis.ranking import SIGNS, Ranking, Signs
from inputs.layout import ORIGINAL
from metrics.spec import ScoreKey
from records.model import Results, ScoreRow
from utils.text import printable

_INTERVALS = {
    "rate": "Wilson's for rates (of four prompts or more with several images, by their effective "
    "number)",
    "mean": "a studentised bootstrap of prompts for means",
    "set": "a jackknife over prompts for FID and KID",
}
_BOLD = {**SIGNS, "best": "Bold", "tied": "Bold"}
_TEX = {
    "\\": r"\textbackslash{}",
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    SIGNS["untested"]: r"\textsuperscript{\textdagger}",
}


def shown_columns(results: Results, concept: str) -> list[str]:
    """The columns of a concept that belong in a table."""
    columns = results.columns(concept)
    specs = {column: results.spec(column) for column in columns}
    one_judge = "presence_rate" in columns  # those by other judges then have a table of their own
    return [
        column
        for column, spec in specs.items()
        if spec.shown and not (one_judge and spec.family and spec.role == "presence")
    ]


def legend(results: Results, ranking: Ranking, concept: str, signs: Signs) -> str:
    """What a reader of the table must know: of the numbers, intervals and marks that are in it.

    Args:
        signs: how scores are marked.
    """
    shown = shown_columns(results, concept)
    rows = [row for row in results.scores if row.concept == concept and row.column in shown]
    counts = sorted({results.images_of(concept, method) for method in results.methods(concept)})
    images = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    parts = [f"{images} images a method."]
    known = {results.spec(row.metric).kind for row in rows if row.ci_low is not None}
    if known:
        how = ", ".join(text for kind, text in _INTERVALS.items() if kind in known)
        parts.append(f"Intervals are 95%: {how}.")
    meanings = ranking.meanings([row.key for row in rows], signs)
    return " ".join([*parts, *meanings, *ranking.remarks(concept, shown)])


def markdown(results: Results, ranking: Ranking) -> str:
    """Return one Markdown table a concept, with its notes."""
    parts = []
    for concept in results.concepts:
        notes = _notes(results, concept)
        lines = _lines(results, ranking, concept, notes, _MARKDOWN)
        lines.insert(1, [":--", *["--:"] * (len(lines[0]) - 1)])
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        about_it = _markdown(legend(results, ranking, concept, _BOLD))
        below = [f"({i}) {_markdown(text)}" for i, text in enumerate(notes.texts, 1)]
        parts.append("\n\n".join([f"## {_markdown(concept)}", table, about_it, *below]) + "\n")
    return "\n".join(parts)


def latex(results: Results, ranking: Ranking) -> str:
    """Return one LaTeX table a concept, as wide as the page's text at most, with its notes."""
    parts = ["% needs \\usepackage{booktabs} and \\usepackage{adjustbox}"]
    for concept in results.concepts:
        notes = _notes(results, concept)
        header, *lines = (
            " & ".join(line) + r" \\" for line in _lines(results, ranking, concept, notes, _LATEX)
        )
        if results.methods(concept)[0] == ORIGINAL:
            lines.insert(1, r"\midrule")
        body = "\n".join(f"    {line}" for line in [header, r"\midrule", *lines])
        caption = _tex(f"{concept}. {legend(results, ranking, concept, _BOLD)}")
        columns = "r" * len(shown_columns(results, concept))
        parts.append(
            "\\begin{table*}[t]\n"
            f"  \\centering\n  \\caption{{{caption}}}\n"
            "  \\begin{adjustbox}{max width=\\textwidth}\n"
            f"  \\begin{{tabular}}{{l{columns}}}\n    \\toprule\n{body}\n    \\bottomrule\n"
            f"  \\end{{tabular}}\n  \\end{{adjustbox}}\n{_below(notes)}\\end{{table*}}"
        )
    return "\n\n".join(parts) + "\n"


def _below(notes: Notes) -> str:
    if not notes.texts:
        return ""
    lines = "\\\\\n".join(f"    ({i}) {_tex(text)}" for i, text in enumerate(notes.texts, 1))
    start, end = "\\begin{minipage}{\\textwidth}", "\\end{minipage}"
    return f"  \\par\\smallskip\n  {start}\\footnotesize\n{lines}\n  {end}\n"


def _markdown(text: str) -> str:
    text = printable(text)
    for character in "\\`*_{}[]<>|#&~":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())


def _tex(text: str) -> str:
    return "".join(_TEX.get(c, c) for c in " ".join(printable(text).split()))


@dataclass(frozen=True)
class _Dialect:
    escape: Callable[[str], str]
    bold: str
    interval: str
    note: str
    arrows: tuple[str, str]  # up, down


_MARKDOWN = _Dialect(_markdown, "**{}**", " [{}, {}]", " ({})", (" ↑", " ↓"))
_LATEX = _Dialect(
    _tex,
    r"\textbf{{{}}}",
    r" {{\scriptsize [{}, {}]}}",
    r"\textsuperscript{{({})}}",
    (r" $\uparrow$", r" $\downarrow$"),
)


def _notes(results: Results, concept: str) -> Notes:
    shown = shown_columns(results, concept)
    return number_notes(
        (row.method, row.column, row.texts)
        for column in shown
        for row in results.of(concept, column)
    )


def _lines(
    results: Results, ranking: Ranking, concept: str, notes: Notes, dialect: _Dialect
) -> list[list[str]]:
    """The cells of a table, line by line; the first is the head."""
    shown = shown_columns(results, concept)
    about = {row.column: row for row in results.scores if row.concept == concept}
    head = [_head(ranking, about[c], dialect) + _note(notes.heads[c], dialect) for c in shown]
    lines = [["method", *head]]
    for method in results.methods(concept):
        cells = [
            _cell(results, ranking, ScoreKey.of(concept, method, c), dialect)
            + _note(notes.cells.get((method, c), ()), dialect)
            for c in shown
        ]
        lines.append([dialect.escape(results.title(method)), *cells])
    return lines


def _note(numbers: Sequence[int], dialect: _Dialect) -> str:
    return dialect.note.format(",".join(map(str, numbers))) if numbers else ""


def _head(ranking: Ranking, row: ScoreRow, dialect: _Dialect) -> str:
    label = ranking.label(row.concept, row.column)
    up, down = dialect.arrows
    arrow = {True: up, False: down, None: ""}[ranking.higher_is_better(row)]
    return dialect.escape(f"{label} ({row.unit})" if row.unit else label) + arrow


def _cell(results: Results, ranking: Ranking, key: ScoreKey, dialect: _Dialect) -> str:
    row = results.by_key.get(key)
    if row is None or row.value is None:
        return "–"
    mark = ranking.marks.get(key)
    text = dialect.bold.format(number(row.value)) if mark in ("best", "tied") else number(row.value)
    if mark == "untested":
        text += dialect.escape(SIGNS[mark])
    if row.ci_low is None:
        return text
    return text + dialect.interval.format(number(row.ci_low), number(row.ci_high))
