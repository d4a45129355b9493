import pytest
from scipy.stats import binomtest
from statsmodels.stats.proportion import proportion_confint

from utils.stats import wilson_interval


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
