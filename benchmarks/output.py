"""What was measured: the table on the terminal, ``results.json``, the plot of scaling."""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

_PACKAGES = (
    "torch",
    "torchvision",
    "transformers",
    "ultralytics",
    "numpy",
    "scipy",
    "pillow",
    "pyarrow",
    "clean-fid",
    "pytorch-fid",
    "torch-fidelity",
    "lpips",
    "pyiqa",
)


@dataclass(frozen=True)
class Measured:
    """One line of the table.

    Attributes:
        name: what was measured.
        unit: ``s``, ``x`` (times as fast), ``MB``, ...
        values: one a run, in the order of the runs.
        goal: what was aimed at; empty for a line that another is computed from.
        note: what a reader of the numbers must know.
    """

    name: str
    unit: str
    values: tuple[float, ...]
    goal: str = ""
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the fields with minimum, median and maximum."""
        low, middle, high = self.summary
        return {**asdict(self), "min": low, "median": middle, "max": high}

    @property
    def summary(self) -> tuple[float, float, float]:
        """Minimum, median and maximum."""
        return min(self.values), statistics.median(self.values), max(self.values)


@dataclass(frozen=True)
class Series:
    """Times against a size, and the least-squares line through them.

    Attributes:
        name: of the series.
        size: what the sizes count: ``images`` or ``methods``.
        points: (size, seconds).
    """

    name: str
    size: str
    points: tuple[tuple[int, float], ...]

    @property
    def line(self) -> tuple[float, float]:
        """Seconds for one more, seconds at none."""
        slope, start = np.polyfit(*np.array(self.points, float).T, 1)
        return float(slope), float(start)

    @property
    def residuals(self) -> list[float]:
        """Seconds of each point above the line."""
        slope, start = self.line
        return [seconds - (start + slope * size) for size, seconds in self.points]

    def as_json(self) -> dict[str, Any]:
        """Return the points, the line and its residuals."""
        slope, start = self.line
        line = {"seconds_each": slope, "seconds_at_none": start, "residuals": self.residuals}
        return {**asdict(self), **line}


def machine() -> dict[str, Any]:
    """Describe the machine and the packages; nothing of it names the user or the host."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
        "cores": cores,
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "gpu": _gpu(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else None
    return found[1] if found else platform.processor()


def _gpu() -> str | None:
    command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def table(measured: Sequence[Measured]) -> str:
    """Return the table: a line each, the notes below."""
    from tabulate import tabulate

    notes: dict[str, int] = {}
    body = []
    for line in measured:
        mark = f" [{notes.setdefault(line.note, len(notes) + 1)}]" if line.note else ""
        numbers = [f"{value:.3g}" if value < 100 else f"{value:.0f}" for value in line.summary]
        body.append((line.name + mark, line.goal, line.unit, *numbers, len(line.values)))
    header = ("what", "goal", "unit", "min", "median", "max", "runs")
    align = ("left", "left", "left", "right", "right", "right", "right")
    text = tabulate(body, header, colalign=align, disable_numparse=True)
    return "\n".join([text, "", *(f"[{number}] {note}" for note, number in notes.items())])


def series_table(several: Sequence[Series]) -> str:
    """Return the points of each series, its line and the residuals."""
    parts = []
    for series in several:
        slope, start = series.line
        parts.append(f"{series.name}: {start:.1f} s + {slope:.3f} s x {series.size}")
        parts += [
            f"  {size:>6} {series.size}: {seconds:8.1f} s, {residual:+.1f} s off the line"
            for (size, seconds), residual in zip(series.points, series.residuals, strict=True)
        ]
    return "\n".join(parts)


def write_json(
    path: Path,
    about: Mapping[str, Any],
    settings: Mapping[str, Any],
    measured: Sequence[Measured],
    scaling: Sequence[Series],
) -> None:
    """Write everything that was measured; other lines of this machine and packages are kept."""
    lines = {line.name: {**line.as_json(), "settings": dict(settings)} for line in measured}
    series = {one.name: {**one.as_json(), "settings": dict(settings)} for one in scaling}
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if _same_machine(before.get("machine", {}), about):
        lines = {line["name"]: line for line in before["measured"]} | lines
        series = {one["name"]: one for one in before["scaling"]} | series
    document = {
        "machine": dict(about),
        "measured": list(lines.values()),
        "scaling": list(series.values()),
    }
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _same_machine(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return {**one, "date": ""} == {**other, "date": ""}


def plot(path: Path, several: Sequence[Series]) -> None:
    """Draw each series with its line, as SVG that is the same for the same numbers."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "scaling"
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(several), figsize=(5 * len(several), 3.6), squeeze=False)
    for axis, series in zip(axes[0], several, strict=True):
        sizes, seconds = zip(*series.points, strict=True)
        slope, start = series.line
        ends = (0, max(sizes))
        axis.plot(ends, [start + slope * end for end in ends], color="0.6", label="least squares")
        axis.plot(sizes, seconds, "o", color="C0", label="measured")
        axis.set(xlabel=series.size, ylabel="seconds", title=series.name, xlim=(0, None))
        axis.set_ylim(bottom=0)
        axis.legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
