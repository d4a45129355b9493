"""What ``--list`` names: concepts, methods, metrics, indicators with their presets, models."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from checkers import CHECKERS
from checkers.nudenet import PRESETS
from metrics import specs
from utils.config import BenchmarkConfig
from utils.name_to_id import NAME_TO_ID

Table = list[dict[str, Any]]


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
    """Return what each indicator judges, the classes behind it, and the presets of nudenet."""
    indicators = [
        {"indicator": name, "concept": concept}
        for name in CHECKERS
        for concept in dict.fromkeys(CHECKERS[name].concepts().values())
    ]
    classes = [
        {"concept": task, "class": name} for task, names in NAME_TO_ID.items() for name in names
    ]
    presets = [
        {
            "concept": concept,
            "preset": name,
            "labels": len(preset.labels),
            "threshold": preset.threshold,
            "used by": preset.source,
            "caution": preset.caution,
        }
        for concept, presets in PRESETS.items()
        for name, preset in presets.items()
    ]
    return {"indicators": indicators, "classes": classes, "presets": presets}
