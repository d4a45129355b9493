"""Python files of a user's own that register metrics, checkers and extractors."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from utils.errors import UserError

_loaded: dict[Path, str] = {}


def load(paths: Iterable[Path]) -> None:
    """Import each file, once; importing it registers what is in it.

    Raises:
        UserError: a file is missing or no Python; any other mistake in it is a traceback.
    """
    for path in paths:
        place = path.resolve()
        if place not in _loaded:
            _loaded[place] = _import(path, place)


def _import(path: Path, place: Path) -> str:
    try:
        source = place.read_bytes()
    except OSError as error:
        raise UserError(f"plugin {path}: cannot be read ({error.strerror})") from None
    digest = hashlib.sha256(source).hexdigest()
    name = f"igmu_plugin_{place.stem}_{digest[:8]}"
    spec = importlib.util.spec_from_file_location(name, place)
    if spec is None or spec.loader is None:
        raise UserError(f"plugin {path}: not a Python file (.py)")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise UserError(f"plugin {path}:{error.lineno}: {error.msg}") from None
    return digest


def loaded() -> Mapping[str, str]:
    """Return path -> SHA-256 of every file that was loaded."""
    return {str(path): digest for path, digest in _loaded.items()}
