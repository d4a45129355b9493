"""Forward passes alone: the rate that a run could have if nothing else took any time.

python benchmarks/forward.py --samples 64 --batch-sizes 1 8 32 -- BENCHMARK.PY'S ARGUMENTS

Takes the extractors and the images that ``benchmark.py`` would take, prepares the first samples
of each extractor as the engine does, and times ``forward`` on them with nothing else running.
Prints JSON: extractor -> ``{"rows": rows of the whole run, "seconds": {batch size: a row's}}``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models import ROOT

sys.path.insert(0, str(ROOT))

import benchmark
from evaluation import pipeline
from features import engine
from features.loading import Group, groups_of
from features.store import FeatureStore


class _Taken(Exception):  # noqa: N818
    """Raised in place of the extraction, with what it was asked for."""


def load_run(arguments: Sequence[str], store: Path) -> tuple[engine._Run, list[Group]]:
    """What ``benchmark.py`` with these arguments would extract: the run and its groups."""

    def take(images: Any, _: FeatureStore, *, pairs: Any, batch_size: int, **__: Any) -> None:
        raise _Taken(images, pairs, batch_size)

    pipeline.extract = take  # type: ignore[assignment]
    try:
        benchmark.main(list(arguments))
    except _Taken as taken:
        images, pairs, batch_size = taken.args
    else:
        raise SystemExit("benchmark.py asked for no extraction")
    run = engine._Run(images, pairs, FeatureStore(store), batch_size, progress=False)
    run.open()
    return run, groups_of(images, pairs)


def first_samples(run: engine._Run, groups: Sequence[Group], wanted: int) -> dict[str, list[Any]]:
    """Prepare groups until there are enough images; samples by extractor, in the run's order."""
    samples: dict[str, list[Any]] = {name: [] for name in run.extractors}
    images = 0
    for group in groups:
        if images >= wanted:
            break
        for name, _, sample in run.load(group).samples:
            samples[name].append(sample)
        images += len(group.paths)
    return samples


def seconds_a_row(extractor: Any, samples: Sequence[Any], batch_size: int, runs: int) -> float:
    """The least time of several passes over the samples in full batches, after one unmeasured."""
    full = len(samples) // batch_size * batch_size
    batches = [samples[start : start + batch_size] for start in range(0, full, batch_size)]
    extractor.forward(batches[0])
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        for batch in batches:
            extractor.forward(batch)
        times.append(time.perf_counter() - start)
    return min(times) / full


def main() -> None:
    """Time every extractor at every batch size that its samples fill."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=64, help="images to prepare")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 4, 8, 16, 32])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("arguments", nargs="*", help="of benchmark.py, after --")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as store:
        run, groups = load_run(args.arguments, Path(store))
        samples = first_samples(run, groups, args.samples)
    wanted = (*run.images.values(), *run.pairs.values())
    rows = Counter(extractor.name for several in wanted for extractor in several)
    found = {}
    for name, mine in samples.items():
        sizes = [size for size in args.batch_sizes if size <= len(mine)]
        extractor = run.extractors[name]
        seconds = {size: seconds_a_row(extractor, mine, size, args.runs) for size in sizes}
        found[name] = {"rows": rows[name], "seconds": seconds}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
