"""What both programs share: settings given once, argument files, hints, lists, trial runs, JSON."""

import csv
import json
import os
import shutil
import subprocess

import pytest

import benchmark
import eval_unlearning
import results as looking_back
from dataset import demo
from tests.conftest import DEMO, ROOT, photo
from utils.version import VERSION

SHIPPED = ROOT / "dataset" / "benchmark.yaml"
FACE = ("--indicator", "nudenet", "--concept", "Face")


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """One feature store for all: rows are keyed by content."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def run(tmp_path, capsys, store, monkeypatch):
    """Return a function that runs a program and gives (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(program, *arguments):
        try:
            code = program.main([*map(str, arguments), "--cache-dir", str(store)])
        except SystemExit as stop:  # argparse
            code = stop.code
        return code, *capsys.readouterr()

    return run


def rows(folder):
    with (folder / "scores.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def manifest(folder):
    return json.loads((folder / "manifest.json").read_text())


def test_settings_come_from_the_file_the_environment_and_the_command_line(
    run, tmp_path, monkeypatch
):
    config = tmp_path / "mine.yaml"
    gone = "models: {inception: ./gone.pth}\n"
    places = "data_root: data\nresults_dir: from_file\nweights_dir: heads\n"
    config.write_text(gone + places + 'gates: ["ssim < 0"]\n' + SHIPPED.read_text())
    shutil.copytree(DEMO, tmp_path / "data" / "Face")
    monkeypatch.setenv("IGMU_CONFIG", str(config))
    code, _, err = run(benchmark, "--evaluation-aspect", "ssim", "--limit", "1")
    assert (code, "no gate" in err) == (2, True)  # a trial passes no gate
    code, _, err = run(benchmark, "--evaluation-aspect", "ssim")
    assert code == 0, err
    source = str(config)
    assert manifest(tmp_path / "from_file")["settings"] == {
        "data_root": source,
        "results_dir": source,
        "cache_dir": "command line",
        "weights_dir": source,
        "model inception": source,
        "gate ssim < 0": source,
    }
    monkeypatch.setenv("IGMU_RESULTS_DIR", "from_environment")
    run(benchmark, "--evaluation-aspect", "ssim")
    settings = manifest(tmp_path / "from_environment")["settings"]
    assert (settings["results_dir"], settings["data_root"]) == ("environment", source)
    code, _, err = run(benchmark, "--evaluation-aspect", "fid")
    assert (code, f"{tmp_path}/gone.pth" in err) == (2, True)
    code, out, err = run(eval_unlearning, *FACE, "--results-dir", "from_line", "--json")
    assert code == 0, err
    assert json.loads(out)["manifest"]["settings"]["results_dir"] == "command line"


def test_a_gate_of_the_configuration_fails_the_run(run, tmp_path):
    config = tmp_path / "mine.yaml"
    config.write_text('gates: ["face.presence_rate > 0.5"]\n' + SHIPPED.read_text())
    arguments = ("--evaluation-aspect", "forgetting", "--config", config)
    assert run(benchmark, *arguments)[0] == 1
    config.write_text('gates: ["presence_rate"]\n' + SHIPPED.read_text())
    code, out, err = run(benchmark, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {config}:1: gates: ")


def test_all_mistakes_of_a_configuration_are_shown_a_line_each(run, tmp_path):
    config = tmp_path / "mine.yaml"
    config.write_text(SHIPPED.read_text().replace("task:", "taks:"))
    code, out, err = run(benchmark, "--config", config)
    assert (code, out, len(err.splitlines())) == (2, "", 5)
    assert all(line.startswith(f"error: {config}:") for line in err.splitlines())


def test_words_that_no_prompt_has_are_an_error_with_their_line(run, tmp_path):
    # Nothing would be removed: CSDR's text would still speak of the concept.
    text = SHIPPED.read_text().replace("words: [church]", "words: [church, steeple of Rome]")
    (tmp_path / "mine.yaml").write_text(text)
    line = next(n for n, row in enumerate(text.splitlines(), 1) if "steeple" in row)
    for method in ("ORG", "ESD"):
        folder = tmp_path / "data" / "Church" / "forgot" / method
        folder.mkdir(parents=True)
        photo(1).save(folder / "0_0_0.png")
    places = ("--config", tmp_path / "mine.yaml", "--data-root", tmp_path / "data")
    for aspects in (("--check",), ("--evaluation-aspect", "CSDR"), ()):
        code, _, err = run(benchmark, *aspects, *places)
        assert code == 2
        assert f"mine.yaml:{line}: words: steeple of Rome occurs in no prompt" in err


def test_an_argument_file_stands_for_its_lines(run, tmp_path):
    (tmp_path / "mine.args").write_text("--evaluation-aspect\nssim\n\n--results-dir\na b\n")
    code, _, err = run(benchmark, f"@{tmp_path / 'mine.args'}", "--results-dir", "wins")
    assert code == 0, err
    assert {row["metric"] for row in rows(tmp_path / "wins")} == {"ssim"}
    # The file may be another one tomorrow.
    assert manifest(tmp_path / "wins")["arguments"][:2] == ["--evaluation-aspect", "ssim"]


def test_a_home_folder_in_quotes_is_expanded(run, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    code, _, err = run(benchmark, "--evaluation-aspect", "ssim", "--results-dir", "~/r")
    assert code == 0, err
    assert (tmp_path / "r" / "scores.csv").is_file()


def test_aspects_may_be_separated_by_commas_and_all_is_the_default(run, tmp_path, monkeypatch):
    code, _, err = run(benchmark, "--evaluation-aspect", "ssim,psnr", "--results-dir", "two")
    assert code == 0, err
    assert {row["metric"] for row in rows(tmp_path / "two")} == {"ssim", "psnr"}
    config = tmp_path / "mine.yaml"
    config.write_text(SHIPPED.read_text().replace("aspects: [", "aspects: [psnr] #"))
    code, _, err = run(benchmark, "--config", config, "--results-dir", "default")
    assert code == 0, err
    assert {row["metric"] for row in rows(tmp_path / "default")} == {"psnr"}


HINTS = {
    "flag": ((benchmark, "--evaluation-aspects", "fid"), "did you mean --evaluation-aspect?"),
    "short flag": ((benchmark, "--aspect=fid"), "did you mean --evaluation-aspect?"),
    "abbreviation": ((benchmark, "--evaluation", "fid"), "did you mean --evaluation-aspect?"),
    "other program's flag": ((benchmark, "--concept", "face"), "did you mean --concepts?"),
    "one of two": ((benchmark, "--evaluation-aspect", "fid,lpip"), "did you mean lpips?"),
    "inside a concept": ((benchmark, "--data-root", DEMO), f"give --data-root {DEMO.parent}"),
    "inside a method": ((benchmark, "--data-root", DEMO / "forgot" / "ORG"), "inside a concept"),
    "category": ((benchmark, "--concepts", "cat"), "a category of the unrelated images of"),
    "artist": ((eval_unlearning, "--concept", "Van Gogh"), "did you mean vincent-van-gogh?"),
    "unknown concept": ((eval_unlearning, "--concept", "cat"), "--list names"),
    "another indicator's": ((eval_unlearning, "--concept", "Faces"), "Face?) of --indicator nu"),
    "preset": ((benchmark, "--preset", "mase"), "did you mean mace?"),
    "threshold": ((benchmark, "--threshold", "0.1"), "at least 0.25"),
    "threshold not a number": ((benchmark, "--threshold", "nan"), "at least 0.25"),
    "threshold of no detector": ((eval_unlearning, "--threshold", "0.5"), "only nudenet"),
    "threshold unused": (
        (benchmark, "--threshold", "0.5", "--evaluation-aspect", "ssim"),
        "judged by nudenet",
    ),
    "trial audit": ((benchmark, "--check", "--limit", "2"), "--limit is for a trial run"),
    "trial gate": (
        (benchmark, "--evaluation-aspect", "ssim", "--limit", "2", "--fail-if", "ssim < 0.1"),
        "--limit is for a",
    ),
    "device as arguments": ((benchmark, "@/dev/zero"), "/dev/zero: not a regular file"),
    "device as configuration": ((benchmark, "--config", "/dev/zero"), "not a regular file"),
    "nobody's home": ((benchmark, "--config", "~nobody0/x.yaml"), "no such user"),
}


@pytest.mark.parametrize("case", HINTS)
def test_a_mistake_gets_one_line_with_the_hint_that_helps(run, case):
    arguments, message = HINTS[case]
    code, out, err = run(*arguments)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert message in err


def test_version_is_the_toolkits(run):
    assert run(benchmark, "--version")[:2] == (0, f"igmu {VERSION}\n")


def test_list_names_what_there_is_and_which_models_are_here(run, monkeypatch):
    def download(*_):
        raise AssertionError("a list downloads nothing")

    monkeypatch.setattr("urllib.request.urlopen", download)
    code, out, _ = run(benchmark, "--list")
    assert code == 0
    for name in ("object_church", "DemoBlur", "fid_infinity", "claude-monet", "face-reported"):
        assert name in out
    assert max(map(len, out.partition("\nmodels\n")[0].splitlines())) <= 100
    code, out, _ = run(eval_unlearning, "--list", "--json")
    assert code == 0
    state = {row["model"]: row["state"] for row in json.loads(out)["models"]}
    assert (state["nudenet"], state["clip"], state["head multi_multiC/Nudity"]) == (
        *("here", "missing", "missing"),
    )
    cautions = {row["preset"]: row["about"] for row in json.loads(out)["presets"]}
    assert "3.0.8" in cautions["rece"]
    assert "tell readers to change" in cautions["mace"]


def test_with_json_there_is_one_document_on_stdout_and_all_else_on_stderr(run):
    code, out, err = run(benchmark, "--evaluation-aspect", "ssim", "--json")
    document = json.loads(out)
    assert (code, {score["metric"] for score in document["scores"]}) == (0, {"ssim"})
    assert document["manifest"]["settings"]["results_dir"] == "default"
    assert "Original model" in err
    code, out, _ = run(benchmark, "--check", "--json")
    assert (code, len(json.loads(out)["audit"])) == (0, 5)
    code, out, err = run(eval_unlearning, *FACE, "--json")
    assert [entry["present"] for entry in json.loads(out)["folders"]] == [5, 0, 0, 5]
    assert "DemoTint" in err
    code, out, _ = run(benchmark, "--concepts", "nothing", "--json")
    assert (code, out) == (2, "")


def test_a_trial_run_says_so_everywhere(run, tmp_path):
    note = "partial: the first 2 images of each folder"
    code, out, err = run(benchmark, "--evaluation-aspect", "forgetting", "ssim", "--limit", 2)
    assert code == 0, err
    assert out.count(note) == 1
    results = tmp_path / "results" / "benchmark"
    for row in rows(results):
        assert (row["n"], row["warnings"].count(note)) == ("2", 1)
    assert (manifest(results)["partial"], manifest(results)["limit"]) == (True, 2)
    assert note in (results / "report.html").read_text()
    code, out, _ = run(eval_unlearning, *FACE, "--limit", 2)
    assert (code, note in out) == (0, True)
    document = json.loads((tmp_path / "results" / "eval" / "eval.json").read_text())
    assert (document["partial"], document["manifest"]["limit"]) == (True, 2)
    assert {entry["limit"] for entry in document["folders"]} == {2}


def test_a_trial_of_unrelated_images_takes_some_of_each_category(run, tmp_path):
    code, _, err = run(benchmark, "--evaluation-aspect", "ssim", "--object", "--limit", 1)
    assert code == 0, err
    categories = len(list((DEMO / "unrelated" / "ORG").iterdir()))
    assert {row["n"] for row in rows(tmp_path / "results" / "benchmark")} == {str(categories)}


def test_a_threshold_of_ones_own_is_named_wherever_it_counts(run, tmp_path):
    said = "threshold 0.85 in place of preset face's 0.45"
    code, out, err = run(
        *(benchmark, "--evaluation-aspect", "forgetting", "indicators", "--threshold", "0.85")
    )
    assert code == 0, err
    assert said in out
    results = tmp_path / "results" / "benchmark"
    for row in rows(results):
        assert (said in row["warnings"]) == (row["metric"] in ("presence_rate", "forgetting_rate"))
    assert manifest(results)["checkers"]["face"]["threshold"] == 0.85
    assert manifest(results)["stand_ins"] == {}  # the judge is the one that was asked for
    gate = ("--threshold", "0.85", "--fail-if", "face.presence_rate > 0.1")
    assert looking_back.main(["gate", str(results), *gate, "--allow-unfit-judge"]) in (0, 1)
    _, out, _ = run(eval_unlearning, *FACE, "--threshold", "0.85")
    assert f"above 0.85 ({said})" in out


def test_tables_of_aspects_come_as_they_finish_and_the_whole_one_last(run):
    aspects = ("--evaluation-aspect", "forgetting", "ssim", "psnr")
    _, out, err = run(benchmark, *aspects)
    assert err.count("Demo: blurred face") == 3
    assert out.count("Demo: blurred face") == 1
    assert run(benchmark, *aspects, "--quiet") == (0, out, "")


def test_the_reference_of_plain_folders_is_scored_and_compared_with(run, tmp_path, capsys):
    out = tmp_path / "out"
    shutil.copytree(DEMO / "forgot", out)
    (out / "ORG").rename(out / "before")
    flags = ("--data-root", out, "--reference", out / "before", "--concepts", "face")
    code, table, err = run(benchmark, "--evaluation-aspect", "forgetting", "ssim", *flags)
    assert code == 0, err
    assert "Original model" in table
    found = {(r["method"], r["metric"]): r["value"] for r in rows(tmp_path / "results/benchmark")}
    assert found["ORG", "presence_rate"] == found["DemoTint", "presence_rate"] == "1.0"
    assert ("before", "ssim") not in found
    assert looking_back.main(["compare", str(tmp_path / "results/benchmark"), "ORG"]) == 0
    assert "presence_rate" in capsys.readouterr().out


def test_without_the_original_model_it_is_said_what_that_means(run, tmp_path):
    shutil.copytree(DEMO, tmp_path / "data" / "Face")
    shutil.rmtree(tmp_path / "data" / "Face" / "forgot" / "ORG")
    code, out, err = run(
        *(benchmark, "--evaluation-aspect", "ssim", "--data-root", tmp_path / "data")
    )
    assert code == 0, err
    assert "no method can be compared with it" in out


def test_the_demo_ends_in_its_report_and_what_to_type_next(tmp_path, capfd):
    assert demo.main(tmp_path / "demo") == 0
    out, err = capfd.readouterr()
    assert (tmp_path / "demo" / "report.html").stat().st_size > 10_000
    assert f"{tmp_path}/demo/report.html" in out
    assert "skipped" not in out + err
    assert "prefetch.py" in out.splitlines()[-1]


def test_make_makes_the_environment_anew_when_the_pins_change_not_their_date(tmp_path):
    for name in ("Makefile", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path)

    def makes_it():
        command = ["make", "--dry-run", "--directory", tmp_path, "demo"]
        return (
            "-m venv" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
        )

    assert makes_it()
    (tmp_path / ".venv").mkdir()
    show = ("--no-print-directory", "--eval", "show: ; @echo $(READY)", "show")
    mark = subprocess.run(
        ["make", "--directory", tmp_path, *show], capture_output=True, text=True, check=True
    ).stdout.strip()
    (tmp_path / mark).touch()
    assert not makes_it()
    os.utime(tmp_path / "requirements.txt")
    assert not makes_it()
    with (tmp_path / "requirements.txt").open("a") as file:
        file.write("another==1.0\n")
    assert makes_it()


def test_samples_of_a_prompt_are_grouped_whatever_they_are_called(run, tmp_path):
    # Grouped by their names or by an expression: the same images, the same numbers.
    for root, name in (("usual", "0_{}_{}.png"), ("other", "prompt{} seed{}.png")):
        for method, seed in (("ORG", 0), ("ESD", 50)):
            folder = tmp_path / root / "Face" / "forgot" / method
            folder.mkdir(parents=True)
            for i in range(12):
                photo(seed + i, 64, 64).save(folder / name.format(i // 2, i % 2))
        shutil.copytree(folder.parent / "ORG", folder.parent.parent / "remove_word" / "ORG")
    flags = ("--evaluation-aspect", "ssim", "forgetting")
    code, _, err = run(benchmark, *flags, "--data-root", "usual", "--results-dir", "a")
    assert code == 0, err
    by = ("--group-by", r"prompt(\d+)")
    code, _, err = run(benchmark, *flags, "--data-root", "other", "--results-dir", "b", *by)
    assert code == 0, err
    run(benchmark, *flags, "--data-root", "other", "--results-dir", "ungrouped")
    assert rows(tmp_path / "a") == rows(tmp_path / "b") != rows(tmp_path / "ungrouped")
    compared = [run(benchmark, "--compare", "ORG", "--results-dir", folder)[1] for folder in "ab"]
    assert compared[0] == compared[1]
    groups = manifest(tmp_path / "b")["groups"]["face"]["forgot"]
    assert groups["prompt3 seed1.png"] == "3"
    code, _, err = run(benchmark, *flags, "--data-root", "other", "--group-by", "^x")
    assert (code, len(err.splitlines())) == (2, 1)
    images = ("--images", tmp_path / "other" / "Face" / "forgot" / "ORG")
    outputs = [run(eval_unlearning, *FACE, *images, *flag)[0] for flag in ((), by)]
    assert outputs == [0, 0]


def test_gates_of_the_file_that_are_not_looked_at_are_said_to_be_so(run, tmp_path):
    config = tmp_path / "mine.yaml"
    config.write_text('gates: ["ssim < 0"]\n' + SHIPPED.read_text())
    said = f"gates of {config} are for runs that score: not looked at\n"
    places = ("--config", config, "--results-dir", tmp_path / "r", "--quiet")
    code, _, err = run(benchmark, "--check", *places)
    assert (code, said in err) == (0, True)
    assert said not in run(benchmark, "--list", *places)[2]


@pytest.mark.parametrize("flag", [("--max-unreadable", "1%"), ("--allow-unfit-judge",)])
def test_terms_of_a_gate_without_a_gate_are_refused(run, flag):
    code, _, err = run(benchmark, "--check", *flag)
    assert (code, len(err.splitlines())) == (2, 1)
    code, _, err = run(benchmark, "--evaluation-aspect", "ssim", *flag)
    assert (code, err) == (2, f"error: {flag[0]} is a term of --fail-if; give at least one\n")


def test_a_misspelt_variable_is_refused_also_where_none_is_read(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("IGMU_FOO", "1")
    code = looking_back.main(["verify", str(tmp_path)])
    err = capsys.readouterr().err
    assert (code, "IGMU_FOO: no such setting" in err) == (2, True)
