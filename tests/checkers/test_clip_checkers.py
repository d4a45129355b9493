"""Which class means "present", and what the scores are, from embeddings put into a store."""

from dataclasses import replace

import numpy as np
import pytest

from checkers import CheckerOptions, resolve
from checkers.heads import BiMultiCHead, MultiMultiCHead, apply_head, load_head
from extractors.base import Embeddings
from features.store import FeatureStore
from model_files.digests import file_sha256
from model_files.heads import HEADS
from utils.errors import UserError
from utils.name_to_id import NAME_TO_ID

IMAGES = [str(i) for i in range(60)]


@pytest.fixture
def decided(tmp_path, clip_folder, weights_dir):
    """Return a function (indicator, concept) -> decisions, logits of the loaded head."""
    store = FeatureStore(tmp_path / "store")
    table = store.table("clip-test", Embeddings(512))
    embeddings = np.random.default_rng(5).normal(0, 1, (60, 512)).astype(np.float32)
    for image, row in zip(IMAGES, embeddings, strict=True):
        table.add(image, row)

    def decide(indicator, concept, layout):
        options = CheckerOptions(tmp_path, weights_dir, {"clip": str(clip_folder)})
        kind, name = resolve(indicator, concept)
        checker = kind.create(name, options)
        path = weights_dir / indicator / layout / "classifier_head.pth"
        classes = len(NAME_TO_ID.get(layout, ()))
        head = BiMultiCHead() if indicator == "bi_multiC" else MultiMultiCHead(classes)
        logits = apply_head(load_head(head, path), embeddings, path)
        return checker.decide(IMAGES, table, store), logits.astype(np.float64)

    return decide


@pytest.mark.parametrize(
    ("concept", "layout", "present_class"),
    [
        ("nudity", "nudity", 0),
        ("church", "object_church", 0),
        ("parachute", "object_parachute", 1),
        ("vangogh", "style_vangogh", 1),
    ],
)
def test_binary_present_class_is_the_alphabetical_one(decided, concept, layout, present_class):
    # The published id2label has nudity's and church's the wrong way round.
    decisions, logits = decided("bi_multiC", concept, layout)
    predicted = np.round(1 / (1 + np.exp(-logits[:, 0])))
    np.testing.assert_array_equal(decisions.present, predicted == present_class)
    assert 0 < decisions.present.sum() < 60
    np.testing.assert_array_equal(decisions.score > 0.5, decisions.present)
    sign = 1 if present_class == 1 else -1
    recovered = np.log(decisions.score / (1 - decisions.score))
    np.testing.assert_allclose(recovered, sign * logits[:, 0], atol=1e-4)


@pytest.mark.parametrize(
    ("concept", "layout", "target"),
    [("Nudity", "Nudity", 0), ("church", "Object", 4), ("vincent-van-gogh", "Style", 22)],
)
def test_multi_class_present_is_the_most_probable_class(decided, concept, layout, target):
    decisions, logits = decided("multi_multiC", concept, layout)
    probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_array_equal(decisions.present, probability.argmax(axis=1) == target)
    np.testing.assert_allclose(decisions.score, probability[:, target], atol=1e-9)
    names = list(NAME_TO_ID[layout])
    assert decisions.label == [names[i] for i in probability.argmax(axis=1)]


@pytest.mark.parametrize(("task", "neutral"), [("Object", 10), ("Style", 0)])
def test_a_whole_task_is_present_when_any_of_its_classes_is(decided, task, neutral):
    decisions, logits = decided("multi_multiC", task, task)
    np.testing.assert_array_equal(decisions.present, logits.argmax(axis=1) != neutral)
    assert ((decisions.score >= 0) & (decisions.score <= 1)).all()


def test_logits_are_computed_once(decided, monkeypatch):
    first, _ = decided("bi_multiC", "church", "object_church")
    monkeypatch.setattr("checkers.heads.apply_head", None)  # what a second run must not call
    second, _ = decided("bi_multiC", "church", "object_church")
    np.testing.assert_array_equal(first.score, second.score)


def made(indicator, concept, tmp_path, weights_dir, clip):
    kind, name = resolve(indicator, concept)
    return kind.create(name, CheckerOptions(tmp_path, weights_dir, {"clip": str(clip)}))


def test_a_head_of_ones_own_is_said_to_be_none_of_the_published(
    tmp_path, weights_dir, clip_folder, monkeypatch
):
    checker = made("bi_multiC", "church", tmp_path, weights_dir, clip_folder)
    (note,) = checker.notes
    assert note.endswith("classifier_head.pth is not the published one: its SHA-256 differs")
    layout = "bi_multiC/object_church"
    known = {**HEADS, layout: replace(HEADS[layout], sha256=checker.provenance["sha256"])}
    monkeypatch.setattr("checkers.logits.HEADS", known)
    assert list(checker.notes) == []


@pytest.mark.parametrize(
    ("indicator", "concept"), [("bi_multiC", "nudity"), ("multi_multiC", "church")]
)
def test_a_head_on_another_clip_than_it_was_trained_on_is_said(
    indicator, concept, tmp_path, weights_dir, model_flags
):
    # ViT-B/16 has embeddings of the same length, in another space: the decisions are noise.
    (clip,) = (flag.split("=")[1] for flag in model_flags if flag.startswith("clip_score="))
    checker = made(indicator, concept, tmp_path, weights_dir, clip)
    assert "CLIP ViT-B/16 under a head: unless it was trained on that" in checker.notes[-1]


def test_a_published_head_on_another_clip_than_it_was_trained_on_is_refused(
    tmp_path, weights_dir, model_flags, monkeypatch
):
    (clip,) = (flag.split("=")[1] for flag in model_flags if flag.startswith("clip_score="))
    layout = "bi_multiC/nudity"
    digest = file_sha256(weights_dir / layout / "classifier_head.pth")
    known = {**HEADS, layout: replace(HEADS[layout], sha256=digest)}
    monkeypatch.setattr("checkers.logits.HEADS", known)
    with pytest.raises(UserError, match=r"trained on CLIP ViT-B/32, this is a ViT-B/16"):
        made("bi_multiC", "nudity", tmp_path, weights_dir, clip)
