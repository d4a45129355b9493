import hashlib
from pathlib import Path

import pytest

from report.verify import render, verify
from tests.report.data import Made, names
from utils.results import folder_digest


@pytest.fixture
def results(tmp_path, make_images):
    folder = make_images("ESD", 3)
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"weights")
    sha256 = hashlib.sha256
    digest = folder_digest((p.name, sha256(p.read_bytes()).hexdigest()) for p in folder.iterdir())
    made = Made().add(("church", "ESD", "lpips"), dict.fromkeys(names(3), 0.5))
    earlier = {"folder": str(tmp_path), "folders": {"ESD": digest}, "scores": []}
    made.manifest = {
        "folder": str(tmp_path),
        "models": {"clip": {"path": "weights.pth", "sha256": sha256(b"weights").hexdigest()}},
        "folders": {str(folder): digest},
        "earlier": [earlier],
    }
    return made.write(tmp_path / "results")


def states(results):
    return {finding.path.name: finding.state for finding in verify(results)}


def test_nothing_changed(results):
    assert set(states(results).values()) == {"unchanged"}
    assert "the results stand" in render(verify(results))


@pytest.mark.parametrize("change", ["another", "less", "more"])
def test_changed_images_are_found(results, tmp_path, change):
    # Scores of images that were regenerated since are scores of nothing.
    image = tmp_path / "ESD" / "0_0_1.png"
    if change == "another":
        image.write_bytes(image.read_bytes() + b"x")
    elif change == "less":
        image.unlink()
    else:
        (tmp_path / "ESD" / "0_0_9.png").write_bytes(image.read_bytes())
    assert states(results) == {"weights.pth": "unchanged", "ESD": "changed"}


def test_weights_that_changed_or_are_gone_are_found(results, tmp_path):
    weights = Path(tmp_path / "weights.pth")
    weights.write_bytes(b"others")
    assert states(results)["weights.pth"] == "changed"
    weights.unlink()
    assert states(results)["weights.pth"] == "gone"
    assert "do not stand" in render(verify(results))
