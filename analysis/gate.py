"""The gate: whether any rule holds for any method, of numbers that can be trusted.

It fails closed. A number that is missing, not finite, of images that were replaced, of a part of
the images only, or by another judge than the one asked for is an error, never a pass.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from analysis.compare import Untested, compare_scores
from analysis.trust import Terms, Trust
from evaluation.rules import FIELDS, OVER_SEEDS, Rule
from inputs.layout import ORIGINAL
from inputs.prompts import UNGROUPED
from metrics.spec import scope_of
from records.results import Key, Results, ScoreRow, read_results
from stats.intervals import PROMPTS_FIXED
from utils.errors import UserError, did_you_mean
from utils.name_to_id import alike
from utils.text import printable


@dataclass(frozen=True)
class Check:
    """A rule and a score that it is about.

    Attributes:
        number: what was held against the rule's limit.
        judge: who saw the concept or did not, and whether that judge was tried; empty where no
            judge is needed.
    """

    rule: Rule
    key: Key
    number: float
    judge: str = ""

    @property
    def failed(self) -> bool:
        return self.rule.holds(self.number)

    @property
    def distance(self) -> float:
        """How far the number is from the limit."""
        return abs(self.number - self.rule.limit)

    def __str__(self) -> str:
        concept, method, metric = self.key
        what = f"{metric} {self.rule.field}"
        if self.rule.earlier is not None:
            what += f" is worse than in {self.rule.earlier} by"
        else:
            what += " is"
        return printable(
            f"{concept}, {method}: {what} {self.number:.6g} ({self.rule.text.strip()})"
        )


def check(results: Results, rules: Sequence[Rule], terms: Terms) -> list[Check]:
    """Hold every rule against every method that it is about.

    Raises:
        UserError: a rule is about nothing, or about a number that cannot be trusted.
    """
    trust = Trust(results, terms)
    gate = _Gate(results, terms, trust)
    for rule in rules:
        check_earlier(rule, results.folder)
    wanted = [(rule, key) for rule in rules for key in gate.keys(rule)]
    found = [Check(rule, key, gate.number(rule, key), trust.judge(key)) for rule, key in wanted]
    trust.verify([key for _, key in wanted])
    return found


def check_earlier(rule: Rule, folder: Path) -> None:
    """Refuse a rule that holds a run against nothing, or against itself.

    Raises:
        UserError: there are no results of before, or they are those of ``folder``.
    """
    if rule.earlier is None:
        return
    if os.path.realpath(rule.earlier) == os.path.realpath(folder):
        raise rule.wrong("these are the results that the run writes; keep the earlier ones apart")
    read_results(rule.earlier)


def render(checks: Sequence[Check]) -> str:
    """Return a line for each failure; of a pass how much passed, and what came nearest."""
    failed = [check for check in checks if check.failed]
    if failed:
        return "\n".join(f"failed: {check}" for check in failed)
    by_rule: dict[Rule, list[Check]] = {}
    for one in checks:
        by_rule.setdefault(one.rule, []).append(one)
    lines = [
        f"passed: {rule.text.strip()}: none of {len(of)} "
        f"{'score' if len(of) == 1 else 'scores'}; nearest {_place(nearest)} {nearest.number:.6g}"
        for rule, of in by_rule.items()
        if (nearest := min(of, key=lambda one: one.distance))
    ]
    lines += [f"judge: {judge}" for judge in dict.fromkeys(one.judge for one in checks) if judge]
    return "\n".join([*lines, f"gate: {len(checks)} of {len(checks)} checks passed"])


def _place(one: Check) -> str:
    return printable(f"{one.key[0]}, {one.key[1]}:")


@dataclass(frozen=True)
class _Gate:
    """Finds the numbers that rules are about."""

    results: Results
    terms: Terms
    trust: Trust

    def keys(self, rule: Rule) -> list[Key]:
        """The scores that a rule is about: of every method, whether it has one or not.

        Raises:
            UserError: there is none, or a name is not known.
        """
        there = dict.fromkeys(
            [(c, m, scope) for c, m, scope in self.trust.places if m]
            + [(row.concept, row.method, scope_of(row.metric)) for row in self.results.scores]
        )
        concepts = list(dict.fromkeys(concept for concept, _, _ in there))
        titles = {self.results.title(method): method for _, method, _ in there}
        methods = titles | {method: method for _, method, _ in there}
        concept, method = rule.resolve(concepts, methods)
        kept_concepts = self._limit("--concepts", self.terms.concepts, {c: c for c in concepts})
        kept_methods = self._limit("--methods", self.terms.methods, methods)
        keys = [
            (c, m, rule.metric)
            for c, m, scope in there
            if scope == scope_of(rule.metric)
            and c in kept_concepts
            and m in kept_methods
            and concept in (None, c)
            and (m == method if method else m != ORIGINAL)
        ]
        if not keys:
            raise rule.wrong("no unlearned method that it could be about")
        return keys

    def _limit(self, flag: str, names: Sequence[str] | None, known: Mapping[str, str]) -> set[str]:
        if names is None:
            return set(known.values())
        kept = set()
        for name in names:
            found = alike(name, known)
            if not found:
                there = dict.fromkeys(known.values())
                raise UserError(
                    f"{flag} {name}: not in {self.results.folder}{did_you_mean(name, known)}; "
                    f"there are {', '.join(there)}"
                )
            if len(found) > 1:
                raise UserError(f"{flag} {name}: could be {' or '.join(found)}; spell it exactly")
            kept |= set(found)
        return kept

    def number(self, rule: Rule, key: Key) -> float:
        """Return what is held against a rule's limit.

        Raises:
            UserError: it is missing, or cannot be trusted.
        """
        row = self.results.by_key.get(key)
        if row is None:
            raise rule.wrong(f"{_named(key)} was not scored{self.trust.why_not_scored(key)}")
        why = self.trust.against(row) or _of_which_interval(rule, row)
        if why:
            raise rule.wrong(f"{_named(key)} {why}")
        number = self._worse(rule, row) if rule.earlier else getattr(row, FIELDS[rule.field])
        if number is None or not math.isfinite(number):
            because = f": {row.warnings[0]}" if row.warnings else ""
            raise rule.wrong(f"{_named(key)} has no {rule.field}{because}")
        return number

    def _worse(self, rule: Rule, row: ScoreRow) -> float | None:
        """By how much a score is worse than in an earlier results folder."""
        earlier = read_results(rule.earlier)
        before = earlier.by_key.get(row.key)
        if before is None or before.value is None or row.value is None:
            raise rule.wrong(f"{_named(row.key)} has no value in {rule.earlier} to compare with")
        why = Trust(earlier, replace(self.terms, judge=None, preset=None)).against(before)
        if why:
            raise rule.wrong(f"{_named(row.key)} in {rule.earlier} {why}")
        if self.results.judge_of(row.key) != earlier.judge_of(row.key):
            raise rule.wrong(f"{_named(row.key)} was judged by another checker in {rule.earlier}")
        spec = self.results.spec(row.metric)
        if spec.same_n and row.n != before.n:
            raise rule.wrong(
                f"{_named(row.key)} is of {row.n} images and that of {rule.earlier} of {before.n}, "
                "and its bias hangs on their number"
            )
        sign = -1 if spec.higher_is_better else 1
        if rule.field == "value":
            return sign * (row.value - before.value)
        test = compare_scores(self.results, row.key, earlier, row.key)
        if isinstance(test, Untested) or test.ci_low is None:
            why = test.reason if isinstance(test, Untested) else "every pair differs by the same"
            raise rule.wrong(
                f"{_named(row.key)} and that of {rule.earlier} have no interval of their "
                f"difference ({why})"
            )
        ends = sorted((sign * test.ci_low, sign * test.ci_high))
        return ends[rule.field.startswith("high")]


def _of_which_interval(rule: Rule, row: ScoreRow) -> str:
    """An interval with the prompts fixed counts only where the rule names it so."""
    if rule.earlier is not None or rule.field == "value":
        return ""
    fixed = PROMPTS_FIXED in row.warnings or UNGROUPED in row.warnings
    named = rule.field.endswith(OVER_SEEDS)
    if fixed and not named:
        return (
            f"has an interval over seeds, as if its prompts were fixed (too few of them, or names "
            f"that do not tell them): write .{rule.field}{OVER_SEEDS} if that is what you mean"
        )
    if named and not fixed:
        return f"has an interval over prompts: write .{rule.field.removesuffix(OVER_SEEDS)}"
    return ""


def _named(key: Key) -> str:
    return f"{key[2]} of {key[1]} ({key[0]})"
