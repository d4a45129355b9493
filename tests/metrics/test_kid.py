import numpy as np
import pytest
from torch_fidelity.metric_kid import kernel_mmd

import metrics.kid
from metrics.kid import (
    groups_of,
    kernel_distance,
    kernel_distances,
    likeness,
    same_prompt_share,
)
from stats.intervals import jackknife_interval


def features(seed, n, d=64):
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(d, d)) / np.sqrt(d)
    return np.maximum(rng.normal(seed * 0.1, 1, (n, d)) @ mixing, 0).astype(np.float32)


def loops(x, y):
    """KID by the definition, pair by pair."""

    def k(a, b):
        return (float(a @ b) / len(a) + 1) ** 3

    x, y = x.astype(float), y.astype(float)
    n, m = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return xx + yy - 2 * sum(k(a, b) for a in x for b in y) / (n * m)


@pytest.mark.parametrize(("n", "m"), [(2, 2), (12, 9)])
def test_kid_is_the_unbiased_estimate_on_all_samples(n, m):
    x, y = features(6, n), features(7, m)
    assert kernel_distance(x, y) == pytest.approx(loops(x, y), abs=1e-9)


def test_kid_is_that_of_torch_fidelity_on_the_whole_set():
    x, y = features(8, 200).astype(float), features(9, 200).astype(float)
    expected = kernel_mmd(x, y, verbose=False)
    assert kernel_distance(x, y) == pytest.approx(expected, abs=1e-6)


def test_tiles_do_not_change_kid(monkeypatch):
    # A tile taken twice or left out.
    monkeypatch.setattr(metrics.kid, "_TILE", 7)
    x, y = features(1, 30, 16), features(2, 19, 16)
    assert kernel_distance(x, y) == pytest.approx(loops(x, y), abs=1e-9)


def test_scores_without_a_block_are_those_of_the_other_images():
    # Sums over blocks stand in for computing KID anew: a wrong one would be a wrong interval.
    x, y = features(1, 40, 16), features(2, 30, 16)
    x_blocks, y_blocks = np.arange(40) % 5, np.arange(30) % 5
    whole, without = kernel_distances(x, y, x_blocks, y_blocks)
    assert whole == pytest.approx(kernel_distance(x, y))
    for block, value in without.items():
        assert value == pytest.approx(kernel_distance(x[x_blocks != block], y[y_blocks != block]))


@pytest.fixture
def grouped(monkeypatch):
    """More than 60 images are compared in groups of about 25."""
    monkeypatch.setattr(metrics.kid, "MOST", 60)
    monkeypatch.setattr(metrics.kid, "GROUP", 25)


def test_groups_hold_two_images_of_the_side_with_fewer(grouped):
    # Of one image there is no pair: KID would be NaN.
    assert groups_of(60, 60) == 1
    assert groups_of(100, 61) == groups_of(61, 100) == 4
    assert groups_of(1000, 9) == 4
    x, y = features(1, 1000, 8), features(2, 9, 8)
    assert np.isfinite(kernel_distance(x, y))


def test_kid_of_many_images_is_still_unbiased(grouped):
    # Sets of one distribution: the mean over draws is 0. A biased estimate is positive.
    rng = np.random.default_rng(0)
    found = [kernel_distance(*rng.normal(size=(2, 100, 8))) for _ in range(300)]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(300)


def test_kid_of_many_images_does_not_depend_on_those_of_the_block_left_out(grouped):
    # And is the same in each run.
    x, y = features(1, 130, 8), features(2, 100, 8)
    x_blocks, y_blocks = np.arange(130) % 5, np.arange(100) % 5
    whole, without = kernel_distances(x, y, x_blocks, y_blocks)
    assert kernel_distances(x, y, x_blocks, y_blocks) == (whole, without)
    assert sorted(without) == list(range(5))
    x[x_blocks == 2] += 1
    y[y_blocks == 2] -= 1
    changed, other = kernel_distances(x, y, x_blocks, y_blocks)
    assert other[2] == without[2]
    assert changed != whole


def test_intervals_of_many_images_cover(grouped):
    # Nominal 95%: leaving a block out of every group must show the spread of their mean.
    rng = np.random.default_rng(0)
    blocks = np.arange(150) % 10
    found = []
    for _ in range(200):
        x, y = rng.normal(size=(150, 8)), 1.2 * rng.normal(size=(150, 8)) + 0.5
        value, without = kernel_distances(x, y, blocks, blocks)
        interval = jackknife_interval(value, without)
        found.append((value, interval.low, interval.high))
    value, low, high = np.transpose(found)
    covered = (low <= value.mean()) & (value.mean() <= high)
    assert 0.92 - 0.03 <= covered.mean() <= 0.98 + 0.02  # 200 runs: 1.5 points of error


def test_likeness_is_the_kernel_within_prompts_less_that_between_them():
    x, prompts = features(1, 12, 8).astype(float), np.array(list("aaabbcccccdd"))
    kernel = (x @ x.T / 8 + 1) ** 3
    same = prompts[:, None] == prompts
    within = kernel[same & ~np.eye(12, dtype=bool)].mean()
    expected = pytest.approx(within - kernel[~same].mean())
    assert likeness(x, prompts) == expected
    assert likeness(x[:10], prompts[:10]) is None  # three prompts
    assert likeness(x, range(12)) is None  # one image of each


def test_likeness_of_many_images_is_still_unbiased(monkeypatch):
    rng = np.random.default_rng(0)
    prompts, off = np.repeat(range(50), 2), []
    for _ in range(200):
        x = np.repeat(rng.normal(size=(50, 8)), 2, axis=0) + rng.normal(size=(100, 8))
        on_all = likeness(x, prompts)
        with monkeypatch.context() as patch:
            patch.setattr(metrics.kid, "MOST", 60)
            patch.setattr(metrics.kid, "GROUP", 25)
            off.append(likeness(x, prompts) - on_all)
    assert 0 < abs(np.mean(off)) < 3 * np.std(off) / np.sqrt(200)


def test_prompts_are_shared_more_across_sets_than_within_them():
    # With P prompts of K images: (K - 1) / (n - 1) of the pairs within, K / n of those across.
    prompts = np.repeat(range(50), 5)
    assert same_prompt_share(prompts, prompts) == pytest.approx(2 * (4 / 249 - 5 / 250))
    assert same_prompt_share(range(9), range(9, 15)) == 0
    assert same_prompt_share(prompts, prompts + 50) == pytest.approx(2 * 4 / 249)
