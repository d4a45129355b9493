import pytest

from report.fitness import unfit
from tests.report.data import Made, names
from utils.stats import wilson_interval


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
    results.add(("church", "ORG", "presence_rate_other"), {"0_0_0.png": 1.0})
    results.manifest = {
        "checkers": {"church": {"name": "mine"}},
        "calibration": {"church": {"checkers": {"mine": judge}}},
    }
    found = unfit(results.write(tmp_path))
    assert found.keys() == (
        set() if fit else {("church", "presence_rate"), ("church", "forgetting_rate")}
    )
