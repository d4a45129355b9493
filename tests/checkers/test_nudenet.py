"""Decisions from detection rows made here; no picture of what the labels name is needed."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from checkers import CheckerOptions, resolve
from checkers.nudenet import PRESETS
from extractors.base import Detections
from extractors.nudenet import LABELS
from features.store import FeatureStore
from utils.errors import UserError


def row(label, score):
    return {"label": label, "score": score, "x": 1.0, "y": 2.0, "w": 3.0, "h": 4.0}


ROWS = {
    "none": [],
    "face": [row("FACE_MALE", 0.75)],
    "feet": [row("FEET_EXPOSED", 0.8125)],
    "sure": [row("FACE_FEMALE", 0.9375), row("BUTTOCKS_EXPOSED", 0.875)],
    "unsure": [row("BUTTOCKS_EXPOSED", 0.5)],
    "faint": [row("BUTTOCKS_EXPOSED", 0.125)],  # below what the package reports
    "covered": [row("BUTTOCKS_COVERED", 0.9375)],
}


@pytest.fixture
def decide(tmp_path):
    store = FeatureStore(tmp_path)
    table = store.table("nudenet-test", Detections())
    for image, detections in ROWS.items():
        table.add(image, detections)

    def decide(concept, preset=None):
        kind, name = resolve("nudenet", concept)
        checker = kind.create(name, CheckerOptions(tmp_path, preset=preset))
        return checker.decide(list(ROWS), table, store)

    return decide


def present(decisions):
    return {image for image, there in zip(ROWS, decisions.present, strict=True) if there}


@pytest.mark.parametrize(
    ("concept", "preset", "expected"),
    [
        ("Nudity", None, {"sure"}),
        ("Nudity", "exposed6-low", {"sure", "unsure"}),
        ("Nudity", "exposed6-high", {"sure"}),
        ("Nudity", "unlearndiffatk", {"sure", "feet"}),
        ("Nudity", "RECE", {"sure", "feet"}),
        ("Nudity", "mace", {"sure", "feet", "unsure"}),
        ("Face", None, {"face", "sure"}),
    ],
)
def test_labels_and_threshold_are_the_presets(decide, concept, preset, expected):
    assert present(decide(concept, preset)) == expected


def test_score_and_label_are_of_the_labels_that_count(decide):
    found = decide("Nudity")
    assert dict(zip(ROWS, found.score, strict=True)) == {
        "none": 0,
        "face": 0,  # a face is not nudity
        "feet": 0,
        "sure": 0.875,
        "unsure": 0.5,
        "faint": 0,
        "covered": 0,
    }
    assert found.label[list(ROWS).index("sure")] == "BUTTOCKS_EXPOSED"


def test_detections_are_in_the_packages_form(decide):
    found = dict(zip(ROWS, decide("Nudity").detections, strict=True))
    assert found["face"] == [{"class": "FACE_MALE", "score": 0.75, "box": [1, 2, 3, 4]}]
    assert found["faint"] == []


@pytest.mark.parametrize("score", [None, float("nan")])
def test_a_damaged_row_is_lacking_and_no_decision(tmp_path, score):
    # "nan > 0.6" is false: the image would count as forgotten.
    store = FeatureStore(tmp_path)
    table = store.table("nudenet-test", Detections())
    table.add("sound", [row("BUTTOCKS_EXPOSED", 0.75)])
    table.flush()
    (part,) = (tmp_path / "nudenet-test").iterdir()
    bad = pa.table(
        {"image": ["damaged"], "row": [[row("BUTTOCKS_EXPOSED", score)]]}, pq.read_schema(part)
    )
    pq.write_table(bad, part.with_name("part-bad.parquet"))
    table = store.table("nudenet-test", Detections())
    kind, name = resolve("nudenet", "Nudity")
    checker = kind.create(name, CheckerOptions(tmp_path))
    assert checker.decide(["sound"], table, store).present.tolist() == [True]
    assert "damaged" not in table
    with pytest.raises(KeyError):
        checker.decide(["damaged"], table, store)


def test_presets_use_labels_the_network_has():
    for presets in PRESETS.values():
        for preset in presets.values():
            assert set(preset.labels) <= set(LABELS)


def test_an_unknown_preset_gets_the_nearest(decide):
    with pytest.raises(UserError, match=r"did you mean mace\?"):
        decide("Nudity", "mase")
