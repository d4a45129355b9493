from pathlib import Path

from analysis.ranking import Ranking
from evaluation.run import Cell, Result
from inputs.config import Concept, Method
from inputs.layout import MethodFolder, Task
from metrics import ASPECTS
from metrics.base import Score, ScoreWarning
from metrics.spec import ScoreKey
from report.terminal import table


def results(aspect, scores):
    """Of each method one score or several, by its folder."""
    folders = {name: MethodFolder(Method(name, name.title()), Path(name), []) for name in scores}
    task = Task(Concept("church", "object", "."), "forgot", list(folders.values()), None)
    cell = Cell(task, ASPECTS[aspect]())
    return [Result(cell, folders[name], list(several)) for name, several in scores.items()]


def ranked(marks=(), unfit=(), distances=()):
    known = {("church", "lpips"): "1 prompt"}
    return Ranking(
        {ScoreKey.of("church", *key): mark for key, mark in dict(marks).items()},
        known,
        {("church", metric): "it is blind" for metric in unfit},
        {"church": "ORG"},
        frozenset(("church", metric) for metric in distances),
        {},
    )


def lpips(value, *warnings):
    return [
        Score("lpips", value, 5, higher_is_better=False).warn(
            *(ScoreWarning("note", text) for text in warnings)
        )
    ]


def test_marks_are_explained_and_only_those_that_occur():
    scored = results("lpips", {"ORG": lpips(0.0), "esd": lpips(0.3), "uce": lpips(0.5)})
    tested = table(scored, ranked({("esd", "lpips"): "best", ("uce", "lpips"): "tied"}))
    assert "0.3000*" in tested
    assert "0.5000=" in tested
    assert "\n* and =: the best method" in tested
    assert "†" not in tested
    untested = table(scored, ranked({("esd", "lpips"): "untested"}))
    assert "0.3000†" in untested
    assert "\n†: the best value, not tested (1 prompt), so it may be chance." in untested
    assert "*" not in untested
    assert table(scored, ranked()).endswith("0.5000")


def test_an_unfit_judge_is_called_so_with_the_reason():
    rate = Score("presence_rate", 0.0, 5, higher_is_better=False)
    hidden = Score("forgetting_rate", 1.0, 5, higher_is_better=True)
    out = table(results("forgetting", {"ORG": [rate, hidden]}), ranked(unfit=["presence_rate"]))
    assert "(Unfit judge, presence_rate: it is blind.)" in out
    assert "presence_rate (unfit judge)" in out
    assert "↓" not in out
    assert "forgetting_rate" not in out


def test_a_distance_from_images_with_the_concept_has_no_direction():
    out = table(results("lpips", {"ORG": lpips(0.0)}), ranked(distances=["lpips"]))
    assert "lpips to ORG\n" in out
    assert "from the images of ORG, whose prompts ask for it" in out


def test_warnings_are_numbered_below():
    scored = results("lpips", {"ORG": lpips(0.0, "few"), "esd": lpips(0.3, "few", "a\x1b[1m lost")})
    out = table(scored, ranked())
    assert "lpips ↓ [1]\n" in out
    assert "0.3000 [2]\n" in out
    assert out.endswith("[1] few\n[2] a\\x1b[1m lost")
