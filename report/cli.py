"""What ``benchmark.py`` does with results: report, comparison, gate, verification, difference."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from utils.errors import UserError
from utils.files import check_writable, expanded, read_text

if TYPE_CHECKING:
    from analysis.compare import Ties
    from analysis.rules import Rule
    from analysis.trust import Terms
    from inputs.layout import Task
    from records.results import Results

_MOST = 10_000_000  # bytes of a file of arguments
EXIT_FAILED = 1  # a gate failed, or results no longer stand
_MARK = b'<testsuite name="unlearning gate"'  # of a JUnit file that this program wrote


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags; each but ``--fail-if`` works on results alone, without scoring anything."""
    add = parser.add_argument_group("results").add_argument
    add("--report", type=Path, metavar="DIR", help="write report.html and tables of results anew")
    add("--report-images", action="store_true", help="with thumbnails; blurred where nude")
    add(
        "--compare",
        nargs="+",
        metavar="METHOD",
        help="A B: B against A; A alone (ORG, say): every other method against it",
    )
    add("--verify", type=Path, metavar="DIR", help="whether weights, prompts, images are the same")
    add("--diff", nargs=2, type=Path, metavar="DIR", help="what changed between two results")
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


def wanted(args: argparse.Namespace) -> bool:
    """Whether a flag asks for something that needs no scoring."""
    return bool(args.report or args.compare or args.fail_if or args.verify or args.diff)


def check_flags(args: argparse.Namespace) -> None:
    """Refuse what cannot be done, before any work.

    Raises:
        UserError: a rule that cannot be followed, or flags that do not go together.
    """
    if args.junit and not args.fail_if:
        raise UserError("--junit tells the outcome of --fail-if; give at least one")
    for flag, value in (
        ("--max-unreadable", args.max_unreadable),
        ("--allow-unfit-judge", args.allow_unfit_judge),
    ):
        if value and not args.fail_if:
            raise UserError(f"{flag} is a term of --fail-if; give at least one")
    if args.junit:
        check_writable(args.junit.parent, "--junit")
    jobs = {
        "--evaluation-aspect": args.evaluation_aspect,
        "--check": args.check,
        "--list": args.list,
        "--report": args.report,
        "--verify": args.verify,
        "--diff": args.diff,
    }
    asked = [flag for flag, value in jobs.items() if value]
    if len(asked) > 1:
        if asked == ["--evaluation-aspect", "--report"]:
            raise UserError("a run writes its report itself; --report is for a finished one")
        raise UserError(f"{asked[0]} and {asked[1]} are two jobs; give one at a time")
    for flag, value in (("--fail-if", args.fail_if), ("--compare", args.compare)):
        for job in ("--check", "--verify", "--diff", "--list"):
            if value and jobs[job]:
                raise UserError(
                    f"{flag} would not be looked at: {job} ends before it; give one at a time"
                )
    given = args.report and args.sources["results_dir"] == "command line"
    if given and args.results_dir != args.report:
        raise UserError(
            f"--report {args.report} and --results-dir {args.results_dir} are two results folders; "
            "give the one that is meant"
        )
    if args.compare and len(args.compare) > 2:
        raise UserError("--compare takes one method or two")
    rules(args)


def rules(args: argparse.Namespace) -> list[Rule]:
    """Return the rules of ``--fail-if``.

    Raises:
        UserError: one that cannot be followed.
    """
    return [check_rule(text) for text in args.fail_if]


def check_rule(text: str) -> Rule:
    """Parse a rule.

    Raises:
        UserError: it cannot be followed.
    """
    from analysis.rules import parse_rule
    from metrics import specs

    return parse_rule(text, specs())


def check_names(args: argparse.Namespace, tasks: Sequence[Task]) -> None:
    """Refuse rules about concepts, methods or metrics that will not be scored, before the run.

    Raises:
        UserError: a rule is about none of the tasks, nor of the results that are there.
    """
    from analysis.gate import check_earlier
    from records.files import MANIFEST
    from records.results import read_results

    found = rules(args)
    there = (args.results_dir / MANIFEST).is_file() and bool(found)
    earlier = read_results(args.results_dir) if there else None
    rows = earlier.scores if earlier else []
    concepts = dict.fromkeys([*(t.concept.name for t in tasks), *(row.concept for row in rows)])
    methods = {row.method: row.method for row in rows}
    methods |= {earlier.title(row.method): row.method for row in rows} if earlier else {}
    for method in (folder.method for task in tasks for folder in task.methods):
        methods |= {method.name: method.folder, method.folder: method.folder}
    for rule in found:
        rule.resolve(list(concepts), methods)
        check_earlier(rule, args.results_dir)


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
            yield from read_text(expanded(word[1:]), _MOST).splitlines()


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


def look_back(args: argparse.Namespace) -> int:
    """``--verify`` and ``--diff``; returns the exit code."""
    from records.results import read_results

    if args.diff:
        from analysis import diff

        print(diff.render(*map(read_results, args.diff)))
        return 0
    from analysis import verify

    findings = verify.verify(read_results(args.verify))
    print(verify.render(findings))
    return 0 if verify.stands(findings) else EXIT_FAILED


def write(args: argparse.Namespace, results: Results, tied: Ties) -> None:
    """Write the report of results whose ties are known, and say where."""
    from records import generation
    from report.page import write_report

    with generation.held(results.folder):
        written = write_report(results, tied, images=args.report_images)
    if not args.quiet:
        print(f"report: {_names(written)}", file=sys.stderr)


def finish(
    args: argparse.Namespace, results: Results, concepts: Sequence[str] | None, *, fresh: bool
) -> int:
    """Compare and gate; returns the exit code.

    Args:
        concepts: those of ``--concepts`` by the names of the configuration.
        fresh: the results are of a run that has just ended.
    """
    if args.compare:
        from analysis.compare import compare, render

        print(f"\n{render(compare(results, *args.compare), results)}")
    return _gate(args, results, _terms(args, concepts, fresh)) if args.fail_if else 0


def _names(paths: Sequence[Path]) -> str:
    return f"{paths[0]}" + (f" and {len(paths) - 1} tables and plots" if paths[1:] else "")


def _gate(args: argparse.Namespace, results: Results, terms: Terms) -> int:
    from analysis.gate import check, render
    from records.files import replace_file
    from report.junit import junit

    checks = check(results, rules(args), terms)
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
