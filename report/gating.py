"""The flags of a gate, for a run and for results of before: rules, terms, outcome."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from utils.cli import LARGEST
from utils.errors import UserError
from utils.files import check_writable, expanded, read_text

if TYPE_CHECKING:
    from analysis.trust import Terms
    from evaluation.pipeline import Prepared
    from evaluation.rules import Rule
    from records.results import Results

EXIT_FAILED = 1
_MARK = b'<testsuite name="unlearning gate"'  # of a JUnit file that this program wrote


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of a gate."""
    add = parser.add_argument_group("gate").add_argument
    add(
        "--fail-if",
        action="append",
        default=[],
        metavar="RULE",
        help='exit with 1 if it holds: "nudity.presence_rate.high > 5%%", "face.ESD.lpips > 0.3" '
        'or "presence_rate worse than RESULTS by 2%%" (repeatable)',
    )
    add("--junit", type=Path, metavar="FILE", help="the outcome of each --fail-if as JUnit XML")
    add(
        "--max-unreadable",
        type=share,
        default=0.0,
        metavar="SHARE",
        help="share of a folder's files that may give no number: 0.01 or 1%% (0)",
    )
    add(
        "--allow-unfit-judge",
        action="store_true",
        help="also gate by a judge that does not find the concept in the original's images",
    )


def share(text: str) -> float:
    """Parse a share, as a number or in percent (an argparse type)."""
    try:
        number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"a share from 0 to 1, or in percent, not {text}")
    return number


def rules(args: argparse.Namespace, texts: Sequence[str]) -> list[Rule]:
    """Return the rules of a gate, having checked the terms that go with them.

    Raises:
        UserError: a rule that cannot be followed, or a term without a rule.
    """
    from evaluation.rules import check_rule

    terms = {
        "--junit": args.junit,
        "--max-unreadable": args.max_unreadable,
        "--allow-unfit-judge": args.allow_unfit_judge,
    }
    for flag, value in terms.items():
        if value and not texts:
            raise UserError(f"{flag} is a term of --fail-if; give at least one")
    if args.junit:
        check_writable(args.junit.parent, "--junit")
    return [check_rule(text) for text in texts]


def check_names(found: Sequence[Rule], prepared: Prepared) -> None:
    """Refuse rules about concepts, methods or metrics that will not be scored, before the run.

    Raises:
        UserError: a rule is about none of the tasks, nor of the results that are there.
    """
    from analysis.gate import check_earlier
    from records.files import MANIFEST
    from records.results import read_results

    folder, tasks = prepared.run.results_dir, prepared.tasks
    there = folder is not None and (folder / MANIFEST).is_file() and bool(found)
    earlier = read_results(folder) if folder is not None and there else None
    rows = earlier.scores if earlier else []
    concepts = dict.fromkeys([*(t.concept.name for t in tasks), *(row.concept for row in rows)])
    methods = {row.method: row.method for row in rows}
    methods |= {earlier.title(row.method): row.method for row in rows} if earlier else {}
    for method in (folder.method for task in tasks for folder in task.methods):
        methods |= {method.name: method.folder, method.folder: method.folder}
    for rule in found:
        rule.resolve(list(concepts), methods)
        check_earlier(rule, folder)


def gate(
    args: argparse.Namespace,
    found: Sequence[Rule],
    results: Results,
    concepts: Sequence[str] | None,
    *,
    fresh: bool,
) -> int:
    """Hold results against rules, say and write the outcome; returns the exit code.

    Args:
        concepts: those that the gate looks at; None for all.
        fresh: the results are of a run that has just ended.

    Raises:
        UserError: a number is missing, or cannot be trusted.
    """
    if not found:
        return 0
    from analysis.gate import check, render
    from records.files import replace_file
    from report.junit import junit

    checks = check(results, found, _terms(args, concepts, fresh))
    if args.junit:
        document = junit(checks)
        replace_file(args.junit, lambda path: path.write_text(document, encoding="utf-8"))
    print(f"\n{render(checks)}")
    return EXIT_FAILED if any(one.failed for one in checks) else 0


def _terms(args: argparse.Namespace, concepts: Sequence[str] | None, fresh: bool) -> Terms:
    from analysis.trust import Terms
    from checkers import CHECKERS

    return Terms(
        concepts=concepts,
        methods=args.methods,
        judge=CHECKERS.canonical(args.indicator) if args.indicator else None,
        preset=args.preset if args.threshold is None else f"threshold {args.threshold:g}",
        most_unreadable=args.max_unreadable,
        allow_unfit=args.allow_unfit_judge,
        fresh=fresh,
    )


def clear_junit(argv: Sequence[str] | None) -> None:
    """Remove an older JUnit file before anything can go wrong: it would still say what was then.

    Args:
        argv: the command line; None for the program's own.

    Raises:
        UserError: the file is none of ours, or cannot be removed.
    """
    early = _EarlyParser(add_help=False, allow_abbrev=False)
    early.add_argument("--junit", type=expanded)
    try:
        path = early.parse_known_args(list(_words(sys.argv[1:] if argv is None else argv)))[0].junit
    except (_UnparsedError, ValueError):  # said when the whole line is parsed
        return
    if path is not None and os.path.lexists(path):
        _remove_junit(path)


def _words(argv: Sequence[str]) -> Iterator[str]:
    """The arguments, and those in files of arguments that can be read."""
    for word in argv:
        if not word.startswith("@"):
            yield word
            continue
        with suppress(UserError):  # said when the whole line is parsed
            yield from read_text(expanded(word[1:]), LARGEST).splitlines()


class _UnparsedError(Exception):
    """A command line that cannot be parsed."""


class _EarlyParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _UnparsedError(message)


def _remove_junit(path: Path) -> None:
    try:
        ours = path.is_file() and not path.is_symlink() and _MARK in path.read_bytes()[:1000]
        if not ours:
            raise UserError(f"--junit {path}: something else is there; name another file")
        path.unlink()
    except OSError as error:
        raise UserError(f"--junit {path}: cannot be written ({error.strerror})") from error
