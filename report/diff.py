"""What changed between two results folders."""

from __future__ import annotations

from dataclasses import dataclass

from report.compare import LEVEL, Comparison, compare_scores
from report.results import Key, Results


@dataclass(frozen=True)
class Change:
    """A score in two results folders.

    Attributes:
        key: concept, method, metric.
        before, after: None where a folder has no such score, or it is not defined.
        test: of after minus before, on the images that both have; None where there is no test.
    """

    key: Key
    before: float | None
    after: float | None
    test: Comparison | None


def diff(one: Results, two: Results) -> list[Change]:
    """Compare the scores of two results folders, those of either included."""
    keys = dict.fromkeys((*one.by_key, *two.by_key))
    changes = []
    for key in keys:
        before, after = (results.by_key.get(key) for results in (one, two))
        values = (row.value if row else None for row in (before, after))
        changes.append(Change(key, *values, compare_scores(two, key, one, key)))
    return changes


def changed_software(one: Results, two: Results) -> list[str]:
    """Return a line for each package and each model's weights that differ."""
    lines = []
    for kind in ("packages", "models"):
        first, second = (results.manifest.get(kind, {}) for results in (one, two))
        for name in sorted(first.keys() & second.keys()):
            before, after = first[name], second[name]
            if kind == "models":
                before, after = before.get("sha256"), after.get("sha256")
            if before != after:
                lines.append(f"{name}: {before} -> {after}")
    return lines


def render(one: Results, two: Results) -> str:
    """Return the table for the terminal; ``*`` marks what is more than chance."""
    from tabulate import tabulate

    changes = [c for c in diff(one, two) if c.before != c.after]
    body = [
        [
            *change.key,
            _number(change.before),
            _number(change.after),
            "" if change.test is None else f"{change.test.difference:+.4g}" + _mark(change.test),
            "" if change.test is None else f"{change.test.p:.3f}",
        ]
        for change in changes
    ]
    header = ["concept", "method", "metric", str(one.folder), str(two.folder), "difference", "p"]
    parts = changed_software(one, two)
    if body:
        parts += [tabulate(body, header, disable_numparse=True), f"*: p below {LEVEL}, uncorrected"]
    else:
        parts.append(f"the {len(one.by_key)} scores are the same")
    return "\n".join(parts)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def _mark(test: Comparison) -> str:
    return "*" if test.p < LEVEL else ""
