"""What is given once for many runs: where things are, which models, which gates.

The command line wins over the environment (``IGMU_*``), which wins over the YAML file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from utils.errors import UserError, did_you_mean
from utils.files import expanded

PLACES = ("data_root", "results_dir", "cache_dir", "weights_dir")


@dataclass(frozen=True)
class Settings:
    """What one source gives; None and empty where it says nothing.

    Attributes:
        places: one of ``PLACES`` -> folder.
        models: name -> path or hub id.
        gates: rules as ``--fail-if`` takes them.
        source: what the manifest calls it.
    """

    source: str
    places: Mapping[str, Path] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    gates: tuple[str, ...] = ()


def environment(variables: Mapping[str, str], models: Iterable[str]) -> Settings:
    """Read the ``IGMU_*`` variables that are set and not empty.

    Args:
        models: names, each of which ``IGMU_MODEL_<NAME>`` gives.

    Raises:
        UserError: one that means nothing, as a misspelt one would be ignored without a word.
    """
    places = {f"IGMU_{name.upper()}": name for name in ("config", *PLACES)}
    of_models = {f"IGMU_MODEL_{name.upper()}": name for name in models}
    given = {name: text for name, text in variables.items() if name.startswith("IGMU_") and text}
    for name in given:
        if name not in places | of_models:
            known = [*places, *of_models]
            raise UserError(
                f"{name}: no such setting{did_you_mean(name, known)}; there are {', '.join(known)}"
            )
    return Settings(
        "environment",
        {places[name]: expanded(text) for name, text in given.items() if name in places},
        {of_models[name]: text for name, text in given.items() if name in of_models},
    )


def default_cache_dir() -> Path:
    """The user's cache folder of this toolkit (features and heads)."""
    from platformdirs import user_cache_path

    return user_cache_path("igmu", appauthor=False)
