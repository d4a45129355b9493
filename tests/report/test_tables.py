import re
from dataclasses import replace

import pytest

from metrics.spec import ScoreKey
from report.tables import latex, markdown, number
from tests.report.data import Made, names, ranked


@pytest.fixture
def results(tmp_path):
    made = Made()
    for method, value in (("ORG", 0.9), ("ESD", 0.1), ("A_b&%$#|<script>", 0.2)):
        values = dict.fromkeys(names(6), value)
        made.add(("a_concept & more", method, "lpips"), values, (value - 0.05, value + 0.05))
    made.scores["a_concept & more", "ESD", "forgetting_rate"] = (0.5, None, None, 6, "")
    made.manifest = {"titles": {"ESD": "Erased"}}
    return made.write(tmp_path)


def marked(results, method="ESD", mark="best"):
    untested = {("a_concept & more", "lpips"): "5 prompts"} if mark == "untested" else {}
    marks = {ScoreKey.of("a_concept & more", method, "lpips"): mark}
    return replace(ranked(results), marks=marks, why_untested=untested)


def test_markdown_holds_values_intervals_and_ties(results):
    table = markdown(results, marked(results))
    assert "| Erased | **0.100** [0.050, 0.150] |" in table
    assert "| Original" not in table  # no title is known: the folder's name
    assert "| ORG | 0.900 [0.850, 0.950] |" in table
    assert "forgetting_rate" not in table
    rows = [line for line in table.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {3}  # a name's | is escaped


def test_latex_is_escaped_and_complete(results):
    table = latex(results, marked(results))
    assert r"\textbf{0.100} {\scriptsize [0.050, 0.150]}" in table
    assert r"A\_b\&\%\$\#\textbar{}\textless{}script\textgreater{}" in table
    assert table.count(r"\toprule") == table.count(r"\bottomrule") == 1
    body = table[table.index("toprule") : table.index("bottomrule")]
    assert all(
        len(re.findall(r"(?<!\\)&", line)) == 1 for line in body.splitlines() if r"\\" in line
    )


def test_numbers_are_short():
    values = (0.12345, 1.2345, 12.345, 123.45, -0.00456, None)
    assert [number(v) for v in values] == ["0.123", "1.23", "12.3", "123", "-0.005", "–"]


def test_a_caption_explains_the_marks_of_its_table_and_no_others(results):
    for table in (markdown, latex):
        best = table(results, marked(results))
        assert "Bold: the best method" in best
        assert "not tested" not in best
        untested = table(results, marked(results, mark="untested"))
        assert "Bold" not in untested
        assert ": the best value, not tested (5 prompts), so it may be chance." in untested
        plain = table(results, replace(marked(results), marks={}))
        assert "Bold" not in plain
        assert "not tested" not in plain
    assert "0.100† [" in markdown(results, marked(results, mark="untested"))
    assert r"0.100\textsuperscript{\textdagger} {" in latex(
        results, marked(results, mark="untested")
    )


def test_a_table_in_a_paper_carries_its_warnings(tmp_path):
    made = Made().add(("c", "ORG", "lpips"), dict.fromkeys(names(6), 0.5), warnings="few_images")
    made.add(("c", "ESD", "lpips"), dict.fromkeys(names(6), 0.5), warnings="few_images")
    made.add(("c", "ESD", "fid"), dict.fromkeys(names(6), 0.5), warnings="a\r & b")
    results = made.write(tmp_path)
    table = markdown(results, ranked(results))
    assert "| lpips ↓ (1) |" in table
    assert "| ESD | 0.500 | 0.500 (2) |" in table
    assert table.endswith("\n\n(1) few\\_images\n\n(2) a\\\\r \\& b\n")
    table = latex(results, ranked(results))
    assert r"lpips $\downarrow$\textsuperscript{(1)} &" in table
    assert r"0.500\textsuperscript{(2)} \\" in table
    assert "few\\_images\\\\\n    (2) a\\textbackslash{}r \\& b\n" in table


def test_the_number_of_images_is_that_of_the_methods(tmp_path):
    # "n = 0 to 5": the least metric's.
    made = Made().add(("c", "ESD", "lpips"), dict.fromkeys(names(5), 0.5))
    made.scores["c", "ESD", "psnr"] = (None, None, None, 0, "")
    results = made.write(tmp_path)
    assert "\n\n5 images a method.\n" in markdown(results, ranked(results))
