"""What ``--list`` names: concepts, methods, metrics, indicators with their presets, models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from textwrap import fill
from typing import Any

from checkers import CHECKERS, CheckerOptions
from extractors import EXTRACTORS
from inputs.config import BenchmarkConfig
from metrics import specs
from model_files.download import no_downloads
from model_files.heads import find_head
from utils.errors import MissingModelError, UserError
from utils.name_to_id import NAME_TO_ID

Table = list[dict[str, Any]]
_ACROSS = 79  # characters of a line
_WIDTHS = {"about": 34, "what": 32}  # of columns of sentences


def configured(config: BenchmarkConfig, root: Path) -> dict[str, Table]:
    """Return the concepts, methods and metrics that a configuration can score.

    Args:
        root: the data root; tells which concepts have images.
    """
    concepts = [
        {
            "concept": concept.name,
            "task": concept.task,
            "folder": concept.forgot,
            "images": "here" if (root / concept.forgot).is_dir() else "not here",
            "indicators": ", ".join(concept.checkers),
        }
        for concept in config.concepts.values()
    ]
    methods = [{"method": method.folder, "name": method.name} for method in config.methods]
    metrics = [
        {
            "aspect": spec.aspect,
            "metric": spec.name + ("..." if spec.family else ""),
            "better": {True: "higher", False: "lower", None: ""}[spec.higher_is_better],
            "unit": spec.unit,
            "what": spec.title,
        }
        for spec in specs()
        if spec.aspect in config.aspects
    ]
    return {"concepts": concepts, "methods": methods, "metrics": metrics}


def judges() -> dict[str, Table]:
    """Return what each indicator judges, the classes of its heads, and the presets of detectors."""
    indicators = []
    for name in CHECKERS:
        concepts = dict.fromkeys(CHECKERS[name].concepts().values())
        classes = {task: [c for c in NAME_TO_ID[task] if c in concepts] for task in NAME_TO_ID}
        listed = {c for of_task in classes.values() for c in of_task}
        indicators += [
            {
                "indicator": name,
                "concept": concept,
                "classes": classes.get(concept, []) if listed else [],
            }
            for concept in concepts
            if concept not in listed
        ]
    presets = [
        {
            "concept": concept,
            "preset": name,
            "labels": len(preset.labels),
            "above": preset.threshold,
            "about": "; ".join(filter(None, (preset.source, preset.caution))),
        }
        for indicator in CHECKERS
        for concept, presets in CHECKERS[indicator].presets.items()
        for name, preset in presets.items()
    ]
    return {"indicators": indicators, "presets": presets}


def models(options: CheckerOptions) -> dict[str, Table]:
    """Return every model, whether it is on this machine, and where; nothing is downloaded."""
    with no_downloads():
        return {"models": [_model(name, find) for name, find in model_finders(options)]}


def model_finders(options: CheckerOptions) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield the name of each head and model that has a file, and what finds its place.

    That downloads what is missing, and raises UserError where it cannot.
    """
    layouts = (layout for name in CHECKERS for layout in CHECKERS[name].files())
    for layout in dict.fromkeys(layouts):
        yield f"head {layout}", partial(find_head, layout, options.weights_dir, options.cache_dir)
    for kind in (EXTRACTORS[name] for name in EXTRACTORS):
        if kind.option:
            yield kind.option, partial(_place, kind, options)


def _place(kind: Any, options: CheckerOptions) -> object:
    return options.extractor(kind).provenance["path"]


def _model(name: str, find: Callable[[], object]) -> dict[str, str]:
    try:
        place = find()
    except MissingModelError:
        return {"model": name, "state": "missing", "where": ""}
    except UserError as error:
        return {"model": name, "state": "wrong", "where": str(error)}
    return {"model": name, "state": "here", "where": str(place)}


def render(found: Mapping[str, Table]) -> str:
    """Return the tables for the terminal."""
    from tabulate import tabulate

    parts = []
    for title, rows in found.items():
        if title == "indicators":
            parts.append(_running(rows))
            continue
        widths = [_WIDTHS.get(column) for column in rows[0]] if rows else None
        table = tabulate(rows, "keys", disable_numparse=True, maxcolwidths=widths)
        parts.append(f"{title}\n\n{table}")
    if any(row["state"] == "missing" for row in found["models"]):
        parts.append("`python prefetch.py` downloads the missing models")
    return "\n\n".join(parts)


def _running(rows: Table) -> str:
    """Return a line an indicator and concept; classes, of which there are many, wrapped."""
    lines = [
        fill(
            f"{row['indicator']} {row['concept']}"
            + (f", and each of {', '.join(row['classes'])}" if row["classes"] else ""),
            _ACROSS,
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for row in rows
    ]
    return "\n".join(["indicators, and the concepts they judge\n", *lines])
