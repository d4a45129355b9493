from dataclasses import asdict

import pytest

from analysis.fitness import unfit
from metrics import specs
from stats.intervals import wilson_interval
from tests.report.data import Made, names


def made(shown, of=20):
    values = {name: float(i < shown) for i, name in enumerate(names(of))}
    interval = wilson_interval(shown, of)
    result = Made()
    for method, metric in (("ORG", "presence_rate"), ("ESD", "presence_rate")):
        result.add(("church", method, metric), values, interval)
        result.add(("church", method, "forgetting_rate"), values, interval)
    return result


@pytest.mark.parametrize(("shown", "fit"), [(0, False), (12, False), (16, True), (20, True)])
def test_a_judge_that_does_not_find_the_concept_in_the_original_is_unfit(tmp_path, shown, fit):
    # Blind to the concept it would call it gone from every method, and give each a star.
    found = unfit(made(shown).write(tmp_path))
    assert set(found) == (
        set() if fit else {("church", "presence_rate"), ("church", "forgetting_rate")}
    )


@pytest.mark.parametrize(
    ("right", "fit"), [((10, 10), False), ((13, 10), False), ((19, 18), True), ((20, 20), True)]
)
def test_a_judge_near_chance_on_labelled_images_is_unfit(tmp_path, right, fit):
    hits, rejections = right
    judge = {"true_positive": hits, "false_negative": 20 - hits}
    judge |= {"true_negative": rejections, "false_positive": 20 - rejections}
    results = made(20)
    results.add(("church", "ORG", "presence_rate_other"), {"0_0_0.png": 1.0}, (0.6, 1.0))
    results.manifest = {
        "checkers": {"church": {"name": "mine"}},
        "calibration": {"church": {"checkers": {"mine": judge}}},
    }
    found = unfit(results.write(tmp_path))
    assert found.keys() == (
        set() if fit else {("church", "presence_rate"), ("church", "forgetting_rate")}
    )


def test_methods_judged_by_another_checker_than_the_original_have_no_fit_judge(tmp_path):
    # That a threshold of 0.45 finds it in the original says nothing of one of 0.9.
    judged = made(20)
    judged.manifest = {
        "scores": [["church", "ESD", "presence_rate"]],
        "checkers": {"church": {"name": "nudenet", "threshold": 0.9}},
        "earlier": [
            {
                "folder": str(tmp_path),
                "metrics": [asdict(spec) for spec in specs()],
                "scores": [["church", "ORG", "presence_rate"]],
                "checkers": {"church": {"name": "nudenet", "threshold": 0.45}},
            }
        ],
    }
    found = unfit(judged.write(tmp_path))
    assert "same checker" in found["church", "presence_rate"]


def test_an_original_of_which_no_image_could_be_judged_is_no_proof(tmp_path):
    judged = made(20)
    judged.scores["church", "ORG", "presence_rate"] = (None, None, None, 0, "no image")
    found = unfit(judged.write(tmp_path))
    assert "no image of the original" in found["church", "presence_rate"]
