import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import binomtest, t
from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

import utils.stats
from utils.stats import (
    effective_number,
    holm,
    jackknife_interval,
    jackknife_test,
    mcnemar,
    mean_interval,
    paired_test,
    rate_interval,
    wilson_interval,
)


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
                    low, high = rate_interval(drawn.ravel(), clusters)
                    covered += low <= rate <= high
                # 93 to 99% in 3,000 draws; 400 draws add 3.3% (three standard errors).
                assert covered / 400 >= 0.9, (prompts, samples, alike, rate)


def test_a_rate_of_one_sample_a_prompt_has_wilson_s_interval():
    successes = [True] * 3 + [False] * 17
    assert rate_interval(successes, range(20)) == wilson_interval(3, 20)
    assert rate_interval(successes[:6], [0, 0, 0, 1, 1, 1]) == wilson_interval(3, 6)


def test_samples_that_are_all_alike_count_once_each_prompt():
    # Five copies of each image say no more than the images.
    once = np.array([True] * 6 + [False] * 14)
    copies, prompts = np.repeat(once, 5), np.repeat(np.arange(20), 5)
    assert effective_number(copies, prompts) == pytest.approx(19, rel=0.03)  # 20 (n - 1) / n
    assert effective_number(np.zeros(100), prompts) == pytest.approx(19, rel=0.03)
    assert effective_number(once, range(20)) == 20
    low, high = rate_interval(copies, prompts)
    assert low < wilson_interval(6, 20)[0]
    assert wilson_interval(6, 20)[1] < high


def test_the_design_effect_is_that_of_statsmodels_cluster_robust_error(monkeypatch):
    monkeypatch.setattr(utils.stats, "_ADDED", 0)
    rng = np.random.default_rng(3)
    clusters = np.repeat(np.arange(30), rng.integers(1, 8, 30))
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
    monkeypatch.setattr(utils.stats, "RESAMPLES", 500)
    truth = 0.0 if kind == "normal" else np.exp(1 / 8)
    rng = np.random.default_rng(n + k)
    intervals = [mean_interval(*samples(rng, n, k, kind), seed=seed) for seed in range(200)]
    low, high = np.array(intervals).T
    covered = np.mean((low <= truth) & (truth <= high))
    assert 0.92 - 0.03 <= covered <= 0.98 + 0.01  # 200 data sets: 1.5 points of standard error


def test_with_very_many_prompts_the_interval_is_student_s():
    values, clusters = samples(np.random.default_rng(0), 6000, 5, "skewed")
    low, high = mean_interval(values, clusters)
    model = sm.OLS(values, np.ones(len(values))).fit(
        cov_type="cluster", cov_kwds={"groups": clusters, "df_correction": True}
    )
    assert (low, high) == pytest.approx(tuple(model.conf_int()[0]), rel=1e-3)


@pytest.mark.parametrize("k", [1, 3])
def test_the_standard_error_is_statsmodels_cluster_robust_one(k):
    values, clusters = samples(np.random.default_rng(1), 60, k, "skewed")
    error = utils.stats._resample(values, clusters, 0).error
    model = sm.OLS(values, np.ones(60)).fit(cov_type="cluster", cov_kwds={"groups": clusters})
    # statsmodels' correction has a further factor (n - 1) / (n - 1) = 1 for one regressor.
    assert error == pytest.approx(model.bse[0], rel=1e-9)


def test_an_interval_is_reproducible_and_equivariant():
    values, clusters = samples(np.random.default_rng(2), 40, 2, "skewed")
    low, high = mean_interval(values, clusters)
    assert mean_interval(values, clusters) == (low, high)
    moved = mean_interval(100 - 3 * values, clusters)
    assert moved == pytest.approx((100 - 3 * high, 100 - 3 * low), rel=0.02)
    assert mean_interval(np.full(8, 2.5), np.arange(8)) == (2.5, 2.5)
    assert mean_interval([1.0, 2.0, 3.0, 4.0], [0, 0, 1, 2]) is None  # three prompts


def test_two_methods_of_one_distribution_differ_in_about_5_percent():
    rng = np.random.default_rng(3)
    p = []
    for seed in range(300):
        a, clusters = samples(rng, 60, 3, "skewed")
        b, _ = samples(rng, 60, 3, "skewed")
        p.append(paired_test(a, b, clusters, seed=seed).p)
    assert 0.02 < np.mean(np.array(p) < 0.05) < 0.08
    same = paired_test(a, a, clusters)  # no resample has an error to divide by
    assert (same.difference, same.p) == (0, 1)


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


def test_a_constant_difference_is_certain_but_p_is_not_0():
    # 0.1 is rounded: errors of 1e-17 must not be taken for a spread.
    a = np.random.default_rng(7).normal(size=12)
    test = paired_test(a, a - 0.1, np.arange(12))
    assert (test.ci_low, test.ci_high) == pytest.approx((0.1, 0.1))
    assert 0 < test.p < 0.001
    assert mean_interval(np.full(7, 0.1), np.arange(7)) == pytest.approx((0.1, 0.1), abs=1e-15)


@pytest.mark.parametrize(("one", "other"), [(0, 0), (1, 0), (3, 9), (5, 5), (40, 12)])
def test_mcnemar_is_statsmodels(one, other):
    a = np.array([1] * one + [0] * other + [1, 0] * 5, bool)
    b = np.array([0] * one + [1] * other + [1, 0] * 5, bool)
    expected = their_mcnemar([[5, one], [other, 5]], exact=True).pvalue if one + other else 1
    assert mcnemar(a, b) == pytest.approx(expected)


def test_holm_is_statsmodels():
    p = np.random.default_rng(5).uniform(size=9) ** 3
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])


def test_the_jackknife_of_a_mean_is_its_standard_error():
    # Closed form: blocks of one image, and the mean as the score.
    x = np.random.default_rng(6).normal(size=15)
    without = {i: float(np.delete(x, i).mean()) for i in range(15)}
    half = t.ppf(0.975, 14) * x.std(ddof=1) / np.sqrt(15)
    expected = (x.mean() - half, x.mean() + half)
    assert jackknife_interval(float(x.mean()), without) == pytest.approx(expected)
    other = dict.fromkeys(range(15), 0.0)
    test = jackknife_test(float(x.mean()), 0.0, without, other)
    assert (test.ci_low, test.ci_high) == pytest.approx(expected)
    t_value = abs(x.mean()) / (x.std(ddof=1) / np.sqrt(15))
    assert test.p == pytest.approx(2 * t.sf(t_value, 14))
    assert jackknife_interval(1.0, {0: 1.0, 1: 2.0, 2: 3.0}) is None
