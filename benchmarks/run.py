"""Measure how fast the toolkit is, beside the published procedure and other libraries.

python benchmarks/run.py                   everything; hours on two cores
python benchmarks/run.py --quick           whether it works: minutes, small sizes
python benchmarks/run.py --only few fid    some lines

Prints a table and writes results.json, after each line, and scaling.svg. What an earlier run on
the same machine measured of other lines stays in results.json.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench import HERE, PUBLISHED_ASPECTS, Bench, Settings
from data import METHODS, Painted, Photographs
from lines import LINES, scaling
from models import ModelFiles
from output import Measured, Series, machine, plot, series_table, table, write_json

_SCALING = "scaling"
_QUICK = {
    "runs": 1,
    "methods": 2,
    "images_per_method": 2,
    "many": 4,
    "published_images": 2,
    "memory_images": (20, 40),
    "scaling_images": (6, 12, 18),
    "scaling_methods": (1, 2),
    "scaling_images_per_method": 2,
    "batch_sizes": (1, 4),
}


def make_parser() -> argparse.ArgumentParser:
    """Return the argument parser; its defaults are the sizes of the goals."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--only", nargs="+", choices=[*LINES, _SCALING], help="lines to measure (all)")
    add("--quick", action="store_true", help="small sizes, one run; overrides the sizes below")
    add("--images", type=Path, metavar="DIR", help="photographs to use, in place of painted images")
    add("--device", default="cpu", help="cpu, or cuda for everything that is compared (cpu)")
    add("--runs", type=int, default=3, help="of whatever is compared, in turn (3)")
    add("--methods", type=int, default=len(METHODS), help="method folders, at most 11 (11)")
    add("--images-per-method", type=int, default=5, help="of the line `few` (5)")
    add("--many", type=int, default=100, help="images a method elsewhere (100)")
    add("--published-images", type=int, default=20, help="of `many` without --full (20)")
    add("--full", action="store_true", help="published procedure on --many images too")
    add("--memory-images", type=int, nargs="+", default=[5000, 10000], help="(5000 10000)")
    add("--memory-edge", type=int, default=64, help="pixels of those images' edges (64)")
    add("--scaling-images", type=int, nargs="+", default=[100, 300, 1000, 3000])
    add("--scaling-methods", type=int, nargs="+", default=[1, 3, 5, 7, 9, 11])
    add("--scaling-images-per-method", type=int, default=20, help="of --scaling-methods (20)")
    add("--batch-sizes", type=int, nargs="+", default=[1, 4, 8, 16, 32], help="of forward passes")
    add("--cache", type=Path, default=HERE / ".cache", help="images and models, kept")
    add("--output", type=Path, default=HERE, help="folder of results.json and scaling.svg")
    return parser


def make_bench(args: argparse.Namespace) -> Bench:
    """Make the models and what the lines are measured with."""
    values = {name: getattr(args, name) for name in Settings.__annotations__}
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    settings = Settings(**values | (_QUICK if args.quick else {}))
    cache = args.cache.resolve()
    source = Photographs(args.images) if args.images else Painted()
    return Bench(settings, cache, source, ModelFiles(cache / "models"))


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print the table, write the files."""
    args = make_parser().parse_args(argv)
    bench = make_bench(args)
    chosen = args.only or [*LINES, _SCALING]
    _progress("models and warm-up")
    bench.python(HERE / "models.py", bench.models.folder)
    bench.ours(bench.tree(1, 2), PUBLISHED_ASPECTS)
    args.output.mkdir(parents=True, exist_ok=True)
    settings = {**asdict(bench.settings), "images": bench.source.name}
    results = args.output / "results.json"
    measured: list[Measured] = []
    for name in (name for name in LINES if name in chosen):
        _progress(name)
        measured += LINES[name](bench)
        write_json(results, machine(), settings, measured, [])
    series: list[Series] = []
    if _SCALING in chosen:
        _progress(_SCALING)
        series = scaling(bench)
        write_json(results, machine(), settings, measured, series)
        plot(args.output / "scaling.svg", series)
    print("\n".join(part for part in (table(measured), series_table(series)) if part))


def _progress(name: str) -> None:
    print(f"== {name}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
