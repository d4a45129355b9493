"""LPIPS, SSIM and PSNR: means over pairs, of categories where there are some."""

import numpy as np
import pytest

from metrics.lpips import Lpips
from metrics.pixels import Psnr, Ssim
from tests.metrics.data import Data


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


def test_the_published_lpips_is_rounded_at_every_step():
    values = np.array([[0.12346]] * 3)
    assert Lpips().as_published(Data(pairs=values + 0.00003)) == pytest.approx(0.1235)
    assert Lpips().as_published(Data(pairs=np.array([[0.00004]] * 3))) == 0
    names = ["Cat/0.png", "Cat/1.png", "Dog/1.png"]  # the script takes the first category only
    assert Lpips().as_published(Data(pairs=np.array([[0.1], [0.2], [0.6]]), names=names)) == 0.15


def test_no_pair_is_no_score():
    (score,) = Lpips().score(Data(pairs=np.empty((0, 1))))
    assert score.value is None
    assert score.warnings == ("no pair could be compared",)


def test_psnr_leaves_equal_pairs_out_and_says_so():
    # One infinite value would make the mean infinite.
    rows = np.array([[1, 0], [0.5, 0.01], [0.5, 0.001]])
    (score,) = Psnr().score(Data(pairs=rows))
    assert (score.value, score.n) == (pytest.approx(25), 2)
    assert "1 pairs are equal" in score.warnings[0]
    (ssim,) = Ssim().score(Data(pairs=rows))
    assert (ssim.value, ssim.n) == (pytest.approx(2 / 3), 3)
