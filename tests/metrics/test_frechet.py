import tracemalloc

import numpy as np
import pytest
from cleanfid.fid import frechet_distance as cleanfid_distance
from pytorch_fid.fid_score import calculate_frechet_distance

import metrics.frechet
from metrics.frechet import MINIMUM, Moments, frechet_distance, frechet_distances


def features(seed, n, d=64):
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(d, d)) / np.sqrt(d)
    return np.maximum(rng.normal(seed * 0.1, 1, (n, d)) @ mixing, 0).astype(np.float32)


def statistics(x):
    return np.mean(x, axis=0), np.cov(x, rowvar=False)


@pytest.mark.parametrize(("n", "m"), [(500, 400), (70, 900), (65, 65), (2100, 2300)])
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


def test_fid_of_singular_covariances_of_many_images_is_exact():
    # A feature that is always 0 has no Cholesky factor.
    x, y = features(1, 100, 16), features(2, 120, 16)
    whole = frechet_distance(x, y)
    x, y = (np.hstack([one, np.zeros((len(one), 4))]) for one in (x, y))
    assert frechet_distance(x, y) == pytest.approx(whole, rel=1e-9)


def correlated(seed, n, d=32):
    """Features whose covariance has eigenvalues over nine orders of magnitude, far from 0."""
    rng = np.random.default_rng(seed)
    mixing = np.linalg.qr(np.random.default_rng(0).normal(size=(d, d)))[0]
    scale = np.geomspace(1, 10**-4.5, d) * (1 + 0.1 * seed)
    return (rng.normal(size=(n, d)) * scale) @ mixing + 100


@pytest.mark.parametrize("made", [features, correlated])
@pytest.mark.parametrize("n", [300, MINIMUM + 52])
def test_distances_without_a_block_are_those_of_the_other_images(made, n):
    # Sums less a block's stand in for computing them anew: digits lost would be a wrong interval.
    x, y = made(1, n, 32), made(2, n + 100, 32)
    x_blocks, y_blocks = np.arange(n) % 5, np.arange(n + 100) % 5
    whole, without = frechet_distances(x, y, x_blocks, y_blocks)
    assert whole == pytest.approx(metrics.frechet._of_few(x, y), rel=1e-7)
    for block, value in without.items():
        sides = x[x_blocks != block], y[y_blocks != block]
        assert value == pytest.approx(metrics.frechet._of_few(*sides), rel=1e-7)
    assert sorted(without) == list(range(5))


def test_a_block_that_leaves_no_images_is_not_left_out():
    # A mean of no rows would be a NaN in the interval.
    x, y = features(1, 30, 8), features(2, 31, 8)
    whole, without = frechet_distances(x, y, np.zeros(30, int), np.arange(31) % 2)
    assert whole == frechet_distance(x, y)
    assert list(without) == [1]


def test_many_images_of_singular_covariances_are_exact():
    # Features that are always 0, or copies of others, have no Cholesky factor.
    x, y = features(1, MINIMUM, 16), features(2, MINIMUM, 16)
    whole = frechet_distance(x, y)
    zeros = [np.hstack([one, np.zeros((len(one), 4))]) for one in (x, y)]
    assert frechet_distance(*zeros) == pytest.approx(whole, rel=1e-7)
    copies = [np.hstack([one[:, :6], one]) for one in (x, y)]
    expected = metrics.frechet._of_few(*copies)
    assert frechet_distance(*copies) == pytest.approx(expected, rel=1e-6)


def test_fewer_images_than_dimensions_are_exact_without_a_block(monkeypatch):
    # 2048 images less a tenth have a covariance of 2048 dimensions that is singular.
    monkeypatch.setattr(metrics.frechet, "MINIMUM", 64)
    x, y = features(1, 66), features(2, 68)
    _, without = frechet_distances(x, y, np.arange(66) % 10, np.arange(68) % 10)
    for block, value in without.items():
        sides = x[np.arange(66) % 10 != block], y[np.arange(68) % 10 != block]
        assert value == pytest.approx(metrics.frechet._of_few(*sides), rel=1e-6)


def test_sums_of_parts_are_those_of_the_whole(monkeypatch):
    # Pieces and added sets that overlap or leave rows out would be another covariance.
    monkeypatch.setattr(metrics.frechet, "_ROWS", 7)
    x = features(3, 100, 8)
    some, others = np.arange(0, 100, 3), np.setdiff1d(np.arange(100), np.arange(0, 100, 3))
    added = Moments.none(x)
    for rows in (some, others):
        added = added.more(Moments.of(x, rows, added.centre))
    for moments, kept in ((added, x), (added.less(Moments.of(x, some, added.centre)), x[others])):
        assert moments.n == len(kept)
        assert np.allclose(moments.mean, kept.mean(axis=0, dtype=float))
        assert np.allclose(moments.covariance, np.cov(kept.astype(float).T))


def test_many_images_are_not_copied(monkeypatch):
    # A million images have 8 GB of features: two copies in float64 would be 32 GB more.
    monkeypatch.setattr(metrics.frechet, "_ROWS", 256)
    x, y = (np.ones((20_000, 64), np.float32) * np.arange(64) for _ in range(2))
    x[::2] += np.eye(64, dtype=np.float32)[np.arange(10_000) % 64]
    blocks = np.arange(20_000) % 10
    tracemalloc.start()
    frechet_distances(x, y, blocks, blocks)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < x.nbytes / 2
