"""What ``manifest.json`` says of a run: enough to check it, and to make the report."""

from __future__ import annotations

import ast
import inspect
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

from checkers import Checker
from evaluation.calibration import Labelled
from evaluation.run import Models, Plan
from extractors.stats import is_constant
from features.engine import Extraction
from features.loading import ImageRecord
from inputs.config import BenchmarkConfig
from inputs.layout import MethodFolder, Task, method_entries
from metrics import specs
from model_files.digests import file_sha256
from records.files import folder_digest
from utils import plugins
from utils.device import used_device
from utils.version import VERSION, commit

# What starts from a fixed seed, so that the same images give the same numbers.
SEEDS = {"intervals and tests": 0, "kid: groups of images": 0, "fid_infinity: subsets": 0}


def run_manifest(
    *,
    started: datetime,
    device: str,
    config: BenchmarkConfig,
    tasks: Sequence[Task],
    planned: Plan,
    models: Models,
    extraction: Extraction,
    labelled: Sequence[Labelled],
    calibration: Mapping[str, Any],
    texts: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the manifest of a run.

    Args:
        device: as asked for on the command line.
        calibration: concept -> what its labelled images said of each checker.
        texts: concept -> scope -> what the samples of a prompt share -> the prompt's text.
    """
    used = {extractor.name: extractor for extractor in models.used(planned.cells)}
    files = (config.path, *(vars(config.prompts).values() if config.prompts else ()))
    return {
        "version": VERSION,
        "commit": commit(),
        "command": sys.argv,
        "started": started.isoformat(timespec="seconds"),
        "seconds": round((datetime.now(UTC) - started).total_seconds(), 3),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": packages(used.values()),
        "folder": str(Path.cwd()),
        "device": used_device(device),
        "seeds": SEEDS,
        "models": {name: extractor.provenance for name, extractor in used.items()},
        "folders": _folders(tasks, extraction, labelled),
        "metrics": [asdict(spec) for spec in specs()],
        "checkers": {
            cell.task.name: _named(cell.checkers[0])
            for cell in planned.cells
            if cell.aspect.judges == "preferred"
        },
        "stand_ins": {cell.task.name: cell.stand_in for cell in planned.cells if cell.stand_in},
        "indicators": {
            cell.task.name: {checker.name: _said_of(checker) for checker in cell.checkers}
            for cell in planned.cells
            if cell.aspect.judges == "all"
        },
        "calibration": calibration,
        "with_reference": sorted(
            {cell.aspect.name for cell in planned.cells if cell.aspect.uses_reference}
        ),
        "places": [
            _place(task, folder.method.folder, folder, extraction)
            for task in tasks
            for folder in task.methods
        ],
        "references": [
            _place(task, "", task.reference, extraction) for task in tasks if task.reference
        ],
        # Plain folders without a concept are about nobody knows what.
        "tasks": {t.concept.name: t.concept.task for t in tasks if _is_configured(t, config)},
        "method_folders": {
            str(parent): sorted(path.name for path in method_entries(parent))
            for parent in {folder.folder.parent for task in tasks for folder in task.methods}
        },
        "titles": {f.method.folder: f.method.name for task in tasks for f in task.methods},
        "prompts": texts,
        "config": {str(path): file_sha256(path) for path in files} | dict(plugins.loaded()),
        "not_scored": [
            {"aspect": one.aspect, "concept": one.task, "reason": one.reason}
            for one in planned.skipped
        ],
    }


def packages(models: Iterable[Any]) -> dict[str, str]:
    """Return the version of every distribution that took part.

    These are of all modules that are loaded, and of what the modules of ``models`` import:
    a model whose rows were stored already is not loaded again.
    """
    loaded = {name.partition(".")[0] for name in sys.modules}
    for module in {type(model).__module__ for model in models}:
        for node in ast.walk(ast.parse(inspect.getsource(sys.modules[module]))):
            if isinstance(node, ast.Import):
                loaded |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                loaded.add(node.module.partition(".")[0])
    known = packages_distributions()
    names = {name for module in loaded for name in known.get(module, ())}
    return {name: version(name) for name in sorted(names, key=str.casefold)}


def _is_configured(task: Task, config: BenchmarkConfig) -> bool:
    return config.concepts.get(task.concept.name) == task.concept


def _folders(
    tasks: Sequence[Task], extraction: Extraction, labelled: Sequence[Labelled]
) -> dict[str, str]:
    """Digests of the folders of which an image was read."""
    found = {
        str(folder.folder): folder_digest(
            (folder.name(image), extraction.records[image].digest)
            for image in folder.images
            if image in extraction.records
        )
        for task in tasks
        for folder in task.folders
        if any(image in extraction.records for image in folder.images)
    }
    for one in labelled:
        found |= one.digests(extraction)
    return found


def _named(checker: Checker) -> dict[str, Any]:
    return {"name": checker.name, "indicator": checker.indicator, **_about(checker)}


def _said_of(checker: Checker) -> dict[str, Any]:
    """What tells a checker from another one of its name."""
    return {"score": checker.score_name, **_about(checker)}


def _about(checker: Checker) -> dict[str, Any]:
    sensitive = checker.concept in checker.sensitive
    return {**checker.provenance, "extractor": checker.extractor.id, "sensitive": sensitive}


def _place(
    task: Task, method: str, folder: MethodFolder, extraction: Extraction
) -> dict[str, str | int]:
    """Where images are, how many files there are, and how many of those are no images."""
    records = [extraction.records[image] for image in folder.images if image in extraction.records]
    return {
        "concept": task.concept.name,
        "scope": task.scope,
        "method": method,
        "folder": str(folder.folder),
        "images": len(folder.images),
        "unreadable": sum(record.error is not None for record in records),
        "distinct": _distinct(records, extraction),
    }


def _distinct(records: Sequence[ImageRecord], extraction: Extraction) -> int:
    """Images that are copies of no other, and not of one grey level."""
    digests = sorted({record.digest for record in records if record.error is None})
    return int((~is_constant(extraction.tables["stats"].get(digests))).sum()) if digests else 0
