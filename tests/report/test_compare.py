from dataclasses import replace

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_effectsize

from report.compare import compare, render, ties
from tests.report.data import Made, drawn, names
from utils.errors import UserError


def test_a_method_does_not_differ_from_itself(tmp_path):
    # ORG against ORG must give no difference in any metric.
    rng = np.random.default_rng(0)
    made = Made()
    for metric, kind in (("presence_rate", "rate"), ("lpips", "mean")):
        values = drawn(rng, names(20, 2), kind)
        for method in ("ORG", "COPY"):
            made.add(("church", method, metric), values)
    for method in ("ORG", "COPY"):
        made.add_set(("church", method, "fid"), 9.0, dict(enumerate(rng.normal(9, 1, 10))))
    found = compare(made.write(tmp_path), "ORG")
    assert [one.metric for one in found] == ["presence_rate", "lpips", "fid"]
    assert all((one.difference, one.p, one.significant) == (0, 1, False) for one in found)


@pytest.mark.parametrize(("metric", "kind"), [("presence_rate", "rate"), ("lpips", "mean")])
def test_methods_of_one_distribution_seldom_differ(tmp_path, metric, kind):
    # About 5% of p-values below 0.05 before correction.
    rng = np.random.default_rng(1)
    made = Made()
    for seed in range(60):
        for method in ("ORG", "ESD"):
            made.add((f"concept {seed}", method, metric), drawn(rng, names(40, 2), kind))
    p = np.array([one.p for one in compare(made.write(tmp_path), "ORG")])
    assert len(p) == 60
    assert np.mean(p < 0.05) <= 0.1


def test_rates_are_compared_as_statsmodels_does(tmp_path):
    a, b = {}, {}
    for i, name in enumerate(names(30)):
        a[name], b[name] = float(i < 12), float(5 < i < 9)
    made = Made().add(("church", "ORG", "presence_rate"), a)
    made.add(("church", "ESD", "presence_rate"), b)
    (one,) = compare(made.write(tmp_path), "ORG")
    table = [[3, 0], [9, 18]]
    assert one.p == pytest.approx(mcnemar(table, exact=True).pvalue)
    assert one.effect == pytest.approx(proportion_effectsize(3 / 30, 12 / 30))
    assert one.test == "McNemar, exact"
    assert (one.difference, one.n) == (pytest.approx(-0.3), 30)
    assert one.ci_high < 0


def test_fids_of_different_numbers_of_images_are_not_compared(tmp_path):
    # Bias makes the method with fewer images look the worse. KID has none.
    blocks = np.random.default_rng(0).normal(0, 0.01, (2, 10))
    made = Made()
    for metric in ("fid", "kid"):
        for method, n, values in (("ESD", 250, blocks[0]), ("UCE", 225, blocks[1])):
            key = ("church", method, metric)
            made.add_set(key, 20.0 + n / 100, dict(enumerate(20 + n / 100 + values)), n)
    results = made.write(tmp_path)
    compared, found = compare(results, "ESD"), ties(results)
    assert [one.metric for one in compared.tested] == ["kid"]
    why = "of 225 to 250 images, and its bias hangs on their number"
    assert [(one.metric, one.reason) for one in compared.untested] == [("fid", why)]
    assert {key[2] for key in found.best} == {"kid"}
    assert found.untested["church", "fid"] == why


def test_samples_of_a_prompt_are_not_taken_for_independent(tmp_path):
    # A method draws what a prompt shows once for its ten samples: McNemar's test would call
    # half of such pairs of equal methods different.
    rng = np.random.default_rng(5)
    made = Made()
    for seed in range(60):
        for method in ("ORG", "ESD"):
            shown = np.repeat(rng.random((20, 1)) < 0.3, 10, axis=1).ravel()
            values = dict(zip(names(20, 10), shown.astype(float), strict=True))
            made.add((f"concept {seed}", method, "presence_rate"), values)
    found = compare(made.write(tmp_path), "ORG")
    assert {one.test for one in found} == {"paired bootstrap of prompts"}
    assert np.mean([one.p < 0.05 for one in found]) <= 0.1


def test_holm_is_over_the_methods_of_a_metric(tmp_path):
    rng = np.random.default_rng(2)
    made = Made()
    for shift, method in enumerate(("ORG", "A", "B", "C")):
        values = {name: v + 0.3 * shift for name, v in drawn(rng, names(40)).items()}
        made.add(("church", method, "lpips"), values)
        made.add(("church", method, "csdr"), drawn(rng, names(40)))
    found = compare(made.write(tmp_path), "ORG")
    mine = [one for one in found if one.metric == "lpips"]
    expected = multipletests([one.p for one in mine], method="holm")[1]
    assert [one.p_holm for one in mine] == pytest.approx(list(expected))
    text = render(found, made.write(tmp_path))
    assert text.count("*") == 1 + sum(one.significant for one in found)


def test_scores_of_sets_are_compared_block_by_block(tmp_path):
    # Blocks that move together leave a difference that is sure though each score is not.
    blocks = np.random.default_rng(3).normal(0, 5, 10)
    made = Made().add_set(("church", "ORG", "fid"), 20.0, dict(enumerate(20 + blocks)))
    made.add_set(("church", "ESD", "fid"), 21.0, dict(enumerate(21 + blocks + 0.01)))
    (one,) = compare(made.write(tmp_path), "ORG")
    assert one.significant
    assert one.effect is None


def test_unrelated_images_are_compared_as_they_are_scored(tmp_path):
    # The score is the mean of the categories' means; Cat has four times the images of Bird.
    a = {
        f"{c}/{name}": 0.8 * (c == "Bird")
        for c, n in (("Cat", 16), ("Bird", 4))
        for name in names(n)
    }
    made = Made().add(("church", "ORG", "lpips_object"), dict.fromkeys(a, 0.0))
    made.add(("church", "ESD", "lpips_object"), a)
    (one,) = compare(made.write(tmp_path), "ORG")
    assert one.difference == pytest.approx(0.4)


def test_a_rate_in_percent_differs_in_percent_and_pools_categories(tmp_path):
    # yolo_person is a percentage, of all unrelated images together: 4 of 20 of them.
    there = {f"{c}/{n}": float(c == "B") for c, k in (("A", 16), ("B", 4)) for n in names(k)}
    made = Made().add(("church", "ORG", "yolo_person_object"), dict.fromkeys(there, 0.0))
    results = made.add(("church", "ESD", "yolo_person_object"), there).write(tmp_path)
    results = replace(results, scores=[replace(row, unit="%") for row in results.scores])
    (one,) = compare(results, "ORG")
    assert one.difference == pytest.approx(20)
    assert one.ci_low < 20 < one.ci_high
    assert one.effect == pytest.approx(proportion_effectsize(0.2, 0))


def test_only_shared_images_are_compared(tmp_path):
    # ESD lacks the first ten images, which are unlike the others.
    a = {name: float(i < 10) + 0.1 * (i % 3) for i, name in enumerate(names(30))}
    b = {name: value + 0.01 * (i % 2) for i, (name, value) in enumerate(a.items()) if i >= 10}
    made = Made().add(("church", "ORG", "lpips"), a).add(("church", "ESD", "lpips"), b)
    (one,) = compare(made.write(tmp_path), "ORG")
    differences = np.array([b[name] - a[name] for name in b])
    assert one.n == 20
    assert one.difference == pytest.approx(0.005)
    assert one.effect == pytest.approx(differences.mean() / differences.std(ddof=1))


def test_ties_are_with_the_best_and_leave_the_original_out(tmp_path):
    rng = np.random.default_rng(4)
    base = drawn(rng, names(50))
    made = Made()
    for method, shift in (("ORG", -9), ("BEST", 0), ("NEAR", 0.001), ("FAR", 3)):
        noisy = {name: v + shift + 0.1 * rng.normal() for name, v in base.items()}
        made.add(("church", method, "lpips"), noisy)
        made.add(("church", method, "clip_score_reference"), base)
    tied = ties(made.write(tmp_path))
    assert tied == {("church", m, "lpips") for m in ("BEST", "NEAR")}


def test_names_are_forgiving_and_errors_helpful(tmp_path):
    made = Made()
    for method in ("ORG", "ESD"):
        made.add(
            ("church", method, "lpips"), dict.fromkeys(names(2), 1.0 if method == "ESD" else 0.0)
        )
    results = made.write(tmp_path)
    with pytest.raises(UserError, match=r"no method EDS.*did you mean ESD"):
        compare(results, "EDS")
    with pytest.raises(UserError, match="fewer than four prompts"):
        compare(results, "org")
