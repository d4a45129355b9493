"""Text that is shown."""

from __future__ import annotations

import re

# Control characters, line separators, and what turns the direction of writing: all of them move
# what stands beside them on a terminal or in a table.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    r"""Replace control characters by backslash escapes, so that a name stays on its line.

    >>> print(printable("a\rb.png"))
    a\rb.png
    """
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
