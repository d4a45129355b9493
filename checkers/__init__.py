"""What decides "the concept is in this image". Registry: indicator -> checker class."""

from __future__ import annotations

from collections.abc import Iterable

from checkers.base import Checker, CheckerOptions
from utils.errors import UserError, did_you_mean
from utils.name_to_id import match
from utils.registry import Registry

__all__ = ["CHECKERS", "Checker", "CheckerOptions", "by_preference", "resolve"]

CHECKERS: Registry[Checker] = Registry(
    "indicator",
    {
        "bi_multiC": "checkers.bi_multiC:BiMultiCChecker",
        "multi_multiC": "checkers.multi_multiC:MultiMultiCChecker",
        "nudenet": "checkers.nudenet:NudeNetChecker",
    },
    named="indicator",
)


def by_preference(indicators: Iterable[str]) -> list[str]:
    """Return indicators, the one first that judges where none is asked for."""
    return sorted(indicators, key=lambda name: CHECKERS[name].preference)


def resolve(indicator: str, concept: str) -> tuple[type[Checker], str]:
    """Return the checker class of ``indicator`` and its name of ``concept``; loads no model.

    Raises:
        UserError: no such indicator or concept; the message has the nearest.
    """
    indicator = CHECKERS.canonical(indicator)
    kind = CHECKERS[indicator]
    names = kind.concepts()
    found = match(concept, names)
    if found is not None:
        return kind, names[found]
    hint = did_you_mean(concept, names)
    others = [i for i in CHECKERS if i != indicator and match(concept, CHECKERS[i].concepts())]
    if others:
        raise UserError(
            f"{indicator} has no {concept}{hint}; --indicator {' or '.join(others)} has"
        )
    if not hint:
        near = {i: did_you_mean(concept, CHECKERS[i].concepts()) for i in CHECKERS}
        hint = next((f"{meant} of --indicator {i}" for i, meant in near.items() if meant), "")
    known = dict.fromkeys(names.values())
    listed = ", ".join(known) if len(known) < 12 else f"{len(known)} concepts, which --list names"
    raise UserError(f"no concept {concept}{hint}; {indicator} has {listed}")
