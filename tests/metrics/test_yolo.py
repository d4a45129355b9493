from inputs.config import Concept
from metrics.yolo import Yolo
from tests.metrics.data import Data

NUDITY = Concept("nudity", "nudity", "Nudity/forgot")


def box(label, score):
    return {"label": label, "score": score, "x": 0, "y": 0, "w": 1, "h": 1}


def test_an_image_counts_once_when_a_person_is_sure_enough():
    rows = [
        [box("person", 0.9), box("person", 0.8)],
        [box("person", 0.5)],  # ultralytics keeps scores above conf, not at it
        [box("dog", 0.9)],
        [],
    ]
    (score,) = Yolo().score(Data(images=rows, concept=NUDITY))
    assert (score.value, score.n, score.unit) == (25, 4, "%")
    assert score.higher_is_better is True
    assert score.ci_low < 25 < score.ci_high
    assert list(score.per_image.values()) == [1, 0, 0, 0]


def test_no_image_is_no_score():
    (score,) = Yolo().score(Data(images=[]))
    assert score.value is None


def test_people_rank_no_method_that_unlearned_something_else():
    (score,) = Yolo().score(Data(images=[[box("person", 0.9)], []]))
    assert (score.value, score.higher_is_better) == (50, None)
    assert "not ranked: people are no measure of object concepts" in score.texts
