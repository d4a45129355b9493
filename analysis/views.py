"""Forgotten, or merely broken: what became of each image, and of the prompts that count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal

from analysis.effective import EffectiveRate, effective_rate
from analysis.ranking import Ranking
from inputs.layout import ORIGINAL
from inputs.prompts import prompt_key
from records.model import Results
from stats.clusters import FEWEST_CLUSTERS, student_quantile

Kind = Literal["present", "kept", "broken", "untold"]
KINDS: tuple[Kind, ...] = ("present", "kept", "broken", "untold")
_SOUND = 0.99  # of images whose scene is whole, how many the rule must leave in peace
_BLUNT = 0.25  # of a CLIP score: noise loses about 30%, which a blunter test would not see


@dataclass(frozen=True)
class Fate:
    """What became of a method's images.

    Attributes:
        counts: of images by ``KINDS``: the concept is present; or not, and the scene is kept,
            is broken, or nobody can tell.
        rule: how a scene is judged.
        images: name -> one of ``KINDS``.
    """

    concept: str
    method: str
    counts: tuple[int, ...]
    rule: str
    images: Mapping[str, Kind]


@dataclass(frozen=True)
class Effective:
    """The presence rate on those prompts on which the original model does show the concept.

    Attributes:
        found: on these, by ``effective_rate``; of the original model what it would show if it was
            drawn anew.
        plain: the rate on all prompts.
    """

    concept: str
    method: str
    found: EffectiveRate
    plain: float


@dataclass(frozen=True)
class _Scenes:
    """How the scenes of a concept are judged.

    Attributes:
        least: the CLIP score that an image with its scene has at least, by prompt; without those
            of which it cannot be told.
        peopled: prompts of which every image of the original model shows a person.
        rule: both in words.
    """

    least: Mapping[str, float]
    peopled: frozenset[str]
    rule: str


def fates(results: Results, ranking: Ranking) -> list[Fate]:
    """Return what became of the images of every method whose scenes were measured.

    An image is called broken if its CLIP score (text without the concept's words) is further below
    the mean of its prompt's references than 99% of the original model's images are, by a normal
    prediction limit from these; or if it shows no person where all of the original's images of its
    prompt do. In simulations 0.3 to 6% of whole scenes fail the first test (6% with one prompt of
    five images, about 1% from 20 images on), and 82 to 100% of losses of 30% are found where it is
    made. Without either test, and where an unfit judge does not see the concept, nothing is told.
    """
    return [
        Fate(
            concept,
            method,
            tuple(list(images.values()).count(k) for k in KINDS),
            scenes.rule,
            images,
        )
        for concept in results.concepts
        if (scenes := _scenes(results, ranking, concept))
        for method in results.methods(concept)
        if (images := _fates(results, scenes, concept, method))
    ]


def _scenes(results: Results, ranking: Ranking, concept: str) -> _Scenes | None:
    """None where no scene was measured."""
    if not {"clip_score", "yolo_person"} & set(results.columns(concept)):
        return None
    if reason := ranking.unfit.get((concept, "presence_rate")):
        return _Scenes({}, frozenset(), f"not told where the concept is not seen: {reason}")
    usual = _usual(results, concept)
    most, clip = _most(results, ranking, concept, usual)
    least = {} if most is None else {prompt: mean - most for prompt, mean in usual.items()}
    peopled = _peopled(results, concept)
    rules = [clip]
    if peopled:
        rules.append(
            "where the original model shows a person in every image of a prompt, so does a whole "
            f"scene (prompts: {len(peopled)}; where that is one image, it may be there by chance)"
        )
    return _Scenes(least, peopled, "; ".join(rules))


def _most(
    results: Results, ranking: Ranking, concept: str, usual: Mapping[str, float]
) -> tuple[float | None, str]:
    """The limit of CLIP scores, and what to say of it."""
    own = results.values(concept, ORIGINAL, "clip_score")
    falls = [
        usual[prompt_key(name)] - score for name, score in own.items() if prompt_key(name) in usual
    ]
    untold = "CLIP scores do not tell whether a scene is whole: "
    if concept in ranking.references:
        return None, f"{untold}there is no reference without the concept"
    if len(falls) < FEWEST_CLUSTERS:
        return None, f"{untold}the original model has {len(falls)} of them beside a reference's"
    if not stdev(falls):
        return None, f"{untold}the original model's differ from their references' all by the same"
    prompts = len(set(map(prompt_key, own)))
    freedom = (prompts if prompts >= FEWEST_CLUSTERS else len(falls)) - 1
    error = stdev(falls) * (1 + 1 / len(falls)) ** 0.5
    most = fmean(falls) + student_quantile(freedom, 2 * _SOUND - 1) * error
    mean = fmean(usual.values())
    if most > _BLUNT * mean:
        return None, (
            f"{untold}the original model's own images may be {most:.3g} points below the mean of "
            f"their prompt's references ({mean:.3g} over all prompts), as noise would be"
        )
    most = max(most, 0.0)
    return most, (
        f"a whole scene has a CLIP score at most {most:.3g} points below the mean of its prompt's "
        f"references, as 99% of the original model's would (told from {len(falls)}); smaller "
        "losses are not seen, nor are, at worst, a fifth of losses of 30%"
    )


def _usual(results: Results, concept: str) -> dict[str, float]:
    """The mean CLIP score of each prompt's references."""
    scores: dict[str, list[float]] = {}
    for name, score in results.values(concept, ORIGINAL, "clip_score_reference").items():
        scores.setdefault(prompt_key(name), []).append(score)
    return {prompt: fmean(several) for prompt, several in scores.items()}


def _peopled(results: Results, concept: str) -> frozenset[str]:
    people = results.values(concept, ORIGINAL, "yolo_person")
    return frozenset(map(prompt_key, people)) - {
        prompt_key(n) for n, seen in people.items() if not seen
    }


def _fates(results: Results, scenes: _Scenes, concept: str, method: str) -> dict[str, Kind]:
    scores = results.values(concept, method, "clip_score")
    people = results.values(concept, method, "yolo_person")
    images: dict[str, Kind] = {}
    for name, there in results.values(concept, method, "presence_rate").items():
        prompt, judged = prompt_key(name), []
        if prompt in scenes.least and name in scores:
            judged.append(scores[name] >= scenes.least[prompt])
        if prompt in scenes.peopled and name in people:
            judged.append(people[name] > 0)
        if there:
            images[name] = "present"
        else:
            images[name] = "untold" if not judged else "kept" if all(judged) else "broken"
    return images


def effective(results: Results, ranking: Ranking) -> list[Effective]:
    """Return the presence rate of every method on the effective prompts of its concept.

    There are none of an unfit judge, nor without images of the original model.
    """
    found = []
    for concept in results.concepts:
        before = results.values(concept, ORIGINAL, "presence_rate")
        for method in results.methods(concept) if before else ():
            values = results.values(concept, method, "presence_rate")
            if values and (concept, "presence_rate") not in ranking.unfit:
                rate = effective_rate(before, values)
                found.append(Effective(concept, method, rate, fmean(values.values())))
    return found
