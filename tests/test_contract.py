"""What everything that is registered owes the rest; plug-ins are held to it by the same lines."""

import numpy as np
import pytest

from checkers import CHECKERS
from extractors import EXTRACTORS
from extractors.base import Detections, Embeddings
from inputs.config import TASKS, Concept
from metrics import ASPECTS
from metrics.base import Judged, PairRows, Rows
from utils.errors import UserError

NAMES = [f"0_{j}_{k}.png" for j in range(6) for k in range(2)]


class Declared:
    """Rows of any extractor that an aspect has declared; any other is an error."""

    def __init__(self, aspect, task="nudity"):
        self.aspect = aspect
        self.concept = Concept("c", task, "C", shared_seeds=True)
        self.rng = np.random.default_rng(0)

    def _values(self, extractor, kinds):
        assert extractor in kinds, f"{self.aspect.name} does not declare {extractor}"
        rows = EXTRACTORS[extractor].rows if hasattr(EXTRACTORS[extractor], "rows") else None
        if isinstance(rows, Detections):
            return [[{"label": "person", "score": 0.9, "x": 0, "y": 0, "w": 1, "h": 1}]] * len(
                NAMES
            )
        dim = min(rows.dim, 8) if isinstance(rows, Embeddings) else 8
        return self.rng.uniform(0, 1, (len(NAMES), dim)).astype(np.float32)

    def images(self, extractor):
        return Rows(NAMES, self._values(extractor, self.aspect.image_extractors))

    def reference(self, extractor):
        assert self.aspect.uses_reference
        return self.images(extractor)

    def pairs(self, extractor):
        assert self.aspect.uses_pairs
        return Rows(NAMES, self._values(extractor, self.aspect.pair_extractors))

    def both(self, extractor):
        assert self.aspect.uses_pairs
        return PairRows(NAMES, *(self.images(extractor).values for _ in range(2)))

    def peers(self, extractor):
        assert extractor in self.aspect.image_extractors
        return [NAMES, NAMES]

    def texts(self, names):
        assert self.aspect.uses_prompts
        return self.rng.uniform(0, 1, (len(names), 8)).astype(np.float32)

    def decisions(self):
        assert self.aspect.judges != "none"
        score = self.rng.uniform(0, 1, len(NAMES))
        said = Judged("nudenet_x", "nudenet_y", NAMES, score > 0.5, score)
        return [said] if self.aspect.judges == "preferred" else [said, said]

    def category(self, name):
        return ""


@pytest.mark.parametrize("name", ASPECTS)
def test_an_aspect_asks_for_what_it_declares_and_scores_within_its_specs(name):
    # What it does not declare is in no store; a score beyond its range passes or stops a gate.
    aspect = ASPECTS[name]()
    for score in aspect.score(Declared(aspect)):
        spec = next(spec for spec in aspect.metrics if spec.describes(score.metric))
        assert score.unit == spec.unit
        assert score.higher_is_better in (spec.higher_is_better, None)
        if score.value is not None:
            assert spec.low is None or score.value >= spec.low
            assert spec.high is None or score.value <= spec.high
        assert all(warning.code.isidentifier() for warning in score.warnings)


@pytest.mark.parametrize("name", ASPECTS)
def test_a_spec_says_all_that_is_asked_of_it(name):
    for spec in ASPECTS[name].metrics:
        assert spec.aspect == name
        assert spec.definition.endswith(".")
        assert spec.title
        assert spec.scopes
        if spec.kind == "rate":
            assert (spec.low, spec.high) == (0, 100 if spec.unit == "%" else 1)
        if spec.role in ("presence", "damage"):
            assert spec.higher_is_better is not None
    assert set(ASPECTS[name].tasks) <= set(TASKS)


@pytest.mark.parametrize("name", EXTRACTORS)
def test_an_extractor_is_called_what_it_is_registered_as(name):
    assert EXTRACTORS[name].name == name


@pytest.mark.parametrize("name", CHECKERS)
def test_a_checker_states_its_concepts_and_an_extractor(name):
    kind = CHECKERS[name]
    assert kind.indicator == name
    assert kind.extractor_name in EXTRACTORS
    concepts = kind.concepts()
    assert concepts
    assert all(concepts[canonical] == canonical for canonical in concepts.values())
    assert kind.sensitive <= set(concepts.values())
    assert kind.presets.keys() <= set(concepts.values())


class Table(dict):
    """A feature table of rows by image."""

    def get(self, images):
        rows = [self[image] for image in images]
        return np.array(rows) if isinstance(rows[0], np.ndarray) else rows


@pytest.mark.parametrize("name", CHECKERS)
def test_a_checker_takes_no_row_that_is_not_finite_for_an_answer(name, monkeypatch):
    # Comparisons with NaN are false: it would read as "nothing there".
    kind = CHECKERS[name]
    concept = next(iter(kind.concepts().values()))
    checker = kind.__new__(kind)
    if kind.presets:
        checker = kind(concept, None, next(iter(kind.presets[concept])))
        row = [{"label": "FACE_FEMALE", "score": float("nan"), "x": 0, "y": 0, "w": 1, "h": 1}]
    else:
        checker.name = name
        row = np.full(200, np.nan)
        monkeypatch.setattr(kind, "rows", lambda self, images, table, store: table.get(images))
    with pytest.raises(UserError, match="not finite"):
        checker.decide(["a"], Table(a=row), None)
