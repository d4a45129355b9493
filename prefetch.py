"""Fill the caches, for machines without internet: one command, then copy the folders it names.

python prefetch.py
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace

from utils.cli import (
    EXIT_BAD_INPUT,
    Parser,
    add_cache_flag,
    add_output_flags,
    add_plugin_flag,
    run,
)
from utils.errors import MissingModelError, UserError


def make_parser() -> Parser:
    """Return the argument parser."""
    parser = Parser(description="Download every published model that is not on this machine yet.")
    add_cache_flag(parser)
    add_output_flags(parser)
    add_plugin_flag(parser)
    return parser


def prefetch(args: Namespace) -> int:
    """Fetch the models and print where each is; returns the exit code."""
    from tabulate import tabulate

    from checkers import CheckerOptions
    from evaluation.listing import model_finders
    from extractors import model_names
    from utils.settings import default_cache_dir, environment

    places = environment(os.environ, model_names()).places
    cache_dir = args.cache_dir or places.get("cache_dir") or default_cache_dir()
    ready: list[tuple[str, object]] = []
    missing: dict[str, MissingModelError] = {}
    wrong: list[str] = []
    for name, find in model_finders(CheckerOptions(cache_dir)):
        try:
            place = find()
        except MissingModelError as error:
            missing[name] = error
        except UserError as error:
            wrong.append(f"{name}: {error}")
        else:
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
    return run(make_parser, prefetch, argv)


if __name__ == "__main__":
    sys.exit(main())
