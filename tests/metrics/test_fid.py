import numpy as np
import pytest
import statsmodels.api

import metrics.fid
import metrics.kid
from metrics.fid import Fid, blocks_of, fid_infinity
from metrics.frechet import frechet_distance
from stats.tests import jackknife_test
from tests.metrics.data import Data


def test_blocks_hold_the_same_prompts_for_every_method():
    # Else the difference of two methods would be that of other prompts.
    reference = [f"0_{j}_{k}.png" for j in range(23) for k in range(3)]
    own, theirs = blocks_of([*reference[5:], "x.png"], reference)
    assert dict(zip(reference[5:], own[:-1], strict=True)).items() <= (
        dict(zip(reference, theirs, strict=True)).items()
    )
    assert set(np.bincount(theirs)) == {6, 9}  # 23 prompts of three images in ten blocks


def test_fid_infinity_is_the_fid_of_the_distributions():
    # In 8 dimensions the truth is known; FID of 3000 images is above it.
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(3000, 8)), 1.5 * rng.normal(size=(3000, 8)) + 0.5
    truth = 8 * (0.5**2 + 0.5**2)
    assert abs(fid_infinity(x, y, frechet_distance(x, y))[0] - truth) < 0.15


def test_fid_infinity_is_the_intercept_of_the_least_squares_line(monkeypatch):
    # Its error too: by statsmodels.
    values = np.array([9.0, 6.1, 5.2, 4.4, 4.1])
    of_size = dict(zip([750, 1312, 1875, 2438], values[:-1], strict=True))
    monkeypatch.setattr(metrics.fid, "moments_distance", lambda x, y: of_size[x.n])
    x = np.zeros((3000, 2))
    value, error = fid_infinity(x, x, values[-1])
    design = statsmodels.api.add_constant(1 / np.linspace(0.25, 1, 5))
    fit = statsmodels.api.OLS(values, design).fit()
    assert (value, error) == pytest.approx((fit.params[0], fit.bse[0]))


@pytest.mark.parametrize(("scale", "shift"), [(1.2, 0.5), (1, 0.05), (1, 0)])
def test_intervals_of_fid_infinity_cover_the_fid_of_the_distributions(scale, shift, monkeypatch):
    # Nominal 95% in 92 to 98%, of far, near and equal distributions.
    rng = np.random.default_rng(0)
    n, d, truth = 2048, 8, 8 * ((scale - 1) ** 2 + shift**2)
    # These are slow, and not what is tested.
    monkeypatch.setattr(metrics.fid, "kernel_distances", lambda *sets: (0.0, {}))
    monkeypatch.setattr(metrics.fid, "blocks_of", lambda *names: [np.arange(n) % 10] * 2)
    covered = []
    for _ in range(200):
        x, y = rng.normal(size=(n, d)), scale * rng.normal(size=(n, d)) + shift
        *_, score = Fid().score(Data(images=y, reference=x))
        covered.append(score.ci_low <= truth <= score.ci_high)
    assert 0.92 - 0.03 <= np.mean(covered) <= 0.98 + 0.02  # 200 runs: 1.5 points of error


@pytest.mark.parametrize("n", [20, 100, 500])
def test_jackknife_intervals_cover(n):
    # Nominal 95% in 92 to 98%: of KID, and of the expectation of FID at that n.
    rng = np.random.default_rng(n)
    names = [f"0_{j}_0.png" for j in range(n)]
    found = []
    for _ in range(200):
        x, y = rng.normal(size=(n, 8)), 1.2 * rng.normal(size=(n, 8)) + 0.5
        scores = Fid().score(Data(images=y, reference=x, names=names))[:2]  # FID and KID
        found.append([(score.value, score.ci_low, score.ci_high) for score in scores])
    for metric in np.swapaxes(found, 0, 1):
        value, low, high = metric.T
        covered = (low <= value.mean()) & (value.mean() <= high)
        assert 0.92 - 0.03 <= covered.mean() <= 0.98 + 0.02  # 200 runs: 1.5 points of error


def test_two_methods_of_one_distribution_differ_in_about_5_percent():
    # By FID and KID against one reference: the blocks' prompts must be the same for both.
    rng = np.random.default_rng(0)
    names = [f"0_{j}_0.png" for j in range(60)]
    p = []
    for _ in range(200):
        x, y = rng.normal(size=(60, 8)), rng.normal(size=(2, 60, 8)) * 1.2 + 0.5
        a, b = (Fid().score(Data(images=own, reference=x, names=names))[:2] for own in y)
        p.append(
            [
                jackknife_test(one.value, other.value, one.resamples, other.resamples).p
                for one, other in zip(a, b, strict=True)
            ]
        )
    rates = (np.array(p) < 0.05).mean(axis=0)
    assert (rates > 0.01).all()
    assert (rates < 0.1).all()  # 200 pairs: 1.5 points of standard error


def test_too_few_images_are_warned_about_or_have_no_score():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 5, 64))
    few = Fid().score(Data(images=x, reference=y))
    assert "2048" in few[0].texts[0]
    none = Fid().score(Data(images=x[:1], reference=y))
    assert [score.value for score in none] == [None, None]
    assert "needs 2 images" in none[0].texts[0]


def test_many_images_have_fid_infinity_and_say_how_kid_was_computed(monkeypatch):
    # A reader who compares it with KID over all pairs must know.
    x, y = np.random.default_rng(0).normal(size=(2, 2100, 4))
    data = Data(images=x, reference=y, reference_names=[f"{i} of ORG.png" for i in range(2100)])
    fid, kid, infinity = Fid().score(data)
    assert [score.metric for score in (fid, kid, infinity)] == ["fid", "kid", "fid_infinity"]
    assert not fid.texts + kid.texts + infinity.texts
    assert infinity.ci_high - infinity.ci_low > fid.ci_high - fid.ci_low
    monkeypatch.setattr(metrics.kid, "MOST", 2000)
    _, kid, _ = Fid().score(data)
    assert "3 random groups" in kid.texts[0]


def test_images_of_too_few_prompts_have_fid_infinity_without_interval():
    x, y = np.random.default_rng(0).normal(size=(2, 2100, 4))
    names = [f"0_{j % 3}_{j // 3}.png" for j in range(2100)]
    *_, infinity = Fid().score(Data(images=x, reference=y, names=names))
    assert infinity.value is not None
    assert (infinity.ci_low, infinity.ci_high) == (None, None)


def test_fid_infinity_of_fewer_than_five_images_a_dimension_is_no_number():
    # At n = d its intervals would never hold the truth.
    x, y = np.random.default_rng(0).normal(size=(2, 2100, 500))
    fid, *others = Fid().score(Data(images=x, reference=y))
    assert "fid_infinity" not in {score.metric for score in others}
    assert "can be told from 2500 on" in fid.texts[0]


def test_five_images_a_dimension_are_enough_for_fid_infinity():
    # Features spread evenly over all dimensions are the worst for it.
    d, found = 40, {1: [], 5: []}
    for share, values in found.items():
        for seed in range(40):
            x, y = np.random.default_rng(seed).normal(size=(2, share * d, d))
            values.append(fid_infinity(x, y, frechet_distance(x, y))[0])
    assert np.mean(found[1]) > 5  # of equal distributions
    assert abs(np.mean(found[5])) < 0.2


PROMPTS, SAMPLES = 50, 5
NAMES = [f"0_{j}_{k}.png" for j in range(PROMPTS) for k in range(SAMPLES)]


def answers(rng, alike, number=2, d=16):
    """Features of sets that answer the same prompts, a prompt's samples being correlated."""
    prompts = rng.normal(size=(PROMPTS, 1, d)) * np.sqrt(alike)
    own = rng.normal(size=(number, PROMPTS, SAMPLES, d)) * np.sqrt(1 - alike)
    return (prompts + own).reshape(number, -1, d)


@pytest.mark.parametrize("alike", [0.3, 0.9])
def test_kid_of_no_change_is_what_is_said_beside_it(alike):
    # Sets that answer the same prompts are nearer to each other than sets of their distribution.
    kid, stated = [], []
    for seed in range(60):
        x, y = answers(np.random.default_rng(seed), alike)
        _, own, no_change = Fid().score(Data(images=y, reference=x, names=NAMES))
        kid.append(own.value)
        stated.append(no_change.value)
    assert f"without any change they are at about {no_change.value:.3g}" in own.texts[0]
    assert (no_change.metric, no_change.higher_is_better) == ("kid_no_change", None)
    error = np.hypot(np.std(kid), np.std(stated)) / np.sqrt(60)
    assert np.mean(kid) < -5 * error
    assert abs(np.mean(kid) - np.mean(stated)) < 3 * error
    assert np.std(stated) < 0.2 * abs(np.mean(stated))  # one run's value can be read


def test_kid_of_no_change_cannot_be_told_from_one_image_a_prompt():
    x, y = answers(np.random.default_rng(0), 0.5)[:, ::SAMPLES]
    _, kid, no_change = Fid().score(Data(images=y, reference=x, names=NAMES[::SAMPLES]))
    assert "cannot be told" in kid.texts[0]
    assert no_change.value is None
    assert "one image of each" in no_change.texts[0]


def test_methods_of_different_numbers_of_images_are_compared_on_those_that_all_have():
    # FID falls with n: the method with all images would be the better one.
    x, y, z = answers(np.random.default_rng(0), 0.5, 3)
    fewer = [name for name in NAMES if not name.startswith("0_7_")]
    kept = np.isin(NAMES, fewer)
    whole, common, *_ = Fid().score(
        Data(images=y, reference=x, names=NAMES, others=[[n.replace("png", "jpg") for n in fewer]])
    )
    assert (whole.n, common.n, common.metric) == (250, 245, "fid_common")
    assert "245 to 250 images" in whole.texts[-1]
    assert (whole.higher_is_better, common.higher_is_better) == (None, False)
    assert common.value == frechet_distance(x, y[kept])
    assert len(common.resamples) == 10
    theirs = Fid().score(
        Data(images=z[kept], reference=x, names=fewer, reference_names=NAMES, others=[NAMES])
    )
    assert theirs[1].value == theirs[0].value == frechet_distance(x, z[kept])
    assert jackknife_test(common.value, theirs[1].value, common.resamples, theirs[1].resamples)


def test_equal_numbers_of_images_need_no_common_ones():
    x, y = answers(np.random.default_rng(0), 0.5)
    scores = Fid().score(Data(images=y, reference=x, names=NAMES, others=[NAMES, []]))
    assert [score.metric for score in scores] == ["fid", "kid", "kid_no_change"]
    assert scores[0].higher_is_better is False


def test_methods_without_an_image_of_one_name_have_no_common_fid():
    x, y = answers(np.random.default_rng(0), 0.5)
    _, common, *_ = Fid().score(Data(images=y, reference=x, names=NAMES, others=[["a", "b"]]))
    assert common.value is None
    assert "0 images have a name that all 2 methods have" in common.texts[0]
