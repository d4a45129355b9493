import numpy as np
import pytest
import torch

from metrics.csdr import Csdr, clip_score
from tests.metrics.data import Data


@pytest.fixture
def embeddings():
    rng = np.random.default_rng(0)
    base = rng.normal(size=(6, 16))
    return [(base + rng.normal(size=(6, 16)) * s).astype(np.float32) for s in (0.3, 0.5, 0.9)]


def test_clip_score_is_torchmetrics_formula_clamped_an_image_at_a_time(embeddings):
    # torchmetrics clamps after the mean, so a negative image would lower the others' score.
    image, text, _ = embeddings
    image[0] = -text[0]
    expected = 100 * torch.nn.functional.cosine_similarity(torch.tensor(image), torch.tensor(text))
    np.testing.assert_allclose(clip_score(image, text), expected.clamp(min=0), atol=1e-4)
    assert clip_score(image, text)[0] == 0


def test_csdr_is_the_mean_of_relative_differences(embeddings):
    text, reference, own = embeddings
    csdr, signed, mine, theirs = Csdr().score(Data(images=own, reference=reference, text=text))
    s, r = clip_score(own, text), clip_score(reference, text)
    assert csdr.value == pytest.approx(np.mean(100 * abs(r - s) / r))
    assert signed.value == pytest.approx(np.mean(100 * (r - s) / r))
    assert (mine.value, theirs.value) == (pytest.approx(s.mean()), pytest.approx(r.mean()))
    assert signed.higher_is_better is None  # a gain is no loss, and no merit either


def test_a_loss_is_positive(embeddings):
    text, reference, _ = embeddings
    worse = Csdr().score(Data(images=reference + 3, reference=reference, text=text))
    assert worse[1].value > 0


def test_a_reference_score_of_zero_is_left_out_and_counted(embeddings):
    text, reference, own = embeddings
    reference = reference.copy()
    reference[2] = -text[2]
    scores = Csdr().score(Data(images=own, reference=reference, text=text))
    assert [score.n for score in scores] == [5, 5, 6, 6]
    assert "1 pairs left out" in scores[0].texts[0]
    assert np.isfinite(scores[0].value)


def test_a_prompt_of_nothing_but_the_concept_is_left_out_and_counted(embeddings):
    # CLIP embeds an empty text too, and every image would be scored against it.
    text, reference, own = embeddings
    text = text.copy()
    text[[1, 4]] = np.nan
    scores = Csdr().score(Data(images=own, reference=reference, text=text))
    assert [score.n for score in scores] == [4] * 4
    why = "2 pairs left out: their prompt is nothing but the concept's words"
    assert all(why in score.texts for score in scores)
    assert list(scores[2].per_image) == ["0.png", "2.png", "3.png", "5.png"]
    assert np.isfinite([score.value for score in scores]).all()
