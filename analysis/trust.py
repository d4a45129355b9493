"""What a number must be before a gate may rely on it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from analysis.fitness import judged_rate, unfit
from analysis.verify import Finding, verify_run
from inputs.layout import ORIGINAL, method_entries
from metrics.indicators import RATE_BY
from metrics.spec import ScoreKey
from records.model import Results, ScoreRow
from utils.errors import UserError

_REFERENCE = ""  # the method of a place that is a reference


@dataclass(frozen=True)
class Terms:
    """What a gate looks at, and what it demands of the numbers.

    Attributes:
        concepts, methods: names of those it looks at; None for all of the results.
        judge: indicator of the checker that must have judged, None for any.
        preset: its preset, None for any.
        most_unreadable: share of a folder's files, and of images that the original model has,
            that may have given no number.
        allow_unfit: also take the word of a judge that ``analysis.fitness`` calls unfit.
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
class Trust:
    """Tells what speaks against the numbers of a results folder."""

    results: Results
    terms: Terms

    @cached_property
    def places(self) -> dict[tuple[str, str, str], Mapping[str, Any]]:
        """(concept, method, scope) -> what the last run that looked there found.

        The method of a reference is ``_REFERENCE``.
        """
        return {
            _place_key(place): place
            for run in reversed(self.results.runs)
            for place in _places(run)
        }

    def against(self, row: ScoreRow) -> str:
        """What speaks against a score, to stand after its name; empty if nothing does."""
        return self._unsound(row) or self._incomplete(row) or self._misjudged(row)

    def why_not_scored(self, key: ScoreKey) -> str:
        """Why the last run did not compute a score, with a colon before; empty if not known."""
        aspect = self.results.spec(key.metric).aspect
        reasons = (
            f": {one['reason']}"
            for one in self.results.manifest.get("not_scored", ())
            if one["aspect"] == aspect and one["concept"].partition(" (")[0] in ("", key.concept)
        )
        return next(reasons, "")

    def verify(self, keys: Sequence[ScoreKey]) -> None:
        """Make sure that what numbers of earlier runs were computed from is what it was.

        Raises:
            UserError: images, weights or prompts have changed since, or are gone.
        """
        passed_over = self.results.manifest.get("passed_over", ())
        if passed_over and self.terms.methods is None:
            raise UserError(
                f"gate: {next(iter(passed_over))}; move it away, or name the methods with --methods"
            )
        for run in self.results.runs:
            mine = [key for key in keys if self.results.run_of.get(key) is run]
            if not mine or (self.terms.fresh and run is self.results.manifest):
                continue
            wanted = {
                (key.concept, method, key.scope)
                for key in mine
                for method in (key.method, ORIGINAL, _REFERENCE)
            }
            places = [place for place in _places(run) if _place_key(place) in wanted]
            self._insist(verify_run(run, {place["folder"] for place in places}))
            methods = [place for place in places if place["method"] != _REFERENCE]
            self._insist_on_all(run, {Path(place["folder"]).parent for place in methods})

    def _insist(self, findings: Sequence[Finding]) -> None:
        for one in findings:
            if not one.stands:
                raise UserError(
                    f"gate: {one.kind} {one.path} {'is' if one.kind != 'images' else 'are'} "
                    f"{one.state} since {self.results.folder} was scored; score again"
                )

    def _insist_on_all(self, run: Mapping[str, Any], parents: Collection[Path]) -> None:
        """No method has come since: a gate of all methods would pass without it."""
        if self.terms.methods is not None:
            return
        for folder, names in run.get("method_folders", {}).items():
            if Path(folder) in parents:
                entries = method_entries(Path(run["folder"], folder))
                now = {path.name for path in entries if not path.name.startswith(".")}
                for name in sorted(now - set(names)):
                    raise UserError(
                        f"gate: {Path(folder, name)} has come since {self.results.folder} was "
                        "scored; score again, or name the methods with --methods"
                    )

    def judge(self, key: ScoreKey) -> str:
        """Who judged, for people: a pass is worth no more than its judge."""
        if judged_rate(self.results, key.column) is None:
            return ""
        name = key.column.removeprefix(RATE_BY)
        if self._is_judged(key):
            said = self.results.judge_of(key)
            name = " ".join(filter(None, (said.get("name"), said.get("preset"))))
        tried = self.results.by_key.get(key._replace(method=ORIGINAL))
        against = "tried on the original model's images" if tried else "tried on no original model"
        return f"{key.concept} by {name}, {against}"

    def _is_judged(self, key: ScoreKey) -> bool:
        return self.results.spec(key.metric).aspect == "forgetting"

    def _untried(self, row: ScoreRow) -> str:
        """Why nothing shows that the judge ever finds the concept; empty where something does."""
        seen_by = judged_rate(self.results, row.column)
        if seen_by is None:
            return ""
        tried = ScoreKey.of(row.concept, ORIGINAL, seen_by) in self.results.by_key
        labelled = any(row.concept in run.get("calibration", {}) for run in self.results.runs)
        return "" if tried or labelled else "there is no original model to try it on"

    @cached_property
    def _unfit(self) -> dict[tuple[str, str], str]:
        return unfit(self.results)

    def _unsound(self, row: ScoreRow) -> str:
        run = self.results.run_of.get(row.key)
        if run is None:
            return "is of no run that the manifest knows"
        if row.stale:
            return "is of images that have changed since; score it again"
        if why := self.why_not_scored(row.key):
            return f"could not be scored by the last run{why}"
        if run.get("partial"):
            return f"is of the first {run.get('limit')} images of each folder only"
        return ""

    def _incomplete(self, row: ScoreRow) -> str:
        place = self.places.get((row.concept, row.method, row.scope))
        if place is None:
            return "is of a folder that the manifest does not know"
        if not place["images"]:
            return "is of a folder without an image"
        original = self.places.get((row.concept, ORIGINAL, row.scope), place)
        images = max(place["images"], original["images"])
        counted = min(row.n, place["distinct"], images - self._without_counterpart(row))
        if images - counted > self.terms.most_unreadable * images:
            alone = f", {place['distinct']} of them different and not of one grey level"
            return (
                f"is of {row.n} of {images} images{alone if place['distinct'] < row.n else ''}: "
                "what is missing, a copy or gave no number is more than --max-unreadable allows "
                f"({self.terms.most_unreadable:.0%})"
            )
        return ""

    def _without_counterpart(self, row: ScoreRow) -> int:
        """Images of the original model that a method has none of the name of."""
        own, original = (
            {PurePosixPath(name).with_suffix("") for name in found.names} if found else set()
            for method in (row.method, ORIGINAL)
            for found in [self.results.per_image.get(row.key._replace(method=method))]
        )
        return len(original - own) if own else 0

    def _misjudged(self, row: ScoreRow) -> str:
        """What is wrong with who judged."""
        reason = self._unfit.get((row.concept, row.column)) or self._untried(row)
        if reason and not self.terms.allow_unfit:
            return f"is by an unfit judge: {reason} (--allow-unfit-judge takes its word)"
        if not self._is_judged(row.key):
            return ""
        judge = self.results.judge_of(row.key)
        stand_in = self.results.run_of[row.key].get("stand_ins", {}).get(row.concept)
        if self.terms.judge is None and stand_in:
            return f"is {stand_in}; name that checker with --indicator if it is to decide"
        for flag, wanted, used in (
            ("--indicator", self.terms.judge, judge.get("indicator")),
            ("--preset", self.terms.preset, judge.get("preset")),
        ):
            if wanted is not None and wanted != used:
                return f"was judged by {used}, not by {flag} {wanted}"
        return ""


def _places(run: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Where a run found images: of methods, and of references."""
    return [*run.get("places", ()), *run.get("references", ())]


def _place_key(place: Mapping[str, Any]) -> tuple[str, str, str]:
    return place["concept"], place["method"], place["scope"]
