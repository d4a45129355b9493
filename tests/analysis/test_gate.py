import xml.etree.ElementTree as ET

import pytest

from analysis.gate import check, render
from analysis.trust import Terms
from evaluation.rules import parse_rule
from inputs.prompts import UNGROUPED
from metrics import specs
from records.files import CHANGED
from report.junit import junit
from stats.intervals import PROMPTS_FIXED
from tests.report.data import Made, names
from utils.errors import UserError


def rules(*texts):
    return [parse_rule(text, specs()) for text in texts]


def failing(results, *texts, **terms):
    return [one.key[1] for one in check(results, rules(*texts), Terms(**terms)) if one.failed]


def refused(results, text, message, **terms):
    with pytest.raises(UserError, match=message):
        check(results, rules(text), Terms(**terms))


@pytest.fixture
def made():
    result = Made()
    for method, rate in (("ORG", 0.9), ("ESD", 0.02), ("A<&\"'\x01B", 0.2)):
        result.scores["nudity", method, "presence_rate"] = (rate, rate / 1.5, rate * 1.1, 50, "")
        result.scores["nudity", method, "lpips"] = (rate, None, None, 50, "")
    result.scores["church", "ESD", "csdr"] = (3.0, 2.0, 4.0, 50, "")
    return result


@pytest.mark.parametrize(
    ("text", "methods"),
    [
        ("nudity.presence_rate.high > 0.05", ["A<&\"'\x01B"]),
        ("nudity.presence_rate.high > 2%", ["ESD", "A<&\"'\x01B"]),
        ("nudity.ESD.presence_rate > 1%", ["ESD"]),
        ("nudity.ORG.presence_rate < 95%", ["ORG"]),
        ("nudity.presence_rate.value <= 0.01", []),
        ("nudity.presence_rate == 0.2", ["A<&\"'\x01B"]),
        ("church.csdr > 2.5", ["ESD"]),
    ],
)
def test_a_rule_fails_each_method_that_it_is_about_and_for_which_it_holds(
    made, tmp_path, text, methods
):
    # The original model always shows the concept: a gate on it, unless named, would never pass.
    assert failing(made.write(tmp_path), text) == methods


def test_methods_and_concepts_limit_the_gate(made, tmp_path):
    results = made.write(tmp_path)
    assert failing(results, "presence_rate > 10%", concepts=["nudity"], methods=["ESD"]) == []
    refused(results, "presence_rate > 10%", "no ESDD|not in", methods=["ESDD"])
    refused(results, "presence_rate > 10%", "was not scored", methods=["ESD"])  # church has none


@pytest.mark.parametrize("field", ["", ".high"])
@pytest.mark.parametrize("number", [None, float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_missing_or_not_finite_is_no_pass(made, tmp_path, number, field):
    made.scores["nudity", "ESD", "presence_rate"] = (number, number, number, 50, "needs 2 images")
    refused(
        made.write(tmp_path),
        f"nudity.presence_rate{field} > 0.05",
        f"has no {field[1:] or 'value'}: needs 2 images",
    )


def test_a_method_without_the_score_is_no_pass(made, tmp_path):
    # It was added after the rate was computed, or its checker could not be loaded.
    del made.scores["nudity", "ESD", "presence_rate"]
    refused(made.write(tmp_path), "nudity.presence_rate > 0.5", r"of ESD \(nudity\) was not scored")


def test_a_concept_without_the_score_is_no_pass_and_says_why(made, tmp_path):
    reason = {"aspect": "forgetting", "concept": "church", "reason": "head not here"}
    made.manifest["not_scored"] = [reason]
    refused(made.write(tmp_path), "presence_rate > 0.5", "was not scored: head not here")


def test_a_number_of_before_is_no_pass_when_the_last_run_could_not_compute_it(made, tmp_path):
    reason = {"aspect": "forgetting", "concept": "", "reason": "head not here"}
    made.manifest["not_scored"] = [reason]
    refused(made.write(tmp_path), "nudity.presence_rate > 0.5", "by the last run: head not here")


def test_a_number_of_images_that_were_replaced_is_no_pass(made, tmp_path):
    made.scores["nudity", "ESD", "presence_rate"] = (0.0, 0.0, 0.01, 50, CHANGED)
    refused(made.write(tmp_path), "nudity.presence_rate > 0.5", "have changed since")


def test_a_rate_of_what_is_left_is_no_pass(made, tmp_path):
    # Of five images of which four cannot be read one tells nothing of the others.
    made.scores["nudity", "ESD", "presence_rate"] = (0.0, 0.0, 0.01, 49, "")
    results = made.write(tmp_path)
    refused(
        results,
        "nudity.presence_rate > 0.5",
        "is of 49 of 50 images",
    )
    assert failing(results, "nudity.presence_rate > 0.5", most_unreadable=0.02) == []


def test_images_that_only_the_original_has_are_missing(made, tmp_path):
    # A method that kept one harmless image of fifty would pass by it.
    made.scores["nudity", "ESD", "presence_rate"] = (0.0, 0.0, 0.7, 1, "")
    made.scores["nudity", "ESD", "lpips"] = (0.1, None, None, 1, "")
    refused(made.write(tmp_path), "nudity.ESD.presence_rate > 0.5", "is of 1 of 50 images")


def test_a_number_by_another_judge_than_the_one_asked_for_is_no_pass(made, tmp_path):
    judge = {"name": "bi_multiC", "indicator": "bi_multiC"}
    made.manifest["checkers"] = {"nudity": judge}
    results = made.write(tmp_path)
    text = "nudity.presence_rate > 0.5"
    refused(results, text, "judged by bi_multiC, not by --indicator nudenet", judge="nudenet")
    assert failing(results, text, judge="bi_multiC") == []


def test_a_judge_that_was_tried_on_no_original_model_passes_nobody(made, tmp_path):
    del made.scores["nudity", "ORG", "presence_rate"], made.scores["nudity", "ORG", "lpips"]
    results = made.write(tmp_path)
    refused(results, "nudity.presence_rate > 0.5", "no original model to try it on")
    assert failing(results, "nudity.presence_rate > 0.5", allow_unfit=True) == []
    assert failing(results, "nudity.lpips > 0.5") == []  # no judge's number


def test_images_of_other_prompts_than_the_originals_do_not_stand_for_them(tmp_path):
    made = of_prompts(0.0)
    images = {name.replace("0_", "9_", 1): 0.0 for name in names(20)}
    made.add(("nudity", "ESD", "presence_rate"), images, (0.0, 0.1))
    refused(made.write(tmp_path), "presence_rate > 0.5", "is of 20 of 20 images")


def test_a_name_that_fits_two_methods_is_spelt_exactly(made, tmp_path):
    # Only the first of them was looked at.
    made.scores["nudity", "e-s-d", "presence_rate"] = (1.0, 0.9, 1.0, 50, "")
    results = made.write(tmp_path)
    refused(results, "nudity.Esd.presence_rate > 0.5", "spell it exactly")
    refused(results, "nudity.presence_rate > 0.5", "spell it exactly", methods=["E_S_D"])
    assert failing(results, "nudity.e-s-d.presence_rate > 0.5") == ["e-s-d"]


def test_an_interval_of_ungrouped_images_is_one_over_seeds(made, tmp_path):
    # Twenty images of one prompt, of which fifteen are alike, passed as twenty prompts.
    made.scores["nudity", "ESD", "presence_rate"] = (0.0, 0.0, 0.01, 50, UNGROUPED)
    refused(made.write(tmp_path), "nudity.ESD.presence_rate.high > 0.5", r"write \.high_over_seeds")


def test_a_stand_in_for_the_usual_judge_decides_only_if_it_is_named(made, tmp_path):
    made.manifest["checkers"] = {"nudity": {"name": "bi_multiC", "indicator": "bi_multiC"}}
    made.manifest["stand_ins"] = {"nudity": "judged by bi_multiC; not to be had: multi_multiC"}
    results = made.write(tmp_path)
    text = "nudity.presence_rate > 0.5"
    refused(results, text, "name that checker with --indicator")
    assert failing(results, text, judge="bi_multiC") == []


def test_a_judge_that_is_blind_to_the_concept_passes_nobody(made, tmp_path):
    made.scores["nudity", "ORG", "presence_rate"] = (0.0, 0.0, 0.07, 50, "")
    results = made.write(tmp_path)
    refused(results, "nudity.presence_rate > 0.5", "unfit judge: the judge finds the concept in 0%")
    assert failing(results, "nudity.presence_rate > 0.5", allow_unfit=True) == []
    assert failing(results, "nudity.lpips > 0.5") == []  # no judge's number


def test_an_interval_over_seeds_counts_only_where_it_is_named(made, tmp_path):
    # Of one prompt it says nothing about others, yet looks like one of many.
    made.scores["nudity", "ESD", "presence_rate"] = (0.0, 0.0, 0.01, 50, PROMPTS_FIXED)
    results = made.write(tmp_path)
    refused(results, "nudity.ESD.presence_rate.high > 0.5", r"write \.high_over_seeds")
    assert failing(results, "nudity.ESD.presence_rate.high_over_seeds > 0.5") == []
    refused(results, "nudity.presence_rate.high_over_seeds > 0.5", r"write \.high")
    assert failing(results, "nudity.ESD.presence_rate > 0.5") == []


def test_results_of_a_part_of_the_images_pass_nothing(made, tmp_path):
    made.manifest |= {"partial": True, "limit": 3}
    refused(made.write(tmp_path), "nudity.presence_rate > 0.5", "first 3 images")


def test_numbers_of_files_that_have_changed_since_pass_nothing(made, tmp_path, make_images):
    folder = make_images("ESD", 2)
    made.manifest = {"folder": str(tmp_path), "folders": {"ESD": "another digest"}}
    results = made.write(tmp_path / "results")
    refused(results, "nudity.ESD.presence_rate > 0.5", f"images {folder} are changed")
    assert failing(results, "nudity.ESD.presence_rate > 0.5", fresh=True) == []


def of_prompts(rate, method="ESD", prompts=20):
    made = Made()
    for name, share in (("ORG", 1.0), (method, rate)):
        values = {image: float(i < share * prompts) for i, image in enumerate(names(prompts))}
        made.add(("nudity", name, "presence_rate"), values, (share, share))
    return made


def test_a_run_may_be_held_against_an_earlier_one(tmp_path):
    before = tmp_path / "before"
    of_prompts(0.1).write(before)
    after = of_prompts(0.2).write(tmp_path / "after")
    assert failing(after, f"presence_rate worse than {before}") == ["ESD"]
    assert failing(after, f"presence_rate worse than {before} by 15%") == []
    assert failing(after, f"presence_rate.high worse than {before} by 15%") == ["ESD"]
    assert (
        failing(of_prompts(0.1).write(tmp_path / "same"), f"presence_rate worse than {before}")
        == []
    )
    refused(after, f"presence_rate worse than {tmp_path / 'gone'}", "no such folder")
    other = of_prompts(0.2, "UCE").write(tmp_path / "other")
    refused(other, f"presence_rate worse than {before}", "has no value in")


def test_fids_of_different_numbers_of_images_are_not_held_against_each_other(tmp_path):
    # Fewer images alone make FID rise.
    Made().add_set(("church", "ESD", "fid"), 20, {}, n=250).write(tmp_path / "before")
    after = Made().add_set(("church", "ESD", "fid"), 24, {}, n=225).write(tmp_path / "after")
    text = f"fid worse than {tmp_path / 'before'} by 3"
    refused(after, text, "is of 225 images and that of .* of 250")


def test_a_pass_says_how_much_passed_and_what_came_nearest(made, tmp_path):
    texts = ("nudity.presence_rate.high > 50%", "church.csdr > 99")
    made.manifest["checkers"] = {"nudity": {"name": "nudenet", "preset": "face"}}
    found = render(check(made.write(tmp_path), rules(*texts), Terms()))
    assert "none of 2 scores; nearest nudity, A<&\"'\\x01B: 0.22" in found
    assert "judge: nudity by nudenet face, tried on the original model's images" in found
    assert found.endswith("gate: 3 of 3 checks passed")


def test_junit_is_well_formed_whatever_the_names(made, tmp_path):
    texts = ("nudity.presence_rate > 0.1", "nudity.lpips < 0.1")
    document = junit(check(made.write(tmp_path), rules(*texts), Terms()))
    suite = ET.fromstring(document)
    assert (suite.get("tests"), suite.get("failures")) == ("4", "2")
    assert "0.2" in next(case for case in suite if len(case))[0].get("message")
