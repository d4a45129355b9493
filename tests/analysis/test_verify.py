import hashlib
import shutil
from pathlib import Path

import pytest

import benchmark
from analysis.verify import render, stands, verify
from records.files import folder_digest
from records.store import read_results
from tests.report.data import Made, names


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
    return {one.path.name: one.state for one in verify(results) if one.kind != "results"}


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


def test_what_cannot_be_read_is_told_and_ends_nothing(results, tmp_path):
    shutil.rmtree(tmp_path / "ESD")
    (tmp_path / "ESD").write_bytes(b"a file now")
    assert states(results) == {"weights.pth": "unchanged", "ESD": "unreadable"}


@pytest.fixture
def run_of_one_aspect(tmp_path, make_images, clip_folder, weights_dir):
    """A real run that reads no reference, with a damaged image, its own heads and no others."""
    for method in ("ORG", "ESD"):
        make_images(f"data/Church/forgot/{method}", 4)
    make_images("data/Church/remove_word/ORG", 4)
    (tmp_path / "data/Church/forgot/ESD/0_0_3.png").write_bytes(b"no image")
    heads = shutil.copytree(weights_dir, tmp_path / "heads")
    arguments = ["--evaluation-aspect", "forgetting", "--indicator", "bi_multiC", "--quiet"]
    arguments += ["--data-root", tmp_path / "data", "--weights-dir", heads, "--no-cache"]
    arguments += ["--model", f"clip={clip_folder}", "--results-dir", tmp_path / "results"]
    assert benchmark.main([str(argument) for argument in arguments]) == 0
    return read_results(tmp_path / "results")


def test_a_run_stands_until_something_it_read_changes(run_of_one_aspect, tmp_path):
    # Of the damaged image the run knows no digest, and of the reference none at all.
    findings = verify(run_of_one_aspect)
    assert {finding.kind for finding in findings} == {
        "results",
        "weights",
        "configuration",
        "images",
    }
    assert all(finding.stands for finding in findings), render(findings)

    head = tmp_path / "heads/bi_multiC/object_church/classifier_head.pth"
    head.write_bytes(b"another head")
    shutil.rmtree(tmp_path / "data/Church/forgot/ORG")
    assert {f.path: f.state for f in verify(run_of_one_aspect) if not f.stands} == {
        head: "changed",
        tmp_path / "data/Church/forgot/ORG": "gone",
    }


def test_results_of_nothing_do_not_stand(tmp_path):
    # "0 of 0 files are unchanged" was taken for a yes.
    results = Made().add(("church", "ESD", "lpips"), {"0_0_0.png": 0.5}).write(tmp_path)
    findings = verify(results)
    assert not stands(findings)
    assert "do not stand" in render(findings)
