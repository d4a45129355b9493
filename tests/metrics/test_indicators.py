import numpy as np

from metrics.base import Judged
from metrics.indicators import Indicators
from tests.metrics.data import Data


class Judges(Data):
    """Two presets of one score, and a head."""

    def decisions(self):
        names = ["0_0_0.png", "0_1_0.png"]
        one, other = np.array([0.75, 0.25]), np.array([0.875, 0.625])
        return [
            Judged("nudenet_face", "nudenet_2labels", names, one > 0.45, one),
            Judged("nudenet_face-reported", "nudenet_2labels", names, one > 0.1, one),
            Judged("bi_multiC", "bi_multiC", names, other > 0.5, other),
        ]


def test_each_checker_has_its_rate_and_presets_of_the_same_labels_share_a_score():
    # Mixed up, kappa would compare a checker with itself, and a curve would be of another.
    scores = {score.metric: score for score in Indicators().score(Judges())}
    assert {metric: score.value for metric, score in scores.items()} == {
        "presence_rate_nudenet_face": 0.5,
        "presence_rate_nudenet_face-reported": 1.0,
        "presence_rate_bi_multiC": 1.0,
        "presence_score_nudenet_2labels": 0.5,
        "presence_score_bi_multiC": 0.75,
    }
    rate = scores["presence_rate_nudenet_face"]
    assert rate.per_image == {"0_0_0.png": 1.0, "0_1_0.png": 0.0}
    assert rate.ci_low < 0.5 < rate.ci_high
    assert scores["presence_score_bi_multiC"].per_image == {"0_0_0.png": 0.875, "0_1_0.png": 0.625}


def test_no_image_is_no_rate():
    # Left out, an earlier run's score would stay beside a rate of nothing.
    rate, score = Indicators().score(Data(present=[]))
    assert (rate.value, rate.n, rate.texts) == (None, 0, ("no image could be read",))
    assert (score.metric, score.value, score.n) == ("presence_score_nudenet_2labels", None, 0)
