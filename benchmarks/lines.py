"""The lines of the table: each function measures one of them and the times it comes from.

Whatever is compared is run in turn, so that a machine that slows down slows both.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence

from bench import HERE, PUBLISHED_ASPECTS, Bench
from data import METHODS, Painted, add_method
from models import ROOT
from output import Measured, Series
from process import Finished
from rivals import PACKAGES, installed

_FIVE = 5  # images a method, of the goals
_MANY = 100
_START_RUNS = 5
_SCALED = ("fid", "lpips")  # of single images and of pairs; the others would take an hour
_WRONG = {
    "an unknown aspect": ("--evaluation-aspect", "fdi"),
    "an unknown flag": ("--evaluation-aspects", "fid"),
    "a folder that is not there": ("--evaluation-aspect", "fid", "--data-root", "gone"),
}


def few(bench: Bench) -> list[Measured]:
    """The five published aspects, few images a method."""
    images = bench.settings.images_per_method
    return _against_published(bench, images, _goal(bench, images == _FIVE, "8x, aim 15x"))


def many(bench: Bench) -> list[Measured]:
    """The five published aspects, many images a method; with ``--full`` as many as the goal's."""
    settings = bench.settings
    images = settings.many if settings.full else settings.published_images
    return _against_published(bench, images, _goal(bench, images == _MANY, "3x, aim 5x"))


def _against_published(bench: Bench, images: int, goal: str) -> list[Measured]:
    root = bench.tree(bench.settings.methods, images)
    ours: list[float] = []
    theirs: dict[str, list[float]] = {aspect: [] for aspect in PUBLISHED_ASPECTS}
    for _ in range(bench.settings.runs):
        ours.append(bench.ours(root, PUBLISHED_ASPECTS).seconds)
        values = _own_values(bench)
        for aspect, times in theirs.items():
            finished = bench.published(root, aspect)
            times.append(finished.seconds)
            values.setdefault(aspect, []).append(_printed(finished))
    totals = [sum(times) for times in zip(*theirs.values(), strict=True)]
    size = f"five aspects, {bench.settings.methods} x {images}"
    note = "; ".join(
        f"{aspect.upper()} of the two differs by at most {_difference(*values[aspect]):.1e}"
        for aspect in ("fid", "lpips")
    )
    return [
        Measured(f"{size}: this toolkit", "s", tuple(ours)),
        *(
            Measured(f"{size}: published, {aspect}", "s", tuple(times))
            for aspect, times in theirs.items()
        ),
        Measured(f"{size}: published, all", "s", tuple(totals)),
        Measured(f"{size}: times as fast", "x", _ratios(totals, ours), goal, note),
    ]


def _own_values(bench: Bench) -> dict[str, list[dict[str, float]]]:
    """Values of the toolkit's last run: metric -> [{method: value}]."""
    values: dict[str, list[dict[str, float]]] = {}
    for (metric, method), value in _all_values(bench).items():
        if metric in PUBLISHED_ASPECTS:
            (found,) = values.setdefault(metric, [{}])
            found[method] = value
    return values


def _printed(finished: Finished) -> dict[str, float]:
    return json.loads(finished.output.splitlines()[-1])


def _difference(ours: Mapping[str, float], theirs: Mapping[str, float]) -> float:
    """The largest difference relative to the largest value."""
    largest = max(map(abs, ours.values()))
    return max(abs(ours[method] - theirs[method]) for method in ours) / largest


def fid(bench: Bench) -> list[Measured]:
    """FID of every method against one reference, beside other libraries."""
    settings = bench.settings
    root = bench.tree(settings.methods, settings.many)
    ours: list[float] = []
    theirs: dict[str, list[float]] = {library: [] for library in installed()}
    for _ in range(settings.runs):
        ours.append(bench.ours(root, ["fid"]).seconds)
        for library, times in theirs.items():
            times.append(bench.rival(library, root).seconds)
    best = [min(times) for times in zip(*theirs.values(), strict=True)]
    size = f"FID, {settings.methods} x {settings.many}"
    absent = [library for library in PACKAGES if library not in theirs]
    note = f"the fastest of {', '.join(theirs)}"
    note += f"; not installed: {', '.join(absent)}" if absent else ""
    goal = _goal(bench, settings.many == _MANY, "3x, aim 6x")
    return [
        Measured(f"{size}: this toolkit, with KID", "s", tuple(ours)),
        *(Measured(f"{size}: {library}", "s", tuple(times)) for library, times in theirs.items()),
        Measured(f"{size}: times as fast as the best", "x", _ratios(best, ours), goal, note),
    ]


def forward(bench: Bench) -> list[Measured]:
    """All aspects end to end, beside the forward passes alone."""
    settings = bench.settings
    root = bench.tree(settings.methods, settings.many)
    images = (settings.methods + 1) * settings.many
    options = ["--samples", str(2 * max(settings.batch_sizes)), "--batch-sizes"]
    options += [*map(str, settings.batch_sizes), "--"]
    times: list[float] = []
    alone: list[float] = []
    rates: dict[str, list[float]] = {}
    sizes: dict[str, str] = {}
    for _ in range(settings.runs):
        times.append(bench.ours(root, ["all"]).seconds)
        arguments = bench.our_arguments(root, ["all"], bench.store())
        passes = _printed(bench.python(HERE / "forward.py", *options, *arguments))
        for name, one in passes.items():
            sizes[name] = min(one["seconds"], key=one["seconds"].get)
            rates.setdefault(name, []).append(1 / one["seconds"][sizes[name]])
        alone.append(sum(p["rows"] * min(p["seconds"].values()) for p in passes.values()))
    size = f"all aspects, {settings.methods} x {settings.many}"
    goal = "70%, aim 90%" if settings.device != "cpu" else "85%, aim 95%"
    note = f"forward passes alone of {images} images, each network at its best batch size"
    return [
        *(
            Measured(
                f"forward alone: {name}", "rows/s", tuple(found), "", f"batches of {sizes[name]}"
            )
            for name, found in rates.items()
            if name != "stats"  # it has no network
        ),
        Measured(f"{size}: forward alone", "images/s", tuple(images / t for t in alone), "", note),
        Measured(f"{size}: end to end", "images/s", tuple(images / t for t in times)),
        Measured(
            f"{size}: share of forward alone",
            "%",
            tuple(100 * share for share in _ratios(alone, times)),
            _goal(bench, settings.many == _MANY, goal),
        ),
    ]


def cached(bench: Bench) -> list[Measured]:
    """A second run with everything in the store, and one with a method more."""
    settings = bench.settings
    times: dict[str, list[float]] = {"first": [], "second": [], "one more": []}
    for _ in range(settings.runs):
        root, store = bench.fresh_tree(settings.methods, settings.many), bench.store()
        for name, seconds in times.items():
            if name == "one more":
                add_method(root, bench.cache, bench.source, settings.many)
            seconds.append(bench.ours(root, PUBLISHED_ASPECTS, store).seconds)
    folders = settings.methods + 1
    size = f"five aspects, {settings.methods} x {settings.many}"
    first, second, more = times.values()
    note = f"time of the run with one method more, in units of the first run's over {folders}"
    costs = tuple(m / (f / folders) for m, f in zip(more, first, strict=True))
    issue_size = settings.many == _MANY
    return [
        Measured(f"{size}: first run", "s", tuple(first)),
        Measured(f"{size}: second run, all in the store", "s", tuple(second)),
        Measured(
            f"{size}: second run, times as fast",
            "x",
            _ratios(first, second),
            _goal(bench, issue_size, "20x"),
        ),
        Measured(f"{size}: with one method more", "s", tuple(more)),
        Measured(f"{size}: one method more", "methods", costs, _goal(bench, issue_size, "1"), note),
    ]


def precision(bench: Bench) -> list[Measured]:
    """What bf16 gains, and by how much it moves each metric."""
    settings = bench.settings
    root = bench.tree(settings.methods, settings.images_per_method)
    times: dict[str, list[float]] = {"fp32": [], "bf16": []}
    values: dict[str, dict[tuple[str, str], float]] = {}
    for _ in range(settings.runs):
        for name, seconds in times.items():
            flags = ("--precision", name)
            seconds.append(bench.ours(root, PUBLISHED_ASPECTS, flags=flags).seconds)
            values[name] = _all_values(bench)
    size = f"bf16, five aspects, {settings.methods} x {settings.images_per_method}"
    moved: dict[str, list[float]] = {}
    for (metric, method), exact in values["fp32"].items():
        moved.setdefault(metric, []).append(abs(values["bf16"][metric, method] - exact))
    return [
        Measured(f"{size}: times as fast as fp32", "x", _ratios(times["fp32"], times["bf16"])),
        *(
            Measured(f"{size}: {metric} moves by at most", "", (max(found),))
            for metric, found in moved.items()
        ),
    ]


def _all_values(bench: Bench) -> dict[tuple[str, str], float]:
    """(metric, method) -> value of the toolkit's last run."""
    with (bench.results / "scores.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["value"]]
    return {(row["metric"], row["method"]): float(row["value"]) for row in rows}


def start(bench: Bench) -> list[Measured]:
    """What needs no model."""
    runs = range(max(_START_RUNS, bench.settings.runs))
    program = ROOT / "benchmark.py"
    cases = {"--help": (("--help",), 0)}
    cases |= {what: (arguments, 2) for what, arguments in _WRONG.items()}
    times: dict[str, list[float]] = {name: [] for name in (*cases, "--check of the demo")}
    for _ in runs:
        for name, (arguments, code) in cases.items():
            times[name].append(bench.python(program, *arguments, code=code).seconds)
        places = ("--cache-dir", bench.store(), "--results-dir", bench.store("results"))
        check = bench.python(program, "--check", "--quiet", *places)
        times["--check of the demo"].append(check.seconds)
    return [
        Measured(f"start-up: {name}", "s", tuple(seconds), "under 1 s, aim 0.3 s")
        for name, seconds in times.items()
    ]


def memory(bench: Bench) -> list[Measured]:
    """Peak memory of FID at several numbers of images, and what an image more takes."""
    settings = bench.settings
    source = Painted(settings.memory_edge)
    note = f"images of {source.edge} x {source.edge} pixels, half of them the reference; one run"
    peaks = {}
    for images in settings.memory_images:
        root = bench.tree(1, images // 2, source)
        peaks[images] = bench.ours(root, ["fid"]).peak_mb
    lines = [
        Measured(f"FID, {images} images: peak memory", "MB", (peak,), "", note)
        for images, peak in peaks.items()
    ]
    fewest, most = min(peaks), max(peaks)
    if most > fewest:
        each = 1000 * (peaks[most] - peaks[fewest]) / (most - fewest)
        name = f"FID, from {fewest} to {most} images: memory an image"
        lines.append(Measured(name, "kB", (each,), "8 kB"))
    return lines


def scaling(bench: Bench) -> list[Series]:
    """Time against images (in four methods and the reference) and against methods."""
    settings = bench.settings
    each = settings.scaling_images_per_method
    methods = min(4, settings.methods)
    by_images = [(methods, total // (methods + 1)) for total in settings.scaling_images]
    by_methods = [(number, each) for number in settings.scaling_methods if number <= len(METHODS)]
    cases = dict.fromkeys([*by_images, *by_methods])
    seconds = {case: bench.ours(bench.tree(*case), _SCALED).seconds for case in cases}
    return [
        Series(
            f"FID, LPIPS, {methods} methods and the reference",
            "images",
            tuple(((number + 1) * images, seconds[number, images]) for number, images in by_images),
        ),
        Series(
            f"FID, LPIPS, {each} images a method",
            "methods",
            tuple((number, seconds[number, images]) for number, images in by_methods),
        ),
    ]


def _goal(bench: Bench, issue_size: bool, goal: str) -> str:
    """The goal, where the sizes are those it was set for."""
    return goal if issue_size and bench.settings.methods == len(METHODS) else ""


def _ratios(longer: Sequence[float], shorter: Sequence[float]) -> tuple[float, ...]:
    return tuple(a / b for a, b in zip(longer, shorter, strict=True))


LINES: Mapping[str, Callable[[Bench], list[Measured]]] = {
    "start": start,
    "few": few,
    "many": many,
    "fid": fid,
    "forward": forward,
    "cached": cached,
    "precision": precision,
    "memory": memory,
}
