from pathlib import Path

import pytest

from utils.errors import UserError
from utils.settings import Settings, environment


def test_the_environment_gives_folders_and_models():
    given = {"IGMU_CACHE_DIR": "~/e", "IGMU_CONFIG": "my.yaml", "IGMU_MODEL_MINE": "e/mine.pt"}
    assert environment(given, ["clip", "mine"]) == Settings(
        "environment",
        {"cache_dir": Path.home() / "e", "config": Path("my.yaml")},
        {"mine": "e/mine.pt"},
    )


def test_a_misspelt_variable_is_an_error_not_ignored():
    with pytest.raises(UserError, match=r"IGMU_CACHEDIR: .*did you mean IGMU_CACHE_DIR\?"):
        environment({"IGMU_CACHEDIR": "x"}, ["clip"])
    with pytest.raises(UserError, match=r"did you mean IGMU_MODEL_CLIP\?"):
        environment({"IGMU_MODEL_CLOP": "x"}, ["clip"])
    with pytest.raises(UserError, match="no such user"):
        environment({"IGMU_CACHE_DIR": "~nobody0/x"}, ())
    assert environment({"IGMU_CACHE_DIR": "", "PATH": "/bin"}, ()) == Settings("environment")
