"""Values without a block, on disk: kept through later runs, and read back by the report."""

import pytest

from evaluation.layout import MethodFolder, Task
from evaluation.output import read_earlier, score_keys, write_results
from evaluation.run import Cell, Result
from metrics.base import Score
from metrics.fid import Fid
from report.results import read_results
from utils.config import Concept, Method
from utils.errors import UserError


def write(folder, method, resamples, metric="fid", images="a"):
    where = MethodFolder(Method(method, method), folder / method, [])
    task = Task(Concept("church", "object", "Church/forgot"), "forgot", [where], None)
    score = Score(metric, 3.0, 5, "", False, 2.0, 4.0, resamples=resamples)
    results = [Result(Cell(task, Fid()), where, [score])]
    manifest = {
        "scores": [list(key) for key in sorted(score_keys(results))],
        "places": [{"concept": "church", "method": method, "scope": "forgot", "folder": method}],
        "folders": {method: images},
        "images": images,
    }
    write_results(folder, results, manifest, read_earlier(folder))


def test_resamples_are_replaced_by_their_own_score_only(tmp_path):
    write(tmp_path, "ESD", {0: 1.0, 1: 2.0, 2: 9.0})
    write(tmp_path, "UCE", {0: 3.0})
    write(tmp_path, "ESD", {0: 4.0, 1: 5.0})
    results = read_results(tmp_path)
    assert results.resamples == {
        ("church", "UCE", "fid"): {0: 3.0},
        ("church", "ESD", "fid"): {0: 4.0, 1: 5.0},
    }
    row = results.by_key["church", "ESD", "fid"]
    assert (row.ci_low, row.ci_high) == (2.0, 4.0)


def test_a_folder_of_before_there_were_resamples_still_works(tmp_path):
    write(tmp_path, "ESD", {0: 1.0})
    (tmp_path / "resamples.parquet").unlink()
    write(tmp_path, "UCE", {})
    results = read_results(tmp_path)
    assert results.resamples == {}
    assert [row.method for row in results.scores] == ["ESD", "UCE"]


def test_scores_of_images_that_were_replaced_since_say_so_and_are_compared_with_nothing(tmp_path):
    # Beside the new ones they would be taken for scores of the same images.
    write(tmp_path, "ESD", {0: 1.0}, "fid", images="old")
    write(tmp_path, "UCE", {0: 1.0}, "fid", images="old")
    for _ in range(2):  # the warning is given once
        write(tmp_path, "ESD", {0: 1.0}, "kid", images="new")
    results = read_results(tmp_path)
    warnings = {row.key[1:]: row.warnings for row in results.scores}
    assert warnings == {
        ("UCE", "fid"): (),
        ("ESD", "fid"): ("of images that have changed since",),
        ("ESD", "kid"): (),
    }
    assert set(results.resamples) == {("church", "UCE", "fid"), ("church", "ESD", "kid")}


def test_runs_are_read_back_the_last_first(tmp_path):
    # Read oldest first, an old calibration or an old prompt would stand for the last one.
    for number, metric in enumerate(("fid", "kid", "fid_infinity", "fid")):
        write(tmp_path, "ESD", {}, metric, images=str(number))
    results = read_results(tmp_path)
    assert [run["images"] for run in results.runs] == ["3", "2", "1"]
    assert results.run_of["church", "ESD", "kid"]["images"] == "1"


def test_another_file_of_that_name_is_not_overwritten(tmp_path):
    (tmp_path / "resamples.parquet").write_text("mine")
    with pytest.raises(UserError, match=r"resamples\.parquet"):
        read_earlier(tmp_path)
