"""What is scored: concepts, methods and aspects, read from a ``benchmark.yaml``.

Everything is checked when the file is loaded, and the first mistake is reported with its line.
Folders are relative to the data root; prompt files are relative to the YAML file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any

from utils.errors import UserError, did_you_mean
from utils.name_to_id import normalise

if TYPE_CHECKING:
    from yaml import Node

TASKS = ("nudity", "style", "object")


@dataclass(frozen=True)
class Concept:
    """A concept that was unlearned, and where its images and prompts are.

    Attributes:
        name: the key of the YAML file and of the prompt sets.
        task: one of ``TASKS``.
        forgot: folder of the method folders with images of the concept's prompts.
        remove_word: folder of ``ORG`` with images of the same prompts without the concept.
        reference_fallback: folder of images, relative to the parent of ``forgot``, that stands
            in when ``remove_word`` is not there (``forgot/ORG``).
        unrelated: folder of the method folders with one folder for each category.
        categories: folder of an unrelated category -> prompt class index, the ``i`` of its files.
        classes: prompt class index, the ``i`` of the files in ``forgot`` -> class in the prompts.
        words: what CSDR removes from a prompt so that the rest does not speak of the concept.
        checkers: indicator -> its name of the concept.
        shared_seeds: an image and the reference's of its name were drawn from the same noise.
    """

    name: str
    task: str
    forgot: str
    remove_word: str | None = None
    reference_fallback: str | None = None
    unrelated: str | None = None
    categories: Mapping[str, int] = field(default_factory=dict)
    classes: Mapping[int, str] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    checkers: Mapping[str, str] = field(default_factory=dict)
    shared_seeds: bool = False


@dataclass(frozen=True)
class Method:
    """An unlearning method: its folder (typos of published data included) and its proper name."""

    folder: str
    name: str
    year: int | None = None
    paper: str | None = None


@dataclass(frozen=True)
class PromptFiles:
    """The prompts of ``forgot`` images, and of ``remove_word`` and ``unrelated`` ones."""

    forgot: Path
    retain: Path


@dataclass(frozen=True)
class BenchmarkConfig:
    """A checked ``benchmark.yaml``; ``path`` is where it was read."""

    concepts: Mapping[str, Concept]
    methods: tuple[Method, ...]
    aspects: tuple[str, ...]
    prompts: PromptFiles | None
    path: Path


def load_config(path: Path, indicators: Iterable[str], aspects: Iterable[str]) -> BenchmarkConfig:
    """Read and check a ``benchmark.yaml``.

    Args:
        indicators: the names that ``checkers`` of a concept may have.
        aspects: the names that ``aspects`` may list.

    Raises:
        UserError: the file cannot be read, or its first mistake: ``FILE:LINE: what is wrong``.
    """
    root = _Entry(_compose(path), "top level", 1, path)
    indicators, aspects = tuple(indicators), tuple(aspects)
    values = root.record(
        {
            "aspects": lambda entry: entry.distinct(lambda item: item.one_of(aspects)),
            "prompts": _prompts,
            "concepts": lambda entry: _concepts(entry, indicators),
            "methods": _methods,
        },
        required=("aspects", "concepts"),
    )
    return BenchmarkConfig(**{"methods": (), "prompts": None, **values}, path=path)


def _compose(path: Path) -> Node:
    import yaml

    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text: {error.reason} at byte {error.start}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise UserError(
            f"{path}:{mark.line + 1}: not YAML: {error.problem or error.context}"
        ) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UserError(f"{path}:{line}: not YAML: {error.reason}") from None
    if node is None:
        raise UserError(f"{path}:1: the file is empty; copy dataset/benchmark.yaml")
    return node


def _prompts(entry: _Entry) -> PromptFiles:
    fields = {"forgot": _Entry.file_beside, "retain": _Entry.file_beside}
    return PromptFiles(**entry.record(fields, required=tuple(fields)))


def _concepts(entry: _Entry, indicators: tuple[str, ...]) -> dict[str, Concept]:
    concepts: dict[str, Concept] = {}
    seen: dict[str, str] = {}
    for name, item in entry.mapping(_Entry.text):
        # Names are typed by people: case, spaces, _ and - do not tell two concepts apart.
        same = seen.setdefault(normalise(name), name)
        if same != name:
            raise item.wrong(f"is the same name as {same}")
        concepts[name] = _concept(item, name, indicators)
    return concepts


def _concept(entry: _Entry, name: str, indicators: tuple[str, ...]) -> Concept:
    fields: dict[str, Callable[[_Entry], Any]] = {
        "task": lambda item: item.one_of(TASKS),
        "forgot": _Entry.folder,
        "remove_word": _Entry.folder,
        "reference_fallback": _Entry.folder,
        "unrelated": _Entry.folder,
        "categories": _categories,
        "classes": lambda item: {i: value.text() for i, value in item.mapping(_Entry.index)},
        "words": lambda item: item.distinct(_Entry.text),
        "checkers": lambda item: {
            key: value.text() for key, value in item.mapping(lambda k: k.one_of(indicators))
        },
        "shared_seeds": _Entry.boolean,
    }
    values = entry.record(fields, required=("task", "forgot"))
    if "categories" in values and "unrelated" not in values:
        raise entry.wrong("has categories but no unrelated")
    return Concept(name, **values)


def _categories(entry: _Entry) -> dict[str, int]:
    categories: dict[str, int] = {}
    for folder, item in entry.mapping(_Entry.folder_name):
        index = item.index()
        # Prompts of unrelated images are looked up by this index alone.
        if index in categories.values():
            raise item.wrong(f"has index {index}, which another category has too")
        categories[folder] = index
    return categories


def _methods(entry: _Entry) -> tuple[Method, ...]:
    methods: dict[str, Method] = {}
    fields = {
        "folder": _Entry.folder_name,
        "name": _Entry.text,
        "year": _Entry.index,
        "paper": _Entry.text,
    }
    for item in entry.sequence():
        method = Method(**item.record(fields, required=("folder", "name")))
        if method.folder in methods:
            raise item.wrong(f"{method.folder} is listed twice")
        methods[method.folder] = method
    return tuple(methods.values())


@dataclass(frozen=True)
class _Entry:
    """A node of the YAML file: what messages call it, and the line of its key or item."""

    node: Node
    what: str
    line: int
    file: Path

    def wrong(self, problem: str) -> UserError:
        return UserError(f"{self.file}:{self.line}: {self.what}: {problem}")

    def record(
        self, fields: Mapping[str, Callable[[_Entry], Any]], required: tuple[str, ...]
    ) -> dict[str, Any]:
        """Read a mapping with known keys, each with its reader, in the order of the file."""
        values = {
            key: fields[key](entry) for key, entry in self.mapping(lambda k: k.one_of(fields))
        }
        for key in required:
            if key not in values:
                raise self.wrong(f"lacks {key}")
        return values

    def mapping(self, key_reader: Callable[[_Entry], Any]) -> Iterable[tuple[Any, _Entry]]:
        """Yield key and entry of a mapping that is not empty and has no key twice."""
        if self.node.id != "mapping":
            raise self.wrong(f"must be `key: value` lines, not {self._found()}")
        if not self.node.value:
            raise self.wrong("is empty")
        seen = set()
        for key_node, node in self.node.value:
            line = key_node.start_mark.line + 1
            key = key_reader(_Entry(key_node, f"{self.what}: key", line, self.file))
            if key in seen:
                raise UserError(f"{self.file}:{line}: {self.what}: {key} is there twice")
            seen.add(key)
            yield key, _Entry(node, str(key), line, self.file)

    def sequence(self) -> list[_Entry]:
        """Return the items of a list that is not empty."""
        if self.node.id != "sequence":
            raise self.wrong(f"must be a list, not {self._found()}")
        if not self.node.value:
            raise self.wrong("is empty")
        return [_Entry(n, self.what, n.start_mark.line + 1, self.file) for n in self.node.value]

    def distinct(self, reader: Callable[[_Entry], str]) -> tuple[str, ...]:
        """Read a list that has nothing twice."""
        values: list[str] = []
        for item in self.sequence():
            value = reader(item)
            if value in values:
                raise item.wrong(f"{value} is listed twice")
            values.append(value)
        return tuple(values)

    def text(self) -> str:
        value = self._scalar()
        if not isinstance(value, str):
            hint = " (put it in quotes)" if self.node.id == "scalar" and self.node.value else ""
            raise self.wrong(f"must be text, not {self._found()}{hint}")
        if len(value.strip().splitlines()) != 1:
            raise self.wrong("must be one line of text")
        return value.strip()

    def index(self) -> int:
        value = self._scalar()
        if type(value) is not int or value < 0:  # True and False are ints to Python
            raise self.wrong(f"must be a whole number from 0, not {self._found()}")
        return value

    def boolean(self) -> bool:
        value = self._scalar()
        if not isinstance(value, bool):
            raise self.wrong(f"must be true or false, not {self._found()}")
        return value

    def one_of(self, known: Iterable[str]) -> str:
        value = self.text()
        if value not in known:
            listed = ", ".join(known)
            hint = did_you_mean(value, known)
            raise self.wrong(f"{value} is not known{hint}; there are {listed}")
        return value

    def folder(self) -> str:
        """Read a folder below the data root."""
        value = self.text()
        # Windows' rules know both separators, and drives; anything else is a plain name to them.
        path = PureWindowsPath(value)
        if path.anchor or ".." in path.parts:
            raise self.wrong(f"{value} must be below the data root: not absolute, no ..")
        return value

    def folder_name(self) -> str:
        """Read the name of one folder, without a path."""
        value = self.folder()
        if len(PureWindowsPath(value).parts) != 1:
            raise self.wrong(f"{value} must be the name of a folder, not a path")
        return value

    def file_beside(self) -> Path:
        """Read the path of a file, relative to the YAML file."""
        path = self.file.parent / self.text()
        if not path.is_file():
            raise self.wrong(f"{path}: no such file")
        return path

    def _scalar(self) -> Any:
        """Return the value of a scalar as YAML types it; other nodes as they are."""
        import yaml

        if self.node.id != "scalar":
            return self.node
        try:
            return yaml.SafeLoader("").construct_object(self.node)
        except (yaml.YAMLError, ValueError) as error:  # an unknown !tag, the 31st of February
            raise self.wrong(f"is no value: {getattr(error, 'problem', error)}") from None

    def _found(self) -> str:
        if self.node.id != "scalar":
            return {"mapping": "`key: value` lines", "sequence": "a list"}[self.node.id]
        return " ".join(self.node.value.split())[:40] or "nothing"
