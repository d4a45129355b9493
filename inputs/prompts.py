"""Prompt sets: loaded, checked, looked up by file name, and stripped of the concept's words.

A set is a JSON file ``{concept: {class: [prompt, ...]}}``. Sets speak of adults only: one that
pairs nudity with a word for a minor (in English) is refused.
"""

from __future__ import annotations

import json
import posixpath
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from inputs.config import Concept
from inputs.yaml_lines import Document
from utils.errors import CombinedError, UserError, did_you_mean
from utils.files import read_text

PromptSet = Mapping[str, Mapping[str, tuple[str, ...]]]
LARGEST = 10_000_000  # bytes of a prompt set

_SPELLED = (
    "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen"
    "|sixteen|seventeen"
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
# "twenty one" ends in a number under 18 but is none.
_NOT_AFTER_TENS = "".join(f"(?<!{tens} )" for tens in _TENS)
_UNDER_18 = rf"(?:0*(?:1[0-7]|[0-9])|{_NOT_AFTER_TENS}(?:{_SPELLED}))"


def _words(*patterns: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(patterns)})\b")


# Both are matched against what `_plain` returns: small letters, digits and single spaces. They
# err on the side of refusing: a "young" adult or a "minor" detail beside nudity is refused too.
_NUDITY = _words(
    "(?:semi)?(?:nude|nudes|nudity|naked|nakedness)",
    "nudists?|nudism|topless|bottomless",
    "undress(?:ed|es|ing)?|disrob(?:ed|es|ing)|unclothed|unclad",
    "without (?:any )?clothes|no clothes|bare ?(?:breasts|breasted|chested)",
    "nsfw|porn|porno|pornographic|pornography|erotic|erotica|sex|sexual|sexy",
)
_MINOR = _words(
    "(?:school|grand|step|god)?(?:girl|boy|kid)(?:s|ie|ies|ish|hood|like|ly)?",
    "(?:school|grand|step|god)?child(?:ren|rens|s|ish|hood|like)?|kiddos?|kiddies?",
    "(?:pre ?)?teen(?:s|y|aged?|agers?)?|tweens?|young(?:er|est)?|youngsters?|youths?|youthful",
    "minors?|juveniles?|adolescen(?:t|ts|ce)|(?:pre)?(?:pubescen(?:t|ts|ce)|pubert(?:y|al))",
    "under ?aged?|bab(?:y|ys|ies)|infants?|infancy|toddlers?|newborns?",
    "(?:pre)?schoolers?|(?:high|middle|grade|primary|elementary) ?school",
    "kindergart(?:en|ner|ener)s?|lol(?:i|is|ita|itas|icon)|shota(?:s|con)?",
    rf"{_UNDER_18} ?(?:years?|yrs?|y) ?(?:olds?|o|of age)|(?:months?|weeks?|days?) olds?",
    rf"(?:age|ages|aged|age of|turning) (?:only |just |about |around |between )?{_UNDER_18}",
    rf"(?:under|below|younger than) (?:the age of )?(?:{_UNDER_18}|18|eighteen)",
)


class FileName(NamedTuple):
    """What the name of an image says: prompt class i, prompt j of the class, sample k."""

    i: int
    j: int
    k: int


def parse_name(stem: str) -> FileName | None:
    """Read a file name without its extension; None when it is not ``{i}_{j}_{k}``.

    >>> parse_name("2_0_13")
    FileName(i=2, j=0, k=13)
    >>> parse_name("2_0_13 (copy)")
    """
    found = re.fullmatch(r"([0-9]+)_([0-9]+)_([0-9]+)", stem)
    return FileName(*map(int, found.groups())) if found else None


# Said of scores of images whose names do not tell their prompts.
UNGROUPED = (
    "names do not tell which images are samples of one prompt, so each counts as one of its own "
    "(--group-by tells)"
)


class ImageName(str):
    """An image's path below its method's folder that knows its prompt, whatever it is called."""

    prompt: str

    def __new__(cls, path: str, prompt: str) -> ImageName:
        """Make a name of a path and what the samples of its prompt share."""
        name = super().__new__(cls, path)
        name.prompt = prompt
        return name


def tells_prompt(name: str) -> bool:
    """Whether the samples of an image's prompt can be told from its name."""
    return isinstance(name, ImageName) or parse_name(Path(name).stem) is not None


def prompt_key(name: str) -> str:
    """Return what the samples of one prompt share: an image's path without its sample number.

    An ``ImageName`` knows it; an image of another name stands for itself.

    >>> prompt_key("Airplane/2_0_13.png"), prompt_key("2_0_1.png"), prompt_key("x.png")
    ('Airplane/2_0', '2_0', 'x.png')
    """
    if isinstance(name, ImageName):
        return name.prompt
    folder, file = posixpath.split(name)  # called for every value: pathlib takes ten times as long
    found = parse_name(posixpath.splitext(file)[0])
    return posixpath.join(folder, f"{found.i}_{found.j}") if found else name


def forgot_prompts(prompts: PromptSet, concept: Concept) -> dict[tuple[int, int], str]:
    """Return (i, j) -> prompt of the images in ``forgot``; empty for a concept without classes.

    ``prompts`` may also be the retain set of a concept whose classes are in it: the prompts of
    ``remove_word``.

    Raises:
        UserError: a class of the concept is not in the set.
    """
    return _table(prompts, concept, concept.classes)


def unrelated_prompts(prompts: PromptSet, concept: Concept) -> dict[tuple[int, int], str]:
    """Return (i, j) -> prompt of the images in ``unrelated``, from the retain set.

    The class of a category is its folder's name in small letters. A concept without ``classes``
    has no prompts at all, so none of its categories has.

    Raises:
        UserError: a category of the concept is not in the set.
    """
    if not concept.classes:
        return {}
    by_index = {i: folder.lower() for folder, i in concept.categories.items()}
    return _table(prompts, concept, by_index)


def _table(
    prompts: PromptSet, concept: Concept, classes: Mapping[int, str]
) -> dict[tuple[int, int], str]:
    if classes and concept.name not in prompts:
        hint = did_you_mean(concept.name, prompts)
        raise UserError(f"no prompts of concept {concept.name}{hint}; there are {_list(prompts)}")
    table = {}
    for i, name in classes.items():
        known = prompts[concept.name]
        if name not in known:
            raise UserError(
                f"no prompts of concept {concept.name}, class {name}{did_you_mean(name, known)}; "
                f"there are {_list(known)}"
            )
        table.update({(i, j): prompt for j, prompt in enumerate(known[name])})
    return table


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)


def without_words(prompt: str, words: Iterable[str]) -> str:
    """Remove words and phrases, whole and in any case, each with a comma right before it.

    >>> without_words("a mill at dusk, by Vincent van Gogh", ["by Vincent van Gogh"])
    'a mill at dusk'
    """
    # The longest first: a word may be part of a phrase.
    ordered = sorted(words, key=len, reverse=True)
    patterns = [r"\s+".join(map(re.escape, word.split())) for word in ordered]
    if patterns:
        whole = rf"(?:,\s*)?(?<!\w)(?:{'|'.join(patterns)})(?!\w)"
        prompt = re.sub(whole, " ", prompt, flags=re.IGNORECASE)
    tidy = re.sub(r"\s+([,.;:!?])", r"\1", " ".join(prompt.split()))
    return tidy.lstrip(",.;:!? ")


def check_words(concept: Concept, prompts: Iterable[str], document: Document) -> None:
    """Make sure that each of the concept's words occurs in a prompt.

    Args:
        prompts: the concept's.
        document: the configuration, for the message.

    Raises:
        UserError: words that do not; nothing would be removed, and CSDR's text would still speak
            of the concept.
    """
    plain = {without_words(prompt, ()): prompt for prompt in prompts}
    idle = [
        UserError(
            f"{document.where('concepts', concept.name, 'words', i)}: words: {word} occurs in no "
            f"prompt of {concept.name}"
        )
        for i, word in enumerate(concept.words)
        if plain and all(without_words(prompt, (word,)) == text for text, prompt in plain.items())
    ]
    if idle:
        raise CombinedError(idle)


def load_prompts(path: Path) -> PromptSet:
    """Read and check a prompt set.

    Raises:
        UserError: the file cannot be read, is not ``{concept: {class: [prompt, ...]}}``, or
            pairs nudity with a word for a minor. No message holds the text of a prompt.
    """
    document = _mapping(_read(path), f"{path}: the file")
    prompts: dict[str, dict[str, tuple[str, ...]]] = {}
    for concept, classes in document.items():
        prompts[concept] = {}
        for name, texts in _mapping(classes, f"{path}: concept {concept}").items():
            prompts[concept][name] = _texts(texts, f"{path}: concept {concept}, class {name}")
            _refuse_minors(path, concept, name, prompts[concept][name])
    return prompts


def _read(path: Path) -> Any:
    text = read_text(path, LARGEST)
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _no_key_twice(path, pairs))
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{error.lineno}: not JSON: {error.msg}") from None
    except RecursionError:
        raise UserError(f"{path}: nested too deep to be a prompt set") from None
    except ValueError as error:  # a number of thousands of digits
        raise UserError(f"{path}: not JSON: {error}") from None


def _no_key_twice(path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # JSON's reader would keep the last and lose the others without a word.
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):
        (twice, _), *_ = Counter(keys).most_common(1)
        raise UserError(f"{path}: {twice} is there twice")
    return dict(pairs)


def _mapping(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        raise UserError(f"{what}: must be {{name: ...}} and not empty")
    return value


def _texts(value: Any, what: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise UserError(f"{what}: must be a list of prompts and not empty")
    for index, text in enumerate(value):
        if not isinstance(text, str) or not text.strip():
            raise UserError(f"{what}, index {index}: must be a text and not empty")
    return tuple(value)


def _refuse_minors(path: Path, concept: str, name: str, prompts: Iterable[str]) -> None:
    for index, prompt in enumerate(prompts):
        # The concept and the class speak for each of their prompts.
        text = _plain(f"{concept} | {name} | {prompt}")
        if _NUDITY.search(text) and _MINOR.search(text):
            raise UserError(
                f"{path}: concept {concept}, class {name}, index {index}: refused: nudity and a "
                "word for a minor; prompt sets speak of adults only"
            )


def _plain(text: str) -> str:
    """Return two readings of ``text`` in small letters and digits, one space between words.

    The first drops invisible characters; the second takes them, inner capitals and the place
    between a digit and a letter for spaces. Accents and full-width forms hide no word in either.

    >>> _plain("a 12-Year-Old, in 2,000 B\u00c9D\u00adS")
    'a 12 year old in 2000 beds a 12 year old in 2000 bed s'
    """
    decomposed = unicodedata.normalize("NFKD", text)
    letters = "".join(c for c in decomposed if not unicodedata.category(c).startswith("M"))
    letters = re.sub(r"(?<=\d),(?=\d{3})", "", letters)
    joined = "".join(c for c in letters if unicodedata.category(c) != "Cf")
    apart = "".join(" " if unicodedata.category(c) == "Cf" else c for c in letters)
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=\d)(?=[A-Za-z])|(?<=[A-Za-z])(?=\d)", " ", apart)
    return re.sub(r"[\W_]+", " ", f"{joined} {apart}".casefold()).strip()
