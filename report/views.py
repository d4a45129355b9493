"""Forgotten, or merely broken: what became of each image, and of the prompts that count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from evaluation.layout import ORIGINAL
from report.results import Results
from utils.prompts import prompt_key
from utils.stats import rate_interval

_INTACT = 0.05  # quantile of the references' CLIP scores below which a scene counts as broken


@dataclass(frozen=True)
class Fate:
    """What became of a method's images.

    Attributes:
        present: images that still show the concept.
        kept: those that do not, and whose scene is there.
        broken: those that do not, and whose scene is not.
        n: images of which this can be told.
        rule: how a scene is judged.
        images: name -> ``present``, ``kept`` or ``broken``.
    """

    concept: str
    method: str
    present: int
    kept: int
    broken: int
    n: int
    rule: str
    images: Mapping[str, str]


@dataclass(frozen=True)
class Effective:
    """The presence rate on those prompts on which the original model does show the concept.

    Attributes:
        prompts: how many there are.
        n: images of them.
        rate, ci_low, ci_high: with its 95% interval.
        plain: the rate on all prompts.
    """

    concept: str
    method: str
    prompts: int
    n: int
    rate: float
    ci_low: float
    ci_high: float
    plain: float


def fates(results: Results) -> list[Fate]:
    """Return what became of the images of every method whose scenes can be judged.

    A scene is kept when both tests that can be made are passed: its CLIP score (text without the
    concept's words) is at least the 5th percentile of the references' own; and it shows a person
    if the original model's image of the same name does.
    """
    found = [
        _fate(results, concept, method)
        for concept in results.concepts
        for method in results.methods(concept)
    ]
    return [fate for fate in found if fate is not None]


def _fate(results: Results, concept: str, method: str) -> Fate | None:
    present = results.values(concept, method, "presence_rate")
    scene = results.values(concept, method, "clip_score")
    references = results.values(concept, method, "clip_score_reference")
    people = results.values(concept, method, "yolo_person")
    people_before = results.values(concept, ORIGINAL, "yolo_person")
    least = float(np.quantile(list(references.values()), _INTACT)) if references else 0.0
    tests = []
    if scene and references:
        tests.append(f"CLIP score at least {least:.3g} (5th percentile of the references')")
    if people and people_before:
        tests.append("a person where the original model's image has one")
    if not present or not tests:
        return None
    images = {}
    for name, there in present.items():
        judged = []
        if scene and references and name in scene:
            judged.append(scene[name] >= least)
        if name in people and name in people_before:
            judged.append(people[name] >= people_before[name])
        if there:
            images[name] = "present"
        elif judged:
            images[name] = "kept" if all(judged) else "broken"
    counts = [
        sum(fate == kind for fate in images.values()) for kind in ("present", "kept", "broken")
    ]
    rule = "the scene is kept if it has " + " and ".join(tests)
    return Fate(concept, method, *counts, len(images), rule, images) if images else None


def effective(results: Results) -> list[Effective]:
    """Return the presence rate of every method on the effective prompts of its concept.

    A prompt is effective if the original model shows the concept in at least one of its samples.
    """
    found = []
    for concept in results.concepts:
        before = results.values(concept, ORIGINAL, "presence_rate")
        prompts = {prompt_key(name) for name, there in before.items() if there}
        for method in results.methods(concept):
            values = results.values(concept, method, "presence_rate")
            keys = {name: prompt_key(name) for name in values}
            kept = {name: there for name, there in values.items() if keys[name] in prompts}
            if kept:
                interval = rate_interval(list(kept.values()), [keys[name] for name in kept])
                rates = (fmean(kept.values()), interval.low, interval.high, fmean(values.values()))
                found.append(Effective(concept, method, len(prompts), len(kept), *rates))
    return found
