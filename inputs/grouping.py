"""Which images are samples of one prompt, where their names do not say it as ``{i}_{j}_{k}``."""

from __future__ import annotations

import csv
import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from inputs.prompts import ImageName
from utils.errors import UserError
from utils.files import expanded, read_text

LARGEST = 100_000_000  # bytes of a CSV file
_COLUMNS = ("file", "prompt")


@dataclass(frozen=True)
class Grouping:
    """What ``--group-by`` says.

    Attributes:
        source: its argument.
        find: path below the method's folder -> prompt; None where it has none.
    """

    source: str
    find: Callable[[str], str | None]

    def name(self, path: str) -> ImageName:
        """Return the name of an image, which knows its prompt.

        Raises:
            UserError: it has none; alone it would count as a prompt of its own.
        """
        prompt = self.find(path)
        if prompt is None:
            raise UserError(f"--group-by {self.source}: says nothing of {path}")
        return ImageName(path, prompt)

    def within_folders(self) -> Grouping:
        """Return the grouping that keeps the images of different folders apart."""

        def find(path: str) -> str | None:
            prompt = self.find(path)
            return prompt and posixpath.join(posixpath.dirname(path), prompt)

        return Grouping(self.source, find)


def parse_grouping(text: str) -> Grouping:
    """Read a regular expression, or a CSV file with the columns ``file`` and ``prompt``.

    An expression is searched for in an image's path below its method's folder; its groups, joined
    by ``_``, or else all that it matches, are the prompt. In a CSV file paths may lack extensions.

    Raises:
        UserError: it is neither.
    """
    if text.lower().endswith(".csv"):
        return Grouping(text, _read(text))
    try:
        pattern = re.compile(text)
    except (re.error, RecursionError) as error:
        raise UserError(f"--group-by {text}: no regular expression ({error})") from None

    def find(path: str) -> str | None:
        found = pattern.search(path)
        if found is None:
            return None
        return "_".join(part or "" for part in found.groups()) if pattern.groups else found.group()

    return Grouping(text, find)


def _read(text: str) -> Callable[[str], str | None]:
    path = expanded(text)
    rows = csv.DictReader(read_text(path, LARGEST).splitlines())
    if not set(_COLUMNS) <= set(rows.fieldnames or ()):
        raise UserError(f"{path}:1: needs the columns {' and '.join(_COLUMNS)}")
    prompts: dict[str, str] = {}
    try:
        for row in rows:
            file, prompt = (row[column] for column in _COLUMNS)
            if not file or not prompt:
                raise UserError(f"{path}:{rows.line_num}: lacks a file or a prompt")
            if prompts.setdefault(_stem(file), prompt) != prompt:
                raise UserError(f"{path}:{rows.line_num}: {file} has another prompt above")
    except csv.Error as error:
        raise UserError(f"{path}:{rows.line_num}: no CSV ({error})") from None
    return lambda name: prompts.get(_stem(name))


def _stem(path: str) -> str:
    return PurePosixPath(path).with_suffix("").as_posix()
