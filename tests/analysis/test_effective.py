import numpy as np
import pytest

from analysis.effective import effective_rate
from tests.report.data import names


def drawn(rng, own):
    """What a model shows of each name; ``own`` is the rate of each prompt, with four samples."""
    shown = rng.random((len(own), 4)) < own[:, None]
    return dict(zip(names(len(own), 4), shown.ravel().astype(float), strict=True))


def test_the_same_model_drawn_again_has_forgotten_nothing():
    # Chosen by its own outcome, the original falls from 100 to 50% when it is drawn again.
    rng = np.random.default_rng(0)
    own = np.repeat([0.0, 0.5], 1000)
    original, again = drawn(rng, own), drawn(rng, own)
    first, second = (effective_rate(original, model) for model in (original, again))
    assert first.rate == pytest.approx(0.5, abs=0.03)
    assert second.rate == pytest.approx(first.rate, abs=0.03)
    assert second.prompts == pytest.approx(937, abs=20)  # all but those with nothing in either half
    assert second.interval.low < 0.5 < second.interval.high


def test_an_image_counts_if_the_other_half_of_its_prompt_shows_the_concept():
    samples = {"0_0_0.png": 1, "0_0_1.png": 0, "0_0_2.png": 0, "0_0_10.png": 0}
    others = {"0_1_0.png": 1, "0_1_1.png": 1, "0_2_0.png": 0, "0_2_1.png": 0}
    original = samples | others
    method = dict.fromkeys(original, 0.0) | {"0_0_1.png": 1.0, "0_1_7.png": 1.0}
    found = effective_rate(original, method)
    # Of the first prompt the samples 1 and 10, the other half; both of the second; none of the
    # third; and nothing is known of a sample that the original does not have.
    assert (found.prompts, found.n, found.rate) == (2, 4, 0.25)


def test_with_one_sample_a_prompt_it_cannot_be_told():
    original = dict.fromkeys(names(20), 1.0)
    found = effective_rate(original, original)
    assert (found.rate, found.interval.low, found.n) == (None, None, 0)
    assert found.interval.note.startswith("cannot be told: the original model has one sample")


def test_an_original_that_never_shows_the_concept_chooses_nothing():
    original = dict.fromkeys(names(20, 2), 0.0)
    found = effective_rate(original, dict.fromkeys(original, 1.0))
    assert found.rate is None
    assert "in no half" in found.interval.note


def test_its_interval_covers():
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        own = rng.beta(0.5, 0.5, 30)
        found = effective_rate(drawn(rng, own), drawn(rng, 0.5 * own))
        # A half of two shows it with 1 - (1 - p)^2; E over beta(1/2, 1/2), moments 1/2 3/8 5/16.
        truth = 0.5 * (2 * 3 / 8 - 5 / 16) / (2 * 1 / 2 - 3 / 8)
        covered += found.interval.low <= truth <= found.interval.high
    assert covered >= 180
