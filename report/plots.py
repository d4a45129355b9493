"""The plots of a report, as SVG and PNG: the trade-off, and a bar for each score."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.damage import both, damages, directions, pareto
from analysis.ranking import Ranking
from inputs.layout import ORIGINAL
from metrics.spec import ScoreKey
from records.model import Results, ScoreRow
from report.tables import shown_columns
from utils.text import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LONGEST = 80  # characters of a concept in a file's name
_COLUMNS = 3  # of bar plots
_LINES = "Square: the original model. Lines: 95% intervals, where there are any."
FRONT = "Filled, dashed: the Pareto front of the values, whatever their intervals."


def write_plots(results: Results, ranking: Ranking) -> list[Path]:
    """Write ``tradeoff_<concept>`` and ``bars_<concept>``, each as ``.svg`` and ``.png``.

    The same numbers give the same bytes.
    """
    paths = []
    for concept, stem in file_stems(results.concepts).items():
        if known := damages(results, ranking, concept):
            figure = _tradeoff(results, ranking, concept, known[0])
            paths += _save(figure, results.folder / f"tradeoff_{stem}")
        if shown_columns(results, concept):
            paths += _save(_bars(results, ranking, concept), results.folder / f"bars_{stem}")
    return paths


def file_stems(concepts: Sequence[str]) -> dict[str, str]:
    """Concept -> a name for files, safe on every system and unlike the others' in any case."""
    stems: dict[str, str] = {}
    taken: set[str] = set()
    for concept in concepts:
        stem = re.sub(r"[^0-9A-Za-z-]+", "_", concept).strip("_")[:_LONGEST] or "concept"
        tried, i = stem, 1
        while tried.casefold() in taken:
            i += 1
            tried = f"{stem}_{i}"
        taken.add(tried.casefold())
        stems[concept] = tried
    return stems


def _tradeoff(results: Results, ranking: Ranking, concept: str, metric: str) -> Figure:
    figure = _figure(6.4, 4.4)
    figure.subplots_adjust(0.15, 0.17, 0.97, 0.92)
    axis = figure.subplots()
    points = {
        method: rows
        for method in results.methods(concept)
        if (rows := both(results, concept, method, metric))
    }
    front = pareto(results, ranking, concept, metric)
    along = [[row.value for row in points[method]] for method in front]
    axis.plot(*zip(*along, strict=True) if along else ([], []), "--", color="0.5", lw=1, zorder=1)
    for method, (x, y) in points.items():
        marker = "s" if method == ORIGINAL else "o"
        axis.errorbar(
            x.value, y.value, _error(y), _error(x), "none", ecolor="0.8", elinewidth=1, zorder=0
        )
        inside = "C0" if method in front else "white"
        axis.plot(x.value, y.value, marker, color="C0", markerfacecolor=inside, zorder=2)
    about = results.of(concept, metric)[0]
    unfit = (concept, "presence_rate") in ranking.unfit
    present = "unfit judge: it says little" if unfit else "lower is better"
    axis.set_xlabel(f"concept still present (presence_rate, {present})")
    axis.set_ylabel(_plain(ranking.label(concept, metric)) + f"\n({directions(about, ranking)})")
    axis.annotate(
        _LINES + (f" {FRONT}" if front else ""),
        (0.5, 0.01),
        xycoords="figure fraction",
        ha="center",
        fontsize=7,
        color="0.3",
    )
    axis.set_title(_plain(_shortened(concept, 80)), fontsize=10)
    _label(
        axis, [(_shortened(results.title(m), 26), x.value, y.value) for m, (x, y) in points.items()]
    )
    return figure


def _label(axis: Any, points: Sequence[tuple[str, float, float]]) -> None:
    """Write each title beside its point, where it covers neither a point nor another title."""
    axis.autoscale_view()  # else done when it is drawn, and every place would move
    scale = axis.figure.dpi / 72  # pixels of a typographic point
    places = [axis.transData.transform(at) for _, *at in points]
    taken = [(x - 5 * scale, x + 5 * scale, y) for x, y in places]
    for (title, *at), (x, y) in zip(points, places, strict=True):
        length = 4.6 * len(title) * scale
        tries = [
            (side, shift, (start, start + length, y + shift * scale))
            for shift in (0, 9, -9, 18, -18, 27, -27)
            for side, start in (("left", x + 7 * scale), ("right", x - 7 * scale - length))
        ]
        inside = [t for t in tries if axis.bbox.x0 < t[2][0] and t[2][1] < axis.bbox.x1] or tries
        free = (t for t in inside if not any(_meet(t[2], box, 9 * scale) for box in taken))
        side, shift, box = next(free, inside[0])
        taken.append(box)
        axis.annotate(
            _plain(title),
            at,
            (7 if side == "left" else -7, shift),
            textcoords="offset points",
            ha=side,
            va="center",
            fontsize=8,
            arrowprops={"arrowstyle": "-", "color": "0.5", "lw": 0.5} if shift else None,
        )


def _meet(
    one: tuple[float, float, float], other: tuple[float, float, float], height: float
) -> bool:
    """Whether two lines of text (start, end, level) do."""
    return one[0] < other[1] and other[0] < one[1] and abs(one[2] - other[2]) < height


def _bars(results: Results, ranking: Ranking, concept: str) -> Figure:
    metrics, methods = shown_columns(results, concept), results.methods(concept)
    columns = min(_COLUMNS, len(metrics))
    rows = -(-len(metrics) // columns)
    left, tall = 2.0, 0.7 + 0.2 * len(methods)  # inches
    width, height = left + 2.6 * columns, 0.4 + rows * tall
    figure = _figure(width, height)
    figure.suptitle(_plain(_shortened(concept, 80)), y=1 - 0.15 / height, fontsize=10)
    for i, metric in enumerate(metrics):
        row, column = divmod(i, columns)
        corner = (left + 2.6 * column, height - 0.4 - (row + 1) * tall + 0.4)
        size = (2.3, tall - 0.7)
        axis = figure.add_axes(
            (corner[0] / width, corner[1] / height, size[0] / width, size[1] / height)
        )
        scores = [results.by_key.get(ScoreKey.of(concept, method, metric)) for method in methods]
        _draw_bars(axis, scores, ranking)
        axis.set_yticks(range(len(methods)), [])
        if column == 0:
            axis.set_yticklabels([_plain(_shortened(results.title(m), 26)) for m in methods])
    return figure


def _draw_bars(axis: Any, scores: Sequence[ScoreRow | None], ranking: Ranking) -> None:
    known = [(i, row) for i, row in enumerate(scores) if row is not None and row.value is not None]
    about = next(row for row in scores if row is not None)
    arrow = {True: " ↑", False: " ↓", None: ""}[ranking.higher_is_better(about)]
    name = _plain(ranking.label(about.concept, about.column))
    axis.set_title(f"{name}{f' {about.unit}' if about.unit else ''}{arrow}", fontsize=9)
    axis.tick_params(labelsize=8)
    axis.set_ylim(len(scores) - 0.4, -0.6)
    for i, row in known:
        color = "0.7" if row.method == ORIGINAL else "#a9c6ea"
        axis.barh(i, row.value, height=0.7, color=color)
        if arms := _error(row):
            axis.errorbar(
                row.value, i, xerr=arms, fmt="none", elinewidth=1, ecolor="0.2", capsize=2
            )


def _shortened(text: str, length: int) -> str:
    """The text, cut with an ellipsis where it is longer."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _error(row: ScoreRow) -> list[list[float]] | None:
    """Lengths of the interval's arms; the interval of a skewed mean may lie beside it."""
    if row.ci_low is None:
        return None
    return [[max(row.value - row.ci_low, 0)], [max(row.ci_high - row.value, 0)]]


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Figure, stem: Path) -> list[Path]:
    import matplotlib as mpl

    from records.files import replace_file

    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in ("svg", "png")]
    with mpl.rc_context({"svg.hashsalt": stem.name}):
        replace_file(paths[0], lambda p: figure.savefig(p, format="svg", metadata={"Date": None}))
    replace_file(paths[1], lambda p: figure.savefig(p, format="png", dpi=160))
    return paths


def _plain(text: str) -> str:
    """As text: matplotlib would read what stands between dollar signs as mathematics."""
    return " ".join(printable(text).split()).replace("$", r"\$")
