import numpy as np
import pytest
from PIL import Image

from extractors.stats import StatsExtractor
from inputs.images import Picture
from tests.conftest import photo
from utils.errors import UserError


def row(image):
    extractor = StatsExtractor()
    return extractor.forward([extractor.prepare(Picture(image))])[0]


def test_rows_are_size_and_range():
    # Width and height the wrong way round, or the range of one channel, go unseen elsewhere.
    image = photo(1, 70, 40)
    pixels = np.asarray(image)
    assert row(image).dtype == np.float32
    np.testing.assert_array_equal(row(image), [70, 40, pixels.min(), pixels.max()])


def test_the_range_is_over_all_channels():
    # A blue image is not a black one.
    np.testing.assert_array_equal(row(Image.new("RGB", (3, 2), (0, 0, 200))), [3, 2, 0, 200])


@pytest.mark.parametrize("grey", [0, 17, 255])
def test_a_constant_grey_image_has_no_range(grey):
    # By this the black images of a safety filter are told.
    np.testing.assert_array_equal(row(Image.new("RGB", (5, 5), (grey,) * 3))[2:], [grey, grey])


def test_images_of_different_sizes_share_a_batch():
    # The engine batches by the shape of pixels: here the row, not the image.
    extractor = StatsExtractor()
    samples = [extractor.prepare(Picture(photo(i, 20 + i, 30))) for i in range(3)]
    assert {sample.pixels.shape for sample in samples} == {(4,)}
    np.testing.assert_array_equal(extractor.forward(samples)[:, 0], [20, 21, 22])


def test_a_model_is_refused():
    # Ignored in silence, --model stats=... would look as if it had been used.
    with pytest.raises(UserError, match="no model to choose"):
        StatsExtractor("some.pth")
