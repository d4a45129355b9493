import numpy as np
import pytest
from cleanfid.fid import frechet_distance as cleanfid_distance
from pytorch_fid.fid_score import calculate_frechet_distance
from torch_fidelity.metric_kid import kernel_mmd

import metrics.fid
from metrics.fid import (
    Fid,
    blocks_of,
    fid_infinity,
    frechet_distance,
    kernel_distance,
    kernel_distances,
)
from tests.metrics.data import Data
from utils.stats import jackknife_test


def features(seed, n, d=64):
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(d, d)) / np.sqrt(d)
    return np.maximum(rng.normal(seed * 0.1, 1, (n, d)) @ mixing, 0).astype(np.float32)


def statistics(x):
    return np.mean(x, axis=0), np.cov(x, rowvar=False)


@pytest.mark.parametrize(("n", "m"), [(500, 400), (70, 900), (65, 65)])
@pytest.mark.parametrize("reference", [calculate_frechet_distance, cleanfid_distance])
def test_fid_is_that_of_the_reference_libraries(n, m, reference):
    # ddof, the trace term or the mean's dtype could each be off.
    x, y = features(1, n), features(2, m)
    expected = reference(*statistics(x), *statistics(y))
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("n", "m"), [(5, 5), (11, 40), (40, 200)])
def test_fid_of_few_images_is_exact_where_the_matrix_root_is_not(n, m):
    # Singular covariances: the closed form by eigenvalues of the small Gram matrix, by hand.
    x, y = features(3, n).astype(float), features(4, m).astype(float)
    a, b = x - x.mean(0), y - y.mean(0)
    gram = (a @ b.T) @ (b @ a.T) / ((n - 1) * (m - 1))
    trace = np.sqrt(np.maximum(np.linalg.eigvalsh(gram), 0)).sum()
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() - 2 * trace
    expected += np.trace(np.cov(x.T)) + np.trace(np.cov(y.T))
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-6)


def test_fid_of_a_set_with_itself_is_zero_and_of_a_shift_its_square():
    x = features(5, 100)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(x, x + 1) == pytest.approx(64, rel=1e-5)


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


def test_pieces_do_not_change_kid(monkeypatch):
    x, y = features(1, 3000, 16).astype(float), features(2, 2500, 16).astype(float)
    whole = ((x @ y.T) / 16 + 1) ** 3
    one = np.ones((len(x), 1)), np.ones((len(y), 1))
    assert metrics.fid._block_sums(x, y, *one)[0, 0] == pytest.approx(whole.sum())


def test_scores_without_a_block_are_those_of_the_other_images():
    # Sums over blocks stand in for computing KID anew: a wrong one would be a wrong interval.
    x, y = features(1, 40, 16), features(2, 30, 16)
    x_blocks, y_blocks = np.arange(40) % 5, np.arange(30) % 5
    whole, without = kernel_distances(x, y, x_blocks, y_blocks)
    assert whole == pytest.approx(kernel_distance(x, y))
    for block, value in without.items():
        assert value == pytest.approx(kernel_distance(x[x_blocks != block], y[y_blocks != block]))


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
    assert abs(fid_infinity(x, y) - truth) < 0.15


@pytest.mark.parametrize("n", [20, 100, 500])
def test_jackknife_intervals_cover(n):
    # Nominal 95% in 92 to 98%: of KID, and of the expectation of FID at that n.
    rng = np.random.default_rng(n)
    names = [f"0_{j}_0.png" for j in range(n)]
    found = []
    for _ in range(200):
        x, y = rng.normal(size=(n, 8)), 1.2 * rng.normal(size=(n, 8)) + 0.5
        scores = Fid().score(Data(images=y, reference=x, names=names))
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
        a, b = (Fid().score(Data(images=own, reference=x, names=names)) for own in y)
        p.append(
            [
                jackknife_test(one.value, other.value, one.resamples, other.resamples).p
                for one, other in zip(a, b, strict=True)
            ]
        )
    rates = (np.array(p) < 0.05).mean(axis=0)
    assert (rates > 0.01).all()
    assert (rates < 0.1).all()  # 200 pairs: 1.5 points of standard error


def test_fid_of_singular_covariances_of_many_images_is_exact():
    # A feature that is always 0 has no Cholesky factor.
    x, y = features(1, 100, 16), features(2, 120, 16)
    whole = frechet_distance(x, y)
    x, y = (np.hstack([one, np.zeros((len(one), 4))]) for one in (x, y))
    assert frechet_distance(x, y) == pytest.approx(whole, rel=1e-9)


def test_too_few_images_are_warned_about_or_have_no_score():
    few = Fid().score(Data(images=features(1, 5), reference=features(2, 5)))
    assert "2048" in few[0].warnings[0]
    none = Fid().score(Data(images=features(1, 1), reference=features(2, 5)))
    assert [score.value for score in none] == [None, None]
    assert "needs 2 images" in none[0].warnings[0]
