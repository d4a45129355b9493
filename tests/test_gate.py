"""Wrong ways through the gate, on the demo, where DemoTint shows the face in every image."""

import os
import shutil
import subprocess
import sys

import pytest
from PIL import Image

import benchmark
import results as looking_back
from tests.conftest import DEMO, ROOT, photo

RULE = ("--fail-if", "face.presence_rate > 0.5")
SCORE = ("--evaluation-aspect", "forgetting", "--indicator", "nudenet")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def demo(tmp_path):
    """A copy of the demo's face whose methods, but for DemoTint, have forgotten it."""
    shutil.copytree(DEMO, tmp_path / "data" / "Face")
    return tmp_path / "data"


@pytest.fixture
def run(tmp_path, capsys, cache):
    def run(*arguments, results="results"):
        """A run of benchmark.py where there is something to score, else results.py's gate."""
        scores = {"--evaluation-aspect", "--check", "--list"} & {*arguments}
        program = benchmark.main if scores else looking_back.main
        first = () if scores else ("gate", tmp_path / results)
        places = ("--cache-dir", cache, "--results-dir", tmp_path / results) if scores else ()
        try:
            code = program([str(a) for a in (*first, *arguments, *places, "--quiet")])
        except SystemExit as stop:  # argparse
            code = stop.code
        out, err = capsys.readouterr()
        return code, out + err

    return run


def scored(run, demo, *more):
    return run(*SCORE, "--data-root", demo, "--concepts", "face", *more)


def without_tint(demo):
    """A run that passes: what is tried after it must not pass in its name."""
    shutil.rmtree(demo / "Face" / "forgot" / "DemoTint")
    return demo


def test_the_control_fails_and_a_pass_says_what_passed(run, demo):
    code, said = scored(run, demo, *RULE)
    assert code == 1
    assert "failed: face, DemoTint: presence_rate value is 1" in said
    code, said = scored(run, without_tint(demo), *RULE, "--methods", "DemoBlur", "DemoPixelate")
    assert code == 0
    assert "none of 2 scores" in said


def test_on_results_of_before_it_is_the_same(run, demo):
    scored(run, demo)
    assert run(*RULE)[0] == 1
    assert run(*RULE, "--methods", "DemoBlur")[0] == 0


@pytest.mark.parametrize("job", ["--check", "--list"])
def test_a_job_that_would_not_look_at_the_rule_is_refused(run, demo, job):
    scored(run, demo)
    code, said = run(*RULE, job)
    assert code == 2
    assert "would not be looked at" in said


def test_a_rule_without_a_run_is_refused_and_says_where_it_goes(demo, capsys):
    assert benchmark.main([*RULE, "--data-root", str(demo)]) == 2
    assert "`python results.py gate DIR --fail-if RULE`" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="a pipe")
def test_a_reader_that_goes_away_does_not_turn_a_failure_into_a_pass(demo, tmp_path, cache):
    command = [sys.executable, ROOT / "benchmark.py", *SCORE, "--data-root", demo, *RULE]
    command += ["--cache-dir", cache, "--results-dir", tmp_path / "results", "--quiet"]
    reading, writing = os.pipe()
    os.close(reading)
    assert subprocess.run(command, stdout=writing, check=False).returncode == 1


def test_images_that_were_replaced_since_pass_nothing(run, demo):
    scored(run, without_tint(demo))
    folder = demo / "Face" / "forgot" / "DemoBlur"
    for path in folder.iterdir():
        shutil.copy(demo / "Face" / "forgot" / "ORG" / path.name, path)
    code, said = run("--evaluation-aspect", "ssim", "--data-root", demo, *RULE)
    assert code == 2
    assert "changed" in said
    assert run(*RULE)[0] == 2


def test_a_checker_that_is_missing_today_passes_nothing(run, demo, monkeypatch):
    scored(run, without_tint(demo))
    monkeypatch.setattr("extractors.nudenet.find_spec", lambda name: None)
    code, said = run("--evaluation-aspect", "all", "--data-root", demo, *RULE)
    assert code == 2
    assert "could not be scored by the last run" in said


def test_a_method_that_came_after_the_rate_passes_nothing(run, demo):
    scored(run, without_tint(demo))
    shutil.copytree(demo / "Face/forgot/ORG", demo / "Face/forgot/New")
    code, said = run("--evaluation-aspect", "ssim", "--data-root", demo, *RULE)
    assert code == 2
    assert "presence_rate of New (face) was not scored" in said


@pytest.mark.parametrize("name", ["scores.csv", "scores.json", "manifest.json"])
def test_a_results_file_that_was_changed_passes_nothing(run, demo, tmp_path, name):
    scored(run, demo)
    path = tmp_path / "results" / name
    path.write_text(path.read_text().replace("DemoTint", "DemoTin"))
    code, said = run(*RULE)
    assert code == 2
    assert "not what the run wrote" in said


@pytest.mark.parametrize("damage", ["truncated", "avif", "broken link"])
def test_what_is_left_of_a_folder_passes_nothing(run, demo, damage):
    # Of five images with the concept, one without it was left to count.
    folder = without_tint(demo) / "Face" / "forgot" / "DemoBlur"
    for path in sorted(folder.iterdir())[1:]:
        if damage == "truncated":
            path.write_bytes(path.read_bytes()[:1000])
        elif damage == "avif":
            path.rename(path.with_suffix(".avif"))
        else:
            path.unlink()
            path.symlink_to("gone.png")
    code, said = scored(run, demo, *RULE)
    assert code == 2
    assert "DemoBlur (face) is of 1 of 5 images" in said
    assert scored(run, demo, *RULE, "--max-unreadable", "80%")[0] == 0


def test_a_method_whose_folder_is_a_broken_link_passes_nothing(run, demo):
    folder = demo / "Face" / "forgot" / "DemoTint"
    shutil.rmtree(folder)
    folder.symlink_to("gone")
    code, said = scored(run, demo, *RULE)
    assert code == 2
    assert "DemoTint" in said


def test_a_judge_that_is_blind_passes_nobody(run, demo):
    # Photographs without a face: not finding one in any of them says nothing.
    for path in (demo / "Face" / "forgot").glob("*/*.png"):
        photo(int(path.stem[-1]), 128, 128).save(path)
    code, said = scored(run, demo, *RULE)
    assert code == 2
    assert "unfit judge" in said
    assert scored(run, demo, *RULE, "--allow-unfit-judge")[0] == 0


@pytest.mark.parametrize(
    "rule",
    [
        "face.presence_rate > 5",
        "face.presence_rate > 1e999",
        "face.presence_rate < -1",
        "face.presence_rate.hi > 0.5",
        "fase.presence_rate > 0.5",
        "face.presence > 0.5",
        "face.Tint.presence_rate > 0.5",
    ],
)
def test_a_rule_that_cannot_hold_is_refused_before_the_run(run, demo, tmp_path, rule):
    code, said = scored(run, demo, "--fail-if", rule)
    assert code == 2
    assert "--fail-if" in said
    assert not (tmp_path / "results" / "scores.json").exists()


def test_an_interval_over_seeds_is_no_interval_over_prompts(run, demo):
    # Five samples of one prompt: what another prompt would show is not in the interval.
    without_tint(demo)
    code, said = scored(run, demo, "--fail-if", "face.presence_rate.high > 0.5")
    assert code == 2
    assert ".high_over_seeds" in said
    assert scored(run, demo, "--fail-if", "face.presence_rate.high_over_seeds > 0.5")[0] == 0


@pytest.mark.parametrize(
    "error",
    [
        ("--fail-if", "face.presence > 0.5"),
        ("--no-such-flag",),
        ("--workers", "none"),
        ("--config", "gone.yaml"),
        ("@gone",),
        ("--data-root", "gone"),
    ],
    ids=lambda flags: flags[0],
)
def test_an_error_leaves_no_older_junit_standing(run, demo, tmp_path, error):
    # It would say "0 failures" of a gate that was not even tried.
    junit = tmp_path / "gate.xml"
    scored(run, demo, *RULE, "--junit", junit)
    assert 'failures="1"' in junit.read_text()
    code, _ = scored(run, demo, *RULE, "--junit", junit, *error)
    assert (code, junit.exists()) == (2, False)


def test_a_file_that_is_no_junit_of_ours_is_not_removed(run, demo, tmp_path):
    # --junit on an image, or on the results themselves, deleted it.
    image = demo / "Face/forgot/DemoTint/0_0_0.png"
    link = tmp_path / "link.xml"
    link.symlink_to(image)
    for path in (image, link):
        code, said = scored(run, demo, *RULE, "--junit", path)
        assert (code, image.exists()) == (2, True)
        assert "something else is there" in said


def test_a_run_may_be_held_against_an_earlier_one(run, demo, tmp_path):
    scored(run, demo)
    for path in (demo / "Face" / "forgot" / "DemoBlur").iterdir():
        shutil.copy(demo / "Face" / "forgot" / "ORG" / path.name, path)
    rule = f"face.presence_rate worse than {tmp_path / 'results'}"
    places = ("--data-root", demo, "--concepts", "face", "--fail-if", rule)
    code, said = run(*SCORE, *places, results="after")
    assert code == 1
    assert "DemoBlur: presence_rate value is worse than in" in said


@pytest.mark.parametrize("where", ["results", "link"])
def test_a_run_is_not_held_against_itself(run, demo, tmp_path, where):
    # Its results are written over the earlier ones before the two are compared.
    scored(run, demo)
    (tmp_path / "link").symlink_to(tmp_path / "results")
    rule = ("--fail-if", f"face.presence_rate worse than {tmp_path / where}")
    for code, said in (scored(run, demo, *rule), run(*rule)):
        assert code == 2
        assert "keep the earlier ones apart" in said


def test_earlier_results_that_are_not_there_are_missed_before_the_run(run, demo, tmp_path):
    rule = ("--fail-if", f"face.presence_rate worse than {tmp_path / 'gone'}")
    code, said = scored(run, demo, *rule)
    assert code == 2
    assert "no such folder" in said
    assert not (tmp_path / "results" / "scores.json").exists()


def test_the_original_is_judged_by_the_judge_that_a_gate_relies_on(run, demo):
    # With a threshold that finds no face anywhere, a look at DemoTint alone passed.
    code, said = scored(run, demo, "--threshold", "0.99", "--methods", "DemoTint", *RULE)
    assert code == 2
    assert "unfit judge" in said
    assert scored(run, demo, "--methods", "DemoTint", *RULE)[0] == 1


def test_methods_judged_by_another_threshold_than_the_original_pass_nothing(run, demo):
    scored(run, demo)
    scored(run, demo, "--threshold", "0.99", "--methods", "DemoTint", "DemoBlur", "DemoPixelate")
    code, said = run(*RULE)
    assert code == 2
    assert "same checker" in said


@pytest.mark.parametrize("images", ["copies", "black"])
def test_images_that_show_nothing_of_a_method_are_not_counted(run, demo, images):
    folder = demo / "Face" / "forgot" / "DemoTint"
    for path in folder.iterdir():
        if images == "black":
            Image.new("RGB", (224, 224)).save(path)
        else:
            shutil.copy(demo / "Face/forgot/DemoBlur/0_0_0.png", path)
    code, said = scored(run, demo, *RULE)
    assert code == 2
    assert "different and not of one grey level" in said


def test_a_method_that_came_since_passes_nothing(run, demo):
    scored(run, without_tint(demo))
    shutil.copytree(demo / "Face/forgot/ORG", demo / "Face/forgot/New")
    code, said = run(*RULE)
    assert code == 2
    assert "has come since" in said


def test_a_trial_run_is_refused_as_one_and_its_images_stand(run, demo, tmp_path):
    scored(run, demo, "--limit", "2")
    code, said = run(*RULE)
    assert code == 2
    assert "first 2 images" in said
    assert looking_back.main(["verify", str(tmp_path / "results")]) == 0


def test_a_pipe_in_the_place_of_a_results_file_does_not_hang(run, demo, tmp_path):
    scored(run, demo)
    path = tmp_path / "results" / "scores.csv"
    path.unlink()
    os.mkfifo(path)
    code, said = run(*RULE)
    assert code == 2
    assert "not what the run wrote" in said
