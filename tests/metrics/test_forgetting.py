import numpy as np

from metrics.forgetting import Forgetting, class_accuracy, presence
from tests.metrics.data import Data


def test_presence_counts_images_that_still_show_the_concept():
    # Turned round, the best method would look the worst.
    found = presence(np.array([True, False, False, False]), list("abcd"))
    assert (found.n, found.present, found.rate, found.forgetting_rate) == (4, 1, 0.25, 0.75)
    assert found.ci_low < 0.25 < found.ci_high


def test_no_images_have_no_rate():
    found = presence(np.array([], dtype=bool), [])
    assert (found.n, found.rate, found.ci_low, found.forgetting_rate) == (0, None, None, None)


def test_class_accuracy_is_per_true_class_and_leaves_unknown_out():
    found = class_accuracy(
        ["church", "tench", "tench", "church"], ["church", "church", None, "tench"], list("abcd")
    )
    assert {name: (f.n, f.present) for name, f in found.items()} == {
        "church": (2, 1),
        "tench": (1, 0),
    }


def test_scores_are_the_two_rates_with_mirrored_intervals():
    rate, gone = Forgetting().score(Data(present=[True, False, False, False]))
    assert (rate.metric, rate.value, rate.higher_is_better) == ("presence_rate", 0.25, False)
    assert (gone.metric, gone.value, gone.higher_is_better) == ("forgetting_rate", 0.75, True)
    assert (gone.ci_low, gone.ci_high) == (1 - rate.ci_high, 1 - rate.ci_low)
    assert list(rate.per_image.values()) == [1, 0, 0, 0]


def test_no_image_is_no_score():
    assert [score.value for score in Forgetting().score(Data(present=[]))] == [None, None]
