"""From scores in memory to a record."""

from pathlib import Path

import pytest

from evaluation.record import run_record
from metrics.base import Score, ScoreWarning
from tests.records.test_store import result


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_a_score_that_is_no_number_has_no_value_and_says_so(value):
    # A gate would take minus infinity for the best there is.
    (row,) = run_record([result(Path("r"), "ESD", Score("fid", value, 5))], {}).scores
    assert row.value is None
    assert "came out as" in row.texts[0]


def test_a_warning_with_a_semicolon_stays_one_and_keeps_its_code_and_images():
    warnings = (ScoreWarning("unreadable", "a; b", ("0_0_0.png",)), ScoreWarning("note", "c"))
    score = Score("fid", 1.0, 5, warnings=warnings)
    (row,) = run_record([result(Path("r"), "ESD", score)], {}).scores
    assert row.warnings == warnings
