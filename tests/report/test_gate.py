import xml.etree.ElementTree as ET

import pytest

from report.gate import check, junit, parse_rule
from tests.report.data import Made
from utils.errors import UserError


@pytest.fixture
def results(tmp_path):
    made = Made()
    for method, rate in (("ORG", 0.9), ("ESD", 0.02), ("A<&\"'\x01B", 0.2)):
        made.scores["nudity", method, "presence_rate"] = (rate, rate / 2, rate * 2, 50, "")
        made.scores["nudity", method, "fid"] = (None, None, None, 1, "needs 2 images")
    made.scores["church", "ESD", "csdr"] = (float("nan"), None, None, 50, "")
    made.scores["church", "ESD", "lpips"] = (0.3, None, None, 50, "")
    return made.write(tmp_path)


@pytest.mark.parametrize(
    ("text", "failing"),
    [
        ("nudity.presence_rate.high > 0.05", 1),
        ("Nudity.presence_rate.high>=0.04", 2),
        ("presence_rate < 0.1", 1),
        ("presence_rate.value <= 0.01", 0),
        ("presence_rate == 0.2", 1),
        ("lpips>2.5e-1", 1),
    ],
)
def test_a_rule_fails_each_unlearned_method_for_which_it_holds(results, text, failing):
    # The original model always shows the concept: a gate on it would never pass.
    assert len(check(results, [parse_rule(text)])) == failing


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("presence_rate", "write"),
        ("presence_rate > high", "write"),
        ("presence_rate.middle > 1", "no concept"),
        ("nudty.presence_rate > 1", "did you mean nudity"),
        ("nudity.presense_rate > 1", "did you mean presence_rate"),
        ("fid > 1", "has no value: needs 2 images"),
        ("lpips.high > 1", "has no high"),
        ("csdr > 1", "has no value"),  # no condition is true of NaN
    ],
)
def test_a_gate_never_passes_because_a_number_is_not_there(results, text, message):
    with pytest.raises(UserError, match=message):
        check(results, [parse_rule(text)])


def test_junit_is_well_formed_whatever_the_names(results):
    document = junit(results, [parse_rule("presence_rate > 0.1"), parse_rule("lpips < 0.1")])
    suite = ET.fromstring(document)
    assert (suite.get("tests"), suite.get("failures")) == ("3", "1")
    (failed,) = (case for case in suite if len(case))
    assert "0.2" in failed[0].get("message")
