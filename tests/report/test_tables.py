import re

import pytest

from report.compare import Ties
from report.tables import latex, markdown, number
from tests.report.data import Made, names


@pytest.fixture
def results(tmp_path):
    made = Made()
    for method, value in (("ORG", 0.9), ("ESD", 0.1), ("A_b&%$#|<script>", 0.2)):
        values = dict.fromkeys(names(6), value)
        made.add(("a_concept & more", method, "lpips"), values, (value - 0.05, value + 0.05))
    made.scores["a_concept & more", "ESD", "forgetting_rate"] = (0.5, None, None, 6, "")
    made.manifest = {"titles": {"ESD": "Erased"}}
    return made.write(tmp_path)


def test_markdown_holds_values_intervals_and_ties(results):
    table = markdown(results, Ties(frozenset({("a_concept & more", "ESD", "lpips")})))
    assert "| Erased | **0.100** [0.050, 0.150] |" in table
    assert "| Original" not in table  # no title is known: the folder's name
    assert "| ORG | 0.900 [0.850, 0.950] |" in table
    assert "forgetting_rate" not in table
    rows = [line for line in table.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {3}  # a name's | is escaped


def test_latex_is_escaped_and_complete(results):
    table = latex(results, Ties(frozenset({("a_concept & more", "ESD", "lpips")})))
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
