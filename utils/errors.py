"""Errors that are for people: one line that says what is wrong, where, and the mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Bad input or a missing model. The CLIs print it as one line and exit with 2."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``" (did you mean X?)"`` for the closest of ``known``, or ``""``.

    >>> did_you_mean("Charch", ["church", "tench"])
    ' (did you mean church?)'
    """
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f" (did you mean {by_lower[close[0]]}?)" if close else ""
