from itertools import product

import numpy as np
import pytest
from scipy.stats import t
from statsmodels.stats.inter_rater import cohens_kappa as independent_kappa
from statsmodels.stats.proportion import proportion_confint

from analysis.judges import agreements, cohens_kappa, corrected, curves, prevalence_interval, render
from tests.report.data import Made, names


def said(made, method, checker, values, concept="Nudity"):
    """Add what a checker says of a method's images, by name or in the order of ``names``."""
    if not isinstance(values, dict):
        values = dict(zip(names(len(values)), values, strict=True))
    images = {name: float(value) for name, value in values.items()}
    return made.add((concept, method, f"presence_rate_{checker}"), images)


def calibrated(*counts):
    keys = ("true_positive", "false_negative", "true_negative", "false_positive")
    checkers = {"bi_multiC": dict(zip(keys, counts, strict=True))}
    return {"Nudity": {"folder": "labelled", "checkers": checkers}}


def one_judged(tmp_path, positive, n, *counts):
    made = Made(manifest={"calibration": calibrated(*counts)})
    said(made, "ESD", "bi_multiC", [1] * positive + [0] * (n - positive))
    (found,) = corrected(made.write(tmp_path))
    return found


@pytest.mark.parametrize(
    "cells", [(20, 5, 10, 15), (1, 0, 3, 400), (0, 7, 3, 0), (2, 9, 8, 1), (300, 41, 2, 977)]
)
def test_kappa_and_its_interval_are_those_of_statsmodels(cells):
    # The null variance, or rows taken for columns, gives an interval that only looks right.
    expected = independent_kappa(np.reshape(cells, (2, 2)))
    n = sum(cells)
    kappa, low, high = cohens_kappa(one_image_a_prompt(cells))
    assert kappa == pytest.approx(expected.kappa, abs=1e-9)
    # Ours has Student's quantile and n - 1, as errors by prompts have.
    half = t.ppf(0.975, n - 1) * expected.std_kappa * (n / (n - 1)) ** 0.5
    assert low == pytest.approx(max(-1, kappa - half), abs=1e-9)
    assert high == pytest.approx(min(1, kappa + half), abs=1e-9)


def one_image_a_prompt(cells):
    return np.repeat(np.eye(4, dtype=int), cells, axis=0)


def test_copies_of_an_image_make_kappa_no_surer():
    # Five methods' images of a prompt, all alike, say no more than one.
    cells = one_image_a_prompt((20, 5, 10, 15))
    assert cohens_kappa(5 * cells) == pytest.approx(cohens_kappa(cells))


def test_the_interval_of_kappa_covers_with_samples_that_are_alike():
    # Taken as independent, the images of a prompt leave 58 to 84% covered.
    rng = np.random.default_rng(0)
    for prompts, each in ((20, 5), (50, 10)):
        covered = 0
        for _ in range(400):
            shared = rng.normal(size=(prompts, 1)) + 0.7 * rng.normal(size=(prompts, each))
            said = [shared + 0.5 * rng.normal(size=shared.shape) > 0 for _ in range(2)]
            cells = np.stack(
                [((said[0] == x) & (said[1] == y)).sum(1) for x in (1, 0) for y in (1, 0)], axis=1
            )
            _, low, high = cohens_kappa(cells)
            # Both are right as often and see the concept in half: kappa = 1 - 2 P(they differ).
            covered += low <= 1 - 2 * np.arccos(1.49 / 1.74) / np.pi <= high
        assert covered / 400 >= 0.9


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ((0, 0, 0, 9), None),  # nothing is left to agree on: 0 / 0, not 1
        ((9, 0, 0, 0), None),
        ((6, 3, 0, 0), 0),  # one that says yes of everything agrees as by chance
        ((0, 0, 4, 5), 0),
        ((6, 0, 0, 3), 1),
        ((0, 5, 5, 0), -1),
    ],
)
def test_no_interval_is_made_up_where_the_variance_is_zero(cells, expected):
    # (kappa, kappa) would read as certainty.
    assert cohens_kappa(one_image_a_prompt(cells)) == (expected, None, None)


@pytest.fixture
def two_methods():
    made = Made()
    said(made, "ORG", "bi_multiC", {"2.png": 1, "10.png": 1, "1.png": 1, "only_a.png": 1})
    said(made, "ORG", "nudenet_exposed6", {"10.png": 0, "2.png": 0, "1.png": 1, "only_b.png": 0})
    said(made, "ORG", "nudenet_exposed6-low", {"1.png": 1})
    said(made, "ESD", "bi_multiC", {"1.png": 0, "2.png": 0})
    said(made, "ESD", "nudenet_exposed6", {"2.png": 0, "1.png": 1})
    said(made, "AC", "bi_multiC", {"1.png": 1})
    return made


def test_images_are_joined_by_method_and_name(two_methods, tmp_path):
    # Joined by position, or by name alone, one image would be held against another.
    found = {(one.a, one.b): one for one in agreements(two_methods.write(tmp_path))}
    one = found["bi_multiC", "nudenet_exposed6"]
    assert (one.n, one.both, one.only_a, one.only_b, one.neither) == (5, 1, 2, 1, 1)
    assert one.disagreements == (
        ("ORG", "2.png", True),
        ("ORG", "10.png", True),
        ("ESD", "1.png", False),
    )
    assert one.kappa == pytest.approx((2 / 5 - 12 / 25) / (13 / 25))


def test_presets_of_one_detector_are_no_second_opinion(two_methods, tmp_path):
    # They share every detection: their agreement says nothing of whether they are right.
    found = [(one.a, one.b) for one in agreements(two_methods.write(tmp_path))]
    assert found == [("bi_multiC", "nudenet_exposed6"), ("bi_multiC", "nudenet_exposed6-low")]


def test_checkers_with_no_image_in_common_are_not_compared(tmp_path):
    made = said(Made(), "ORG", "bi_multiC", {"1.png": 1})
    said(made, "ORG", "multi_multiC", {"2.png": 1})
    said(made, "ORG", "multi_multiC", {"1.png": 1}, concept="church")
    assert agreements(made.write(tmp_path)) == []


def test_a_curve_counts_what_is_strictly_above_each_threshold(tmp_path):
    # At a preset's threshold it must pass through the rate of that preset: 0.60 is not above 0.60.
    values = dict(zip(names(5), [0.0, 0.26, 0.6, 0.6000001, 1.0], strict=True))
    made = Made().add(("Nudity", "ESD", "presence_score_nudenet_6labels"), values)
    made.add(("Nudity", "ESD", "presence_score_bi_multiC"), values)
    detector, head = curves(made.write(tmp_path))
    for curve, first in ((detector, 0.25), (head, 0.0)):
        assert curve.thresholds.tolist() == [i / 100 for i in range(round(first * 100), 101)]
        for threshold, rate in zip(curve.thresholds, curve.rates, strict=True):
            assert rate == np.mean(np.array(list(values.values())) > threshold)
    assert (head.concept, head.method, head.score) == ("Nudity", "ESD", "bi_multiC")
    assert detector.rates[0] == 0.8


def test_the_corrected_rate_is_that_of_hand_arithmetic(tmp_path):
    # 40 of 100; sensitivity 45 / 50 = 0.9, specificity 32 / 40 = 0.8: (0.4 - 0.2) / 0.7.
    one = one_judged(tmp_path, 40, 100, 45, 5, 32, 8)
    assert (one.n, one.calibration_n, one.presence) == (100, 90, 0.4)
    assert (one.sensitivity, one.specificity) == (0.9, 0.8)
    assert one.corrected == pytest.approx(0.2 / 0.7)
    assert one.sensitivity_ci == pytest.approx(proportion_confint(45, 50, method="wilson"))
    assert one.specificity_ci == pytest.approx(proportion_confint(32, 40, method="wilson"))
    # z^2 = 3.84146: seen 41.92073 / 103.84146 = 0.40370; se 46 / 52, sp 33 / 42, se + sp - 1 =
    # 0.67033; rate 0.282567; variances of se, sp 0.0019629, 0.0040087. The shift is 2 z^2 (0.282567
    # x 0.0019629 - 0.717433 x 0.0040087) = -0.017835, the standard error sqrt(0.0023182 +
    # 0.00015673 + 0.0020633) / 0.67033 = 0.100497.
    assert one.ci_low == pytest.approx(0.282567 - 0.017835 - 1.95996 * 0.100497, abs=1e-5)
    assert one.ci_high == pytest.approx(0.282567 - 0.017835 + 1.95996 * 0.100497, abs=1e-5)
    assert one.reason == ""


@pytest.mark.parametrize(
    ("counts", "why"),
    [
        ((0, 0, 40, 10), "no labelled image with the"),
        ((40, 10, 0, 0), "no labelled image without"),
        ((7, 13, 13, 7), "no better than chance"),  # 0.35 + 0.65 is above 1 in floats
        ((1, 9, 2, 8), "no better than chance"),
        ((1, 0, 1, 99), "too few labelled"),  # sensitivity 1, of a single image
    ],
)
def test_what_cannot_be_corrected_says_why(tmp_path, counts, why):
    # The formula would divide by nothing, or turn the methods' order round.
    one = one_judged(tmp_path, 3, 10, *counts)
    assert (one.corrected, one.ci_low, one.ci_high) == (None, None, None)
    assert one.reason.startswith(why)
    assert (one.sensitivity is None) == (one.sensitivity_ci is None) == (not sum(counts[:2]))


def test_a_contradiction_is_not_called_certainty(tmp_path):
    # 30% false alarms on labelled images and none on 500 others: clipped, [0, 0] of a rate of 0.
    none, all_ = (one_judged(tmp_path, n, 500, 140, 60, 140, 60) for n in (0, 500))
    assert none.corrected is all_.corrected is None
    assert "less often than by false alarms" in none.reason
    assert "more often than if all" in all_.reason


def test_a_rate_stays_within_its_interval_and_both_within_0_and_1(tmp_path):
    # A sensitivity of a single image shifts the interval past the estimate.
    for positive, counts in ((840, (1, 0, 200, 0)), (0, (45, 5, 48, 2)), (1000, (50, 0, 48, 2))):
        one = one_judged(tmp_path, positive, 1000, *counts)
        assert 0 <= one.ci_low <= one.corrected <= one.ci_high <= 1


def test_the_interval_covers_the_true_rate():
    # Without the calibration's share of the variance it covers as rarely as 46% of the time.
    rng, draws = np.random.default_rng(0), 4000
    for n, labelled in product((20, 100, 500), (50, 200)):
        for se, sp, true in product((0.9, 0.95), (0.85, 0.95), (0.05, 0.3, 0.7)):
            positive = rng.binomial(n, true * se + (1 - true) * (1 - sp), draws)
            hits, right = rng.binomial(labelled, se, draws), rng.binomial(labelled, sp, draws)
            low, high = prevalence_interval(positive, n, hits, labelled, right, labelled)
            covered = np.mean((low <= true) & (true <= high))
            assert 0.935 < covered < 0.985, (n, labelled, se, sp, true)


def test_the_last_calibration_of_each_concept_counts(tmp_path):
    # An older one is of other weights or other labels.
    manifest = {
        "calibration": {"church": {"checkers": {}}},
        "earlier": [
            {"calibration": calibrated(1, 9, 1, 9)},
            {"calibration": calibrated(8, 2, 9, 1)},
            {},
        ],
    }
    made = said(Made(manifest=manifest), "ORG", "bi_multiC", [1, 1, 0, 1])
    said(made, "ORG", "multi_multiC", [1, 1, 0, 1])  # has none of its own
    (one,) = corrected(made.write(tmp_path))
    assert (one.checker, one.sensitivity, one.specificity) == ("bi_multiC", 0.8, 0.9)


def test_labelled_images_that_another_model_judged_correct_nothing(tmp_path):
    old, new = ({"bi_multiC": {"sha256": x, "head": "/h"}} for x in "ab")
    made = said(Made(), "ORG", "bi_multiC", [1, 1, 0, 1])
    made.manifest = {
        "indicators": {"Nudity": new},
        "scores": [["Nudity", "ORG", "presence_rate_bi_multiC"]],
        "earlier": [
            {"indicators": {"Nudity": old}, "calibration": calibrated(8, 2, 9, 1), "scores": []}
        ],
    }
    (one,) = corrected(made.write(tmp_path / "other"))
    assert one.corrected is None
    assert "another model or head" in one.reason
    old["bi_multiC"] = new["bi_multiC"] | {"head": "/elsewhere"}
    (one,) = corrected(made.write(tmp_path / "same"))
    assert one.reason == ""


def test_results_without_indicators_say_nothing(tmp_path):
    made = Made().add(("church", "ORG", "presence_rate"), {"1.png": 1.0})
    results = made.write(tmp_path)
    assert agreements(results) == curves(results) == corrected(results) == []


def test_the_terminal_shows_rates_by_method_and_says_why_one_is_missing(tmp_path):
    made = Made()
    for checker in ("bi_multiC", "multi_multiC"):
        values = {f"0_{i}_0.png": float(i < 5) for i in range(10)}
        made.add(("church", "ESD", f"presence_rate_{checker}"), values)
    right = {"true_positive": 9, "false_negative": 1, "true_negative": 8, "false_positive": 2}
    wrong = {"true_positive": 5, "false_negative": 5, "true_negative": 5, "false_positive": 5}
    counts = {"checkers": {"bi_multiC": right, "multi_multiC": wrong}}
    made.manifest = {"calibration": {"church": counts}, "titles": {"ESD": "Erased"}}
    text = render(made.write(tmp_path))
    assert "90.0% [59.6, 98.2]  80.0% [49.0, 94.3]  20" in text
    assert "42.9% [" in text  # (0.5 - 0.2) / 0.7
    assert text.endswith(
        "-: multi_multiC: no better than chance on the labelled images, which cannot be corrected"
    )
