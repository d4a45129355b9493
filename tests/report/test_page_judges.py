import numpy as np
import pytest

from report.page_judges import judging
from tests.report.data import Made, names, ranked

NAMES = names(4)


@pytest.fixture
def results(tmp_path):
    """A head and two presets, which judge four images of two methods; the head is calibrated."""
    made = Made()
    said = {
        "bi_multiC": {"ORG": (1, 1, 1, 0), "ESD": (0, 0, 1, 0)},
        "nudenet_face": {"ORG": (1, 1, 0, 0), "ESD": (0, 0, 1, 1)},
        "nudenet_face-reported": {"ORG": (1, 1, 1, 1), "ESD": (0, 0, 1, 1)},
    }
    for checker, by_method in said.items():
        for method, rates in by_method.items():
            values = dict(zip(NAMES, map(float, rates), strict=True))
            made.add(("face", method, f"presence_rate_{checker}"), values, (0.1, 0.9))
    for method, found in (("ORG", (0.5, 0.6, 0.3, 0.0)), ("ESD", (0.0, 0.0, 0.9, 0.5))):
        values = dict(zip(NAMES, found, strict=True))
        made.add(("face", method, "presence_score_nudenet_2labels"), values)
    preset = {"preset": "face", "score": "nudenet_2labels", "threshold": 0.45}
    counts = {"true_positive": 9, "false_negative": 1, "true_negative": 8, "false_positive": 2}
    made.manifest = {
        "indicators": {"face": {"bi_multiC": {"head": "/h"}, "nudenet_face": preset}},
        "calibration": {"face": {"checkers": {"bi_multiC": counts}}},
    }
    return made.write(tmp_path)


def test_rates_stand_by_method_and_checker(results):
    data = judging(results, ranked(results))["face"]
    assert data["checkers"] == ["bi_multiC", "nudenet_face", "nudenet_face-reported"]
    assert [[rate[0] for rate in row] for row in data["rates"]] == [
        [0.75, 0.5, 1.0],
        [0.25, 0.5, 0.5],
    ]


def test_an_unfit_checker_is_called_so(results):
    # All of them see the concept in too few of the original's four images to be sure of.
    data = judging(results, ranked(results))["face"]
    assert [why.split(" [")[0] for why in data["unfit"]] == [
        f"the judge finds the concept in {rate}% of the original model's images"
        for rate in (75, 50, 100)
    ]


def test_disagreements_name_the_method_the_image_and_who_sees_the_concept(results):
    # Pointing at the wrong image would send a reader to judge another picture.
    agreements = judging(results, ranked(results))["face"]["agreements"]
    pair = next(p for p in agreements["pairs"] if p["b"] == "nudenet_face")
    found = [
        (("ORG", "ESD")[method], agreements["names"][place], ("b", "a")[first])
        for method, place, first in pair["differ"]
    ]
    assert found == [("ORG", "0_2_0.png", "a"), ("ESD", "0_3_0.png", "b")]
    assert pair["counts"] == [3, 1, 1, 3]
    assert pair["n"] == 8
    assert {(p["a"], p["b"]) for p in agreements["pairs"]} == {
        ("bi_multiC", "nudenet_face"),
        ("bi_multiC", "nudenet_face-reported"),
    }


def test_of_very_many_disagreements_the_first_are_listed(results, monkeypatch):
    monkeypatch.setattr("report.page_judges._LISTED", 1)
    pairs = judging(results, ranked(results))["face"]["agreements"]["pairs"]
    assert [(len(pair["differ"]), pair["more"]) for pair in pairs] == [(1, 1), (1, 1)]


def test_a_curve_passes_through_the_rate_of_its_preset(results):
    # Drawn from another place, the curve would give other rates than the table.
    (curve,) = judging(results, ranked(results))["face"]["curves"]
    assert curve["marks"] == [(0.45, "face")]
    place = round((0.45 - curve["first"]) * 100)
    assert [rates[place] for rates in curve["rates"]] == [0.5, 0.5]
    assert [len(rates) for rates in curve["rates"]] == [76, 76]


def test_calibrated_checkers_have_corrected_rates(results):
    data = judging(results, ranked(results))["face"]
    ((name, sensitivity, specificity, n),) = data["calibrated"]
    assert (name, sensitivity[0], specificity[0], n) == ("bi_multiC", 0.9, 0.8, 20)
    # Rogan and Gladen by hand: (p - 0.2) / 0.7
    corrected = {row[0]: row[3] for row in data["corrected"]}
    np.testing.assert_allclose([corrected[0], corrected[1]], [0.55 / 0.7, 0.05 / 0.7])


def test_without_indicators_there_is_nothing(tmp_path):
    made = Made().add(("face", "ESD", "presence_rate"), dict.fromkeys(NAMES, 1.0))
    results = made.write(tmp_path)
    assert judging(results, ranked(results)) == {}
