from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_effectsize

from analysis.compare import compare, render, ties
from metrics.spec import ScoreKey
from records.merge import CHANGED
from tests.report.data import Made, drawn, names, place
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
    assert [one.column for one in found.tested] == ["presence_rate", "lpips", "fid"]
    assert all((one.difference, one.p, one.significant) == (0, 1, False) for one in found.tested)
    assert found.untested == ()
    rate, mean, _ = found.tested
    assert rate.ci_low < 0 < rate.ci_high
    assert (mean.ci_low, mean.ci_high) == (None, None)  # every pair is equal


@pytest.mark.parametrize(("metric", "kind"), [("presence_rate", "rate"), ("lpips", "mean")])
def test_methods_of_one_distribution_seldom_differ(tmp_path, metric, kind):
    # About 5% of p-values below 0.05 before correction.
    rng = np.random.default_rng(1)
    made = Made()
    for seed in range(60):
        for method in ("ORG", "ESD"):
            made.add((f"concept {seed}", method, metric), drawn(rng, names(40, 2), kind))
    p = np.array([one.p for one in compare(made.write(tmp_path), "ORG").tested])
    assert len(p) == 60
    assert np.mean(p < 0.05) <= 0.1


def test_rates_are_compared_by_an_exact_test(tmp_path):
    a, b = {}, {}
    for i, name in enumerate(names(30)):
        a[name], b[name] = float(i < 12), float(5 < i < 9)
    made = Made().add(("church", "ORG", "presence_rate"), a)
    made.add(("church", "ESD", "presence_rate"), b)
    (one,) = compare(made.write(tmp_path), "ORG").tested
    assert one.p == pytest.approx(binomtest(9, 9).pvalue)
    assert one.effect == pytest.approx(proportion_effectsize(3 / 30, 12 / 30))
    assert one.test == "signs of prompts, exact"
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
    assert [one.column for one in compared.tested] == ["kid"]
    why = "of 225 to 250 images, and its bias hangs on their number"
    assert [(one.column, one.reason) for one in compared.untested] == [("fid", why)]
    assert {key.metric for key in found.best} == {"kid"}
    assert found.untested["church", "fid"] == why


def test_samples_of_a_prompt_are_not_taken_for_independent(tmp_path):
    # A method draws what a prompt shows once for its ten samples: as independent images, half of
    # such pairs of equal methods would differ.
    rng = np.random.default_rng(5)
    made = Made()
    for seed in range(60):
        for method in ("ORG", "ESD"):
            shown = np.repeat(rng.random((20, 1)) < 0.3, 10, axis=1).ravel()
            values = dict(zip(names(20, 10), shown.astype(float), strict=True))
            made.add((f"concept {seed}", method, "presence_rate"), values)
    found = compare(made.write(tmp_path), "ORG").tested
    assert np.mean([one.p < 0.05 for one in found]) <= 0.1


def test_holm_is_over_the_methods_of_a_metric(tmp_path):
    rng = np.random.default_rng(2)
    made = Made()
    for shift, method in enumerate(("ORG", "A", "B", "C")):
        values = {name: v + 0.3 * shift for name, v in drawn(rng, names(40)).items()}
        made.add(("church", method, "lpips"), values)
        made.add(("church", method, "csdr"), drawn(rng, names(40)))
    found = compare(made.write(tmp_path), "ORG")
    mine = [one for one in found.tested if one.column == "lpips"]
    expected = multipletests([one.p for one in mine], method="holm")[1]
    assert [one.p_holm for one in mine] == pytest.approx(list(expected))
    text = render(found, made.write(tmp_path))
    assert text.count("*") == 1 + sum(one.significant for one in found.tested)


def test_scores_of_sets_are_compared_block_by_block(tmp_path):
    # Blocks that move together leave a difference that is sure though each score is not.
    blocks, own = np.random.default_rng(3).normal(0, (5, 0.01), (10, 2)).T
    made = Made().add_set(("church", "ORG", "fid"), 20.0, dict(enumerate(20 + blocks)))
    made.add_set(("church", "ESD", "fid"), 21.0, dict(enumerate(21 + blocks + own)))
    (one,) = compare(made.write(tmp_path), "ORG").tested
    assert one.significant
    assert one.effect is None


def test_sets_that_differ_by_the_same_in_every_block_are_not_tested(tmp_path):
    blocks = np.random.default_rng(3).normal(0, 5, 10)
    made = Made().add_set(("church", "ORG", "fid"), 20.0, dict(enumerate(20 + blocks)))
    made.add_set(("church", "ESD", "fid"), 21.0, dict(enumerate(21 + blocks)))
    found = compare(made.write(tmp_path), "ORG")
    assert found.tested == ()
    assert "every block of prompts has the same value" in found.untested[0].reason


def test_unrelated_images_are_compared_as_they_are_scored(tmp_path):
    # The score is the mean of the categories' means; Cat has four times the images of Bird.
    a = {
        f"{c}/{name}": 0.8 * (c == "Bird")
        for c, n in (("Cat", 16), ("Bird", 4))
        for name in names(n)
    }
    made = Made().add(("church", "ORG", "lpips_object"), dict.fromkeys(a, 0.0))
    made.add(("church", "ESD", "lpips_object"), a)
    (one,) = compare(made.write(tmp_path), "ORG").tested
    assert one.difference == pytest.approx(0.4)


def test_a_rate_in_percent_differs_in_percent_and_pools_categories(tmp_path):
    # yolo_person is a percentage, of all unrelated images together: 4 of 20 of them.
    there = {f"{c}/{n}": float(c == "B") for c, k in (("A", 16), ("B", 4)) for n in names(k)}
    made = Made().add(("church", "ORG", "yolo_person_object"), dict.fromkeys(there, 0.0))
    results = made.add(("church", "ESD", "yolo_person_object"), there).write(tmp_path)
    results = replace(results, scores=[replace(row, unit="%") for row in results.scores])
    (one,) = compare(results, "ORG").tested
    assert one.difference == pytest.approx(20)
    assert one.ci_low < 20 < one.ci_high
    assert one.effect == pytest.approx(proportion_effectsize(0.2, 0))


def test_only_shared_images_are_compared(tmp_path):
    # ESD lacks the first ten images, which are unlike the others.
    a = {name: float(i < 10) + 0.1 * (i % 3) for i, name in enumerate(names(30))}
    b = {name: value + 0.01 * (i % 2) for i, (name, value) in enumerate(a.items()) if i >= 10}
    made = Made().add(("church", "ORG", "lpips"), a).add(("church", "ESD", "lpips"), b)
    (one,) = compare(made.write(tmp_path), "ORG").tested
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
    found = ties(made.write(tmp_path))
    assert found.marked == {ScoreKey.of("church", m, "lpips") for m in ("BEST", "NEAR")}
    assert len(found.best) == len(found.tied) == 1
    assert found.untested == {}


def test_the_best_of_easier_images_is_not_marked_the_best(tmp_path):
    # HALF has the ten easy prompts alone, and is worse than FULL on each of them.
    rng = np.random.default_rng(2)
    full = {name: (0.5, 0.1)[i < 50] for i, name in enumerate(names(20, 5))}
    full = {name: value + 0.01 * rng.normal() for name, value in full.items()}
    half = {name: full[name] + 0.05 + 0.002 * rng.normal() for name in names(10, 5)}
    made = Made().add(("church", "FULL", "lpips"), full).add(("church", "HALF", "lpips"), half)
    found = ties(made.write(tmp_path))
    assert found.best == {ScoreKey.of("church", "HALF", "lpips")}
    assert found.marked == found.tied == set()
    assert found.untested == {("church", "lpips"): "methods have different images"}


def test_methods_without_a_common_image_are_untested_in_the_same_words(tmp_path):
    values = drawn(np.random.default_rng(3), names(20))
    made = Made().add(("church", "A", "lpips"), values)
    made.add(("church", "B", "lpips"), {f"1{name[1:]}": value for name, value in values.items()})
    results = made.write(tmp_path)
    assert [one.reason for one in compare(results, "A").untested] == ["no image in common"]
    assert ties(results).untested == {("church", "lpips"): "no image in common"}


def test_names_are_forgiving_and_errors_helpful(tmp_path):
    made = Made()
    for method in ("ORG", "ESD"):
        made.add(
            ("church", method, "lpips"), dict.fromkeys(names(2), 1.0 if method == "ESD" else 0.0)
        )
    results = made.write(tmp_path)
    with pytest.raises(UserError, match=r"no method EDS.*did you mean ESD"):
        compare(results, "EDS")
    with pytest.raises(UserError, match="nothing to compare with ORG"):
        compare(results, "org", columns=["ssim"])


def few(tmp_path, prompts):
    """Three methods on few prompts: one is like the original, one is not."""
    made = Made()
    for method, value in (("ORG", 0.0), ("SAME", 0.0), ("ESD", 1.0)):
        for metric in ("lpips", "presence_rate"):
            made.add(("church", method, metric), dict.fromkeys(names(prompts, 5), value))
        made.add_set(("church", method, "fid"), 9 + value, {0: 9.0, 1: 9.5})
    return made.write(tmp_path)


@pytest.mark.parametrize("prompts", [1, 3])
def test_nothing_is_tested_on_few_prompts_though_it_be_equal(tmp_path, prompts):
    # "+0 to +0, p = 1.000" of one prompt is a statement about nothing.
    results = few(tmp_path, prompts)
    found = compare(results, "ORG")
    assert found.tested == ()
    assert {(one.column, one.a) for one in found.untested} == {
        (metric, method)
        for metric in ("lpips", "presence_rate", "fid")
        for method in ("SAME", "ESD")
    }
    text = render(found, results)
    count = f"{prompts} prompt{'' if prompts == 1 else 's'}"
    assert f"SAME, ESD against ORG: lpips ({count}, and it takes 4)" in text
    assert f"presence_rate ({count}, and it takes 6)" in text
    assert "fid (fewer than 4 blocks of prompts)" in text
    assert "p = 1" not in text
    assert "*" not in text


def test_what_is_not_tested_is_listed_below_what_is(tmp_path):
    rng = np.random.default_rng(6)
    made = Made()
    for method in ("ORG", "ESD"):
        made.add(("church", method, "lpips"), drawn(rng, names(20)))
        rare = {name: float(i == 0 and method == "ESD") for i, name in enumerate(names(20))}
        made.add(("church", method, "csdr"), rare)
    made.add(("church", "ESD", "ssim"), drawn(rng, names(20)))
    results = made.write(tmp_path)
    text = render(compare(results, "ORG"), results)
    table, _, below = text.partition("not tested:")
    assert "lpips" in table
    assert "ESD against ORG: csdr (values differ from 0 in only 1 of 20 prompts" in below
    assert "ESD against ORG: ssim (only one of the two has it)" in below


def test_a_mean_of_zeros_and_ones_is_no_rate(tmp_path):
    # LPIPS of equal images was tested as a rate: what a metric is does not hang on its values.
    made = Made()
    for method, there in (("ORG", 0), ("ESD", 6)):
        values = {name: float(i < there) for i, name in enumerate(names(20))}
        for metric in ("lpips", "presence_rate"):
            made.add(("church", method, metric), values)
    found = {one.column: one.effect_name for one in compare(made.write(tmp_path), "ORG").tested}
    assert found == {"lpips": "Cohen's d_z", "presence_rate": "Cohen's h"}


@pytest.mark.parametrize("prompts", [1, 3])
def test_without_a_test_there_is_a_best_value_but_no_winner(tmp_path, prompts):
    found = ties(few(tmp_path, prompts))
    assert found.marked == found.tied == set()
    assert ScoreKey.of("church", "SAME", "lpips") in found.best
    assert {metric: reason.split(",")[0] for (_, metric), reason in found.untested.items()} == {
        "lpips": f"{prompts} prompt{'' if prompts == 1 else 's'}",
        "presence_rate": f"{prompts} prompt{'' if prompts == 1 else 's'}",
        "fid": "SAME: fewer than 4 blocks of prompts",
    }


def test_scores_of_sets_are_tied_by_their_blocks(tmp_path):
    rng = np.random.default_rng(7)
    shared, made = rng.normal(0, 5, 10), Made()
    for method, value in (("A", 20.0), ("B", 20.1), ("C", 25.0)):
        blocks = value + shared + 0.05 * rng.normal(size=10)
        made.add_set(("church", method, "fid"), value, dict(enumerate(blocks)))
    found = ties(made.write(tmp_path))
    assert found.marked == {ScoreKey.of("church", m, "fid") for m in "AB"}


def test_equal_methods_are_seldom_denied_the_mark(tmp_path):
    rng = np.random.default_rng(8)
    made = Made()
    for seed in range(60):
        for method in "ABCDEFGH":
            shown = np.repeat(rng.random((8, 1)) < 0.5, 5, axis=1).ravel().astype(float)
            values = dict(zip(names(8, 5), shown, strict=True))
            made.add((f"concept {seed}", method, "presence_rate"), values)
    found = ties(made.write(tmp_path))
    whole = [sum(key[0] == f"concept {seed}" for key in found.marked) for seed in range(60)]
    assert whole.count(8) >= 52  # of an exact test fewer in 0.5% of cases


def test_a_metric_whose_images_have_changed_is_not_tested(tmp_path):
    rng = np.random.default_rng(9)
    made = Made()
    for method in "AB":
        made.add(("church", method, "lpips"), drawn(rng, names(20)))
    made.add(("church", "B", "lpips"), drawn(rng, names(20)), warnings=CHANGED.text)
    found = ties(made.write(tmp_path))
    assert found.marked == set()
    assert "B" in found.untested["church", "lpips"]


def test_a_comparison_is_labelled_as_other_tables_are(tmp_path):
    # A star against the original's own images would read as a finding; so would an unfit judge's.
    made = Made(manifest={"partial": True, "limit": 60, "tasks": {"church": "object"}})
    rng = np.random.default_rng(0)
    for method, share in (("ORG", 0.0), ("ES\x1bD", 0.4)):
        values = {name: float(rng.random() < share) for name in names(60)}
        made.add(("church", method, "presence_rate"), values, (0, 0.1))
        nearness = dict.fromkeys(names(60), 0.0) if method == "ORG" else drawn(rng, names(60))
        made.add(("church", method, "lpips"), nearness)
    made.manifest["places"] = [place("church", "ORG", "Church/forgot/ORG")]
    made.manifest["references"] = [place("church", "", "Church/forgot/ORG")]
    results = made.write(tmp_path)
    compared = compare(results, "ORG")
    assert any(one.significant for one in compared.tested)
    text = render(compared, results)
    assert text.startswith("PARTIAL: a trial run, on the first 60 images")
    table = text.split("*: p (Holm)")[0]
    assert "presence_rate (unfit judge)" in table
    assert "lpips to ORG" in table
    assert "No reference without the concept: distances (lpips)" in table
    assert "*" not in table
    assert "\x1b" not in text
