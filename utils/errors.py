"""Errors that are for people: one line that says what is wrong, where, and the mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from utils.download import Published


class UserError(Exception):
    """Bad input or a missing model. The CLIs print it as one line and exit with 2."""


class MissingModelError(UserError):
    """A model that is not on this machine; what needs none of it can still be scored.

    Attributes:
        source: where it is published; None where it comes with a package.
        place: where to put it.
        why: what kept it from being downloaded.
    """

    def __init__(
        self, message: str, source: Published | None = None, place: str = "", why: str = ""
    ) -> None:
        super().__init__(message)
        self.source = source
        self.place = place
        self.why = why


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``" (did you mean X?)"`` for the closest of ``known``, or ``""``.

    >>> did_you_mean("Charch", ["church", "tench"])
    ' (did you mean church?)'
    """
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f" (did you mean {by_lower[close[0]]}?)" if close else ""
