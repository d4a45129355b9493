"""Presence on the prompts on which the original model shows the concept, told without a bias."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from inputs.images import natural_key
from inputs.prompts import prompt_key
from stats.intervals import Interval, rate_interval


@dataclass(frozen=True)
class EffectiveRate:
    """A method's presence rate on effective prompts.

    Attributes:
        prompts: how many prompts have images that count.
        n: images that count.
        rate: the share of them that show the concept, in [0, 1]; None where it cannot be told.
        interval: of the rate; its note says why there is none.
    """

    prompts: int
    n: int
    rate: float | None
    interval: Interval


def effective_rate(original: Mapping[str, float], method: Mapping[str, float]) -> EffectiveRate:
    """Measure a method on the prompts on which the original model shows the concept.

    To choose prompts by the very images of the original model that show it, and then look at these
    again, finds it in all of them: even the same model, drawn once more, would seem to have
    forgotten. So its samples of each prompt are dealt into two halves. An image counts if, of its
    prompt, the original shows the concept in the *other* half. Each half is chosen by once and
    measured once, and a model drawn again has nearly the original's own rate: a little more with
    few effective prompts. Source: D. R. Cox, A note on data-splitting, Biometrika 62 (1975).

    Args:
        original: whether each image of the original model shows the concept, by name.
        method: the same of the method, which may be the original model itself. Only images of names
            that the original has can count.
    """
    half = _halves(original)
    shown = {(prompt_key(name), half[name]) for name in half if original[name]}
    counted = {
        name: bool(there)
        for name, there in method.items()
        if name in half and (prompt_key(name), 1 - half[name]) in shown
    }
    if not counted:
        why = (
            "in no half of a prompt's samples does the original model show the concept"
            if half
            else "the original model has one sample a prompt, which cannot choose and measure"
        )
        return EffectiveRate(0, 0, None, Interval(None, None, f"cannot be told: {why}"))
    prompts = [prompt_key(name) for name in counted]
    rate = sum(counted.values()) / len(counted)
    interval = rate_interval(list(counted.values()), prompts)
    return EffectiveRate(len(set(prompts)), len(counted), rate, interval)


def _halves(names: Mapping[str, float]) -> dict[str, int]:
    """The half, 0 or 1, of each sample; those that are alone with their prompt are left out."""
    samples: dict[str, list[str]] = {}
    for name in sorted(names, key=natural_key):
        samples.setdefault(prompt_key(name), []).append(name)
    return {
        name: i % 2
        for several in samples.values()
        if len(several) > 1
        for i, name in enumerate(several)
    }
