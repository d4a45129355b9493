"""A table of names and classes, which plug-ins may add to; a class is imported when asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Generic, TypeVar

from utils.errors import UserError, did_you_mean
from utils.name_to_id import match

T = TypeVar("T")
Registered = TypeVar("Registered", bound=type)


class Registry(Mapping[str, type[T]], Generic[T]):
    """Lazy mapping from name to class.

    Args:
        kind: what the entries are, for messages.
        entries: name -> ``"module:Class"``.
        named: the attribute of a class that holds its name.
    """

    def __init__(self, kind: str, entries: Mapping[str, str], named: str = "name") -> None:
        self.kind = kind
        self._entries: dict[str, str | type[T]] = dict(entries)
        self._named = named

    def register(self, added: Registered) -> Registered:
        """Add a class; for use as a decorator.

        Raises:
            UserError: its name is taken, or differs from another only by case, ``_`` or ``-``.
        """
        name = getattr(added, self._named)
        taken = match(name, self._entries)
        if taken is not None:
            raise UserError(
                f"{self.kind} {name} of {added.__module__}: there is one called {taken}"
            )
        self._entries[name] = added
        return added

    def __getitem__(self, name: str) -> type[T]:
        """Return the class, imported; case, spaces, ``_`` and ``-`` do not matter.

        Raises:
            UserError: no such name.
        """
        name = self.canonical(name)
        entry = self._entries[name]
        if isinstance(entry, str):
            module, _, attribute = entry.partition(":")
            entry = self._entries[name] = getattr(import_module(module), attribute)
        return entry

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
