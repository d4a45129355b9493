import numpy as np
import pytest
import torch
from PIL import Image
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

from extractors.pixels import PixelsExtractor
from inputs.images import Picture, UnreadableImageError
from tests.conftest import photo
from utils.errors import UserError


@pytest.fixture(scope="module")
def extractor():
    return PixelsExtractor(device="cpu")


def noisy(image, seed):
    pixels = np.asarray(image).astype(np.int16)
    noise = np.random.default_rng(seed).integers(-5 * seed, 5 * seed + 1, pixels.shape)
    return Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8))


def prepared_pairs(extractor, size, n=4):
    """One reference against unlike images and against itself with more and more noise."""
    reference = photo(0, *size)
    others = [photo(9, *size)] + [noisy(reference, seed) for seed in range(1, n)]
    left = extractor.prepare(Picture(reference))
    return [(left, extractor.prepare(Picture(other))) for other in others]


@pytest.mark.parametrize("size", [(64, 48), (256, 256), (100, 131), (6, 6)])
def test_ssim_and_psnr_are_those_of_torchmetrics(extractor, size):
    # Another window, range or the data's own range (data_range=None) changes the third decimal.
    pairs = prepared_pairs(extractor, size)
    rows = extractor.forward(pairs)
    assert rows.dtype == np.float32
    assert rows.shape == (len(pairs), 2)
    target, images = (
        torch.from_numpy(np.stack([pair[side].pixels for pair in pairs])).permute(0, 3, 1, 2) / 255
        for side in (0, 1)
    )
    ssim = structural_similarity_index_measure(images, target, data_range=1.0, reduction="none")
    psnr = peak_signal_noise_ratio(images, target, data_range=1.0, reduction="none", dim=(1, 2, 3))
    assert ssim.std() > 0.05  # else anything would pass
    np.testing.assert_allclose(rows[:, 0], ssim.numpy(), atol=1e-5)
    np.testing.assert_allclose(-10 * np.log10(rows[:, 1]), psnr.numpy(), rtol=1e-5)


@pytest.mark.parametrize("strip", [1, 64 * 3, 64 * 40, 64 * 43])
def test_strips_of_an_image_give_what_the_whole_gives(extractor, monkeypatch, strip):
    # Whole, a pair of 4,000 x 4,000 pixels takes 7 GB; cut without its context, SSIM is another.
    pairs = prepared_pairs(extractor, (64, 48))
    whole = extractor.forward(pairs)
    monkeypatch.setattr("extractors.pixels._STRIP", strip)
    np.testing.assert_allclose(extractor.forward(pairs), whole, rtol=1e-6, atol=1e-7)


def test_an_image_too_large_to_be_held_beside_others_is_refused(extractor, monkeypatch):
    monkeypatch.setattr("extractors.pixels._LARGEST", 64 * 48 - 1)
    with pytest.raises(UnreadableImageError, match="over 3071 pixels"):
        extractor.prepare(Picture(photo(0)))


def test_equal_images_are_perfect(extractor):
    # PSNR is infinite for them: the metric tells them by an MSE of just 0.
    sample, same = (extractor.prepare(Picture(photo(1))) for _ in range(2))
    ssim, mse = extractor.forward([(sample, same)])[0]
    assert ssim == pytest.approx(1, abs=1e-6)
    assert mse == 0


def test_the_error_is_on_the_scale_0_to_1(extractor):
    # On 0..255 PSNR would be 48 dB off.
    black, white = (
        extractor.prepare(Picture(Image.new("RGB", (8, 8), (v, v, v)))) for v in (0, 255)
    )
    assert extractor.forward([(black, white)])[0, 1] == 1


def test_a_row_does_not_depend_on_the_batch(extractor):
    pairs = prepared_pairs(extractor, (64, 48))
    alone = np.concatenate([extractor.forward([pair]) for pair in pairs])
    np.testing.assert_array_equal(extractor.forward(pairs), alone)


def test_the_id_covers_torchmetrics_version(extractor, monkeypatch):
    # Its SSIM changed between releases: rows of two versions must not mix.
    before = PixelsExtractor().id
    assert before == extractor.id
    monkeypatch.setattr("extractors.pixels.version", lambda _: "99.0")
    assert PixelsExtractor().id != before


def test_an_image_too_small_for_the_window_is_refused_when_prepared(extractor):
    # Refused in forward it would end the run; here it is that image's failure.
    with pytest.raises(UnreadableImageError, match="at least 6 pixels"):
        extractor.prepare(Picture(photo(0, 64, 5)))


def test_a_model_is_refused():
    # Ignored in silence, --model pixels=... would look as if it had been used.
    with pytest.raises(UserError, match="no model to choose"):
        PixelsExtractor("some.pth")
