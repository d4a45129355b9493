"""Fill the caches, for machines without internet: one command, then copy the folders it names.

python prefetch.py
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path

from utils.cli import EXIT_BAD_INPUT, Parser, add_cache_flag, add_output_flags, run
from utils.errors import UserError


def make_parser() -> Parser:
    """Return the argument parser."""
    parser = Parser(description="Download every published model that is not on this machine yet.")
    add_cache_flag(parser)
    add_output_flags(parser)
    return parser


def _models(cache_dir: Path) -> Iterator[tuple[str, Callable[[], Path]]]:
    from extractors import EXTRACTORS
    from utils.weights import HEADS, find_head

    for layout in HEADS:
        yield f"head {layout}", lambda layout=layout: find_head(layout, None, cache_dir)
    for name in EXTRACTORS:
        if name not in ("pixels", "stats"):  # these have no model
            kind = EXTRACTORS[name]
            yield f"model {name}", lambda kind=kind: Path(kind().provenance["path"])


def prefetch(args: Namespace) -> int:
    """Fetch the models and print where each is; returns the exit code."""
    from tabulate import tabulate

    from utils.weights import default_cache_dir

    table, missing = [], []
    for name, fetch in _models(args.cache_dir or default_cache_dir()):
        try:
            table.append((name, "ready", fetch()))
        except UserError as error:
            table.append((name, "MISSING", "see below"))
            missing.append(str(error))
    print(tabulate(table, ("what", "state", "where"), disable_numparse=True))
    for line in missing:
        print(f"\n{line}", file=sys.stderr)
    return EXIT_BAD_INPUT if missing else 0


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run(make_parser(), prefetch, argv)


if __name__ == "__main__":
    sys.exit(main())
