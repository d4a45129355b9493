"""What is known of a metric before anything is scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

_UNRELATED = "_object"  # after the name of a metric of unrelated images
Kind = Literal["rate", "mean", "set"]
Role = Literal["presence", "damage", "quality", "side"]
Scope = Literal["forgot", "unrelated"]
SCOPES: tuple[Scope, ...] = ("forgot", "unrelated")


@dataclass(frozen=True)
class MetricSpec:
    """A metric, declared beside the code that computes it.

    Attributes:
        name: as in ``scores.csv``; of a family the start of several metrics' names.
        title: what it is, in a few words.
        aspect: the ``--evaluation-aspect`` that computes it.
        kind: ``rate`` (each image is 0 or 1), ``mean`` (over images or pairs) or ``set`` (of all
            images together). It decides which interval and which test a score gets.
        role: what it says: whether the concept is there, what else broke, how good the images are,
            or something beside.
        unit: ``""``, ``"%"`` or ``"dB"``; rates without unit are in [0, 1].
        higher_is_better: None where neither direction is.
        low, high: what its values can be, both ends included; None where there is no end.
        family: there are several, such as one a checker.
        shown: in tables; not what says the same as another metric, or the same of every method.
        compared: between methods, for the same reason.
        distance: it says how far images are from the reference's, if its aspect uses one.
        same_n: biased by the number of images: values of different n are never compared.
        scopes: on which images it is defined.
        definition: one sentence: formula or variant, and source.
    """

    name: str
    title: str
    aspect: str
    kind: Kind
    role: Role
    unit: str = ""
    higher_is_better: bool | None = None
    low: float | None = None
    high: float | None = None
    family: bool = False
    shown: bool = True
    compared: bool = True
    distance: bool = True
    same_n: bool = False
    scopes: tuple[Scope, ...] = SCOPES
    definition: str = ""

    def describes(self, metric: str) -> bool:
        """Whether this is the spec of a metric."""
        return metric.startswith(self.name) if self.family else metric == self.name


class ScoreKey(NamedTuple):
    """What tells a score from every other one.

    Attributes:
        method: the folder's name.
        metric: its name, the same in both scopes.
    """

    concept: str
    scope: Scope
    method: str
    metric: str

    @classmethod
    def of(cls, concept: str, method: str, column: str) -> ScoreKey:
        """The key of a method's score by its column."""
        metric, scope = parse_column(column)
        return cls(concept, scope, method, metric)

    @property
    def column(self) -> str:
        """The metric's name in CSV files, tables and rules: scopes are told apart."""
        return column(self.metric, self.scope)


def column(metric: str, scope: Scope) -> str:
    """Return a metric's name in CSV files, tables and rules."""
    return metric if scope == "forgot" else metric + _UNRELATED


def parse_column(name: str) -> tuple[str, Scope]:
    """Return metric and scope of a name in CSV files, tables and rules.

    >>> parse_column("fid_object")
    ('fid', 'unrelated')
    """
    metric = name.removesuffix(_UNRELATED)
    return metric, "forgot" if metric == name else "unrelated"
