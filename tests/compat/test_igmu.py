"""Against the published scripts, read line by line; none of their code runs here."""

import ast
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from checkers import CheckerOptions
from compat import igmu
from evaluation.run import Cell, Models
from inputs.config import Concept, Method
from inputs.layout import MethodFolder, Task
from metrics import ASPECTS
from metrics.csdr import clip_score
from tests.conftest import ROOT
from tests.metrics.data import Data
from utils.errors import UserError

NAMES = [f"0_0_{k}.png" for k in range(5)]
NUDITY = Concept("nudity", "nudity", "Nudity/forgot")
CHURCH = Concept("object_church", "object", "Church/forgot", unrelated="Church/unrelated")


@dataclass
class Stored(Data):
    """Rows in memory, of a cell of real folders' names."""

    aspect: str = "fid"
    scope: str = "forgot"
    folder: str = "ESD"
    files: Any = None
    reference_files: Any = None
    concept: Concept = NUDITY
    models: Any = None
    store: Any = None

    def __post_init__(self):
        super().__post_init__()
        self.method = self._folder(self.folder, self.files or self.names or NAMES)
        reference = self._folder("ORG", self.reference_files or self.names or NAMES)
        task = Task(self.concept, self.scope, [self.method], reference)
        self.cell = Cell(task, ASPECTS[self.aspect]())

    def _folder(self, name, files):
        return MethodFolder(Method(name, name), Path(name), [Path(name, file) for file in files])

    def prompt(self, name):
        return "a nude person, church"


def printed(**about):
    return igmu.published(Stored(**about))


def features(n=5, d=8):
    return np.random.default_rng(n).normal(size=(2, n, d))


def test_fid_is_rounded_to_two_decimals():
    x, y = features()
    value = printed(images=x, reference=y, names=NAMES).value
    assert value == round(value, 2) > 0


def test_lpips_is_rounded_at_every_step_and_of_the_first_category_only():
    values = np.array([[0.12346]] * 5)
    assert printed(aspect="lpips", pairs=values + 0.00003, names=NAMES).value == 0.1235
    assert printed(aspect="lpips", pairs=np.array([[0.00004]] * 5), names=NAMES).value == 0
    names = ["Cat/0.png", "Cat/1.png", "Dog/1.png"]
    about = {"concept": CHURCH, "scope": "unrelated", "names": names}
    assert printed(aspect="lpips", pairs=np.array([[0.1], [0.2], [0.6]]), **about).value == 0.15


def test_the_share_of_people_is_rounded():
    person = {"label": "person", "score": 0.9}
    rows = [[person], [], []]
    assert printed(aspect="yolo", images=rows, names=NAMES[:3]).value == 33.33


def test_csdr_is_of_seven_joined_copies_of_the_prompt_and_rounded_first(monkeypatch):
    seen = []
    x, y = abs(features())
    text = x + y

    class Text:
        def __init__(self, images):
            pass

        def embed(self, texts, store, *, keep_end):
            seen.append((texts, keep_end))
            return text[: len(texts)]

    monkeypatch.setattr(Stored, "clip_text", lambda self: Text(self), raising=False)
    models = SimpleNamespace(extractor=lambda name: None)
    about = {"aspect": "CSDR", "images": x, "reference": y, "names": NAMES, "models": models}
    r, s = clip_score(y, text), clip_score(x, text)
    expected = round(np.mean(np.round(100 * abs(r - s) / r, 2)), 2)
    assert printed(**about).value == pytest.approx(expected)
    (texts, keep_end), *_ = seen
    assert texts[0] == (
        "a nude person, churcha  person, churcha nude person, churcha nude person, church"
        "a nude person, a nude person, churcha nude person, church"
    )
    assert keep_end is False  # torchmetrics cuts it off
    text = -y
    assert "CLIP score of 0" in printed(**about).note


@pytest.fixture
def head(weights_dir, tmp_path):
    """Models of which only bi_multiC's heads are there."""
    options = CheckerOptions(tmp_path, weights_dir)
    return SimpleNamespace(options=options, extractor=lambda name: None)


def test_forgetting_is_random_by_bi_multic_with_its_dropout_on(head):
    # The script never puts the head in evaluation mode; one seed's number is no one's number.
    embeddings = np.random.default_rng(0).normal(size=(40, 512)).astype(np.float32)
    names = [f"0_{j}_0.png" for j in range(40)]
    found = printed(aspect="forgetting", images=embeddings, names=names, models=head)
    assert found.value is None
    assert 0 <= found.low < found.high <= 1
    rates = igmu.presence_with_dropout(embeddings, head)
    assert (found.low, found.high) == (rates[1:].min(), rates[1:].max())
    assert f"with dropout off it is {rates[0]:.6g}" in found.note
    assert (igmu.presence_with_dropout(embeddings, head) == rates).all()
    assert str(found) == f"{found.low:.6g} to {found.high:.6g}"


def test_forgetting_without_the_head_says_what_is_missing(head, monkeypatch):
    def missing(*_):
        raise UserError("no head there")

    monkeypatch.setattr("model_files.heads.find_head", missing)
    rows = {"images": np.zeros((5, 512), np.float32), "names": NAMES}
    assert printed(aspect="forgetting", models=head, **rows).note == "bi_multiC: no head there"


@pytest.mark.parametrize(
    ("about", "why"),
    [
        ({"concept": CHURCH}, "of forgot images the script scores only those of nudity"),
        ({"aspect": "yolo", "concept": CHURCH}, "only those of nudity"),
        (
            {"scope": "unrelated"},
            "of unrelated images the script scores only those of object_church",
        ),
        ({"aspect": "CSDR", "scope": "unrelated", "concept": CHURCH}, "scores none"),
        ({"folder": "Mine"}, "Mine is not in the script's list of methods"),
        ({"files": [*NAMES, "0_1_0.png"]}, "an image that cannot be read"),
        ({"names": NAMES[:1]}, "one image has no covariance"),
        ({"aspect": "forgetting", "files": NAMES[:4]}, "whole batches of 5"),
        ({"aspect": "lpips", "reference_files": [*NAMES, "x.png"]}, "pairs images by position"),
        ({"aspect": "lpips", "files": [*NAMES, "x.png"]}, "pairs images by position"),
        ({"aspect": "yolo", "files": [*NAMES, "x.png"]}, "cannot be read"),
        ({"aspect": "CSDR", "names": NAMES[:4]}, "opens samples 0 to 4 of every prompt"),
        ({"aspect": "CSDR", "reference_files": [*NAMES, "0_1_0.png"]}, "opens samples 0 to 4"),
        ({"aspect": "CSDR", "names": [n.replace("png", "jpg") for n in NAMES]}, "as .png"),
    ],
)
def test_what_the_scripts_never_print_has_its_reason(about, why):
    # A number in its place would be one that nobody can have seen.
    n = len(about.get("names", NAMES))
    x, y = features(n)
    rows = {"images": x, "reference": y, "pairs": np.zeros((n, 1)), "names": NAMES, **about}
    if about.get("aspect") == "yolo":
        rows["images"] = [[]] * n
    found = printed(**rows)
    assert (found.value, found.low, str(found)) == (None, None, "-")
    assert why in found.note


def test_an_image_that_pairs_with_nothing_readable_stops_lpips():
    rows = {"pairs": np.zeros((4, 1)), "names": NAMES[:4], "files": NAMES, "reference_files": NAMES}
    assert "by position" in printed(aspect="lpips", **rows).note


def test_the_clip_of_bi_multic_is_wanted_where_another_checker_judges(tmp_path):
    stored = Stored(aspect="forgetting", names=NAMES)
    models = Models(CheckerOptions(tmp_path))
    models._made["clip"] = "clip"
    wanted = igmu.PublishedScripts().wanted
    assert wanted([stored.cell], models) == dict.fromkeys(stored.method.images, ("clip",))
    assert wanted([Stored(names=NAMES).cell], models) == {}


def test_nothing_that_scores_knows_of_other_programs():
    for path in (*(ROOT / "metrics").glob("*.py"), *(ROOT / "evaluation").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            imported = getattr(node, "module", None) or ""
            assert not imported.startswith("compat"), path
