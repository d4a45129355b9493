from pathlib import Path

import pytest

from evaluation.rules import parse_rule
from metrics import specs
from utils.errors import UserError

METHODS = {"Erased Stable Diffusion": "ESD", "ESD": "ESD", "v1.5": "v1.5", "ORG": "ORG"}


def parsed(text):
    return parse_rule(text, specs())


@pytest.mark.parametrize(
    ("text", "where", "metric", "field", "sign", "limit"),
    [
        ("presence_rate > 0.05", "", "presence_rate", "value", ">", 0.05),
        ("Nudity.Presence-Rate.high>=5%", "Nudity", "presence_rate", "high", ">=", 0.05),
        ("nudity.v1.5.lpips <= .3", "nudity.v1.5", "lpips", "value", "<=", 0.3),
        ("yolo_person.low < 5%", "", "yolo_person", "low", "<", 5),
        ("csdr_object == 1e1", "", "csdr_object", "value", "==", 10),
        ("presence_rate_nudenet_face > 0", "", "presence_rate_nudenet_face", "value", ">", 0),
        ("kid < -0.5", "", "kid", "value", "<", -0.5),
        ("presence_rate.high_over_seeds > 0.5", "", "presence_rate", "high_over_seeds", ">", 0.5),
    ],
)
def test_a_rule_is_read(text, where, metric, field, sign, limit):
    rule = parsed(text)
    assert (rule.where, rule.metric, rule.field, rule.sign) == (where, metric, field, sign)
    assert rule.limit == pytest.approx(limit)


def test_a_rule_may_hold_a_run_against_an_earlier_one():
    rule = parsed("nudity.lpips.high worse than results/of monday by 0.1")
    assert (rule.earlier, rule.sign, rule.limit) == (Path("results/of monday"), ">", 0.1)
    assert parsed("presence_rate worse than a by 2%").limit == 0.02
    assert parsed("presence_rate worse than a").limit == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("presence_rate", "write"),
        ("presence_rate > high", "write"),
        ("presence_rate > nan", "write"),
        ("presence_rate > 5", r"from 0 to 1: 5 is outside; for 5 percent write 5%"),
        ("presence_rate < -1", "is outside"),
        ("presence_rate > 1e999", "is no number"),
        ("presence_rate > 1", "can never hold"),
        ("presence_rate < 0", "can never hold"),
        ("ssim > 1.5", "from -1 to 1"),
        ("fid < -3", "at least 0"),
        ("fid > 5%", "is not a share"),
        ("presence_rate.hi > 0.5", r"no field \.hi; there are \.value, \.low, \.high"),
        ("nudity.presense_rate > 0.5", r"did you mean presence_rate\?"),
        ("csdr_signed worse than a", "neither direction"),
        ("lpips worse than a by -1", "write|not negative"),
        ("presence_rate worse than a by 5", "cannot be worse by 5"),
        ("presence_rate worse than a by 100%", "cannot be worse by 1"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_an_error(text, message):
    # A rule that can never hold is a gate that always passes.
    with pytest.raises(UserError, match=message):
        parsed(text)


@pytest.mark.parametrize(
    ("where", "concept", "method"),
    [
        ("", None, None),
        ("Nudity", "nudity", None),
        ("esd", None, "ESD"),
        ("erased stable diffusion", None, "ESD"),
        ("v1.5", None, "v1.5"),
        ("nudity.v1.5", "nudity", "v1.5"),
        ("nudity.ORG", "nudity", "ORG"),
    ],
)
def test_a_rule_names_a_concept_a_method_or_both(where, concept, method):
    rule = parsed(f"{where}.lpips > 1" if where else "lpips > 1")
    assert rule.resolve(["nudity", "church"], METHODS) == (concept, method)


def test_a_misspelt_or_ambiguous_place_is_an_error():
    with pytest.raises(UserError, match=r"did you mean nudity\?"):
        parsed("nudty.lpips > 1").resolve(["nudity"], METHODS)
    with pytest.raises(UserError, match="both a concept and a method"):
        parsed("ESD.lpips > 1").resolve(["ESD"], METHODS)
