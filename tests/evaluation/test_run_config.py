from pathlib import Path

import pytest

from evaluation.run_config import RunConfig, settle


@pytest.fixture
def config(tmp_path):
    """A configuration that gives places, models and a gate."""
    path = tmp_path / "my.yaml"
    path.write_text(
        "concepts: {x: {task: style, forgot: X}}\n"
        "data_root: /y/data\ncache_dir: /y/cache\nresults_dir: /y/results\n"
        "models: {clip: y/clip, yolo: y/yolo.pt, nudenet: y/640m.onnx}\n"
        'gates: ["fid > 30"]\n'
    )
    return path


def test_the_run_wins_over_the_environment_over_the_file_over_the_default(config, monkeypatch):
    monkeypatch.setenv("IGMU_CONFIG", str(config))
    monkeypatch.setenv("IGMU_DATA_ROOT", "e/data")
    monkeypatch.setenv("IGMU_CACHE_DIR", "~/e")
    monkeypatch.setenv("IGMU_MODEL_CLIP", "e/clip")
    monkeypatch.setenv("IGMU_MODEL_YOLO", "e/yolo.pt")
    asked = RunConfig(data_root="c/data", models={"clip": "c/clip"}, gates="ssim < 0.5")
    found = settle(asked, {"results_dir": Path("d/results"), "weights_dir": Path("d/weights")})
    run = found.run
    assert run.data_root == Path("c/data")
    assert run.cache_dir == Path.home() / "e"
    assert run.results_dir == Path("/y/results")
    assert run.weights_dir == Path("d/weights")
    assert run.models == {"clip": "c/clip", "yolo": "e/yolo.pt", "nudenet": "y/640m.onnx"}
    assert run.gates == ("fid > 30", "ssim < 0.5")  # a rule is never dropped for another
    assert found.sources == {
        "data_root": "command line",
        "cache_dir": "environment",
        "results_dir": str(config),
        "weights_dir": "default",
        "model clip": "command line",
        "model yolo": "environment",
        "model nudenet": str(config),
        "gate fid > 30": str(config),
        "gate ssim < 0.5": "command line",
    }
