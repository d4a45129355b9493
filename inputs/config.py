"""What is scored, and with what: concepts, methods, aspects and settings of a ``benchmark.yaml``.

Everything is checked when the file is loaded, and all mistakes are reported with their lines.
Folders of concepts are relative to the data root; prompt files, plug-ins, models and the folders
of settings are relative to the YAML file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path, PureWindowsPath
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import PydanticCustomError

from inputs.yaml_lines import KEY, Document, Location
from utils.errors import UserError, did_you_mean
from utils.files import expanded
from utils.name_to_id import normalise
from utils.settings import PLACES, Settings

TASKS = ("nudity", "style", "object")
BUNDLED = Path(__file__).parent.parent / "dataset"
T = TypeVar("T")
_NAME = "\0name"  # what no key is: a concept's name stands before its keys, not among them


def _given(info: ValidationInfo, name: str) -> Any:
    """Return what ``load_config`` gives the validators."""
    return (info.context or {})[name]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise PydanticCustomError("string_type", "must be text")
    text = value.strip()
    if len(text.splitlines()) != 1 or re.search(r"[\x00-\x1f\x7f]", text):
        raise ValueError("must be one line of text")
    return text


def _folder(value: str) -> str:
    # Windows' rules know both separators, and drives; anything else is a plain name to them.
    path = PureWindowsPath(value)
    if path.anchor or ".." in path.parts:
        raise ValueError(f"{value} must be below the data root: not absolute, no ..")
    return value


def _folder_name(value: str) -> str:
    if len(PureWindowsPath(value).parts) != 1:
        raise ValueError(f"{value} must be the name of a folder, not a path")
    return value


def _one_of(kind: str) -> AfterValidator:
    def check(value: str, info: ValidationInfo) -> str:
        if value not in _given(info, kind):
            raise ValueError(_unknown(value, _given(info, kind)))
        return value

    return AfterValidator(check)


def _unknown(value: str, known: Iterable[str]) -> str:
    return f"{value} is not known{did_you_mean(value, known)}; there are {', '.join(known)}"


def _checked(check: Callable[[str], T], text: str) -> T:
    try:
        return check(text)
    except UserError as error:
        raise ValueError(str(error)) from None


def _beside(text: str, info: ValidationInfo) -> Path:
    return _given(info, "folder") / _checked(expanded, text)


def _file(text: str, info: ValidationInfo) -> Path:
    path = _beside(text, info)
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    return path


def _prompt_file(text: str, info: ValidationInfo) -> Path:
    """A file, relative to the YAML file or else to the bundled data."""
    bundled = BUNDLED / text
    return bundled if bundled.is_file() and not _beside(text, info).is_file() else _file(text, info)


def _model(text: str, info: ValidationInfo) -> str:
    """A path, relative to the YAML file, or the id of a model on the hub."""
    path = _beside(text, info)
    return str(path) if path.exists() or text.startswith((".", "~")) else text


def _rule(text: str, info: ValidationInfo) -> str:
    _checked(_given(info, "rule"), text)
    return text


def _distinct_indices(categories: Mapping[str, int]) -> Mapping[str, int]:
    folders: dict[int, str] = {}
    for folder, index in categories.items():
        # Prompts of unrelated images are looked up by this index alone.
        if folders.setdefault(index, folder) != folder:
            raise ValueError(f"{folder} has index {index}, which {folders[index]} has too")
    return categories


Text = Annotated[str, BeforeValidator(_text)]
Index = Annotated[StrictInt, Field(ge=0)]
Folder = Annotated[Text, AfterValidator(_folder)]  # below the data root
FolderName = Annotated[Folder, AfterValidator(_folder_name)]
Place = Annotated[Path, BeforeValidator(_beside), BeforeValidator(_text)]
PromptFile = Annotated[Path, BeforeValidator(_prompt_file), BeforeValidator(_text)]
PlugIn = Annotated[Path, BeforeValidator(_file), BeforeValidator(_text)]


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

    name: Annotated[str, Field(validation_alias=_NAME)]
    task: Annotated[Text, _one_of("tasks")]
    forgot: Folder
    remove_word: Folder | None = None
    reference_fallback: Folder | None = None
    unrelated: Folder | None = None
    categories: Annotated[Mapping[FolderName, Index], AfterValidator(_distinct_indices)] = field(
        default_factory=dict
    )
    classes: Mapping[Index, Text] = field(default_factory=dict)
    words: tuple[Text, ...] = ()
    checkers: Mapping[Annotated[Text, _one_of("indicators")], Text] = field(default_factory=dict)
    shared_seeds: StrictBool = False


@dataclass(frozen=True)
class Method:
    """An unlearning method: its folder (typos of published data included) and its proper name."""

    folder: FolderName
    name: Text
    year: Index | None = None
    paper: Text | None = None


@dataclass(frozen=True)
class PromptFiles:
    """The prompts of ``forgot`` images, and of ``remove_word`` and ``unrelated`` ones."""

    forgot: PromptFile
    retain: PromptFile


def _named(concepts: object) -> object:
    """Give each concept the name that is its key."""
    if not isinstance(concepts, dict):
        return concepts
    return {
        k: v | {_NAME: str(k).strip()} if isinstance(v, dict) else v for k, v in concepts.items()
    }


def _only_concept(concept: Concept, info: ValidationInfo) -> Concept:
    # Names are typed by people: case, spaces, _ and - do not tell two concepts apart.
    names = _given(info, "concepts")
    if same := names.get(normalise(concept.name)):
        raise ValueError(f"is the same name as {same}")
    names[normalise(concept.name)] = concept.name
    if concept.categories and concept.unrelated is None:
        raise ValueError("has categories but no unrelated")
    return concept


def _only_method(method: Method, info: ValidationInfo) -> Method:
    for other in _given(info, "methods"):
        if method.folder == other.folder:
            raise ValueError(f"{method.folder} is listed twice")
        # Flags and gates take either: one that means two methods would name the wrong one.
        names = normalise(method.name), normalise(other.name)
        if names[0] in (names[1], normalise(other.folder)) or names[1] == normalise(method.folder):
            raise ValueError(
                f"{method.folder} ({method.name}) is also what {other.folder} ({other.name}) is "
                "called; give each a name of its own"
            )
    _given(info, "methods").append(method)
    return method


@dataclass(frozen=True)
class _Yaml:
    """The whole document."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # of all that is in it, too

    concepts: Annotated[
        dict[Text, Annotated[Concept, AfterValidator(_only_concept)]], BeforeValidator(_named)
    ]
    methods: tuple[Annotated[Method, AfterValidator(_only_method)], ...] = ()
    aspects: tuple[Annotated[Text, _one_of("aspects")], ...] = ()
    prompts: PromptFiles | None = None
    models: Mapping[Annotated[Text, _one_of("models")], Annotated[Text, AfterValidator(_model)]] = (
        field(default_factory=dict)
    )
    gates: tuple[Annotated[Text, AfterValidator(_rule)], ...] = ()
    plugins: tuple[PlugIn, ...] = ()
    data_root: Place | None = None
    results_dir: Place | None = None
    cache_dir: Place | None = None
    weights_dir: Place | None = None


@dataclass(frozen=True)
class BenchmarkConfig:
    """A checked ``benchmark.yaml``."""

    concepts: Mapping[str, Concept]
    methods: tuple[Method, ...]
    aspects: tuple[str, ...]
    prompts: PromptFiles | None
    settings: Settings
    document: Document

    @property
    def path(self) -> Path:
        """Where it was read."""
        return self.document.path


def load_config(
    path: Path,
    indicators: Iterable[str],
    aspects: Iterable[str],
    models: Iterable[str],
    check_rule: Callable[[str], object] = str,
) -> BenchmarkConfig:
    """Read and check a ``benchmark.yaml``.

    Args:
        indicators: the names that ``checkers`` of a concept may have.
        aspects: the names that ``aspects`` may list; all of them where the file lists none.
        models: the names that ``models`` may have.
        check_rule: raises UserError on a rule of ``gates`` that means nothing.

    Raises:
        UserError: the file cannot be read, or its mistakes: ``FILE:LINE: what is wrong`` each, in
            the order of the file.
    """
    document = Document(path)
    every = tuple(aspects)
    names = {"tasks": TASKS, "indicators": [*indicators], "aspects": every, "models": [*models]}
    context = {**names, "folder": path.parent, "rule": check_rule, "concepts": {}, "methods": []}
    try:
        found = TypeAdapter(_Yaml).validate_python(document.data, context=context)
    except ValidationError as error:
        _note(error, document)
    document.check()
    places = {name: place for name in PLACES if (place := getattr(found, name)) is not None}
    return BenchmarkConfig(
        found.concepts,
        found.methods,
        found.aspects or every,
        found.prompts,
        Settings(str(path), places, found.models, found.gates),
        document,
    )


def config_plugins(path: Path) -> tuple[Path, ...]:
    """Return the ``plugins`` of a ``benchmark.yaml``, whose names the rest of it may have.

    Raises:
        UserError: the file cannot be read.
    """
    document = Document(path)
    listed = document.data.get("plugins") if isinstance(document.data, dict) else None
    try:
        schema = TypeAdapter(tuple[PlugIn, ...])
        return schema.validate_python(listed or (), context={"folder": path.parent})
    except ValidationError:  # load_config says what is wrong
        return ()


# What pydantic finds -> what is said of it.
_SAID = {
    "string_type": "must be text, not {}",
    "int_type": "must be a whole number from 0, not {}",
    "greater_than_equal": "must be a whole number from 0, not {}",
    "bool_type": "must be true or false, not {}",
    "tuple_type": "must be a list, not {}",
    "dict_type": "must be `key: value` lines, not {}",
    "dataclass_type": "must be `key: value` lines, not {}",
}


def _note(error: ValidationError, document: Document) -> None:
    """Tell a document what pydantic found wrong with it."""
    errors = error.errors()
    unknown = {one["loc"][:-1] for one in errors if one["type"] == "unexpected_keyword_argument"}
    for one in errors:
        at, kind = one["loc"], one["type"]
        if kind == "missing":
            if at[:-1] not in unknown:  # of a misspelt key the misspelling says enough
                document.wrong(at[:-1], f"lacks {at[-1]}")
        elif kind in ("unexpected_keyword_argument", "invalid_key"):
            document.wrong((*at, KEY), _unknown(str(at[-1]), _keys(at[:-1])))
        elif kind == "value_error":
            document.wrong(at, str(one["ctx"]["error"]))
        else:
            quotes = kind == "string_type" and not isinstance(one["input"], list | dict)
            said = _SAID[kind].format(document.found(at))
            document.wrong(at, said + " (put it in quotes)" * quotes)


def _keys(at: Location) -> list[str]:
    """Return the keys that the mapping at a location may have."""
    if len(at) == 2 and at[0] == "concepts":
        return [one.name for one in fields(Concept)][1:]  # its name is its key
    return [one.name for one in fields(Method if len(at) == 2 else PromptFiles if at else _Yaml)]
