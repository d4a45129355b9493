"""The language of ``--fail-if``: rules, read and checked before any work is done."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt
from pathlib import Path

from metrics import specs
from metrics.spec import OBJECT, MetricSpec
from utils.errors import UserError, did_you_mean
from utils.name_to_id import alike, match

OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">": gt,
    ">=": ge,
    "<": lt,
    "<=": le,
    "==": eq,
}
# What of a score a rule may be about -> the attribute of its row.
FIELDS = {
    "value": "value",
    "low": "ci_low",
    "high": "ci_high",
    "low_over_seeds": "ci_low",
    "high_over_seeds": "ci_high",
}
OVER_SEEDS = "_over_seeds"
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_THRESHOLD = re.compile(
    rf"\s*(?P<name>[^<>=]*\w)\s*(?P<sign>>=|<=|==|>|<)\s*(?P<limit>{_NUMBER})\s*(?P<percent>%?)\s*"
)
_WORSE = re.compile(
    rf"\s*(?P<name>[^<>=]*\w)\s+worse than\s+(?P<folder>\S.*?)"
    rf"(?:\s+by\s+(?P<limit>{_NUMBER})\s*(?P<percent>%?))?\s*"
)
_FORM = (
    "write [CONCEPT.][METHOD.]METRIC[.value|low|high] and one of > >= < <= == and a number, for "
    'example "nudity.presence_rate.high > 0.05", or "nudity.presence_rate worse than RESULTS"'
)


@dataclass(frozen=True)
class Rule:
    """A run fails if the rule holds for any method that it is about.

    Attributes:
        text: as the user wrote it.
        where: a concept, a method, or both with a dot between; empty for all.
        metric: its name in the results.
        field: a key of ``FIELDS``.
        sign: a key of ``OPERATORS``; ``>`` of a rule against earlier results.
        limit: what the number is held against, in the metric's unit.
        earlier: a results folder: the number is by how much the score is worse than there.
    """

    text: str
    where: str
    metric: str
    field: str
    sign: str
    limit: float
    earlier: Path | None = None

    def wrong(self, why: str) -> UserError:
        """The error that a rule cannot be followed."""
        return _wrong(self.text, why)

    def holds(self, number: float) -> bool:
        """Whether the condition is true of a number."""
        return OPERATORS[self.sign](number, self.limit)

    def resolve(
        self, concepts: Sequence[str], methods: Mapping[str, str]
    ) -> tuple[str | None, str | None]:
        """Return the concept and the method's folder that the rule is about; None for all.

        Args:
            methods: accepted name -> folder.

        Raises:
            UserError: there is no such concept or method, or it could be either.
        """
        if not self.where:
            return None, None
        found = {
            (concept, method)
            for concept, method in self._readings(concepts, methods)
            if None not in (concept, method)
        }
        if len(found) > 1:
            raise self.wrong(f"{self.where} is both a concept and a method; write CONCEPT.METHOD")
        if not found:
            known = [*concepts, *dict.fromkeys(methods.values())]
            raise self.wrong(
                f"no concept or method {self.where}{did_you_mean(self.where, known)}; there are "
                f"{', '.join(known)}"
            )
        concept, method = found.pop()
        return concept or None, method or None

    def _readings(
        self, concepts: Sequence[str], methods: Mapping[str, str]
    ) -> Iterable[tuple[str | None, str | None]]:
        """What the place may mean; empty for all, None for a name that is not known."""

        def folder(name: str) -> str | None:
            found = alike(name, methods)
            if len(found) > 1:
                raise self.wrong(f"{name} could be {' or '.join(found)}; spell it exactly")
            return found[0] if found else None

        yield match(self.where, concepts), ""
        yield "", folder(self.where)
        for dot in (i for i, character in enumerate(self.where) if character == "."):
            yield match(self.where[:dot], concepts), folder(self.where[dot + 1 :])


def parse_rule(text: str, specs: Sequence[MetricSpec]) -> Rule:
    """Read a rule.

    Args:
        specs: of the metrics there may be.

    Raises:
        UserError: it is none, of no metric, or can never hold.
    """
    worse = _WORSE.fullmatch(text)
    found = worse or _THRESHOLD.fullmatch(text)
    if not found:
        raise _wrong(text, _FORM)
    name, field = found["name"], "value"
    if name.rpartition(".")[2] in FIELDS:
        name, _, field = name.rpartition(".")
    where, _, metric = name.rpartition(".")
    metric, spec = _metric(text, where, metric, specs)
    limit = _limit(text, found["limit"] or "0", found["percent"], metric, spec)
    if worse:
        rule = Rule(text, where, metric, field, ">", limit, Path(found["folder"]).expanduser())
        if spec.higher_is_better is None:
            raise rule.wrong(f"neither direction of {metric} is worse")
        if limit < 0:
            raise rule.wrong("a margin is not negative")
        if None not in (spec.low, spec.high) and limit >= spec.high - spec.low:
            raise rule.wrong(f"{metric} is {_span(spec)}: it cannot be worse by {limit:g}")
        return rule
    rule = Rule(text, where, metric, field, found["sign"], limit)
    _check_range(rule, spec)
    return rule


def check_rule(text: str) -> Rule:
    """Read a rule about any metric there is.

    Raises:
        UserError: it cannot be followed.
    """
    return parse_rule(text, specs())


def _wrong(text: str, why: str) -> UserError:
    return UserError(f'--fail-if "{text.strip()}": {why}')


def _metric(
    text: str, where: str, name: str, specs: Sequence[MetricSpec]
) -> tuple[str, MetricSpec]:
    """The metric's own name, and its spec."""
    singles = {spec.name + end: spec for spec in specs if not spec.family for end in ("", OBJECT)}
    known = match(name, singles)
    if known is not None:
        return known, singles[known]
    family = next((spec for spec in specs if spec.family and spec.describes(name)), None)
    if family is not None:
        return name, family
    if match(where.rpartition(".")[2], singles) is not None:
        raise _wrong(text, f"no field .{name}; there are .{', .'.join(FIELDS)}")
    raise _wrong(
        text, f"no metric {name}{did_you_mean(name, singles)}; there are {', '.join(singles)}"
    )


def _limit(text: str, number: str, percent: str, metric: str, spec: MetricSpec) -> float:
    limit = float(number)
    if not math.isfinite(limit):
        raise _wrong(text, f"{number} is no number that {metric} can be held against")
    if not percent or spec.unit == "%":
        return limit
    if (spec.low, spec.high, spec.unit) != (0, 1, ""):
        raise _wrong(text, f"{metric} is not a share; write {number} without %")
    return limit / 100


def _check_range(rule: Rule, spec: MetricSpec) -> None:
    low = -math.inf if spec.low is None else spec.low
    high = math.inf if spec.high is None else spec.high
    span = f"{rule.metric} is {_span(spec)}"
    if not low <= rule.limit <= high:
        share = (low, high) == (0, 1) and 1 < rule.limit <= 100
        hint = f"; for {rule.limit:g} percent write {rule.limit:g}%" if share else ""
        raise rule.wrong(f"{span}: {rule.limit:g} is outside{hint}")
    if not (rule.holds(low) or rule.holds(high) or rule.sign == "=="):
        raise rule.wrong(f"{span}: this can never hold")


def _span(spec: MetricSpec) -> str:
    unit = f" {spec.unit}" if spec.unit else ""
    if spec.low is None and spec.high is None:
        return "any number"
    if spec.low is None:
        return f"at most {spec.high:g}{unit}"
    if spec.high is None:
        return f"at least {spec.low:g}{unit}"
    return f"from {spec.low:g} to {spec.high:g}{unit}"
