"""Score methods: aspects x concepts x methods -> results/.

python benchmark.py --evaluation-aspect all --data-root DIR
python benchmark.py --check --data-root DIR
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import report.cli
from utils.cli import EXIT_BAD_INPUT, Parser, add_common_flags, run, store_dir
from utils.errors import UserError
from utils.settings import config_path, environment, settle

if TYPE_CHECKING:
    from analysis.compare import Ties
    from evaluation.audit import MethodAudit
    from evaluation.run import Cell, Models, Plan, Prompts, Result
    from inputs.config import BenchmarkConfig
    from inputs.layout import Task
    from metrics.base import Aspect
    from records.results import Results

DATASET = Path(__file__).parent / "dataset"
DEMO = DATASET / "Benchmarking_images_demo"
RESULTS = Path("results/benchmark")
ALIASES = {"forggeting": "forgetting"}  # the published spelling
EXIT_FALSIFIED = 1


def make_parser() -> Parser:
    """Return the argument parser."""
    parser = Parser(description="Score what unlearning did: forgetting, and what else broke.")
    parser.add_argument(
        "--evaluation-aspect",
        nargs="+",
        metavar="ASPECT",
        help="forgetting, indicators, fid (with KID), lpips, yolo, CSDR, ssim, psnr, or all "
        "(default)",
    )
    parser.add_argument(
        "--object",
        nargs="?",
        type=boolean,
        const=True,
        default=False,
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
    add_common_flags(parser, results_dir=str(RESULTS))
    report.cli.add_flags(parser)
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
    started = datetime.now(UTC)
    if args.json and report.cli.wanted(args) and not args.evaluation_aspect:
        raise UserError("--json goes with a run, --check or --list")
    if args.verify or args.diff:
        environment(os.environ)  # nothing of it is needed, but a misspelt variable is refused
        report.cli.check_flags(args)
        return report.cli.look_back(args)
    config = _settled(args)
    _check_arguments(args)
    if args.list:
        return _list(args, config)
    if not args.evaluation_aspect and not args.check:
        return _finished(args, config)
    from evaluation.audit import audit_names
    from inputs.grouping import parse_grouping
    from inputs.layout import grouped, limited
    from utils.device import check_device
    from utils.files import check_writable

    aspects = _aspects(args, config)
    if args.calibration and "indicators" not in {aspect.name for aspect in aspects}:
        raise UserError(
            "--calibration tries the checkers of the aspect indicators; add it to "
            "--evaluation-aspect"
        )
    check_device(args.device)
    tasks = _tasks(args, config)
    passed_over = _passed_over(args, config, tasks)
    for line in passed_over:  # also when quiet: nothing else would say that it is not in the scores
        print(line, file=sys.stderr)
    report.cli.check_names(args, tasks)
    if args.limit:
        tasks = [limited(task, args.limit) for task in tasks]
    if args.group_by:
        grouping = parse_grouping(args.group_by)
        tasks = [grouped(task, grouping) for task in tasks]
    prompts = _prompts(config)
    check_writable(args.results_dir, "--results-dir")
    by_prompts = args.check or any(aspect.uses_prompts for aspect in aspects)
    audits = [
        audit
        for task in tasks
        for audit in audit_names(task, prompts(task) if by_prompts else None)
    ]
    if args.check:
        return _check(args, tasks, audits, prompts)
    results, tied = _score(
        args, config, tasks, aspects, audits, prompts, started, passed_over=passed_over
    )
    report.cli.write(args, results, tied)
    return report.cli.finish(args, results, _concepts(args, config), fresh=True)


def _finished(args: Namespace, config: BenchmarkConfig) -> int:
    """Report, compare and gate the results of an earlier run."""
    from analysis.compare import ties
    from records.results import read_results

    results = read_results(args.report or args.results_dir)
    if args.report:
        report.cli.write(args, results, ties(results))
    return report.cli.finish(args, results, _concepts(args, config), fresh=False)


def _settled(args: Namespace) -> BenchmarkConfig:
    """Complete the arguments by the environment and the configuration, which is returned."""
    from checkers import CHECKERS
    from inputs.config import load_config
    from metrics import ASPECTS

    path = config_path(args) or DATASET / "benchmark.yaml"
    config = load_config(path, CHECKERS, ASPECTS, report.cli.check_rule)
    if args.evaluation_aspect:
        args.evaluation_aspect = [
            name for given in args.evaluation_aspect for name in given.strip(",").split(",")
        ]
    elif not (args.check or args.list or report.cli.wanted(args)):
        args.evaluation_aspect = ["all"]
    settings = config.settings
    if not args.evaluation_aspect and settings.gates:
        if not args.list:
            print(f"gates of {path} are for runs that score: not looked at", file=sys.stderr)
        settings = replace(settings, gates=())
    settle(args, settings, {"results_dir": RESULTS})
    return config


def _list(args: Namespace, config: BenchmarkConfig) -> int:
    """Name what there is to choose from."""
    from evaluation.listing import configured, judges, models, render

    root = args.data_root or DEMO
    found = configured(config, root) | judges() | models(_models(args).options)
    print(render(found))
    args.documents.append(found)
    return 0


def _check_arguments(args: Namespace) -> None:
    from checkers.nudenet import check_rule

    report.cli.check_flags(args)
    check_rule(args.preset, args.threshold)
    if args.limit and (args.check or args.fail_if or not args.evaluation_aspect):
        raise UserError(
            "--limit is for a trial run: no --check, no gate and no earlier results go with it"
        )
    if args.calibration and not args.evaluation_aspect:
        raise UserError("--calibration goes with --evaluation-aspect indicators")
    if args.reference is None:
        return
    if args.data_root is None:
        raise UserError("--reference needs --data-root, the folder that holds <METHOD>/*.png")
    if args.object:
        raise UserError("--reference goes with plain method folders, which have no unrelated/")
    if args.concepts and len(args.concepts) > 1:
        raise UserError("--reference compares folders of one concept; give one with --concepts")


def _aspects(args: Namespace, config: BenchmarkConfig) -> list[Aspect]:
    from metrics import ASPECTS

    names = [ALIASES.get(name, name) for name in args.evaluation_aspect or ()]
    if "all" in names:
        names = list(config.aspects)
    return [ASPECTS[name]() for name in dict.fromkeys(map(ASPECTS.canonical, names))]


def _concepts(args: Namespace, config: BenchmarkConfig) -> list[str] | None:
    """The concepts that ``--concepts`` names, as the configuration does."""
    from inputs.layout import concept_name

    return args.concepts and [concept_name(config, name) for name in args.concepts]


def _tasks(args: Namespace, config: BenchmarkConfig) -> list[Task]:
    from inputs.layout import find_tasks, plain_task

    if args.reference is None:
        root = args.data_root or DEMO
        return find_tasks(
            config,
            root,
            concepts=args.concepts,
            methods=args.methods,
            unrelated=args.object,
            with_original=bool(args.fail_if),  # a gate's judge is tried on it
        )
    concept = args.concepts[0] if args.concepts else None
    return [
        plain_task(config, args.data_root, args.reference, concept=concept, methods=args.methods)
    ]


def _passed_over(args: Namespace, config: BenchmarkConfig, tasks: Sequence[Task]) -> list[str]:
    """A line for what lies where methods or concepts are looked for, and is scored as none."""
    from inputs.layout import unknown_concepts

    concepts = []
    if args.reference is None and args.concepts is None:
        concepts = unknown_concepts(config, args.data_root or DEMO)
    return [*concepts, *(line for task in tasks for line in task.not_scored)]


def _prompts(config: BenchmarkConfig) -> Callable[[Task], Prompts | None]:
    """Return a function from a task to its prompts by (i, j); None where it has none."""
    from inputs.prompts import check_words, forgot_prompts, load_prompts, unrelated_prompts

    load = cache(load_prompts)

    def prompts(task: Task) -> Prompts | None:
        if config.prompts is None:
            return None
        if task.scope == "unrelated":
            return unrelated_prompts(load(config.prompts.retain), task.concept) or None
        found = forgot_prompts(load(config.prompts.forgot), task.concept)
        check_words(task.concept, found.values(), config.path)
        return found or None

    return prompts


def _check(
    args: Namespace,
    tasks: Sequence[Task],
    audits: Sequence[MethodAudit],
    prompts: Callable[[Task], Prompts | None],
) -> int:
    """Audit alone: print the table, write ``check.json``."""
    from evaluation.audit import audit_images, audit_prompts, render
    from extractors.stats import StatsExtractor
    from features.engine import extract
    from features.store import FeatureStore
    from records.files import write_json

    stats = StatsExtractor()
    folders = [folder for task in tasks for folder in task.folders]
    with store_dir(args) as root:
        extraction = extract(
            {image: [stats] for folder in folders for image in folder.images},
            FeatureStore(root),
            batch_size=256,
            workers=args.workers,
            progress=not args.quiet,
        )
        audits = audit_images(audits, extraction)
    tokenizer = _tokenizer(args)
    if tokenizer:
        audits = audit_prompts(audits, prompts, tokenizer)
    write_json(args.results_dir / "check.json", {"audit": [a.as_json() for a in audits]})
    print(render(audits))
    args.documents.append({"audit": [audit.as_json() for audit in audits]})
    if not tokenizer:
        print("\nprompts over 77 tokens: not counted, no tokenizer of clip_score on this machine")
    return EXIT_FALSIFIED if any(audit.falsifies for audit in audits) else 0


def _tokenizer(args: Namespace) -> Path | None:
    """The ``tokenizer.json`` that CSDR would use, if it is on this machine."""
    from extractors.clip import TOKENIZER_FILES, ClipScoreExtractor
    from model_files.download import no_downloads
    from model_files.hub import find_hub_model

    model = dict(args.model).get("clip_score", ClipScoreExtractor.default_model)
    try:
        with no_downloads():
            folder = find_hub_model("clip_score", model, TOKENIZER_FILES)
    except UserError:
        return None
    file = folder / "tokenizer.json"
    return file if file.is_file() else None


def _score(
    args: Namespace,
    config: BenchmarkConfig,
    tasks: Sequence[Task],
    aspects: Sequence[Aspect],
    audits: Sequence[MethodAudit],
    prompts: Callable[[Task], Prompts | None],
    started: datetime,
    *,
    passed_over: Sequence[str],
) -> tuple[Results, Ties]:
    """Score, write and show; returns all results of the folder, and the ties among them."""
    from analysis.compare import ties
    from analysis.ranking import ranking, trials
    from compat import igmu
    from evaluation.audit import audit_images, short
    from evaluation.calibration import find_labelled
    from evaluation.manifest import run_manifest
    from evaluation.output import read_earlier, score_rows, write_results
    from evaluation.run import joined, plan, score_all, wanted_rows
    from extractors.stats import StatsExtractor
    from features.engine import extract
    from features.store import FeatureStore
    from records import generation
    from records.results import read_results
    from report.terminal import table
    from utils.device import default_batch_size

    read_earlier(args.results_dir)  # before hours of work: what is there must be ours
    models = _models(args)
    everything = "all" in args.evaluation_aspect
    planned = plan(tasks, aspects, models, prompts, everything=everything)
    _insist(planned, aspects, everything=everything)
    cells = _noted(planned.cells, args)
    if not args.quiet:
        print(short(audits), file=sys.stderr)
    images, pairs = wanted_rows(planned.cells, models, StatsExtractor())
    labelled = find_labelled(args.calibration, planned.cells) if args.calibration else []
    texts = _prompt_texts(tasks, prompts)
    more = [one.wanted() for one in labelled]
    if args.compat:
        more.append(igmu.wanted(planned.cells, models))
    for image, extractors in (item for one in more for item in one.items()):
        images[image] = joined(images.get(image, ()), extractors)
    with store_dir(args) as root:
        store = FeatureStore(root)
        extraction = extract(
            images,
            store,
            pairs=pairs,
            batch_size=args.batch_size or default_batch_size(args.device),
            workers=args.workers,
            progress=not args.quiet,
        )
        audits = audit_images(audits, extraction)
        scored = score_all(cells, audits, extraction, store, models, prompts)
        several = len({cell.aspect.name for cell in planned.cells}) > 1
        results = list(_shown(scored) if several and not args.quiet else scored)
        published = igmu.rows(results, extraction, store, models, prompts) if args.compat else []
        calibration = {one.concept: one.as_json(extraction, store) for one in labelled}
    manifest = run_manifest(
        started=started,
        device=args.device,
        config=config,
        tasks=tasks,
        planned=planned,
        models=models,
        extraction=extraction,
        results=results,
        labelled=labelled,
        calibration=calibration,
        texts=texts,
    ) | {
        "arguments": args.arguments,
        "settings": args.sources,
        "partial": args.limit is not None,
        "limit": args.limit,
        "group_by": args.group_by,
        "groups": _groups(tasks) if args.group_by else {},
        "passed_over": list(passed_over),
    }
    with generation.held(args.results_dir):  # what is gated is what this run has written
        write_results(args.results_dir, results, manifest)
        written = read_results(args.results_dir)
    tied = ties(written)
    print("\n\n".join([*trials(written), table(results, ranking(written, tied))]))
    if args.compat:
        print(igmu.write(args.results_dir, published))
    if labelled:
        _show_calibration(written)
    _report_skipped(planned)
    args.documents.append({"scores": score_rows(results), "manifest": manifest})
    if not args.quiet:
        print(f"\nwritten: {args.results_dir}/", file=sys.stderr)
    return written, tied


def _noted(cells: Sequence[Cell], args: Namespace) -> list[Cell]:
    """Have every score of a trial run say so; of aspects with a reference the task does."""
    from inputs.layout import partial_note

    judges = {cell.checkers[0].indicator for cell in cells if cell.aspect.name == "forgetting"}
    if args.threshold is not None and "nudenet" not in judges:
        raise UserError(f"--threshold {args.threshold:g}: no concept is judged by nudenet here")
    if args.limit is None:
        return list(cells)
    return [
        cell
        if cell.aspect.uses_reference
        else replace(cell, notes=(*cell.notes, partial_note(args.limit)))
        for cell in cells
    ]


def _shown(results: Iterable[Result]) -> Iterator[Result]:
    """Print the table of an aspect, without marks and notes, as soon as its scores are there."""
    from analysis.ranking import Ranking
    from report.terminal import table

    for _, group in groupby(results, key=lambda result: result.cell.aspect.name):
        mine = list(group)
        plain = [
            replace(one, scores=[replace(score, warnings=()) for score in one.scores])
            for one in mine
        ]
        print(f"\n{table(plain, Ranking())}\n", file=sys.stderr, flush=True)
        yield from mine


def _models(args: Namespace) -> Models:
    from checkers import CHECKERS, CheckerOptions
    from evaluation.run import Models
    from utils.settings import default_cache_dir

    indicator = CHECKERS.canonical(args.indicator) if args.indicator else None
    options = CheckerOptions(
        cache_dir=args.cache_dir or default_cache_dir(),
        weights_dir=args.weights_dir,
        models=dict(args.model),
        device=args.device,
        precision=args.precision,
        preset=args.preset,
        threshold=args.threshold,
        trust_weights=args.trust_weights,
    )
    return Models(options, indicator)


def _insist(planned: Plan, aspects: Sequence[Aspect], *, everything: bool) -> None:
    """An aspect asked for by name must be scored somewhere; of ``all``, at least one."""
    scored = {cell.aspect.name for cell in planned.cells}
    if everything and scored:
        return
    for aspect in aspects:
        if aspect.name not in scored:
            first = next(one for one in planned.skipped if one.aspect == aspect.name)
            raise UserError(f"{aspect.name}: {first.reason}")


def _report_skipped(planned: Plan) -> None:
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


def _prompt_texts(
    tasks: Sequence[Task], prompts: Callable[[Task], Prompts | None]
) -> dict[str, dict[str, dict[str, str]]]:
    """Concept -> scope -> what the samples of a prompt share -> its text, for the report."""
    texts: dict[str, dict[str, dict[str, str]]] = {}
    for task in tasks:
        with suppress(UserError):  # an aspect that needs the prompts has refused by now
            texts.setdefault(task.concept.name, {})[task.scope] = task.texts(prompts(task) or {})
    return texts


def _groups(tasks: Sequence[Task]) -> dict[str, dict[str, dict[str, str]]]:
    """Concept -> scope -> image name -> its prompt, where names do not say it themselves."""
    from inputs.prompts import prompt_key

    groups: dict[str, dict[str, dict[str, str]]] = {}
    for task in tasks:
        names = {folder.name(image) for folder in task.folders for image in folder.images}
        keys = {name: prompt_key(name) for name in sorted(names)}
        groups.setdefault(task.concept.name, {})[task.scope] = keys
    return groups


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    try:
        report.cli.clear_junit(argv)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    return run(make_parser(), benchmark, argv)


if __name__ == "__main__":
    sys.exit(main())
