"""Is the concept still there? One checker over folders of images.

python eval_unlearning.py --indicator multi_multiC --concept Nudity --images DIR [DIR ...]
"""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from utils.cli import EXIT_BAD_INPUT, Parser, add_common_flags, run
from utils.errors import UserError

if TYPE_CHECKING:
    from evaluation.run_config import RunConfig

RESULTS = Path("results/eval")


def make_parser() -> Parser:
    """Return the argument parser."""
    parser = Parser("Share of images in which a concept is still present.")
    parser.add_argument(
        "--indicator", default="multi_multiC", help="bi_multiC, multi_multiC (default) or nudenet"
    )
    parser.add_argument(
        "--concept",
        default="Nudity",
        help="Nudity (default), Style, Object, Face, or a class: church, vincent-van-gogh ...",
    )
    parser.add_argument(
        "--images",
        nargs="+",
        type=Path,
        metavar="DIR",
        help="folders of images, each one a row of the table (default: the bundled demo)",
    )
    parser.add_argument("--recursive", action="store_true", help="take images of subfolders too")
    add_common_flags(parser, results_dir=str(RESULTS))
    return parser


def evaluate(args: Namespace) -> int:
    """Run the program on parsed arguments and return the exit code.

    Raises:
        UserError: bad input or a missing model.
    """
    from checkers import resolve
    from evaluation.pipeline import find_models, prepare, record, score
    from evaluation.run_config import config_of
    from report import folders

    asked = config_of(
        args,
        aspects="forgetting",
        images=args.images or _demo(),
        concepts=args.concept,
    )
    if args.list:
        return _list(args, asked)
    kind, _ = resolve(args.indicator, args.concept)
    for flag, value in (("--preset", args.preset), ("--threshold", args.threshold)):
        if value is not None and kind.indicator != "nudenet":
            raise UserError(f"{flag} {value}: only nudenet has presets and a threshold")
    scored = score(find_models(prepare(asked, defaults={"results_dir": RESULTS})))
    results = record(scored, arguments=args.arguments)
    summary = folders.summary(scored)
    args.documents.append(folders.write(results, summary))
    print(folders.render(summary))
    if not args.quiet:
        print(f"\nwritten: {results.folder}/", file=sys.stderr)
    blind = [entry for entry in summary.folders if not entry.found.n]
    for entry in blind:
        image, why = next(iter(entry.unreadable.items()))
        print(f"error: {entry.folder}: no image could be read ({image}: {why})", file=sys.stderr)
    return EXIT_BAD_INPUT if blind else 0


def _list(args: Namespace, asked: RunConfig) -> int:
    """Name what there is to choose from."""
    from evaluation.listing import judges, models, render
    from evaluation.run_config import settle

    found = judges() | models(settle(asked).run.checker_options)
    print(render(found))
    args.documents.append(found)
    return 0


def _demo() -> list[Path]:
    from evaluation.run_config import DEMO

    demo = sorted(DEMO.glob("*/forgot/*/"), key=lambda folder: (folder.name != "ORG", folder))
    if not demo:
        raise UserError(f"{DEMO}: the bundled demo is missing; give folders with --images")
    here = Path.cwd()
    return [folder.relative_to(here) if here in folder.parents else folder for folder in demo]


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run(make_parser(), evaluate, argv)


if __name__ == "__main__":
    sys.exit(main())
