"""Errors that are for people: one line that says what is wrong, where, and the mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from utils.name_to_id import normalise

_CONTAINED = 4  # letters of a word that may stand for a longer one


class UserError(Exception):
    """Bad input or a missing model. The CLIs print it as one line and exit with 2."""

    @property
    def lines(self) -> list[str]:
        """What the CLIs print: a line an error."""
        return [" ".join(str(self).split())]


class CombinedError(UserError):
    """Several at once, so that all can be fixed at one go."""

    def __init__(self, errors: Sequence[UserError]) -> None:
        super().__init__("\n".join(map(str, errors)))
        self.errors = errors

    @property
    def lines(self) -> list[str]:
        return [line for error in self.errors for line in error.lines]


class MissingModelError(UserError):
    """A model that is not on this machine; what needs none of it can still be scored.

    Attributes:
        url: where it is published; empty where it comes with a package.
        place: where to put it.
        why: what kept it from being downloaded.
        what: the model in a few words; the message where there are none.
        megabytes: about how large it is.
    """

    def __init__(
        self,
        message: str,
        url: str = "",
        place: str = "",
        why: str = "",
        what: str = "",
        megabytes: float | None = None,
    ) -> None:
        super().__init__(message)
        self.url = url
        self.place = place
        self.why = why
        self.what = what or message
        self.megabytes = megabytes


def reason(error: BaseException) -> str:
    """Return what an exception says, in one line.

    Of errors of the network that which was first: libraries wrap it several times.

    >>> reason(OSError(2, "No such file or directory"))
    'No such file or directory'
    """
    inner: BaseException | None = error if isinstance(error, OSError) else None
    while inner is not None:
        error = inner if isinstance(inner, OSError) else error
        inner = inner.__cause__ or (None if inner.__suppress_context__ else inner.__context__)
    text = getattr(error, "strerror", None) or str(error)
    return (text.strip() or type(error).__name__).splitlines()[0]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``" (did you mean X?)"`` for the closest of ``known``, or ``""``.

    Case, spaces, ``_`` and ``-`` do not matter. Where none is close, the shortest that contains
    the word is meant.

    >>> did_you_mean("Charch", ["church", "tench"]), did_you_mean("Gogh", ["vincent-van-gogh"])
    (' (did you mean church?)', ' (did you mean vincent-van-gogh?)')
    """
    wanted = normalise(word)
    by_form = {normalise(name): name for name in known}
    close = difflib.get_close_matches(wanted, by_form, n=1, cutoff=0.6)
    if not close and len(wanted) >= _CONTAINED:
        close = sorted((form for form in by_form if wanted in form), key=len)
    return f" (did you mean {by_form[close[0]]}?)" if close else ""
