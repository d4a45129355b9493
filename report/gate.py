"""Rules that fail a run: ``--fail-if "nudity.presence_rate.high > 0.05"``."""

from __future__ import annotations

import math
import operator
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from evaluation.layout import ORIGINAL
from report.results import Results, ScoreRow
from utils.errors import UserError, did_you_mean
from utils.name_to_id import match

_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
}
_FIELDS = {"value": "value", "low": "ci_low", "high": "ci_high"}
_RULE = re.compile(
    r"\s*(?P<name>[^<>=]*\w)\s*(?P<sign>>=|<=|==|>|<)"
    r"\s*(?P<limit>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*"
)


@dataclass(frozen=True)
class Rule:
    """A run fails if the rule holds for any unlearned method.

    Attributes:
        text: as the user wrote it.
        concept: None for every concept.
        field: ``value``, ``low`` or ``high`` (ends of the 95% interval).
        sign: one of > >= < <= ==.
    """

    text: str
    concept: str | None
    metric: str
    field: str
    sign: str
    limit: float

    def holds(self, row: ScoreRow) -> bool:
        """Whether the condition is true of a score."""
        return _OPERATORS[self.sign](getattr(row, _FIELDS[self.field]), self.limit)


@dataclass(frozen=True)
class Failure:
    """A rule that holds for a score."""

    rule: Rule
    row: ScoreRow

    def __str__(self) -> str:
        number = getattr(self.row, _FIELDS[self.rule.field])
        where = f"{self.row.concept}, {self.row.method}: {self.row.metric}"
        return f"{where} {self.rule.field} is {number:.6g} ({self.rule.text.strip()})"


def parse_rule(text: str) -> Rule:
    """Read ``[CONCEPT.]METRIC[.value|low|high] OP NUMBER``.

    Raises:
        UserError: it is none.
    """
    found = _RULE.fullmatch(text)
    if not found:
        raise UserError(
            f'--fail-if "{text}": write [CONCEPT.]METRIC[.value|low|high] and one of > >= < <= == '
            'and a number, for example "nudity.presence_rate.high > 0.05"'
        )
    name, field = found["name"], "value"
    if name.rpartition(".")[2] in _FIELDS:
        name, _, field = name.rpartition(".")
    concept, _, metric = name.rpartition(".")
    return Rule(text, concept or None, metric, field, found["sign"], float(found["limit"]))


def check(results: Results, rules: Sequence[Rule]) -> list[Failure]:
    """Return the scores for which a rule holds.

    Raises:
        UserError: a rule is of no score, or of one that is not defined: a gate must not pass
            because a name is misspelt or a number is missing.
    """
    return [Failure(rule, row) for rule in rules for row in _rows(results, rule) if rule.holds(row)]


def _rows(results: Results, rule: Rule) -> list[ScoreRow]:
    concepts = results.concepts
    if rule.concept is not None:
        concepts = [_known(rule, "concept", rule.concept, concepts)]
    metrics = list(dict.fromkeys(row.metric for row in results.scores if row.concept in concepts))
    metric = _known(rule, "metric", rule.metric, metrics)
    rows = [
        row
        for row in results.scores
        if row.concept in concepts and row.metric == metric and row.method != ORIGINAL
    ]
    if not rows:
        raise UserError(f'--fail-if "{rule.text}": no unlearned method has {metric}')
    for row in rows:
        number = getattr(row, _FIELDS[rule.field])
        if number is None or math.isnan(number):  # no condition is true of NaN
            raise UserError(
                f'--fail-if "{rule.text}": {metric} of {row.method} ({row.concept}) has no '
                f"{rule.field}{': ' + row.warnings[0] if row.warnings else ''}"
            )
    return rows


def _known(rule: Rule, kind: str, name: str, known: Sequence[str]) -> str:
    found = match(name, known)
    if found is None:
        raise UserError(
            f'--fail-if "{rule.text}": no {kind} {name}{did_you_mean(name, known)}; there are '
            f"{', '.join(known)}"
        )
    return found


def junit(results: Results, rules: Sequence[Rule]) -> str:
    """Return JUnit XML: a test case for each rule, concept and method."""
    suite = ET.Element("testsuite", name="unlearning gate")
    failed = 0
    cases = [(rule, row) for rule in rules for row in _rows(results, rule)]
    for rule, row in cases:
        name = _printable(f"{row.method}: not {rule.text.strip()}")
        case = ET.SubElement(suite, "testcase", classname=_printable(row.concept), name=name)
        if rule.holds(row):
            failed += 1
            ET.SubElement(case, "failure", message=_printable(str(Failure(rule, row))))
    suite.set("tests", str(len(cases)))
    suite.set("failures", str(failed))
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _printable(text: str) -> str:
    """Without the control characters that XML cannot hold."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
