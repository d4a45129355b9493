"""What changed between two results folders."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Any

from analysis.compare import LEVEL, Comparison, Untested, compare_scores, p_text
from metrics.spec import ScoreKey
from records.model import Results


@dataclass(frozen=True)
class Change:
    """A score in two results folders.

    Attributes:
        before, after: None where a folder has no such score, or it is not defined.
        test: of after minus before, on the images that both have; or why there is none.
    """

    key: ScoreKey
    before: float | None
    after: float | None
    test: Comparison | Untested

    @property
    def difference(self) -> float | None:
        """After minus before; where there is a test, on the images that it is of."""
        if isinstance(self.test, Comparison):
            return self.test.difference
        return None if self.before is None or self.after is None else self.after - self.before


def diff(one: Results, two: Results) -> list[Change]:
    """Compare the scores of two results folders, those of either included."""
    keys = dict.fromkeys((*one.by_key, *two.by_key))
    return [
        Change(key, _value(one, key), _value(two, key), compare_scores(two, key, one, key))
        for key in keys
    ]


def _value(results: Results, key: ScoreKey) -> float | None:
    row = results.by_key.get(key)
    return row.value if row else None


def changed_software(one: Results, two: Results) -> list[str]:
    """Return a line for each package, model's weights and checker's head or preset that differ.

    Packages, models and checkers that only one of the folders has used are left out.
    """
    first, second = (_software(results) for results in (one, two))
    return [
        f"{owner} {name}: {before} -> {after}"
        for owner in sorted(first.keys() & second.keys())
        for name in sorted(_told(owner, first[owner].keys(), second[owner].keys()))
        if (before := first[owner].get(name, "-")) != (after := second[owner].get(name, "-"))
    ]


def _told(owner: str, one: Set[str], two: Set[str]) -> Set[str]:
    """What is compared: a run whose rows were stored already loads fewer packages."""
    return one & two if owner == "package" else one | two


def _software(results: Results) -> dict[str, dict[str, Any]]:
    """What scores depend on; of several runs into one folder, as the last that used it has it."""
    found: dict[str, dict[str, Any]] = {}
    for run in reversed(results.runs):
        found["package"] = run.get("packages", {})
        owners = {f"model {name}": said for name, said in run.get("models", {}).items()}
        owners |= {f"checker of {name}": said for name, said in run.get("checkers", {}).items()}
        owners |= {
            f"indicator {name} of {concept}": said
            for concept, several in run.get("indicators", {}).items()
            for name, said in several.items()
        }
        for owner, provenance in owners.items():
            # Not where a file is: the digest beside it says which it is.
            found[owner] = {k: v for k, v in provenance.items() if not k.endswith(("path", "head"))}
    return found


def render(one: Results, two: Results) -> str:
    """Return the table for the terminal; ``*`` marks what is more than chance."""
    from tabulate import tabulate

    changes = [c for c in diff(one, two) if c.before != c.after]
    body = [
        [
            change.key.concept,
            change.key.method,
            change.key.column,
            _number(change.before),
            _number(change.after),
            "" if change.difference is None else f"{change.difference:+.4g}" + _mark(change.test),
            _p(change.test),
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


def _mark(test: Comparison | Untested) -> str:
    return "*" if isinstance(test, Comparison) and test.p < LEVEL else ""


def _p(test: Comparison | Untested) -> str:
    return f"not tested: {test.reason}" if isinstance(test, Untested) else p_text(test.p)
