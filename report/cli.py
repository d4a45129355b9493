"""What ``benchmark.py`` does with results: report, comparison, gate, verification, difference."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from utils.errors import UserError

if TYPE_CHECKING:
    from report.compare import Ties
    from report.results import Results

EXIT_FAILED = 1  # a gate failed, or results no longer stand


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
    add(
        "--fail-if",
        action="append",
        default=[],
        metavar="RULE",
        help='exit with 1 if it holds: "nudity.presence_rate.high > 0.05" (repeatable)',
    )
    add("--junit", type=Path, metavar="FILE", help="the outcome of each --fail-if as JUnit XML")
    add("--verify", type=Path, metavar="DIR", help="whether weights, prompts, images are the same")
    add("--diff", nargs=2, type=Path, metavar="DIR", help="what changed between two results")


def wanted(args: argparse.Namespace) -> bool:
    """Whether a flag asks for something that needs no scoring."""
    return bool(args.report or args.compare or args.fail_if or args.verify or args.diff)


def check_flags(args: argparse.Namespace) -> None:
    """Refuse what cannot be done, before any work.

    Raises:
        UserError: a rule that cannot be read, or flags that do not go together.
    """
    from report.gate import parse_rule

    for rule in args.fail_if:
        parse_rule(rule)
    if args.junit and not args.fail_if:
        raise UserError("--junit tells the outcome of --fail-if; give at least one")
    if args.report and args.evaluation_aspect:
        raise UserError("a run writes its report itself; --report is for a finished one")
    if args.compare and len(args.compare) > 2:
        raise UserError("--compare takes one method or two")


def look_back(args: argparse.Namespace) -> int:
    """``--verify`` and ``--diff``; returns the exit code."""
    from report.results import read_results

    if args.diff:
        from report import diff

        print(diff.render(*map(read_results, args.diff)))
        return 0
    from report import verify

    findings = verify.verify(read_results(args.verify))
    print(verify.render(findings))
    return 0 if all(finding.stands for finding in findings) else EXIT_FAILED


def write(args: argparse.Namespace, results: Results, tied: Ties) -> None:
    """Write the report of results whose ties are known, and say where."""
    from report.page import write_report

    written = write_report(results, tied, images=args.report_images)
    if not args.quiet:
        print(f"report: {_names(written)}", file=sys.stderr)


def finish(args: argparse.Namespace, results: Results) -> int:
    """Compare and gate; returns the exit code."""
    if args.compare:
        from report.compare import compare, render

        print(f"\n{render(compare(results, *args.compare), results)}")
    return _gate(args, results) if args.fail_if else 0


def _names(paths: Sequence[Path]) -> str:
    return f"{paths[0]}" + (f" and {len(paths) - 1} tables and plots" if paths[1:] else "")


def _gate(args: argparse.Namespace, results: Results) -> int:
    from report.gate import check, junit, parse_rule
    from utils.results import replace_file

    rules = [parse_rule(text) for text in args.fail_if]
    failures = check(results, rules)
    if args.junit:
        document = junit(results, rules)
        replace_file(args.junit, lambda path: path.write_text(document, encoding="utf-8"))
    for failure in failures:
        print(f"failed: {failure}")
    return EXIT_FAILED if failures else 0
