"""Look back at recorded runs.

python results.py report DIR
python results.py compare DIR METHOD [METHOD]
python results.py gate DIR --fail-if RULE
python results.py verify DIR
python results.py diff DIR DIR
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from pathlib import Path

from extractors import model_names
from report import gating
from utils.cli import EXIT_BAD_INPUT, Parser, add_output_flags, add_plugin_flag, run
from utils.errors import UserError
from utils.settings import environment

EXIT_CHANGED = 1  # what results were computed from is not there any more, or not the same


def make_parser() -> Parser:
    """Return the argument parser."""
    parser = Parser("Look back at recorded runs: report, compare, gate, verify, diff.")
    jobs = parser.add_subparsers(dest="job", required=True, metavar="JOB")

    def job(name: str, help_text: str) -> Parser:
        added = jobs.add_parser(name, description=help_text, help=help_text)
        added.add_argument("folder", type=Path, metavar="DIR", help="the --results-dir of a run")
        add_output_flags(added)
        add_plugin_flag(added)
        return added

    report = job("report", "write report.html, tables and plots anew")
    report.add_argument("--report-images", action="store_true", help="with thumbnails")
    compare = job("compare", "which methods differ by more than chance")
    compare.add_argument(
        "methods",
        nargs="+",
        metavar="METHOD",
        help="A B: B against A; A alone (ORG, say): every other method against it",
    )
    gate = job("gate", "exit with 1 if a rule holds")
    gating.add_flags(gate)
    for flag, text in (("--concepts", "of these only"), ("--methods", "of these only")):
        gate.add_argument(flag, nargs="+", metavar="X", help=text)
    gate.add_argument("--indicator", help="the checker that must have judged")
    gate.add_argument("--preset", metavar="NAME", help="its preset")
    gate.add_argument("--threshold", type=float, metavar="X", help="its threshold")
    job("verify", "whether weights, prompts and images are still those of the run")
    diff = job("diff", "what changed between two results")
    diff.add_argument("other", type=Path, metavar="DIR", help="the later one")
    return parser


def look_back(args: Namespace) -> int:
    """Run the program on parsed arguments and return the exit code.

    Raises:
        UserError: bad input.
    """
    from records.store import read_results

    # Nothing of it is needed, but a misspelt variable is refused.
    environment(os.environ, model_names())
    rules = gating.rules(args, args.fail_if) if args.job == "gate" else []
    if args.job == "gate" and not rules:
        raise UserError('gate needs a rule: --fail-if "presence_rate.high > 5%"')
    if args.job == "compare" and len(args.methods) > 2:
        raise UserError("compare takes one method or two")
    results = read_results(args.folder)
    if args.job == "report":
        from analysis.compare import ties
        from report.page import write_report

        written = write_report(results, ties(results), images=args.report_images)
        print(f"{written[0]} and {len(written) - 1} tables and plots")
    elif args.job == "compare":
        from analysis import compare

        print(compare.render(compare.compare(results, *args.methods), results))
    elif args.job == "gate":
        return gating.gate(args, rules, results, args.concepts, fresh=False)
    elif args.job == "verify":
        from analysis import verify

        findings = verify.verify(results)
        print(verify.render(findings))
        return 0 if verify.stands(findings) else EXIT_CHANGED
    else:
        from analysis import diff

        print(diff.render(results, read_results(args.other)))
    return 0


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    try:
        gating.clear_junit(argv)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    return run(make_parser, look_back, argv)


if __name__ == "__main__":
    sys.exit(main())
