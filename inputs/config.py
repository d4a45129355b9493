"""What is scored, and with what: concepts, methods, aspects and settings of a ``benchmark.yaml``.

Everything is checked when the file is loaded, and all mistakes are reported with their lines.
Folders of concepts are relative to the data root; prompt files, models and the folders of settings
are relative to the YAML file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any

from utils.errors import CombinedError, UserError, did_you_mean
from utils.files import expanded, read_text
from utils.name_to_id import normalise
from utils.settings import MODELS, PLACES, Settings

if TYPE_CHECKING:
    from yaml import Node

TASKS = ("nudity", "style", "object")
BUNDLED = Path(__file__).parent.parent / "dataset"
LARGEST = 1_000_000  # bytes of a YAML file
MOST_NODES = 100_000  # of a YAML file, each alias counted as all that it stands for
MOST_SHOWN = 20  # mistakes


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
        words: what CSDR removes from a prompt so that the rest does not speak of the concept ->
            its line in the YAML file.
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
    words: Mapping[str, int] = field(default_factory=dict)
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
    settings: Settings
    path: Path


def load_config(
    path: Path,
    indicators: Iterable[str],
    aspects: Iterable[str],
    check_rule: Callable[[str], object] = str,
) -> BenchmarkConfig:
    """Read and check a ``benchmark.yaml``.

    Args:
        indicators: the names that ``checkers`` of a concept may have.
        aspects: the names that ``aspects`` may list; all of them where the file lists none.
        check_rule: raises UserError on a rule of ``gates`` that means nothing.

    Raises:
        UserError: the file cannot be read, or its mistakes: ``FILE:LINE: what is wrong`` each, in
            the order of the file.
    """
    root = _Entry(_compose(path), "top level", 1, path)
    indicators, aspects = tuple(indicators), tuple(aspects)
    fields = {
        "aspects": lambda entry: entry.distinct(lambda item: item.one_of(aspects)),
        "prompts": _prompts,
        "concepts": lambda entry: _concepts(entry, indicators),
        "methods": _methods,
        "models": lambda entry: entry.mapping(
            lambda key: key.one_of(MODELS), lambda _, value: value.model()
        ),
        "gates": lambda entry: entry.distinct(lambda item: item.rule(check_rule)),
        **dict.fromkeys(PLACES, _Entry.place),
    }
    try:
        values = root.record(fields, required=("concepts",))
    except CombinedError as found:
        ordered = sorted(found.errors, key=lambda mistake: mistake.line)
        more = len(ordered) - MOST_SHOWN
        if more > 0:
            ordered[MOST_SHOWN:] = [UserError(f"{path}: and {more} more mistakes")]
        raise CombinedError(ordered) from None
    settings = Settings(
        str(path),
        {name: values[name] for name in PLACES if name in values},
        values.get("models", {}),
        tuple(values.get("gates", ())),
    )
    return BenchmarkConfig(
        values["concepts"],
        values.get("methods", ()),
        tuple(values.get("aspects", aspects)),
        values.get("prompts"),
        settings,
        path,
    )


def _compose(path: Path) -> Node:
    import yaml

    text = read_text(path, LARGEST)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        nodes = _count(node, {}) if node is not None else 0
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise UserError(
            f"{path}:{mark.line + 1}: not YAML: {error.problem or error.context}"
        ) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UserError(f"{path}:{line}: not YAML: {error.reason}") from None
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
        below = [] if node.id == "scalar" else node.value
        children = [child for item in below for child in (item if node.id == "mapping" else [item])]
        known[id(node)] = 1 + sum(_count(child, known) for child in children)
    return known[id(node)]


def _prompts(entry: _Entry) -> PromptFiles:
    fields = {"forgot": _Entry.file_beside, "retain": _Entry.file_beside}
    return PromptFiles(**entry.record(fields, required=tuple(fields)))


def _concepts(entry: _Entry, indicators: tuple[str, ...]) -> dict[str, Concept]:
    seen: dict[str, str] = {}

    def concept(name: str, item: _Entry) -> Concept:
        # Names are typed by people: case, spaces, _ and - do not tell two concepts apart.
        same = seen.setdefault(normalise(name), name)
        if same != name:
            raise item.wrong(f"is the same name as {same}")
        return _concept(item, name, indicators)

    return entry.mapping(_Entry.text, concept)


def _concept(entry: _Entry, name: str, indicators: tuple[str, ...]) -> Concept:
    fields: dict[str, Callable[[_Entry], Any]] = {
        "task": lambda item: item.one_of(TASKS),
        "forgot": _Entry.folder,
        "remove_word": _Entry.folder,
        "reference_fallback": _Entry.folder,
        "unrelated": _Entry.folder,
        "categories": _categories,
        "classes": lambda item: item.mapping(_Entry.index, lambda _, value: value.text()),
        "words": lambda item: item.distinct(_Entry.text),
        "checkers": lambda item: item.mapping(
            lambda key: key.one_of(indicators), lambda _, value: value.text()
        ),
        "shared_seeds": _Entry.boolean,
    }
    values = entry.record(fields, required=("task", "forgot"))
    if "categories" in values and "unrelated" not in values:
        raise entry.wrong("has categories but no unrelated")
    return Concept(name, **values)


def _categories(entry: _Entry) -> dict[str, int]:
    taken: set[int] = set()

    def category(_: str, item: _Entry) -> int:
        index = item.index()
        # Prompts of unrelated images are looked up by this index alone.
        if index in taken:
            raise item.wrong(f"has index {index}, which another category has too")
        taken.add(index)
        return index

    return entry.mapping(_Entry.folder_name, category)


def _methods(entry: _Entry) -> tuple[Method, ...]:
    fields = {
        "folder": _Entry.folder_name,
        "name": _Entry.text,
        "year": _Entry.index,
        "paper": _Entry.text,
    }
    taken: list[Method] = []

    def method(item: _Entry) -> Method:
        found = Method(**item.record(fields, required=("folder", "name")))
        for other in taken:
            if found.folder == other.folder:
                raise item.wrong(f"{found.folder} is listed twice")
            # Flags and gates take either: one that means two methods would name the wrong one.
            if _share_a_name(found, other):
                raise item.wrong(
                    f"{found.folder} ({found.name}) is also what {other.folder} ({other.name}) is "
                    "called; give each a name of its own"
                )
        taken.append(found)
        return found

    return tuple(_collected(partial(method, item) for item in entry.sequence()))


def _share_a_name(one: Method, other: Method) -> bool:
    """Whether the name of one is the other's name or folder, as names are compared."""
    names = normalise(one.name), normalise(other.name)
    return (
        names[0] == names[1]
        or names[0] == normalise(other.folder)
        or names[1] == normalise(one.folder)
    )


class _MistakeError(UserError):
    """One mistake, with its line."""

    def __init__(self, file: Path, line: int, problem: str) -> None:
        super().__init__(f"{file}:{line}: {problem}")
        self.line = line


def _collected(readers: Iterable[Callable[[], Any]]) -> list[Any]:
    """Call each reader and return what they read, or raise the mistakes of all of them."""
    values, mistakes = [], []
    for reader in readers:
        try:
            values.append(reader())
        except CombinedError as several:
            mistakes += several.errors
        except _MistakeError as mistake:
            mistakes.append(mistake)
    if mistakes:
        raise CombinedError(mistakes)
    return values


@dataclass(frozen=True)
class _Entry:
    """A node of the YAML file: what messages call it, and the line of its key or item."""

    node: Node
    what: str
    line: int
    file: Path

    def wrong(self, problem: str) -> _MistakeError:
        return _MistakeError(self.file, self.line, f"{self.what}: {problem}")

    def record(
        self, fields: Mapping[str, Callable[[_Entry], Any]], required: tuple[str, ...]
    ) -> dict[str, Any]:
        """Read a mapping with known keys, each with its reader."""
        values: dict[str, Any] = {}

        def read() -> None:
            values.update(self.mapping(lambda k: k.one_of(fields), lambda k, v: fields[k](v)))

        def check() -> None:
            there = {key.value for key, _ in self.node.value} if self.node.id == "mapping" else ()
            lacking = [key for key in required if key not in there]
            # Of a misspelt key the misspelling says enough.
            if there and lacking and not there - fields.keys():
                raise self.wrong(f"lacks {' and '.join(lacking)}")

        _collected((read, check))
        return values

    def mapping(
        self, key_reader: Callable[[_Entry], Any], reader: Callable[[Any, _Entry], Any]
    ) -> dict[Any, Any]:
        """Read a mapping that is not empty and has no key twice; ``reader`` gets key and value."""
        if self.node.id != "mapping":
            raise self.wrong(f"must be `key: value` lines, not {self._found()}")
        if not self.node.value:
            raise self.wrong("is empty")
        seen = set()

        def item(key_node: Node, node: Node) -> tuple[Any, Any]:
            line = key_node.start_mark.line + 1
            key = key_reader(_Entry(key_node, f"{self.what}: key", line, self.file))
            if key in seen:
                raise _MistakeError(self.file, line, f"{self.what}: {key} is there twice")
            seen.add(key)
            return key, reader(key, _Entry(node, str(key), line, self.file))

        return dict(_collected(partial(item, *pair) for pair in self.node.value))

    def sequence(self) -> list[_Entry]:
        """Return the items of a list that is not empty."""
        if self.node.id != "sequence":
            raise self.wrong(f"must be a list, not {self._found()}")
        if not self.node.value:
            raise self.wrong("is empty")
        return [_Entry(n, self.what, n.start_mark.line + 1, self.file) for n in self.node.value]

    def distinct(self, reader: Callable[[_Entry], str]) -> dict[str, int]:
        """Read a list that has nothing twice; returns each value with its line."""
        values: dict[str, int] = {}

        def read(item: _Entry) -> None:
            value = reader(item)
            if value in values:
                raise item.wrong(f"{value} is listed twice")
            values[value] = item.line

        _collected(partial(read, item) for item in self.sequence())
        return values

    def text(self) -> str:
        value = self._scalar()
        if not isinstance(value, str):
            hint = " (put it in quotes)" if self.node.id == "scalar" and self.node.value else ""
            raise self.wrong(f"must be text, not {self._found()}{hint}")
        if len(value.strip().splitlines()) != 1 or re.search(r"[\x00-\x1f\x7f]", value.strip()):
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
        """Read the path of a file, relative to the YAML file or else to the bundled data."""
        text = self.text()
        path = self._beside(text)
        if path.is_file():
            return path
        if (BUNDLED / text).is_file():
            return BUNDLED / text
        raise self.wrong(f"{path}: no such file")

    def place(self) -> Path:
        """Read the path of a folder, relative to the YAML file."""
        return self._beside(self.text())

    def model(self) -> str:
        """Read a path, relative to the YAML file, or the id of a model on the hub."""
        text = self.text()
        path = self._beside(text)
        return str(path) if path.exists() or text.startswith((".", "~")) else text

    def rule(self, check: Callable[[str], object]) -> str:
        """Read a rule of a gate."""
        text = self.text()
        try:
            check(text)
        except UserError as error:
            raise self.wrong(str(error)) from None
        return text

    def _beside(self, text: str) -> Path:
        try:
            return self.file.parent / expanded(text)
        except UserError as error:
            raise self.wrong(str(error)) from None

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
