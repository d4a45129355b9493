"""The trade-off plots, as SVG and PNG."""

from __future__ import annotations

import re
from pathlib import Path

from evaluation.layout import ORIGINAL
from report.results import Results

# What unlearning may damage, the preferred first; presence is plotted against the first there is.
DAMAGES = ("fid", "kid", "lpips", "csdr", "clip_score", "yolo_person", "ssim", "psnr")


def damages(results: Results, concept: str) -> list[str]:
    """The metrics of damage that a concept has beside its presence rate."""
    metrics = results.metrics(concept)
    if "presence_rate" not in metrics:
        return []
    wanted = [f"{name}{suffix}" for suffix in ("", "_object") for name in DAMAGES]
    return [metric for metric in wanted if metric in metrics]


def write_plots(results: Results) -> list[Path]:
    """Write ``tradeoff_<concept>.svg`` and ``.png``; the same bytes for the same numbers."""
    concepts = [c for c in results.concepts if damages(results, c)]
    return [path for concept in concepts for path in _write(results, concept)]


def _write(results: Results, concept: str) -> list[Path]:
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    metric = damages(results, concept)[0]
    figure = Figure(figsize=(6, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    for method in results.methods(concept):
        rows = [results.by_key.get((concept, method, m)) for m in ("presence_rate", metric)]
        if any(row is None or row.value is None for row in rows):
            continue
        (x, y), title = (row.value for row in rows), results.title(method)
        errors = [
            None if row.ci_low is None else [[row.value - row.ci_low], [row.ci_high - row.value]]
            for row in rows
        ]
        marker = "s" if method == ORIGINAL else "o"
        axis.errorbar(x, y, errors[1], errors[0], marker, color="C0", ecolor="0.75", capsize=2)
        axis.annotate(_plain(title), (x, y), (5, 4), textcoords="offset points", fontsize=8)
    axis.set(xlabel="concept still present (presence_rate)", ylabel=metric, title=_plain(concept))
    stem = results.folder / f"tradeoff_{re.sub(r'[^0-9A-Za-z-]+', '_', concept)}"
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in ("svg", "png")]
    with mpl.rc_context({"svg.hashsalt": concept}):
        figure.savefig(paths[0], metadata={"Date": None})
    figure.savefig(paths[1], dpi=160)
    return paths


def _plain(text: str) -> str:
    """As text: matplotlib would read what stands between dollar signs as mathematics."""
    return text.replace("$", r"\$")
