import time
from itertools import product

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import binom, binomtest, chi2, t
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

import stats.clusters
from stats.clusters import effective_number
from stats.intervals import (
    PROMPTS_FIXED,
    UNEVEN,
    Interval,
    jackknife_interval,
    mean_interval,
    rate_interval,
    wilson_interval,
)
from stats.multiple import holm
from stats.tests import PairedTest, jackknife_test, paired_test


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 5), (3, 5), (50, 100), (999, 1000)])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_wilson_is_that_of_statsmodels_and_scipy(k, n, confidence):
    ours = wilson_interval(k, n, confidence)
    assert ours == pytest.approx(proportion_confint(k, n, 1 - confidence, "wilson"), abs=1e-12)
    theirs = binomtest(k, n).proportion_ci(confidence, "wilson")
    assert ours == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@pytest.mark.parametrize(("k", "n"), [(0, 0), (2, 1), (-1, 3)])
def test_no_interval_without_data(k, n):
    with pytest.raises(ValueError):
        wilson_interval(k, n)


def test_wilson_covers():
    # 92 to 98% of data sets, averaged over rates: at a single rate coverage jumps with n.
    for n in (20, 100, 500):
        rng = np.random.default_rng(n)
        rates = rng.uniform(0.02, 0.98, 3000)
        found = [wilson_interval(int(k), n) for k in rng.binomial(n, rates)]
        low, high = np.array(found).T
        assert 0.92 < np.mean((low <= rates) & (rates <= high)) < 0.98


def samples(rng, n, k, kind):
    """n values in prompts of k, half of the variance between prompts; and their clusters."""
    shared, own = rng.normal(size=(n // k, 1)), rng.normal(size=(n // k, k))
    normal = ((shared + own) / np.sqrt(2)).ravel()
    values = normal if kind == "normal" else np.exp(normal / 2)
    return values, np.repeat(np.arange(n // k), k)


def test_rates_of_prompts_with_several_samples_are_covered():
    # Wilson's own interval takes the samples for independent and covers from 32% on here.
    rng = np.random.default_rng(0)
    for prompts, samples in ((20, 5), (100, 5), (50, 10)):
        clusters = np.repeat(np.arange(prompts), samples)
        for alike in (0, 0.2, 0.6):  # correlation within a prompt
            for rate in (0.02, 0.1, 0.5):
                covered = 0
                for _ in range(400):
                    spread = (1 - alike) / alike if alike else 1e9
                    own = rng.beta(rate * spread, (1 - rate) * spread, prompts)
                    drawn = rng.random((prompts, samples)) < own[:, None]
                    found = rate_interval(drawn.ravel(), clusters)
                    covered += found.low <= rate <= found.high
                # 93 to 99% in 3,000 draws; 400 draws add 3.3% (three standard errors).
                assert covered / 400 >= 0.9, (prompts, samples, alike, rate)


def test_a_rate_of_one_sample_a_prompt_has_wilson_s_interval():
    successes = [True] * 4 + [False] * 16
    assert rate_interval(successes, range(20)) == Interval(*wilson_interval(4, 20))


@pytest.mark.parametrize("shown", [1, 2, 3])
def test_beside_0_and_1_wilson_s_interval_is_modified(shown):
    # It covered 83% of rates of which one image in ten decides.
    found = rate_interval([True] * shown + [False] * (20 - shown), range(20))
    assert found.low == pytest.approx(chi2.ppf(0.05, 2 * shown) / 2 / 20)
    assert found.high == wilson_interval(shown, 20)[1]
    mirrored = rate_interval([False] * shown + [True] * (20 - shown), range(20))
    assert mirrored.high == pytest.approx(1 - found.low)


@pytest.mark.parametrize("n", [4, 6, 10, 20, 100])
def test_one_image_a_prompt_is_covered_at_every_rate(n):
    found = [rate_interval(np.arange(n) < k, range(n)) for k in range(n + 1)]
    low, high = (np.array([getattr(one, end) for one in found]) for end in ("low", "high"))
    assert (np.diff(low) >= 0).all()
    assert (np.diff(high) >= 0).all()
    rates = np.linspace(0.001, 0.999, 999)[:, None]
    within = (low <= rates) & (rates <= high)
    covered = (binom.pmf(np.arange(n + 1), n, rates) * within).sum(axis=1)
    assert covered.min() > 0.87  # Wilson's own covers 0.83 here


def test_an_interval_that_one_prompt_decides_says_so():
    sizes = [100] + [5] * 9
    prompts = np.repeat(np.arange(10), sizes)
    assert rate_interval(prompts == 0, prompts).note == UNEVEN
    assert rate_interval(prompts == 0, np.arange(len(prompts)) % 10).note == ""
    assert rate_interval(np.arange(18) < 5, np.arange(18) % 4).note == ""


@pytest.mark.parametrize("prompts", [1, 2, 3])
def test_an_interval_with_the_prompts_fixed_says_so(prompts):
    # 3 prompts x 25 images say nothing of a fourth prompt, however narrow the interval is.
    found = rate_interval([True] * 3 + [False] * 72, np.arange(75) % prompts)
    assert found == Interval(*wilson_interval(3, 75), PROMPTS_FIXED)
    assert rate_interval([True] * 3 + [False] * 97, np.arange(100) % 4).note == ""


def limits(counts, sizes):
    """The interval of prompts of these sizes that have these counts of successes."""
    shown = [i < count for count, size in zip(counts, sizes, strict=True) for i in range(size)]
    found = rate_interval(shown, np.repeat(np.arange(len(sizes)), sizes))
    return found.low, found.high


def rises(counts, sizes, prompt):
    """Whether one more success of a prompt lowers neither limit."""
    more = [count + (i == prompt) for i, count in enumerate(counts)]
    before, after = limits(counts, sizes), limits(more, sizes)
    return all(b >= a - 1e-12 for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("sizes", [(2, 2, 2, 2), (3, 3, 3, 3), (1, 2, 3, 2, 1), (5, 1, 1, 1)])
def test_one_more_image_with_the_concept_never_lowers_a_limit(sizes):
    for counts in product(*(range(size + 1) for size in sizes)):
        for prompt, size in enumerate(sizes):
            assert counts[prompt] == size or rises(counts, sizes, prompt), (counts, prompt)


def test_limits_rise_with_the_count_in_layouts_at_random():
    rng = np.random.default_rng(0)
    for _ in range(300):
        sizes = rng.integers(1, rng.integers(2, 21), rng.integers(4, 60))
        counts = rng.binomial(sizes, rng.beta(0.3, 0.3, len(sizes)) * rng.random())
        prompt = rng.choice(np.append(np.flatnonzero(counts < sizes), -1))
        assert prompt < 0 or rises(counts, sizes, prompt), (counts, sizes, prompt)


def test_no_image_with_the_concept_has_the_lowest_limit_of_all():
    # A gate on the upper limit failed 0 of 250 and passed 1 to 4 of 250.
    highs = [limits([1] * k + [0] * (50 - k), [5] * 50)[1] for k in range(12)]
    assert highs == sorted(highs)
    assert highs[0] == pytest.approx(0.0761, abs=1e-4)


def test_ten_thousand_prompts_take_no_time():
    shown = np.random.default_rng(0).random(200_000) < 0.5
    started = time.perf_counter()
    rate_interval(shown, np.repeat(np.arange(10_000), 20))
    assert time.perf_counter() - started < 2


def test_samples_that_are_all_alike_count_once_each_prompt():
    # Five copies of each image say no more than the images.
    once = np.array([True] * 6 + [False] * 14)
    copies, prompts = np.repeat(once, 5), np.repeat(np.arange(20), 5)
    assert effective_number(copies, prompts) == pytest.approx(19, rel=0.03)  # 20 (n - 1) / n
    assert effective_number(np.zeros(100), prompts) == pytest.approx(19, rel=0.03)
    assert effective_number(once, range(20)) == 20
    found = rate_interval(copies, prompts)
    assert found.low < wilson_interval(6, 20)[0]
    assert wilson_interval(6, 20)[1] < found.high


def test_the_design_effect_is_that_of_statsmodels_cluster_robust_error(monkeypatch):
    monkeypatch.setattr(stats.clusters, "ADDED", 0)
    rng = np.random.default_rng(3)
    clusters = np.repeat(np.arange(30), 6)
    drawn = (rng.normal(size=30)[clusters] + rng.normal(size=len(clusters)) > 0.5).astype(float)
    fit = sm.OLS(drawn, np.ones(len(drawn))).fit(
        cov_type="cluster", cov_kwds={"groups": clusters, "use_correction": False}
    )
    variance = float(fit.bse[0]) ** 2 * 30 / 29
    rate = drawn.mean()
    assert effective_number(drawn, clusters) == pytest.approx(rate * (1 - rate) / variance)


@pytest.mark.parametrize("kind", ["normal", "skewed"])
@pytest.mark.parametrize(("n", "k"), [(20, 1), (20, 5), (100, 1), (100, 5), (500, 5)])
def test_intervals_of_means_cover(n, k, kind, monkeypatch):
    # A bootstrap of single images, or of percentiles, covers 76 to 91% here.
    monkeypatch.setattr(stats.clusters, "RESAMPLES", 500)
    truth = 0.0 if kind == "normal" else np.exp(1 / 8)
    rng = np.random.default_rng(n + k)
    found = [mean_interval(*samples(rng, n, k, kind), seed=seed) for seed in range(200)]
    covered = np.mean([one.low <= truth <= one.high for one in found])
    assert 0.92 - 0.03 <= covered <= 0.98 + 0.01  # 200 data sets: 1.5 points of standard error


def test_with_very_many_prompts_the_interval_is_student_s():
    values, clusters = samples(np.random.default_rng(0), 6000, 5, "skewed")
    found = mean_interval(values, clusters)
    model = sm.OLS(values, np.ones(len(values))).fit(
        cov_type="cluster", cov_kwds={"groups": clusters, "df_correction": True}
    )
    assert (found.low, found.high) == pytest.approx(tuple(model.conf_int()[0]), rel=1e-3)


def test_rare_events_among_very_many_prompts_are_no_student_s():
    # Four of 1,100 prompts: Student's interval is symmetric, and reaches below 0.
    values = np.where(np.arange(1100) < 4, 1.0 + np.arange(1100) % 4, 0.0)
    found = mean_interval(values, range(1100))
    assert found.high - values.mean() > 1.5 * (values.mean() - found.low)
    assert mean_interval(values, range(1100)) == found


@pytest.mark.parametrize("k", [1, 3])
def test_the_standard_error_is_statsmodels_cluster_robust_one(k):
    values, clusters = samples(np.random.default_rng(1), 60, k, "skewed")
    error = stats.clusters.resample(values, stats.clusters.numbered(clusters), 0).error
    model = sm.OLS(values, np.ones(60)).fit(cov_type="cluster", cov_kwds={"groups": clusters})
    # statsmodels' correction has a further factor (n - 1) / (n - 1) = 1 for one regressor.
    assert error == pytest.approx(model.bse[0], rel=1e-9)


def test_an_interval_is_reproducible_and_equivariant():
    values, clusters = samples(np.random.default_rng(2), 40, 2, "skewed")
    found = mean_interval(values, clusters)
    assert mean_interval(values, clusters) == found
    moved = mean_interval(100 - 3 * values, clusters)
    expected = (100 - 3 * found.high, 100 - 3 * found.low)
    assert (moved.low, moved.high) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(
    ("values", "clusters", "reason"),
    [
        ([1.0, 2.0, 3.0, 4.0], [0, 0, 1, 2], "3 prompts, and it takes 4"),
        ([0.3], [0], "1 prompt, and it takes 4"),
        ([0.0] * 17 + [0.2, 0.4, 0.7], range(20), "differ from 0 in only 3 of 20 prompts"),
        ([1.0] * 8 + [0.9] * 2, [*range(5)] * 2, "differ from 1 in only 2 of 5 prompts"),
        ([2.5] * 8, range(8), "differ from 2.5 in only 0 of 8 prompts"),
        ([0.1, 0.9] * 6, np.repeat(range(6), 2), "every prompt has the same mean"),
    ],
)
def test_a_mean_without_an_interval_says_why(values, clusters, reason):
    # Of rare events an interval covers 30 to 63% of the time, and equal values show no spread.
    found = mean_interval(values, list(clusters))
    assert (found.low, found.high) == (None, None)
    assert found.note.startswith("no interval: ")
    assert reason in found.note


def test_rare_events_are_covered_where_they_have_an_interval():
    rng = np.random.default_rng(11)
    clusters = np.repeat(np.arange(20), 5)
    found = []
    for seed in range(300):
        values = np.where(rng.random(100) < 0.1, rng.exponential(size=100), 0)
        one = mean_interval(values, clusters, seed=seed)
        found.append(None if one.note else one.low <= 0.1 <= one.high)
    assert found.count(None) < 30
    assert np.mean([covered for covered in found if covered is not None]) >= 0.91


@pytest.mark.parametrize("prompts", [4, 5])
def test_no_interval_of_few_prompts_is_hundreds_of_standard_deviations_wide(prompts):
    rng = np.random.default_rng(12)
    found = []
    for seed in range(200):
        values = rng.lognormal(size=prompts)
        one = mean_interval(values, range(prompts), seed=seed)
        found.append((one.high - one.low) / values.std(ddof=1))
    assert max(found) < 10


def test_two_methods_of_one_distribution_differ_in_about_5_percent():
    rng = np.random.default_rng(3)
    p = []
    for seed in range(300):
        a, clusters = samples(rng, 60, 3, "skewed")
        b, _ = samples(rng, 60, 3, "skewed")
        p.append(paired_test(a, b, clusters, seed=seed).p)
    assert 0.02 < np.mean(np.array(p) < 0.05) < 0.08
    same = paired_test(a, a, clusters)  # every pair is equal: there is no spread to turn round it
    assert same == PairedTest(0.0, None, None, 1.0)


def test_the_interval_of_a_difference_of_means_agrees_with_p():
    rng = np.random.default_rng(13)
    for seed in range(400):
        clusters = np.repeat(np.arange(rng.integers(4, 20)), 3)
        a, spread = rng.normal(size=len(clusters)), rng.choice([0.01, 0.5])
        test = paired_test(a + rng.normal(0.15, spread, len(a)), a, clusters, seed=seed)
        assert (test.p < 0.05) == (test.ci_low > 0 or test.ci_high < 0)


def test_means_are_not_tested_where_they_have_no_interval():
    a = np.zeros(20)
    a[:3] = 0.2
    assert "only 3 of 20 prompts" in paired_test(a, np.zeros(20), range(20))
    assert paired_test(a[:3], a[3:6], range(3)) == "3 prompts, and it takes 4"
    assert paired_test(a[:3], a[:3], range(3)) == "3 prompts, and it takes 4"  # though equal


def test_the_paired_test_agrees_with_student_s_where_that_is_right():
    # Independent, normal differences: p and the interval must be those of the t-test, nearly.
    rng = np.random.default_rng(4)
    a, b = rng.normal(0.2, 1, 200), rng.normal(0, 1, 200)
    ours = paired_test(a, b, np.arange(200))
    d = a - b
    error = d.std(ddof=1) / np.sqrt(200)
    assert ours.p == pytest.approx(2 * t.sf(abs(d.mean() / error), 199), abs=0.02)
    half = t.ppf(0.975, 199) * error
    assert (ours.ci_low, ours.ci_high) == pytest.approx(
        (d.mean() - half, d.mean() + half), abs=0.1 * half
    )


def test_a_constant_difference_has_no_interval_and_the_p_of_its_signs():
    # 0.1 is rounded: errors of 1e-17 must not be taken for a spread.
    a = np.random.default_rng(7).normal(size=12)
    assert paired_test(a, a - 0.1, np.arange(12)) == PairedTest(
        pytest.approx(0.1), None, None, 0.5**11
    )


def test_holm_is_statsmodels_and_that_of_its_definition():
    p = np.random.default_rng(5).uniform(size=9) ** 3
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])
    # The smallest times 4, the next times 3; none is below a smaller one's, nor above 1.
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.9]), [0.04, 0.09, 0.09, 0.9])
    np.testing.assert_allclose(holm([0.6, 0.7]), [1, 1])


def test_the_jackknife_of_a_mean_is_its_standard_error():
    # Closed form: blocks of one image, and the mean as the score.
    x = np.random.default_rng(6).normal(size=15)
    without = {i: float(np.delete(x, i).mean()) for i in range(15)}
    half = t.ppf(0.975, 14) * x.std(ddof=1) / np.sqrt(15)
    expected = (x.mean() - half, x.mean() + half)
    found = jackknife_interval(float(x.mean()), without)
    assert (found.low, found.high) == pytest.approx(expected)
    other = dict.fromkeys(range(15), 0.0)
    test = jackknife_test(float(x.mean()), 0.0, without, other)
    assert (test.ci_low, test.ci_high) == pytest.approx(expected)
    t_value = abs(x.mean()) / (x.std(ddof=1) / np.sqrt(15))
    assert test.p == pytest.approx(2 * t.sf(t_value, 14))
    few = jackknife_interval(1.0, {0: 1.0, 1: 2.0, 2: 3.0})
    assert few == Interval(None, None, "no interval: fewer than 4 blocks of prompts")


def test_blocks_that_are_all_equal_show_no_spread():
    # "1.0 to 1.0", p = 0: as sure as can be, of nothing.
    same, other = dict.fromkeys(range(10), 1.0), dict.fromkeys(range(10), 3.0)
    why = "every block of prompts has the same value, which shows no spread"
    assert jackknife_interval(1.0, same) == Interval(None, None, f"no interval: {why}")
    assert jackknife_test(1.0, 3.0, same, other) == why
    assert jackknife_test(1.0, 1.0, same, same) == PairedTest(0.0, None, None, 1.0)
