"""What the command-line programs share: flags, one-line errors, exit codes."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TextIO, cast

from utils.device import PRECISIONS
from utils.errors import UserError, did_you_mean
from utils.files import check_writable
from utils.text import printable
from utils.weights import default_cache_dir

EXIT_BAD_INPUT = 2
EXIT_UNEXPECTED = 70
EXIT_INTERRUPTED = 130
MODELS = ("clip", "clip_score", "inception", "lpips_backbone", "yolo", "nudenet")


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_BAD_INPUT, f"error: {message} (--help lists the flags)\n")


def add_common_flags(parser: argparse.ArgumentParser, results_dir: str) -> None:
    """Add the flags that every scoring program has."""
    parser.add_argument(
        "--results-dir", type=Path, default=Path(results_dir), metavar="DIR", help=results_dir
    )
    run = parser.add_argument_group("how it runs")
    run.add_argument(
        "--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda or cuda:N (auto)"
    )
    run.add_argument(
        "--batch-size",
        type=positive,
        metavar="N",
        help="images a forward pass (16 on a CPU, 64 on a GPU)",
    )
    run.add_argument(
        "--workers", type=positive, default=_cores(), metavar="N", help="loader threads (cores)"
    )
    run.add_argument(
        "--precision", choices=PRECISIONS, default="fp32", help="of forward passes (fp32)"
    )
    add_output_flags(run)
    models = parser.add_argument_group("models and caches")
    models.add_argument(
        "--weights-dir", type=Path, metavar="DIR", help="classifier heads, in the published layout"
    )
    models.add_argument(
        "--model",
        action="append",
        type=model_option,
        default=[],
        metavar="NAME=PATH_OR_ID",
        help=f"another model for {', '.join(MODELS)} (repeatable)",
    )
    models.add_argument(
        "--trust-weights",
        action="store_true",
        help="load a .pt file of YOLO that is not the published one: such a file can run code",
    )
    add_cache_flag(models)
    models.add_argument(
        "--no-cache", action="store_true", help="neither read nor keep computed features"
    )


def add_output_flags(parser: argparse._ActionsContainer) -> None:
    """Add ``--quiet`` and ``--debug``, which ``run`` reads."""
    parser.add_argument("--quiet", action="store_true", help="no progress bar, no log")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")


def add_cache_flag(parser: argparse._ActionsContainer) -> None:
    """Add ``--cache-dir``."""
    parser.add_argument(
        "--cache-dir", type=Path, metavar="DIR", help="feature store and heads (user cache)"
    )


def positive(text: str) -> int:
    """Parse an integer of at least 1 (an argparse type)."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not {text}")
    return number


def model_option(text: str) -> tuple[str, str]:
    """Parse ``NAME=PATH_OR_ID`` (an argparse type)."""
    name, separator, value = text.partition("=")
    if name not in MODELS:
        hint = did_you_mean(name, MODELS)
        raise argparse.ArgumentTypeError(f"no model {name}{hint}; there are {', '.join(MODELS)}")
    if not separator or not value:
        raise argparse.ArgumentTypeError(f"{text}: write {name}=PATH_OR_ID")
    return name, value


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def store_dir(args: argparse.Namespace) -> Iterator[Path]:
    """The folder of the feature store; with ``--no-cache`` one that goes with the run."""
    if args.no_cache:
        with tempfile.TemporaryDirectory(prefix="igmu-") as folder:
            yield Path(folder)
    else:
        folder = args.cache_dir or default_cache_dir()
        check_writable(folder, "--cache-dir")
        yield folder


def run(parser: Parser, main: Callable[[argparse.Namespace], int], argv: list[str] | None) -> int:
    """Parse, call ``main`` and turn its errors into one line and an exit code."""
    args = parser.parse_args(argv)
    level = logging.WARNING if args.quiet else logging.INFO
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    for room in ("checkers", "extractors", "utils"):
        logging.getLogger(room).setLevel(level)
    for stream in (sys.stdout, sys.stderr):  # a file name may hold what the terminal cannot show
        stream.reconfigure(errors="backslashreplace")
    with lasting_output():
        try:
            return main(args)
        except UserError as error:
            if args.debug:
                raise
            print(f"error: {printable(' '.join(str(error).split()))}", file=sys.stderr)
            return EXIT_BAD_INPUT
        except KeyboardInterrupt:
            kept = "" if args.no_cache else "; what was computed is kept, run again to go on"
            print(f"interrupted{kept}", file=sys.stderr)
            return EXIT_INTERRUPTED
        except Exception as error:
            if args.debug:
                raise
            said = printable(" ".join(f"{type(error).__name__}: {error}".split()))
            print(
                f"error: {said[:200]}; this is a mistake of the program: please report it with the "
                f"traceback in {_keep_traceback()}",
                file=sys.stderr,
            )
            return EXIT_UNEXPECTED


def _keep_traceback() -> Path:
    descriptor, name = tempfile.mkstemp(prefix="igmu-traceback-", suffix=".txt")
    with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        traceback.print_exc(file=file)
    return Path(name)


@contextmanager
def lasting_output() -> Iterator[None]:
    """Go on when nobody reads standard output any more (``... | head``), for the exit code's sake.

    A gate that failed must say so even if its reader has gone.
    """
    whole = sys.stdout
    sys.stdout = cast(TextIO, _LastingOutput(whole))
    try:
        yield
        sys.stdout.flush()
    finally:
        sys.stdout = whole


class _LastingOutput:
    """A stream whose writes go nowhere once its reader has gone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with self._reader_may_go():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._reader_may_go():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextmanager
    def _reader_may_go(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
