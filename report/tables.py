"""The methods x metrics tables of a paper: Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Callable

from evaluation.layout import ORIGINAL
from metrics.indicators import RATE_BY, SCORE_OF
from report.compare import Ties
from report.results import Key, Results, ScoreRow

# Left out of tables: they say the same as another metric, or the same of every method.
HIDDEN = frozenset({"forgetting_rate", "csdr_signed", "clip_score_reference", "kid_no_change"})
_TEX = {
    "\\": r"\textbackslash{}",
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}


def shown_metrics(results: Results, concept: str) -> list[str]:
    """The metrics of a concept that belong in a table."""
    metrics = results.metrics(concept)
    left_out = (SCORE_OF, RATE_BY) if "presence_rate" in metrics else (SCORE_OF,)
    return [
        m for m in metrics if m.removesuffix("_object") not in HIDDEN and not m.startswith(left_out)
    ]


def number(value: float | None) -> str:
    """Three significant digits or so."""
    if value is None:
        return "–"
    size = abs(value)
    return f"{value:.{0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3}f}"


def legend(results: Results, concept: str, mark: str) -> str:
    """What a reader of the table must know.

    Args:
        mark: how ties are marked.
    """
    counts = sorted({row.n for row in results.scores if row.concept == concept})
    images = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return (
        f"n = {images} images or pairs a number. Intervals are 95%: Wilson's for rates (of prompts "
        "with several images, by their effective number), a "
        "studentised bootstrap of prompts for means, a jackknife over prompts for FID and KID. "
        f"{mark}: the best method and those that cannot be told from it at the 5% level after "
        "Holm's correction, the original model left out; paired tests (bootstrap of prompts; "
        "McNemar's of rates with one image a prompt; jackknife of FID and KID)."
    )


def markdown(results: Results, tied: Ties) -> str:
    """Return one Markdown table a concept."""
    parts = []
    for concept in results.concepts:
        metrics = shown_metrics(results, concept)
        about = _about(results, concept)
        header = ["method", *(_markdown(_heading(about[m], "↑", "↓")) for m in metrics)]
        lines = [header, [":--", *["--:"] * len(metrics)]]
        for method in results.methods(concept):
            keys = [(concept, method, m) for m in metrics]
            cells = [_cell(results, tied, key, "**{}**".format, " [{}, {}]") for key in keys]
            lines.append([_markdown(results.title(method)), *cells])
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        about_it = legend(results, concept, "Bold")
        parts.append(f"## {_markdown(concept)}\n\n{table}\n\n{about_it}\n")
    return "\n".join(parts)


def latex(results: Results, tied: Ties) -> str:
    """Return one LaTeX table a concept, as wide as the page's text at most."""
    parts = ["% needs \\usepackage{booktabs} and \\usepackage{adjustbox}"]
    for concept in results.concepts:
        metrics = shown_metrics(results, concept)
        about = _about(results, concept)
        header = ["Method"]
        for m in metrics:
            arrow = {True: r" $\uparrow$", False: r" $\downarrow$", None: ""}
            heading = _tex(_heading(about[m], "", "")) + arrow[about[m].higher_is_better]
            header.append(heading)
        lines = []
        for method in results.methods(concept):
            keys = [(concept, method, m) for m in metrics]
            cells = [
                _cell(results, tied, key, r"\textbf{{{}}}".format, r" {{\scriptsize [{}, {}]}}")
                for key in keys
            ]
            lines.append(" & ".join([_tex(results.title(method)), *cells]) + r" \\")
            if method == ORIGINAL:
                lines.append(r"\midrule")
        body = "\n".join(f"    {line}" for line in lines)
        caption = _tex(f"{concept}. {legend(results, concept, 'Bold')}")
        parts.append(
            "\\begin{table*}[t]\n"
            f"  \\centering\n  \\caption{{{caption}}}\n"
            "  \\begin{adjustbox}{max width=\\textwidth}\n"
            f"  \\begin{{tabular}}{{l{'r' * len(metrics)}}}\n    \\toprule\n"
            f"    {' & '.join(header)} \\\\\n    \\midrule\n{body}\n    \\bottomrule\n"
            "  \\end{tabular}\n  \\end{adjustbox}\n\\end{table*}"
        )
    return "\n\n".join(parts) + "\n"


def _about(results: Results, concept: str) -> dict[str, ScoreRow]:
    return {row.metric: row for row in results.scores if row.concept == concept}


def _heading(row: ScoreRow, up: str, down: str) -> str:
    direction = {True: up, False: down, None: ""}[row.higher_is_better]
    return " ".join(filter(None, (row.metric, f"({row.unit})" if row.unit else "", direction)))


def _cell(results: Results, tied: Ties, key: Key, bold: Callable[[str], str], interval: str) -> str:
    row = results.by_key.get(key)
    if row is None or row.value is None:
        return "–"
    text = bold(number(row.value)) if key in tied.marked else number(row.value)
    if row.ci_low is None:
        return text
    return text + interval.format(number(row.ci_low), number(row.ci_high))


def _markdown(text: str) -> str:
    for character in "\\`*_{}[]<>|#&~":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())


def _tex(text: str) -> str:
    return "".join(_TEX.get(character, character) for character in " ".join(text.split()))
