"""Fill the caches, for machines without internet: one command, then copy the folders it names.

python prefetch.py
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path

from utils.cli import EXIT_BAD_INPUT, Parser, add_cache_flag, add_output_flags, run
from utils.errors import MissingModelError, UserError


def make_parser() -> Parser:
    """Return the argument parser."""
    parser = Parser(description="Download every published model that is not on this machine yet.")
    add_cache_flag(parser)
    add_output_flags(parser)
    return parser


def _models(cache_dir: Path) -> Iterator[tuple[str, Callable[[], Path | str | None]]]:
    """Yield the name of each model, and what fetches it and returns its place.

    Extractors that need no file have None for a place.
    """
    from extractors import EXTRACTORS
    from model_files.heads import HEADS, find_head

    for layout in HEADS:
        yield f"head {layout}", lambda layout=layout: find_head(layout, None, cache_dir)
    for name, kind in EXTRACTORS.items():
        yield f"model {name}", lambda kind=kind: kind().provenance.get("path")


def prefetch(args: Namespace) -> int:
    """Fetch the models and print where each is; returns the exit code."""
    from tabulate import tabulate

    from extractors import model_names
    from utils.settings import default_cache_dir, environment

    places = environment(os.environ, model_names()).places
    cache_dir = args.cache_dir or places.get("cache_dir") or default_cache_dir()
    ready: list[tuple[str, object]] = []
    missing: dict[str, MissingModelError] = {}
    wrong: list[str] = []
    for name, fetch in _models(cache_dir):
        try:
            place = fetch()
        except MissingModelError as error:
            missing[name] = error
        except UserError as error:
            wrong.append(f"{name}: {error}")
        else:
            if place is not None:
                ready.append((name, place))
    if ready:
        print(tabulate(ready, ("ready", "where"), disable_numparse=True))
    if missing:
        rows = [_row(name, error) for name, error in missing.items()]
        header = ("missing", "MB", "get it there, put it here")
        print("\n" + tabulate(rows, header, disable_numparse=True), file=sys.stderr)
        for why in dict.fromkeys(error.why for error in missing.values() if error.why):
            print(f"\nnot downloaded: {why}", file=sys.stderr)
    for line in wrong:
        print(f"\nwrong: {line}", file=sys.stderr)
    return EXIT_BAD_INPUT if missing or wrong else 0


def _row(name: str, error: MissingModelError) -> tuple[str, str, str]:
    if not error.url:
        return name, "", str(error)
    size = f"{error.megabytes:g}" if error.megabytes else ""
    return name, size, f"{error.url}\n{error.place}"


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run(make_parser(), prefetch, argv)


if __name__ == "__main__":
    sys.exit(main())
