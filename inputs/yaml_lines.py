"""YAML as plain data, with the line of every value, so that what is wrong with it has its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import yaml
from yaml import MappingNode, Node, ScalarNode, SequenceNode

from utils.errors import CombinedError, UserError
from utils.files import read_text

LARGEST = 1_000_000  # bytes of a file
MOST_NODES = 100_000  # of a file, each alias counted as all that it stands for
MOST_SHOWN = 20  # mistakes
KEY = "[key]"  # behind a key in a location: the key itself, as pydantic has it

Location = tuple[int | str, ...]  # keys and indices from the top


class _Place(NamedTuple):
    """Where a value stands, what messages call it, and what is there."""

    line: int
    name: str
    text: str


class Document:
    """A YAML file as plain data, and what is wrong with it.

    No key of a mapping and no text of a list may be there twice, and nothing may be empty.

    Attributes:
        data: dicts, lists, and what YAML makes of the rest.

    Raises:
        UserError: it cannot be read, is no YAML, or is too large or too deep.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._places: dict[Location, _Place] = {}
        self._unread: set[Location] = set()
        self._mistakes: list[tuple[int, str]] = []
        self._loader = yaml.SafeLoader("")
        self.data = self._read(_compose(path), (), 1, "top level")

    def where(self, *at: int | str) -> str:
        """Return ``FILE:LINE`` of the value at a location."""
        return f"{self.path}:{self._place(at).line}"

    def found(self, at: Location) -> str:
        """Return what is at a location, for a message."""
        return self._place(at).text

    def wrong(self, at: Location, problem: str) -> None:
        """Note what is wrong with a value, or a key, unless it could not even be read."""
        value = at[:-2] if at[-1:] == (KEY,) else at
        if not any(value[:n] in self._unread for n in range(len(value) + 1)):
            place = self._place(at)
            self._mistakes.append((place.line, f"{place.name}: {problem}"))

    def check(self) -> None:
        """Raise what is wrong, in the order of the file.

        Raises:
            UserError: ``FILE:LINE: what is wrong`` each.
        """
        ordered = sorted(self._mistakes, key=lambda mistake: mistake[0])
        lines = [f"{self.path}:{line}: {problem}" for line, problem in ordered]
        if len(lines) > MOST_SHOWN:
            lines[MOST_SHOWN:] = [f"{self.path}: and {len(lines) - MOST_SHOWN} more mistakes"]
        if lines:
            raise CombinedError([UserError(line) for line in lines])

    def _place(self, at: Location) -> _Place:
        return next(self._places[at[:n]] for n in range(len(at), -1, -1) if at[:n] in self._places)

    def _read(self, node: Node, at: Location, line: int, name: str) -> Any:
        self._places[at] = _Place(line, name, _text(node))
        if isinstance(node, SequenceNode) and node.value:
            return self._list(node, at, name)
        if isinstance(node, MappingNode) and node.value:
            return self._dict(node, at, name)
        value = self._scalar(node, at)
        if value is None:
            self.wrong(at, "is empty")
            self._unread.add(at)
        return value

    def _scalar(self, node: Node, at: Location) -> Any:
        if not isinstance(node, ScalarNode):
            return None
        try:
            return self._loader.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:  # an unknown !tag, the 31st of February
            self.wrong(at, f"is no value: {getattr(error, 'problem', error)}")
            self._unread.add(at)
            return None

    def _list(self, node: SequenceNode, at: Location, name: str) -> list[Any]:
        values: list[Any] = []
        texts: set[str] = set()
        for i, item in enumerate(node.value):
            value = self._read(item, (*at, i), item.start_mark.line + 1, name)
            if isinstance(value, str):
                if value in texts:
                    self.wrong((*at, i), f"{value} is listed twice")
                texts.add(value)
            values.append(value)
        return values

    def _dict(self, node: MappingNode, at: Location, name: str) -> dict[int | str, Any]:
        values: dict[int | str, Any] = {}
        for key_node, value_node in node.value:
            line, text = key_node.start_mark.line + 1, _text(key_node)
            key = self._scalar(key_node, at)
            if isinstance(key, bool) or not isinstance(key, int | str):
                self._mistakes.append((line, f"{name}: key: must be text, not {text}"))
            elif key in values:
                self._mistakes.append((line, f"{name}: {key} is there twice"))
            else:
                self._places[(*at, key, KEY)] = _Place(line, f"{name}: key", text)
                values[key] = self._read(value_node, (*at, key), line, str(key))
        return values


def _text(node: Node) -> str:
    if isinstance(node, ScalarNode):
        return " ".join(node.value.split())[:40] or "nothing"
    return "a list" if isinstance(node, SequenceNode) else "`key: value` lines"


def _compose(path: Path) -> Node:
    text = read_text(path, LARGEST)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        nodes = _count(node, {}) if node is not None else 0
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise UserError(f"{path}{line}: not YAML: {error.problem or error.context}") from None
    except yaml.reader.ReaderError as error:
        number = text.count("\n", 0, error.position) + 1
        raise UserError(f"{path}:{number}: not YAML: {error.reason}") from None
    except RecursionError:
        raise UserError(f"{path}: nested too deep to be a configuration") from None
    if node is None:
        raise UserError(f"{path}:1: the file is empty; copy dataset/benchmark.yaml")
    if nodes > MOST_NODES:
        raise UserError(f"{path}: its aliases (*) stand for over {MOST_NODES} values")
    return node


def _count(node: Node, known: dict[int, float]) -> float:
    """Return how many nodes the aliases of ``node`` stand for; one within itself for infinitely."""
    if id(node) not in known:
        known[id(node)] = float("inf")
        children = [] if isinstance(node, ScalarNode) else node.value
        if isinstance(node, MappingNode):
            children = [one for pair in children for one in pair]
        known[id(node)] = 1 + sum(_count(child, known) for child in children)
    return known[id(node)]
