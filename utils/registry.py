"""A table of names and classes; a class is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from utils.errors import UserError, did_you_mean
from utils.name_to_id import match


class Registry(Mapping[str, type]):
    """Lazy mapping from name to class.

    Args:
        kind: what the entries are, for messages.
        entries: name -> ``"module:Class"``.
    """

    def __init__(self, kind: str, entries: dict[str, str]) -> None:
        self.kind = kind
        self._entries = entries

    def __getitem__(self, name: str) -> type:
        """Import and return the class; case, spaces, ``_`` and ``-`` do not matter.

        Raises:
            UserError: no such name.
        """
        module, _, attribute = self._entries[self.canonical(name)].partition(":")
        return getattr(import_module(module), attribute)

    def canonical(self, name: str) -> str:
        """Return the registered spelling of ``name``.

        Raises:
            UserError: no such name.
        """
        found = match(name, self._entries)
        if found is None:
            known = ", ".join(self._entries)
            raise UserError(
                f"no {self.kind} {name}{did_you_mean(name, self._entries)}; there are {known}"
            )
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
