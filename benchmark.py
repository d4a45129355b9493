"""Score methods: aspects x concepts x methods -> results/.

python benchmark.py --evaluation-aspect all --data-root DIR
python benchmark.py --check --data-root DIR
"""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from report import gating
from utils.cli import EXIT_BAD_INPUT, Parser, add_common_flags, run
from utils.errors import UserError

if TYPE_CHECKING:
    from evaluation.pipeline import Prepared, Scored
    from evaluation.run import Plan, Result
    from evaluation.run_config import RunConfig
    from records.results import Results

RESULTS = Path("results/benchmark")
EXIT_FALSIFIED = 1
_MOVED = {
    "--report": "python results.py report DIR",
    "--compare": "python results.py compare DIR METHOD [METHOD]",
    "--verify": "python results.py verify DIR",
    "--diff": "python results.py diff DIR DIR",
}


def make_parser() -> Parser:
    """Return the argument parser."""
    parser = Parser("Score what unlearning did: forgetting, and what else broke.", _MOVED)
    parser.add_argument(
        "--evaluation-aspect",
        nargs="+",
        metavar="ASPECT",
        dest="aspects",
        help="forgetting, indicators, fid (with KID), lpips, yolo, CSDR, ssim, psnr, or all "
        "(default)",
    )
    parser.add_argument(
        "--object",
        nargs="?",
        type=boolean,
        const=True,
        default=False,
        dest="unrelated",
        metavar="True|False",
        help="score the images of unrelated prompts (unrelated/) instead of forgot/",
    )
    parser.add_argument(
        "--data-root",
        type=Path,
        metavar="DIR",
        help="folder of <Concept>/forgot/<METHOD>/... (default: the bundled demo)",
    )
    parser.add_argument(
        "--reference",
        type=Path,
        metavar="DIR",
        help="images of the original model, also scored as ORG; --data-root then holds plain "
        "<METHOD>/*.png",
    )
    parser.add_argument("--concepts", nargs="+", metavar="X", help="default: all that are there")
    parser.add_argument("--methods", nargs="+", metavar="X", help="default: all that are there")
    parser.add_argument("--indicator", help="checker of forgetting (multi_multiC where it can)")
    parser.add_argument(
        "--calibration",
        type=Path,
        metavar="DIR",
        help="labelled images, DIR/<Concept>/present and .../absent: how right each checker is",
    )
    parser.add_argument(
        "--compat", choices=["igmu"], help="also what the published scripts would have written"
    )
    parser.add_argument(
        "--check", action="store_true", help="audit the images and names only; no model is loaded"
    )
    parser.add_argument(
        "--report-images", action="store_true", help="thumbnails in the report; blurred where nude"
    )
    add_common_flags(parser, results_dir=str(RESULTS))
    gating.add_flags(parser)
    return parser


def boolean(text: str) -> bool:
    """Parse ``True`` or ``False`` (an argparse type)."""
    if text.casefold() not in ("true", "false"):
        raise ArgumentTypeError(f"True or False, not {text}")
    return text.casefold() == "true"


def benchmark(args: Namespace) -> int:
    """Run the program on parsed arguments and return the exit code.

    Raises:
        UserError: bad input, or a missing model of an aspect asked for by name.
    """
    _check_flags(args)
    from compat.igmu import PublishedScripts
    from evaluation.audit import short
    from evaluation.pipeline import concept_names, find_models, prepare, record, score
    from evaluation.run_config import config_of, split

    asked = config_of(args, aspects=split(args.aspects or ()), gates=args.fail_if)
    if args.list:
        return _list(args, asked)
    prepared = prepare(asked, defaults={"results_dir": RESULTS})
    if args.check and prepared.run.gates:
        path = prepared.settled.benchmark.path
        print(f"gates of {path} are for runs that score: not looked at", file=sys.stderr)
    for line in prepared.passed_over:  # also when quiet: nothing else would say it is not scored
        print(line, file=sys.stderr)
    if args.check:
        return _check(args, prepared)
    rules = gating.rules(args, prepared.run.gates)
    if rules and args.limit:
        raise UserError("--limit is for a trial run: no gate goes with it")
    gating.check_names(rules, prepared)
    planned = find_models(prepared)
    if not args.quiet:
        print(short(prepared.audits), file=sys.stderr)
    published = PublishedScripts() if args.compat else None
    several = len(prepared.aspects) > 1 and not args.quiet
    scored = score(planned, beside=published, shown=_show_aspect if several else lambda _: None)
    results = record(scored, arguments=args.arguments)
    _show(args, scored, results)
    if published:
        print(published.write(results.folder))
    return gating.gate(args, rules, results, concept_names(prepared.settled), fresh=True)


def _check_flags(args: Namespace) -> None:
    """Refuse what cannot be done together, before any work."""
    from checkers.nudenet import check_rule

    check_rule(args.preset, args.threshold)
    if args.check and args.list:
        raise UserError("--check and --list are two jobs; give one at a time")
    job = "--check" if args.check else "--list" if args.list else None
    beside = {
        "--evaluation-aspect": args.aspects if args.list else None,
        "--fail-if": args.fail_if,
        "--junit": args.junit,
        "--max-unreadable": args.max_unreadable,
        "--allow-unfit-judge": args.allow_unfit_judge,
        "--report-images": args.report_images,
        "--compat": args.compat,
    }
    for flag, value in beside.items():
        if job and value:
            raise UserError(f"{flag} would not be looked at: {job} ends before it")
    if args.fail_if and not args.aspects:
        raise UserError(
            "--fail-if follows a run: give --evaluation-aspect; for results of before there is "
            "`python results.py gate DIR --fail-if RULE`"
        )
    if args.limit and args.check:
        raise UserError("--limit is for a trial run: --check is of all images")


def _list(args: Namespace, asked: RunConfig) -> int:
    """Name what there is to choose from."""
    from evaluation.listing import configured, judges, models, render
    from evaluation.run_config import DEMO, settle

    settled = settle(asked)
    found = configured(settled.benchmark, settled.run.data_root or DEMO) | judges()
    found |= models(settled.run.checker_options)
    print(render(found))
    args.documents.append(found)
    return 0


def _check(args: Namespace, prepared: Prepared) -> int:
    """Audit alone: print the table, write ``check.json``."""
    from evaluation.audit import render
    from evaluation.pipeline import audited
    from records.files import write_json

    audits, tokenizer = audited(prepared)
    document = {"audit": [audit.as_json() for audit in audits]}
    write_json(prepared.run.results_dir / "check.json", document)
    print(render(audits))
    args.documents.append(document)
    if not tokenizer:
        print("\nprompts over 77 tokens: not counted, no tokenizer of clip_score on this machine")
    return EXIT_FALSIFIED if any(audit.falsifies for audit in audits) else 0


def _show_aspect(results: Sequence[Result]) -> None:
    """Print the table of an aspect, without marks and notes, as soon as its scores are there."""
    from analysis.ranking import Ranking
    from report.terminal import table

    plain = [
        replace(one, scores=[replace(score, warnings=()) for score in one.scores])
        for one in results
    ]
    print(f"\n{table(plain, Ranking())}\n", file=sys.stderr, flush=True)


def _show(args: Namespace, scored: Scored, results: Results) -> None:
    """Print the tables, and write the report."""
    from analysis.compare import ties
    from analysis.ranking import ranking, trials
    from evaluation.output import score_rows
    from report.page import write_report
    from report.terminal import table

    tied = ties(results)
    print("\n\n".join([*trials(results), table(scored.scores, ranking(results, tied))]))
    if scored.planned.labelled:
        _show_calibration(results)
    _show_skipped(scored.planned.plan)
    args.documents.append({"scores": score_rows(scored.scores), "manifest": results.manifest})
    written = write_report(results, tied, images=args.report_images)
    if not args.quiet:
        print(f"\nwritten: {results.folder}/", file=sys.stderr)
        print(f"report: {written[0]} and {len(written) - 1} tables and plots", file=sys.stderr)


def _show_skipped(planned: Plan) -> None:
    """Show what was not scored: a short table for want of models, a line for other reasons."""
    from tabulate import tabulate

    lacking = [one for one in planned.skipped if one.missing]
    if lacking:
        rows = {
            (one.aspect, one.task, "\n".join(dict.fromkeys(error.what for error in one.missing)))
            for one in lacking
        }
        header = ("not scored", "concept", "missing")
        print("\n" + tabulate(sorted(rows), header, disable_numparse=True))
        why = dict.fromkeys(error.why for one in lacking for error in one.missing if error.why)
        print("\n`python prefetch.py` downloads what is missing")
        if why:
            print(f"not downloaded now: {'; '.join(why)}")
    for one in planned.skipped:
        if not one.missing:
            print(f"\nnot scored: {one.aspect}{one.task and f' of {one.task}'}: {one.reason}")


def _show_calibration(results: Results) -> None:
    from analysis.judges import render

    print(f"\non labelled images\n\n{render(results)}")
    calibration = results.manifest["calibration"]
    for concept, found in calibration.items():
        if found["left_out"]:
            print(f"\nlabelled images of {concept} left out: {', '.join(found['left_out'])}")
    for concept in results.manifest["indicators"].keys() - calibration.keys():
        print(f"\nno labelled images of {concept}")


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    try:
        gating.clear_junit(argv)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    return run(make_parser(), benchmark, argv)


if __name__ == "__main__":
    sys.exit(main())
