"""The plug-ins of docs/extending.md through the real scripts: one file each, no edit elsewhere."""

import csv
import json
import re
import shutil

import pytest
from PIL import Image

import benchmark
import eval_unlearning
import prefetch
import results as looking_back
from checkers import CHECKERS
from extractors import EXTRACTORS
from metrics import ASPECTS
from tests.conftest import DEMO, ROOT
from utils import plugins

FOLDER = ROOT / "docs" / "plugins"
COLOURFULNESS = FOLDER / "colourfulness.py"
CHANGE = FOLDER / "pixel_change.py"
RED_SKY = FOLDER / "red_sky.py"


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    """Return a function that runs a script with plug-ins, which are forgotten afterwards."""
    for registry in (ASPECTS, CHECKERS, EXTRACTORS):
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    monkeypatch.setattr(plugins, "_loaded", {})
    monkeypatch.chdir(tmp_path)

    def run(program, *arguments):
        try:
            code = program.main([str(argument) for argument in arguments])
        except SystemExit as stop:  # argparse
            code = stop.code
        out, err = capsys.readouterr()
        return code, out, err

    return run


def scores(folder):
    with (folder / "scores.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def places(tmp_path):
    return ("--cache-dir", tmp_path / "cache", "--results-dir", tmp_path / "r")


def test_the_document_shows_the_files_that_are_run_here():
    text = (ROOT / "docs" / "extending.md").read_text()
    for path in FOLDER.glob("*.py"):
        assert f"```python\n{path.read_text()}```" in text, path


def test_a_metric_is_in_all_help_list_table_report_and_gate(run, tmp_path):
    plugin = ("--plugin", COLOURFULNESS, "--plugin", CHANGE)
    code, out, _ = run(benchmark, *plugin, "--help")
    assert code == 0
    assert re.search(r"colourfulness,\s+pixel_change,\s+or\s+all", out)
    code, out, err = run(benchmark, *plugin, *places(tmp_path))
    assert code == 0, err
    assert "colourfulness ↑" in out
    assert "pixel_change ↓" in out
    found = {(row["method"], row["metric"]): row for row in scores(tmp_path / "r")}
    assert float(found["ORG", "colourfulness"]["value"]) > 5
    assert float(found["DemoBlur", "pixel_change"]["value"]) > 0
    for file in ("report.html", "table.md", "table.tex"):
        text = (tmp_path / "r" / file).read_text()
        assert "colourfulness" in text
        assert re.search(r"pixel(\\*)_change", text)
    code, out, _ = run(benchmark, *plugin, "--list")
    assert "M3 of Hasler" not in out
    assert re.search(r"pixel_change +pixel_change +lower", out)
    rule = ("--fail-if", "colourfulness < 1000")
    scored = ("--evaluation-aspect", "colourfulness", *places(tmp_path))
    assert run(benchmark, *plugin, *scored, *rule)[0] == 1
    assert run(benchmark, *plugin, *scored, "--fail-if", "pixel_change > 300")[0] == 2  # 0 to 255
    assert run(looking_back, "gate", tmp_path / "r", *plugin, "--fail-if", "colourfulness < 0.1")[
        0
    ] in (0, 2)  # 2 where the gate wants more than a demo has, never 1


def test_results_of_a_plugin_are_read_without_it_and_verified_with_its_digest(run, tmp_path):
    plugin = tmp_path / "mine.py"
    shutil.copy(COLOURFULNESS, plugin)
    arguments = ("--plugin", plugin, "--evaluation-aspect", "colourfulness", *places(tmp_path))
    assert run(benchmark, *arguments)[0] == 0
    assert run(looking_back, "report", tmp_path / "r")[0] == 0
    assert run(looking_back, "verify", tmp_path / "r")[0] == 0
    plugin.write_text(plugin.read_text() + "# changed\n")
    code, out, _ = run(looking_back, "verify", tmp_path / "r")
    assert (code, "mine.py" in out) == (1, True)


def test_a_checker_judges_by_flag_and_by_configuration(run, tmp_path):
    for name, colour in (("red", (200, 20, 20)), ("blue", (20, 20, 200))):
        (tmp_path / "out" / "forgot" / name).mkdir(parents=True)
        Image.new("RGB", (64, 64), colour).save(tmp_path / "out" / "forgot" / name / "0_0_0.png")
    folders = sorted((tmp_path / "out" / "forgot").iterdir())
    asked = ("--indicator", "red_sky", "--concept", "Sunset", "--images", *folders)
    code, _, err = run(eval_unlearning, "--plugin", RED_SKY, *asked, *places(tmp_path))
    assert code == 0, err
    entries = json.loads((tmp_path / "r" / "eval.json").read_text())["folders"]
    assert {e["folder"].rpartition("/")[2]: e["presence_rate"] for e in entries} == {
        "blue": 0,
        "red": 1,
    }
    config = tmp_path / "mine.yaml"
    config.write_text(
        f"plugins: ['{RED_SKY}']\n"
        "concepts:\n"
        "  sky: {task: object, forgot: forgot, checkers: {red_sky: red sky}}\n"
    )
    code, _, err = run(
        *(benchmark, "--config", config, "--data-root", tmp_path / "out"),
        *("--cache-dir", tmp_path / "cache", "--results-dir", tmp_path / "r2"),
    )
    assert code == 0, err
    found = {(row["method"], row["metric"]): row["value"] for row in scores(tmp_path / "r2")}
    assert found["red", "presence_rate"] == found["red", "presence_rate_red_sky"] == "1.0"
    assert found["blue", "presence_rate"] == "0.0"


def test_what_needs_no_file_is_none_to_fetch(run, tmp_path):
    code, out, err = run(prefetch, "--plugin", RED_SKY, "--cache-dir", tmp_path / "c")
    assert code == 2  # the heads are missing, and nothing else is said
    assert "sky" not in out + err


WRONG = {
    "missing": ("", "gone.py: cannot be read"),
    "no python": ("def (:\n", "wrong.py:1: invalid syntax"),
    "taken": (
        "from metrics import ASPECTS\n@ASPECTS.register\nclass A:\n    name = 'FID'\n",
        "there is one called fid",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_plugin_that_cannot_be_loaded_is_one_line(run, tmp_path, case):
    text, message = WRONG[case]
    path = tmp_path / ("wrong.py" if text else "gone.py")
    if text:
        path.write_text(text)
    code, out, err = run(benchmark, "--plugin", path, "--list")
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert message in err


def test_a_mistake_in_the_code_of_an_extractor_is_a_traceback_and_not_the_images_fault(
    run, tmp_path
):
    plugin = tmp_path / "typo.py"
    plugin.write_text(COLOURFULNESS.read_text().replace("picture.pixels", "picture.pixles"))
    code, _, err = run(
        benchmark, "--plugin", plugin, "--evaluation-aspect", "colourfulness", *places(tmp_path)
    )
    assert code == 70
    assert "has no attribute 'pixles'" in err
    assert not (tmp_path / "r" / "scores.csv").exists()


def test_a_changed_plugin_makes_its_rows_anew(run, tmp_path):
    plugin = tmp_path / "mine.py"
    shutil.copy(COLOURFULNESS, plugin)
    images = ("--data-root", DEMO.parent, *places(tmp_path))
    arguments = ("--plugin", plugin, "--evaluation-aspect", "colourfulness", *images)
    assert run(benchmark, *arguments)[0] == 0
    before = {path.name for path in (tmp_path / "cache").glob("colourfulness-*")}
    plugin.write_text(plugin.read_text().replace("0.3 *", "0.4 *"))
    plugins._loaded.clear()
    for registry in (ASPECTS, EXTRACTORS):
        del registry._entries["colourfulness"]
    assert run(benchmark, *arguments)[0] == 0
    after = {path.name for path in (tmp_path / "cache").glob("colourfulness-*")}
    assert len(before) == 1
    assert len(after) == 2
