"""Results on disk: kept through later runs, whole after every accident, and read back."""

import json
import multiprocessing
import random
from dataclasses import asdict
from functools import partial

import pytest

from evaluation.output import read_earlier, score_keys, score_rows, write_results
from evaluation.run import Cell, Result
from inputs.config import Concept, Method
from inputs.layout import MethodFolder, Task
from metrics import ASPECTS, specs
from metrics.base import Score, ScoreWarning
from metrics.spec import ScoreKey
from records.store import read_results
from utils.errors import UserError


def result(folder, method, score):
    where = MethodFolder(Method(method, method), folder / method, [])
    task = Task(Concept("church", "object", "Church/forgot"), "forgot", [where], None)
    aspect = next(spec.aspect for spec in specs() if spec.describes(score.metric))
    return Result(Cell(task, ASPECTS[aspect]()), where, [score])


def write(folder, method, resamples, metric="fid", images="a", **more):
    score = Score(metric, 3.0, 5, "", False, 2.0, 4.0, resamples=resamples)
    results = [result(folder, method, score)]
    manifest = {
        "scores": [list(key) for key in sorted(score_keys(results))],
        "places": [{"concept": "church", "method": method, "scope": "forgot", "folder": method}],
        "folders": {method: images},
        "images": images,
        "metrics": [asdict(spec) for spec in specs()],
    }
    write_results(folder, results, manifest | more)


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
    (tmp_path / "resamples.parquet").write_text("mine")
    with pytest.raises(UserError, match=r"resamples\.parquet"):
        read_earlier(tmp_path)


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
    files = [path for path in sorted(tmp_path.iterdir()) if not path.name.startswith(".")]
    assert {"scores.json", "scores.csv", "manifest.json", "FID.json"} <= {p.name for p in files}
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
            for reader in (read_results, read_earlier):
                with pytest.raises(UserError, match=r"not what the run wrote|another version"):
                    reader(tmp_path)
        path.unlink()
        with pytest.raises(UserError, match=r"not what the run wrote|no manifest"):
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


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_a_score_that_is_no_number_has_no_value_and_says_so(tmp_path, value):
    # A gate would take minus infinity for the best there is.
    (row,) = score_rows([result(tmp_path, "ESD", Score("fid", value, 5))])
    assert row["value"] is None
    assert "came out as" in row["warnings"][0]["text"]


def test_a_warning_with_a_semicolon_stays_one(tmp_path):
    write_results(
        tmp_path,
        [
            result(
                tmp_path,
                "ESD",
                Score("fid", 1.0, 5).warn(*map(partial(ScoreWarning, "note"), ("a; b", "c"))),
            )
        ],
        {"scores": [], "folders": {}, "metrics": []},
    )
    assert read_results(tmp_path).scores[0].texts == ("a; b", "c")


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
