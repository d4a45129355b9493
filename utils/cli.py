"""What the command-line programs share: flags, one-line errors, exit codes."""

from __future__ import annotations

import argparse
import errno
import io
import json
import logging
import os
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any, NoReturn, TextIO, cast

from utils.device import PRECISIONS
from utils.errors import UserError, did_you_mean
from utils.files import expanded, read_text
from utils.settings import MODELS
from utils.text import printable
from utils.version import VERSION

EXIT_BAD_INPUT = 2
EXIT_UNEXPECTED = 70
EXIT_INTERRUPTED = 130
LARGEST = 1_000_000  # bytes of an argument file


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line.

    ``@FILE`` among the arguments stands for the lines of a file, an argument each. Paths may
    begin with ``~``. Flags are not abbreviated: a later flag could change what they mean.

    Args:
        moved: a flag of before -> the command that does its work now.
    """

    def __init__(
        self, description: str = "", moved: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        epilog = "@FILE takes arguments from a file, one a line. IGMU_* variables: see README."
        super().__init__(description=description, epilog=epilog, allow_abbrev=False, **more)
        self._moved = moved or {}
        self.register("type", Path, path)
        self.add_argument("--version", action="version", version=f"igmu {VERSION}")

    def parse_args(
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """Parse; an unknown flag is an error that names the nearest.

        Returns:
            what the flags say, and as ``arguments`` the command line with its files expanded.
        """
        given = sys.argv[1:] if args is None else args
        try:
            arguments = [part for argument in given for part in _lines_of(argument)]
        except UserError as error:
            self.error(str(error))
        found, unknown = self.parse_known_args(arguments, namespace)
        if unknown:
            first = next((word for word in unknown if word.startswith("-")), unknown[0])
            flag = first.partition("=")[0]
            if flag in self._moved:
                self.error(f"{flag} has moved: {self._moved[flag]}")
            self.error(f"unknown: {first}{did_you_mean(flag, self._option_string_actions)}")
        found.arguments = arguments
        return found

    def error(self, message: str) -> NoReturn:
        line = printable(" ".join(message.split()))
        self.exit(EXIT_BAD_INPUT, f"error: {line} (--help lists the flags)\n")


def _lines_of(argument: str) -> list[str]:
    if not argument.startswith("@") or argument == "@":
        return [argument]
    text = read_text(expanded(argument[1:]), LARGEST)
    if "\0" in text:
        raise UserError(f"{argument[1:]}: not a text file")
    return [line.strip() for line in text.splitlines() if line.strip()]


def path(text: str) -> Path:
    """Parse a path (an argparse type)."""
    try:
        return expanded(text)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_common_flags(parser: argparse.ArgumentParser, results_dir: str) -> None:
    """Add the flags that every scoring program has; ``settle`` completes the folders."""
    parser.add_argument("--results-dir", type=Path, metavar="DIR", help=results_dir)
    parser.add_argument(
        "--preset",
        metavar="NAME",
        help="nudenet's labels and threshold; --list has all. unlearndiffatk, rece: those of the "
        "papers, not on their network (nudenet 3.0.8, here 3.4.2). mace: the package's default "
        "threshold, which its authors tell readers to change",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="X",
        help="of nudenet's scores, in place of the preset's",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="a benchmark.yaml of your own")
    parser.add_argument(
        "--limit",
        type=positive,
        metavar="N",
        help="a trial on the first N images of each folder; its scores say so",
    )
    parser.add_argument(
        "--group-by",
        metavar="REGEX|FILE.csv",
        help="which images are samples of one prompt, if not named {i}_{j}_{k}: by what a regular "
        "expression finds in their paths, or by a table of file and prompt",
    )
    parser.add_argument(
        "--list",
        action="store_true",
        help="name concepts, presets, metrics, models, and stop",
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
    run.add_argument("--workers", type=positive, metavar="N", help="loader threads (cores)")
    run.add_argument(
        "--precision", choices=PRECISIONS, default="fp32", help="of forward passes (fp32)"
    )
    run.add_argument(
        "--json", action="store_true", help="a JSON document on stdout, all else on stderr"
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
    parser.add_argument("--quiet", action="store_true", help="no progress, no log")
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


@contextmanager
def json_on_stdout(wanted: bool) -> Iterator[list[Mapping[str, Any]]]:
    """Leave stdout to the documents that the body appends to the list; prints go to stderr."""
    documents: list[Mapping[str, Any]] = []
    if not wanted:
        yield documents
        return
    with redirect_stdout(sys.stderr):
        yield documents
    for document in documents:
        print(json.dumps(document, indent=2, allow_nan=False))


def run(parser: Parser, main: Callable[[argparse.Namespace], int], argv: list[str] | None) -> int:
    """Parse, call ``main`` and turn its errors into one line and an exit code."""
    for stream in (sys.stdout, sys.stderr):  # a file name may hold what the terminal cannot show
        if stream is not None:  # closed
            stream.reconfigure(errors="backslashreplace")
    with lasting_output():
        return _run(parser.parse_args(argv), main)


def _run(args: argparse.Namespace, main: Callable[[argparse.Namespace], int]) -> int:
    level = logging.WARNING if args.quiet else logging.INFO
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    for room in ("checkers", "extractors", "features", "inputs", "model_files"):
        logging.getLogger(room).setLevel(level)
    # PIL's, in the middle of the bar: such images are refused by name.
    warnings.filterwarnings("ignore", "Image size .* exceeds limit", module="PIL")
    try:
        with json_on_stdout(getattr(args, "json", False)) as args.documents:
            return main(args)
    except UserError as error:
        if args.debug:
            traceback.print_exc()
        for line in error.lines:
            print(f"error: {printable(line)}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        kept = (
            ""
            if getattr(args, "no_cache", True)
            else "; what was computed is kept, run again to go on"
        )
        print(f"interrupted{kept}", file=sys.stderr)
        return EXIT_INTERRUPTED
    except Exception as error:
        if args.debug:  # not raised: the interpreter would exit with 1, as a failed gate does
            traceback.print_exc()
            return EXIT_UNEXPECTED
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
    """Go on when standard output cannot be written, for the exit code's sake; stderr says so.

    A gate that failed must say so even if the disk is full. Where the reader has gone
    (``... | head``) nothing is said.
    """
    out, err = sys.stdout, sys.stderr
    sys.stderr = cast(TextIO, _LastingOutput(err or _Closed()))
    sys.stdout = cast(TextIO, _LastingOutput(out or _Closed(), "standard output"))
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = out, err


class _Closed(io.TextIOBase):
    """Stands for a standard stream that was closed before the program began."""

    def write(self, text: str) -> int:
        raise OSError(errno.EBADF, "it is closed")


class _LastingOutput:
    """A stream whose writes go nowhere once one has failed.

    Args:
        name: to say on stderr that it failed; nothing is said where it has none.
    """

    def __init__(self, stream: TextIO | _Closed, name: str = "") -> None:
        self._stream = stream
        self._name = name
        self._failed = False

    def write(self, text: str) -> int:
        with self._may_fail():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._may_fail():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextmanager
    def _may_fail(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            first, self._failed = not self._failed, True
            self._let_go()
            if first and self._name and not isinstance(error, BrokenPipeError):
                print(f"{self._name} could not be written ({error.strerror})", file=sys.stderr)

    def _let_go(self) -> None:
        """Have what the stream still holds go nowhere when the interpreter flushes it."""
        with suppress(io.UnsupportedOperation), open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), self._stream.fileno())
