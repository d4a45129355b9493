"""LPIPS, SSIM and PSNR: means over pairs, of categories where there are some."""

from dataclasses import replace

import numpy as np
import pytest

from metrics.base import category_values
from metrics.lpips import Lpips
from metrics.pixels import Psnr, Ssim
from stats.intervals import mean_interval
from tests.metrics.data import CHURCH, Data


def test_lpips_is_the_mean_over_pairs():
    (score,) = Lpips().score(Data(pairs=np.array([[0.1], [0.2], [0.6]])))
    assert (score.value, score.n) == (pytest.approx(0.3), 3)
    assert list(score.per_image.values()) == [0.1, 0.2, 0.6]


def test_categories_weigh_the_same_whatever_their_size():
    # The published mean over objects is a mean of means.
    data = Data(
        pairs=np.array([[0.1], [0.2], [0.6]]), names=["Cat/0.png", "Cat/1.png", "Dog/0.png"]
    )
    (score,) = Lpips().score(data)
    assert score.value == pytest.approx((0.15 + 0.6) / 2)


def test_no_pair_is_no_score():
    (score,) = Lpips().score(Data(pairs=np.empty((0, 1))))
    assert score.value is None
    assert score.texts == ("no pair could be compared",)


def test_equal_pairs_count_as_100_db_and_are_counted():
    # One infinite value would make the mean infinite.
    rows = np.array([[1, 0], [0.5, 0.01], [0.5, 0.001]], np.float32)
    (score,) = Psnr().score(Data(pairs=rows))
    assert (score.value, score.n) == (pytest.approx((100 + 20 + 30) / 3), 3)
    assert list(score.per_image.values()) == pytest.approx([100, 20, 30])
    assert "1 pairs are equal and count as 100 dB" in score.texts
    (ssim,) = Ssim().score(Data(pairs=rows))
    assert (ssim.value, ssim.n) == (pytest.approx(2 / 3), 3)


def test_the_method_that_changes_fewest_images_has_the_best_psnr():
    # Left out, its 37 equal pairs would leave the three that it does change.
    untouched = np.array([[1.0, 0.0]] * 37 + [[0.3, 10**-1.37]] * 3)
    noisy = np.array([[0.6, 10**-2.69]] * 40)
    one, other = (Psnr().score(Data(pairs=rows))[0] for rows in (untouched, noisy))
    assert one.value > other.value
    assert other.value == pytest.approx(26.9)


@pytest.mark.parametrize("aspect", [Ssim(), Psnr()])
def test_pairs_that_share_no_seed_rank_no_method(aspect):
    # Of two unlike scenes a blur is the closer.
    rows = np.array([[0.5, 0.01], [0.6, 0.02]])
    concept = replace(CHURCH, shared_seeds=True)
    (unknown,), (shared,) = (
        aspect.score(data) for data in (Data(pairs=rows), Data(pairs=rows, concept=concept))
    )
    assert (unknown.value, unknown.higher_is_better) == (shared.value, None)
    assert any("reward smoothness" in warning for warning in unknown.texts)
    assert shared.higher_is_better is True
    assert not any("smoothness" in warning for warning in shared.texts)


def test_the_samples_of_a_prompt_count_together():
    # As independent images they would make the interval too narrow.
    values = np.repeat(np.random.default_rng(0).uniform(size=10), 5)
    names = [f"0_{j}_{k}.png" for j in range(10) for k in range(5)]
    (score,) = Lpips().score(Data(pairs=values[:, None], names=names))
    together, alone = (mean_interval(values, of) for of in (np.repeat(range(10), 5), range(50)))
    assert (score.ci_low, score.ci_high) == (together.low, together.high)
    assert score.ci_high - score.ci_low > 1.5 * (alone.high - alone.low)


def test_a_score_without_an_interval_says_why():
    names = [f"{c}/0_{j}_0.png" for c in ("Cat", "Dog") for j in range(10)]
    (few,) = Lpips().score(Data(pairs=np.array([[0.1], [0.2], [0.6]]), names=names[:3]))
    assert (few.ci_low, few.ci_high) == (None, None)
    assert few.texts == ("no interval: 3 prompts, and it takes 4",)
    # Weighted by category, equal values are no longer equal: they are told before.
    values = np.array([[0.0]] * 18 + [[0.3]] * 2)
    (rare,) = Lpips().score(Data(pairs=values[:19], names=names[:19]))
    assert rare.value > 0
    assert "differ from 0 in only 1 of 19 prompts" in rare.texts[0]


def nested(sizes):
    """Categories of that many prompts of two samples: category and prompt of each image."""
    prompts = [f"{c}/{j}" for c, size in enumerate(sizes) for j in range(size)]
    clusters = np.repeat(prompts, 2)
    return [cluster.partition("/")[0] for cluster in clusters], clusters


@pytest.mark.parametrize("sizes", [(10, 10, 10), (20, 6, 5, 4)])
def test_the_interval_of_a_mean_of_category_means_covers(sizes):
    # Weights alone take the differences between categories for chance: they always cover.
    categories, clusters = nested(sizes)
    rng = np.random.default_rng(len(sizes))
    level = 3.0 * np.array(categories, float)
    truth, runs = 3 * np.mean(range(len(sizes))), 200
    found = []
    for _ in range(runs):
        shared = np.repeat(rng.normal(size=len(level) // 2), 2)
        values = level + (shared + rng.normal(size=len(level))) / np.sqrt(2)
        found.append(mean_interval(category_values(values, categories, clusters), clusters))
    covered = np.mean([one.low <= truth <= one.high for one in found])
    assert 0.92 - 0.03 <= covered <= 0.98 + 0.01  # 1.5 points of standard error


def test_the_error_of_a_mean_of_category_means_is_that_of_stratified_sampling():
    # Closed form: the categories' own cluster-robust variances, added up.
    categories, clusters = nested((8, 3, 5))
    values = np.random.default_rng(1).exponential(size=len(clusters))
    balanced = category_values(values, categories, clusters)
    sets = [values[np.array(categories) == c].reshape(-1, 2) for c in "012"]
    assert balanced.mean() == pytest.approx(np.mean([one.mean() for one in sets]))
    variance = sum(one.mean(axis=1).var(ddof=1) / len(one) for one in sets) / 3**2
    sums = (balanced - balanced.mean()).reshape(-1, 2).sum(axis=1)
    mine = 16 / 15 * (sums**2).sum() / len(values) ** 2
    assert mine == pytest.approx(variance)


def test_equal_values_stay_equal_whatever_the_sizes_of_their_categories():
    categories, clusters = nested((8, 3, 5))
    balanced = category_values(np.full(len(clusters), 0.7), categories, clusters)
    np.testing.assert_allclose(balanced, 0.7)


def test_categories_of_one_prompt_count_as_drawn():
    # Nothing shows the spread within them; an interval without width would be wrong.
    categories, clusters = nested((1, 1, 1, 1, 1))
    values = np.arange(10.0)
    np.testing.assert_allclose(category_values(values, categories, clusters), values)
