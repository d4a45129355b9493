"""Results on disk: kept through later runs, whole after every accident, and read back."""

import json
import multiprocessing
import os
import pickle
import random
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest

from evaluation.record import run_record
from evaluation.run import Cell, Result
from inputs.config import Concept, Method
from inputs.layout import MethodFolder, Task
from metrics import ASPECTS, specs
from metrics.base import Judged, Score
from metrics.spec import ScoreKey
from records.store import check_folder, read_results, write_run
from tests.conftest import ROOT
from utils.errors import UserError


def result(folder, method, score):
    where = MethodFolder(Method(method, method), folder / method, [])
    task = Task(Concept("church", "object", "Church/forgot"), "forgot", [where], None)
    aspect = next(spec.aspect for spec in specs() if spec.describes(score.metric))
    return Result(Cell(task, ASPECTS[aspect]()), where, [score])


def record(folder, method, resamples, metric="fid", images="a", **more):
    score = Score(metric, 3.0, 5, "", False, 2.0, 4.0, resamples=resamples)
    manifest = {
        "places": [{"concept": "church", "method": method, "scope": "forgot", "folder": method}],
        "folders": {method: images},
        "images": images,
        "metrics": [asdict(spec) for spec in specs()],
        "with_reference": ["fid", "lpips"],
    }
    return run_record([result(folder, method, score)], manifest | more)


def write(folder, *args, **more):
    return write_run(folder, record(folder, *args, **more))


def test_resamples_are_replaced_by_their_own_score_only(tmp_path):
    write(tmp_path, "ESD", {0: 1.0, 1: 2.0, 2: 9.0})
    write(tmp_path, "UCE", {0: 3.0})
    write(tmp_path, "ESD", {0: 4.0, 1: 5.0})
    results = read_results(tmp_path)
    assert results.resamples == {
        ScoreKey.of("church", "UCE", "fid"): {0: 3.0},
        ScoreKey.of("church", "ESD", "fid"): {0: 4.0, 1: 5.0},
    }
    row = results.by_key[ScoreKey.of("church", "ESD", "fid")]
    assert (row.ci_low, row.ci_high) == (2.0, 4.0)


def test_scores_of_images_that_were_replaced_since_say_so_and_are_compared_with_nothing(tmp_path):
    # Beside the new ones they would be taken for scores of the same images.
    write(tmp_path, "ESD", {0: 1.0}, "fid", images="old")
    write(tmp_path, "UCE", {0: 1.0}, "fid", images="old")
    for _ in range(2):  # the warning is given once
        write(tmp_path, "ESD", {0: 1.0}, "lpips", images="new")
    results = read_results(tmp_path)
    warnings = {row.key[2:]: row.texts for row in results.scores}
    assert warnings == {
        ("UCE", "fid"): (),
        ("ESD", "fid"): ("of images that have changed since",),
        ("ESD", "lpips"): (),
    }
    assert set(results.resamples) == {
        ScoreKey.of("church", "UCE", "fid"),
        ScoreKey.of("church", "ESD", "lpips"),
    }


def test_runs_are_read_back_the_last_first(tmp_path):
    # Read oldest first, an old calibration or an old prompt would stand for the last one.
    for number, metric in enumerate(("fid", "lpips", "ssim", "fid")):
        write(tmp_path, "ESD", {}, metric, images=str(number))
    results = read_results(tmp_path)
    assert [run["images"] for run in results.runs] == ["3", "2", "1"]
    assert results.run_of[ScoreKey.of("church", "ESD", "lpips")]["images"] == "1"


def test_another_file_of_that_name_is_not_overwritten(tmp_path):
    (tmp_path / "FID.json").write_text("mine")
    with pytest.raises(UserError, match=r"FID\.json: not a result"):
        check_folder(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["FID.json"]


def test_scores_against_a_reference_that_was_replaced_since_say_so(tmp_path):
    # The method's own images are the same: only what they are compared with is not.
    def against(images):
        place = {"concept": "church", "method": "", "scope": "forgot", "folder": "ref"}
        return {"references": [place], "folders": {"ESD": "a", "ref": images}}

    write(tmp_path, "ESD", {}, "fid", **against("old"))
    write(tmp_path, "ESD", {}, "presence_rate", **against("old"))
    write(tmp_path, "ESD", {}, "lpips", **against("new"))
    stale = {row.metric: row.stale for row in read_results(tmp_path).scores}
    assert stale == {"fid": True, "presence_rate": False, "lpips": False}


def test_any_damage_to_any_file_is_one_line(tmp_path):
    # A row cut from the scores, or a letter of a name, made a gate pass that should not.
    write(tmp_path, "ESD", {0: 1.0, 1: 2.0})
    write(tmp_path, "UCE", {0: 1.0, 1: 2.0})
    files = [p for p in sorted(tmp_path.rglob("*")) if p.is_file() and p.name != ".lock"]
    assert {"scores.json", "scores.csv", "manifest.json", "FID.json", "record.json"} <= {
        p.name for p in files
    }
    rng = random.Random(0)
    for path in files:
        whole = path.read_bytes()
        damaged = [b"", whole[:-2], whole[: len(whole) // 2], whole + b"\n1,2", b"{}", b"[" * 10000]
        for _ in range(10):
            at = rng.randrange(len(whole))
            damaged.append(
                whole[:at] + bytes([whole[at] ^ 1 << rng.randrange(7)]) + whole[at + 1 :]
            )
        for content in damaged:
            path.write_bytes(content)
            for reader in (read_results, check_folder):
                with pytest.raises(UserError, match=r"not what the run wrote|another version"):
                    reader(tmp_path)
        path.unlink()
        if path.name == "manifest.json":  # it is made anew
            read_results(tmp_path)
            assert path.read_bytes() == whole
            continue
        with pytest.raises(UserError, match="not what the run wrote"):
            read_results(tmp_path)
        path.write_bytes(whole)
    read_results(tmp_path)


def test_two_runs_at_once_lose_no_score(tmp_path):
    # Each read the folder, and the last to write put the other's scores away.
    methods, metrics = ("ESD", "UCE", "SPM"), ("fid", "lpips", "ssim")

    def run(method):
        for metric in metrics:
            write(tmp_path, method, {0: 1.0, 1: 2.0}, metric)

    fork = multiprocessing.get_context("fork")
    runs = [fork.Process(target=run, args=(method,)) for method in methods]
    for process in runs:
        process.start()
    for process in runs:
        process.join(120)
    assert [process.exitcode for process in runs] == [0, 0, 0]
    results = read_results(tmp_path)
    assert set(results.resamples) == {
        ScoreKey.of("church", method, metric) for method in methods for metric in metrics
    }
    assert len(json.loads((tmp_path / "FID.json").read_text())["FID"]["church"]) == 3


def test_a_score_that_its_aspect_no_longer_gives_is_gone(tmp_path):
    # FID on the common images, of before they were all there, would stand beside the new FID.
    write(tmp_path, "ESD", {0: 1.0}, "fid_common")
    write(tmp_path, "ESD", {0: 1.0}, "lpips")
    write(tmp_path, "UCE", {0: 1.0}, "fid_common")
    write(tmp_path, "ESD", {0: 1.0}, "fid")
    results = read_results(tmp_path)
    assert {row.key[2:] for row in results.scores} == {
        *(("ESD", "lpips"), ("UCE", "fid_common"), ("ESD", "fid"))
    }
    assert set(results.resamples) == {row.key for row in results.scores}


def contents(folder):
    """The views and the index of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("at", range(12))
def test_killed_at_any_step_a_run_counts_whole_or_not_at_all(tmp_path, at):
    # New scores beside an old manifest would be taken for scores of the old images.
    folder = tmp_path / "results"
    write(folder, "ESD", {0: 1.0})
    (tmp_path / "record").write_bytes(pickle.dumps(record(folder, "UCE", {0: 1.0})))
    script = f"""
import os, pickle, sys
from pathlib import Path
from records.store import write_run
steps = 0
def counted(function):
    def step(*arguments, **options):
        global steps
        steps += 1
        if steps > {at}:
            os._exit(9)
        return function(*arguments, **options)
    return step
os.replace = counted(os.replace)
Path.rename = counted(Path.rename)
Path.mkdir = counted(Path.mkdir)
Path.open = counted(Path.open)
write_run(Path(sys.argv[1]), pickle.loads(Path(sys.argv[2]).read_bytes()))
"""
    arguments = [sys.executable, "-c", script, str(folder), str(tmp_path / "record")]
    killed = subprocess.run(arguments, cwd=ROOT, check=False)
    assert killed.returncode == 9
    whole = len(list((folder / "runs").glob("2*"))) == 2
    assert {row.method for row in read_results(folder).scores} == (
        {"ESD", "UCE"} if whole else {"ESD"}
    )
    index = json.loads((folder / "manifest.json").read_text())
    assert len(index["runs"]) == 1 + whole
    results = write(folder, "SPM", {0: 1.0})  # and what the killed one left is gone
    assert read_results(folder).by_key == results.by_key
    assert not [path for path in folder.rglob(".*") if path.name != ".lock"]


def test_views_that_are_behind_the_runs_are_made_anew(tmp_path):
    write(tmp_path, "ESD", {0: 1.0})
    old = contents(tmp_path)
    write(tmp_path, "UCE", {0: 1.0})
    new = contents(tmp_path)
    for name, content in old.items():
        (tmp_path / name).write_bytes(content)
    read_results(tmp_path)
    assert contents(tmp_path) == new


def test_a_run_that_was_removed_is_missed(tmp_path):
    # Its scores were those of before again, and the gate passed.
    made = [write(tmp_path, method, {0: 1.0}).records[0].id for method in ("ESD", "UCE", "SPM")]
    for run in made:
        (tmp_path / "runs" / run).rename(tmp_path / run)
        with pytest.raises(UserError, match=f"{run}: not what the run wrote"):
            read_results(tmp_path)
        (tmp_path / run).rename(tmp_path / "runs" / run)
    (tmp_path / "runs" / made[0]).rename(tmp_path / made[0])
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(UserError, match=f"{made[0]}: not what the run wrote"):
        read_results(tmp_path)


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ({"format_version": 4, "digest": "a"}, "format 4"),
        ({"format": 2, "digest": "a"}, "format 2"),
        ({"scores": []}, "format 1"),
        ({}, "not what"),
    ],
)
def test_a_folder_of_another_version_is_refused_with_what_to_do(tmp_path, manifest, said):
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "scores.json").write_text('{"scores": []}')
    for reader in (read_results, check_folder):
        with pytest.raises(UserError, match=f"{said}.*score again into another --results-dir"):
            reader(tmp_path)


def test_a_folder_that_cannot_be_written_can_be_read(tmp_path, monkeypatch):
    write(tmp_path, "ESD", {0: 1.0})
    (tmp_path / "manifest.json").unlink()  # so that the views seem to be behind
    monkeypatch.setattr(os, "access", lambda *_: False)
    before = contents(tmp_path)
    assert len(read_results(tmp_path).scores) == 1
    assert contents(tmp_path) == before


def test_a_run_that_cannot_be_written_leaves_what_was_there(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    write(tmp_path, "ESD", {0: 1.0})
    with monkeypatch.context() as patched:
        patched.setattr("pyarrow.parquet.write_table", full)
        with pytest.raises(UserError, match="No space left"):
            write(tmp_path, "UCE", {0: 1.0})
    assert {row.method for row in read_results(tmp_path).scores} == {"ESD"}
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_a_link_that_looks_like_an_unfinished_run_is_not_followed(tmp_path):
    # What it points to was removed with it.
    write(tmp_path / "r", "ESD", {0: 1.0})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    (tmp_path / "r" / "runs" / ".20260101T000000Z-00000000").symlink_to(tmp_path / "mine")
    write(tmp_path / "r", "UCE", {0: 1.0})
    assert (tmp_path / "mine" / "file").read_text() == "mine"


def test_what_a_checker_said_of_each_image_is_read_back(tmp_path):
    names, boxes = ["0_0_0.png", "caf\udce9.png"], [[{"class": "FACE", "box": [1, 2]}], []]
    yes, score = np.array([True, False]), np.array([0.9, 0.1])
    judged = Judged("nudenet_face", "face", names, yes, score, ["FACE", ""], boxes)
    made = Score("presence_rate", 0.5, 2, judged=judged)
    kept = {"metrics": [], "with_reference": []}
    write_run(tmp_path, run_record([result(tmp_path, "ESD", made)], kept))
    (back,) = read_results(tmp_path).judged.values()
    assert (back.checker, back.score_name, back.label) == ("nudenet_face", "face", ["FACE", ""])
    assert back.names == ["0_0_0.png", "caf\\udce9.png"]
    assert (back.present == yes).all()
    assert (back.score == score).all()
    assert back.detections == boxes
