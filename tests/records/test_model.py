"""Results as people look at them: tables of pandas, text, HTML."""

import pytest

from metrics.base import ScoreWarning
from metrics.spec import ScoreKey
from tests.report.data import Made, names


@pytest.fixture
def results(tmp_path):
    made = Made()
    for method in ("ORG", "<ESD>"):
        made.add(("church", method, "lpips"), dict.fromkeys(names(2), 0.25), warnings="few; images")
        made.add(("church", method, "lpips_object"), {"Bird/0_0_0.png": 0.5})
    made.add(("face & more", "ORG", "presence_rate"), dict.fromkeys(names(3), 1.0))
    return made.write(tmp_path)


def test_scores_are_a_table_of_pandas_with_one_row_each(results):
    frame = results.frame()
    assert len(frame) == 5
    row = frame[(frame.method == "<ESD>") & (frame.scope == "forgot")].iloc[0]
    assert (row.metric, row.value, row.n) == ("lpips", 0.25, 2)
    assert row.warnings == ("few; images",)  # one, though there is a semicolon in it


def test_values_of_images_are_a_table_of_pandas(results):
    frame = results.images_frame()
    assert len(frame) == 9
    bird = frame[frame.image == "Bird/0_0_0.png"]
    assert set(bird.scope) == {"unrelated"}
    assert list(frame.groupby("concept").value.mean()) == [pytest.approx(1 / 3), 1]


def test_a_text_has_a_table_a_concept(results):
    one, two = str(results).split("face & more")
    assert one.splitlines()[4].split() == ["ORG", "0.25", "0.5"]
    assert one.splitlines()[2].split() == ["method", "lpips", "lpips_object"]
    assert two.split()[-2:] == ["ORG", "1"]
    assert repr(results) == str(results)  # what a console shows


def test_what_a_notebook_shows_is_escaped(results):
    html = results._repr_html_()
    assert html.count("<table") == 2
    assert "&lt;ESD&gt;" in html
    assert "face &amp; more" in html
    assert "<ESD>" not in html


def test_a_row_knows_its_key_column_and_what_its_warnings_say(results):
    row = results.by_key[ScoreKey("church", "unrelated", "<ESD>", "lpips")]
    assert row.column == "lpips_object"
    warned = results.by_key[ScoreKey.of("church", "<ESD>", "lpips")]
    assert warned.warnings == (ScoreWarning("few; images", "few; images"),)
    assert warned.texts == ("few; images",)
