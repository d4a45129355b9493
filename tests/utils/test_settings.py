from argparse import Namespace
from pathlib import Path

import pytest

from utils.errors import UserError
from utils.settings import Settings, config_path, environment, settle

YAML = Settings(
    "my.yaml",
    {"data_root": Path("y/data"), "cache_dir": Path("y/cache"), "results_dir": Path("y/results")},
    {"clip": "y/clip", "yolo": "y/yolo.pt", "nudenet": "y/640m.onnx"},
    ("fid > 30",),
)


@pytest.fixture
def args():
    return Namespace(
        config=None,
        data_root=Path("c/data"),
        results_dir=None,
        cache_dir=None,
        weights_dir=None,
        model=[("clip", "c/clip")],
        fail_if=["ssim < 0.5"],
    )


def test_the_command_line_wins_over_the_environment_over_the_file_over_the_default(
    args, monkeypatch
):
    monkeypatch.setenv("IGMU_DATA_ROOT", "e/data")
    monkeypatch.setenv("IGMU_CACHE_DIR", "~/e")
    monkeypatch.setenv("IGMU_MODEL_CLIP", "e/clip")
    monkeypatch.setenv("IGMU_MODEL_YOLO", "e/yolo.pt")
    settle(args, YAML, {"results_dir": Path("d/results"), "weights_dir": Path("d/weights")})
    assert vars(args) == {
        "config": None,
        "data_root": Path("c/data"),
        "cache_dir": Path.home() / "e",
        "results_dir": Path("y/results"),
        "weights_dir": Path("d/weights"),
        "model": [("clip", "c/clip"), ("yolo", "e/yolo.pt"), ("nudenet", "y/640m.onnx")],
        "fail_if": ["fid > 30", "ssim < 0.5"],  # a rule is never dropped for another
        "sources": {
            "data_root": "command line",
            "cache_dir": "environment",
            "results_dir": "my.yaml",
            "weights_dir": "default",
            "model clip": "command line",
            "model yolo": "environment",
            "model nudenet": "my.yaml",
            "gate fid > 30": "my.yaml",
            "gate ssim < 0.5": "command line",
        },
    }


def test_a_program_gets_only_what_it_has_a_flag_for(monkeypatch):
    monkeypatch.setenv("IGMU_DATA_ROOT", "e/data")
    monkeypatch.setenv("IGMU_CACHE_DIR", "e/cache")
    args = Namespace(cache_dir=None)
    settle(args)
    assert vars(args) == {"cache_dir": Path("e/cache"), "sources": {"cache_dir": "environment"}}


def test_a_misspelt_variable_is_an_error_not_ignored():
    with pytest.raises(UserError, match=r"IGMU_CACHEDIR: .*did you mean IGMU_CACHE_DIR\?"):
        environment({"IGMU_CACHEDIR": "x"})
    with pytest.raises(UserError, match="no such user"):
        environment({"IGMU_CACHE_DIR": "~nobody0/x"})
    assert environment({"IGMU_CACHE_DIR": "", "PATH": "/bin"}) == Settings("environment")


def test_the_configuration_can_be_named_once(args, monkeypatch):
    assert config_path(args) is None
    monkeypatch.setenv("IGMU_CONFIG", "~/my.yaml")
    assert config_path(args) == Path.home() / "my.yaml"
    args.config = Path("other.yaml")
    assert config_path(args) == Path("other.yaml")
