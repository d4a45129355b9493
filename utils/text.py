"""Text that is safe to print and to write."""

from __future__ import annotations

import unicodedata

_TURNS = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


def printable(text: str) -> str:
    r"""Return ``text`` with its control characters as escapes, so that a name stays in its line.

    Line ends, terminal sequences, bytes that are no UTF-8, and marks that turn the direction of
    writing are escaped; so is a backslash beside them, that no two names become one.

    >>> printable("a\rb")
    'a\\rb'
    """
    if not any(map(_is_control, text)):
        return text
    return "".join(
        character.encode("unicode_escape", "backslashreplace").decode("ascii")
        if character == "\\" or _is_control(character)
        else character
        for character in text
    )


def _is_control(character: str) -> bool:
    return (
        unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(character) in _TURNS
    )
