"""The gate: whether any rule holds for any method, of numbers that can be trusted.

It fails closed. A number that is missing, not finite, of images that were replaced, of a part of
the images only, or by another judge than the one asked for is an error, never a pass.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evaluation.layout import ORIGINAL
from metrics.spec import OBJECT
from report.compare import compare_scores
from report.fitness import unfit
from report.results import Key, Results, ScoreRow, read_results
from report.rules import FIELDS, OVER_SEEDS, Rule
from report.verify import verify_run
from utils.errors import UserError, did_you_mean
from utils.name_to_id import match
from utils.stats import PROMPTS_FIXED
from utils.text import printable


@dataclass(frozen=True)
class Terms:
    """What a gate looks at, and what it demands of the numbers.

    Attributes:
        concepts, methods: names of those it looks at; None for all of the results.
        judge: indicator of the checker that must have judged, None for any.
        preset: its preset, None for any.
        most_unreadable: share of a folder's files that may have given no number.
        allow_unfit: also take the word of a judge that ``report.fitness`` calls unfit.
        fresh: the last run has just ended, so its images need not be read again.
    """

    concepts: Sequence[str] | None = None
    methods: Sequence[str] | None = None
    judge: str | None = None
    preset: str | None = None
    most_unreadable: float = 0.0
    allow_unfit: bool = False
    fresh: bool = False


@dataclass(frozen=True)
class Check:
    """A rule and a score that it is about.

    Attributes:
        number: what was held against the rule's limit.
    """

    rule: Rule
    key: Key
    number: float

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
    gate = _Gate(results, terms)
    wanted = [(rule, key) for rule in rules for key in gate.keys(rule)]
    gate.verify([key for _, key in wanted])
    return [Check(rule, key, gate.number(rule, key)) for rule, key in wanted]


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
    return "\n".join([*lines, f"gate: {len(checks)} of {len(checks)} checks passed"])


def _place(one: Check) -> str:
    return printable(f"{one.key[0]}, {one.key[1]}:")


@dataclass
class _Gate:
    """Results, and what is demanded of their numbers."""

    results: Results
    terms: Terms
    _unfit: dict[tuple[str, str], str] = field(init=False)
    _places: dict[tuple[str, str, str], Mapping[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        self._unfit = unfit(self.results)
        self._places = {}
        for run in reversed(self.results.runs):  # the last run's word counts
            for place in (*run.get("places", ()), *run.get("references", ())):
                self._places[place["concept"], place["method"], place["scope"]] = place

    def keys(self, rule: Rule) -> list[Key]:
        """The scores that a rule is about: of every method, whether it has one or not.

        Raises:
            UserError: there is none, or a name is not known.
        """
        there = dict.fromkeys(
            [(c, m, scope) for c, m, scope in self._places if m]
            + [(row.concept, row.method, _scope(row.metric)) for row in self.results.scores]
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
            if scope == _scope(rule.metric)
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
        for name in names:
            if match(name, known) is None:
                there = dict.fromkeys(known.values())
                raise UserError(
                    f"{flag} {name}: not in {self.results.folder}{did_you_mean(name, known)}; "
                    f"there are {', '.join(there)}"
                )
        return {known[match(name, known)] for name in names}

    def verify(self, keys: Sequence[Key]) -> None:
        """Make sure that what numbers of earlier runs were computed from is what it was.

        Raises:
            UserError: images, weights or prompts have changed since, or are gone.
        """
        runs = {id(run): run for key in keys if (run := self.results.run_of.get(key))}
        if self.terms.fresh:
            runs.pop(id(self.results.manifest), None)
        folders = {
            place["folder"]
            for key in keys
            for method in (key[1], ORIGINAL, "")
            if (place := self._places.get((key[0], method, _scope(key[2]))))
        }
        findings = [one for run in runs.values() for one in verify_run(run, folders)]
        for one in findings:
            if not one.stands:
                raise UserError(
                    f"gate: {one.kind} {one.path} {'is' if one.kind != 'images' else 'are'} "
                    f"{one.state} since {self.results.folder} was scored; score again"
                )

    def number(self, rule: Rule, key: Key) -> float:
        """Return what is held against a rule's limit.

        Raises:
            UserError: it is missing, or cannot be trusted.
        """
        row = self.results.by_key.get(key)
        if row is None:
            raise rule.wrong(f"{_named(key)} was not scored{self._why_not(key)}")
        for why in (self._why_unsound(rule, row), self._why_incomplete(row), self._judge(row)):
            if why:
                raise rule.wrong(f"{_named(key)} {why}")
        number = self._worse(rule, row) if rule.earlier else getattr(row, FIELDS[rule.field])
        if number is None or not math.isfinite(number):
            because = f": {row.warnings[0]}" if row.warnings else ""
            raise rule.wrong(f"{_named(key)} has no {rule.field}{because}")
        return number

    def _why_not(self, key: Key) -> str:
        aspect = self.results.spec(key[2]).aspect
        return self._skipped(self.results.manifest, key[0], aspect)

    @staticmethod
    def _skipped(run: Mapping[str, Any], concept: str, aspect: str) -> str:
        reasons = (
            one["reason"]
            for one in run.get("not_scored", ())
            if one["aspect"] == aspect and one["concept"].partition(" (")[0] in ("", concept)
        )
        return "".join(f": {reason}" for reason in list(reasons)[:1])

    def _why_unsound(self, rule: Rule, row: ScoreRow) -> str:
        run = self.results.run_of.get(row.key)
        if run is None:
            return "is of no run that the manifest knows"
        if row.stale:
            return "is of images that have changed since; score it again"
        skipped = self._skipped(self.results.manifest, row.concept, self._aspect(row))
        if skipped:
            return f"could not be scored by the last run{skipped}"
        if run.get("partial"):
            return f"is of the first {run.get('limit')} images of each folder only"
        if rule.field in ("low", "high") and PROMPTS_FIXED in row.warnings:
            return (
                f"has an interval over seeds, with its prompts fixed (too few of them): write "
                f".{rule.field}{OVER_SEEDS} if that is what you mean"
            )
        if rule.field.endswith(OVER_SEEDS) and PROMPTS_FIXED not in row.warnings:
            return f"has an interval over prompts: write .{rule.field.removesuffix(OVER_SEEDS)}"
        return ""

    def _why_incomplete(self, row: ScoreRow) -> str:
        scope = _scope(row.metric)
        place = self._places.get((row.concept, row.method, scope))
        if place is None:
            return "is of a folder that the manifest does not know"
        if not place["images"]:
            return "is of a folder without an image"
        lost = place["images"] - row.n
        if lost > self.terms.most_unreadable * place["images"]:
            return (
                f"is of {row.n} of {place['images']} images: {lost} gave no number "
                f"(--max-unreadable allows {self.terms.most_unreadable:.0%})"
            )
        return ""

    def _judge(self, row: ScoreRow) -> str:
        """What is wrong with who judged."""
        if self._aspect(row) not in ("forgetting", "indicators"):
            return ""
        reason = self._unfit.get((row.concept, row.metric))
        if reason and not self.terms.allow_unfit:
            return f"is by an unfit judge: {reason} (--allow-unfit-judge takes its word)"
        if self._aspect(row) != "forgetting":
            return ""
        run = self.results.run_of[row.key]
        judge = run.get("checkers", {}).get(row.concept, {})
        if self.terms.judge is None and row.concept in run.get("stand_ins", {}):
            return (
                f"is {run['stand_ins'][row.concept]}; name that checker with --indicator if it is "
                "to decide"
            )
        for flag, wanted, used in (
            ("--indicator", self.terms.judge, judge.get("indicator")),
            ("--preset", self.terms.preset, judge.get("preset")),
        ):
            if wanted is not None and wanted != used:
                return f"was judged by {used}, not by {flag} {wanted}"
        return ""

    def _worse(self, rule: Rule, row: ScoreRow) -> float | None:
        """By how much a score is worse than in an earlier results folder."""
        earlier = read_results(rule.earlier)
        before = earlier.by_key.get(row.key)
        if before is None or before.value is None or row.value is None:
            raise rule.wrong(f"{_named(row.key)} has no value in {rule.earlier} to compare with")
        if before.stale:
            raise rule.wrong(f"{_named(row.key)} in {rule.earlier} is of images changed since")
        sign = -1 if self.results.spec(row.metric).higher_is_better else 1
        if rule.field == "value":
            return sign * (row.value - before.value)
        test = compare_scores(self.results, row.key, earlier, row.key)
        if test is None or test.ci_low is None:
            raise rule.wrong(
                f"{_named(row.key)} and that of {rule.earlier} have no interval of their difference"
            )
        ends = sorted((sign * test.ci_low, sign * test.ci_high))
        return ends[rule.field.startswith("high")]

    def _aspect(self, row: ScoreRow) -> str:
        return self.results.spec(row.metric).aspect


def _scope(metric: str) -> str:
    return "unrelated" if metric.endswith(OBJECT) else "forgot"


def _named(key: Key) -> str:
    return f"{key[2]} of {key[1]} ({key[0]})"
