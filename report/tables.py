"""The methods x metrics tables of a paper: Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Callable

from evaluation.layout import ORIGINAL
from report.results import Key, Results, ScoreRow

# Left out of tables: they say the same as another metric, or the same of every method.
HIDDEN = frozenset({"forgetting_rate", "csdr_signed", "clip_score_reference"})
_TEX = {
    "\\": r"\textbackslash{}",
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def shown_metrics(results: Results, concept: str) -> list[str]:
    """The metrics of a concept that belong in a table."""
    return [m for m in results.metrics(concept) if m.removesuffix("_object") not in HIDDEN]


def number(value: float | None) -> str:
    """Three significant digits or so."""
    if value is None:
        return "–"
    size = abs(value)
    return f"{value:.{0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3}f}"


def legend(results: Results, concept: str) -> str:
    """What a reader of the table must know."""
    counts = sorted({row.n for row in results.scores if row.concept == concept})
    images = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return (
        f"n = {images} images or pairs a number. Intervals are 95%: Wilson's for rates, a "
        "studentised bootstrap of prompts for means, a jackknife over prompts for FID and KID. "
        "Marked: the best method and those that cannot be told from it (paired tests, Holm's "
        "correction, 5% level); the original model is left out."
    )


def markdown(results: Results, tied: set[Key]) -> str:
    """Return one Markdown table a concept."""
    parts = []
    for concept in results.concepts:
        metrics = shown_metrics(results, concept)
        about = _about(results, concept)
        header = ["method", *(f"{m} {_arrow(about[m], '↑', '↓')}".strip() for m in metrics)]
        lines = [header, [":--", *["--:"] * len(metrics)]]
        for method in results.methods(concept):
            cells = [
                _cell(results, tied, (concept, method, m), lambda text: f"**{text}**", " [{}, {}]")
                for m in metrics
            ]
            lines.append([_markdown(results.title(method)), *cells])
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        parts.append(f"## {_markdown(concept)}\n\n{table}\n\n{legend(results, concept)}\n")
    return "\n".join(parts)


def latex(results: Results, tied: set[Key]) -> str:
    """Return one LaTeX table a concept; needs the package booktabs."""
    parts = ["% needs \\usepackage{booktabs}"]
    for concept in results.concepts:
        metrics = shown_metrics(results, concept)
        about = _about(results, concept)
        up, down = r"$\uparrow$", r"$\downarrow$"
        header = ["Method", *(f"{_tex(m)} {_arrow(about[m], up, down)}".strip() for m in metrics)]
        rows = []
        for method in results.methods(concept):
            cells = [
                _cell(
                    results,
                    tied,
                    (concept, method, m),
                    lambda text: rf"\textbf{{{text}}}",
                    r" {{\scriptsize [{}, {}]}}",
                )
                for m in metrics
            ]
            rows.append([_tex(results.title(method)), *cells])
            if method == ORIGINAL:
                rows[-1][-1] += r" \\ \midrule"
        body = "\n".join(
            "    " + " & ".join(row) + ("" if row[-1].endswith("midrule") else r" \\")
            for row in rows
        )
        caption = _tex(f"{concept}. {legend(results, concept)}")
        parts.append(
            "\\begin{table}[t]\n"
            f"  \\centering\n  \\caption{{{caption}}}\n"
            f"  \\begin{{tabular}}{{l{'r' * len(metrics)}}}\n    \\toprule\n"
            f"    {' & '.join(header)} \\\\\n    \\midrule\n{body}\n    \\bottomrule\n"
            "  \\end{tabular}\n\\end{table}"
        )
    return "\n\n".join(parts) + "\n"


def _about(results: Results, concept: str) -> dict[str, ScoreRow]:
    return {row.metric: row for row in results.scores if row.concept == concept}


def _arrow(row: ScoreRow, up: str, down: str) -> str:
    direction = {True: up, False: down, None: ""}[row.higher_is_better]
    return f"({row.unit}) {direction}".replace("%", "percent") if row.unit else direction


def _cell(
    results: Results, tied: set[Key], key: Key, bold: Callable[[str], str], interval: str
) -> str:
    row = results.by_key.get(key)
    if row is None or row.value is None:
        return "–"
    text = bold(number(row.value)) if key in tied else number(row.value)
    if row.ci_low is None:
        return text
    return text + interval.format(number(row.ci_low), number(row.ci_high))


def _markdown(text: str) -> str:
    for character in "\\`*_{}[]<>|#":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())


def _tex(text: str) -> str:
    return "".join(_TEX.get(character, character) for character in " ".join(text.split()))
