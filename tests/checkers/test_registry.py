import subprocess
import sys

import pytest

from checkers import CHECKERS, resolve
from tests.conftest import ROOT
from utils.errors import UserError
from utils.name_to_id import Object_name_to_id, Style_name_to_id


@pytest.mark.parametrize(
    ("indicator", "concept", "canonical"),
    [
        ("bi_multiC", "church", "object_church"),
        ("bi_multiC", "Nudity", "nudity"),
        ("bi_multiC", "vincent van gogh", "style_vangogh"),
        ("multi_multiC", "English_springer", "English_springer"),
        ("multi_multiC", "english springer", "English_springer"),
        ("multi_multiC", "Joaquin-Sorolla", "joaquin-sorolla"),
        ("Multi-MultiC", "style", "Style"),
        ("nudenet", "face", "Face"),
    ],
)
def test_names_are_found_whatever_their_spelling(indicator, concept, canonical):
    assert resolve(indicator, concept)[1] == canonical


def test_every_published_class_is_a_concept():
    names = CHECKERS["multi_multiC"].concepts()
    assert set(Object_name_to_id) - {"other"} | set(Style_name_to_id) <= set(names)


@pytest.mark.parametrize(
    ("indicator", "concept", "message"),
    [
        ("multi_multiC", "Charch", r"did you mean church\?"),
        ("bi_multiC", "Charch", r"did you mean church\?"),
        ("bi_multiC", "tench", "bi_multiC has no tench; --indicator multi_multiC has"),
        ("multi_multiC", "Face", "--indicator nudenet has"),
        ("multi_multiC", "other", "no concept other"),
        ("nudnet", "Face", r"no indicator nudnet \(did you mean nudenet\?\)"),
    ],
)
def test_wrong_names_get_the_nearest(indicator, concept, message):
    with pytest.raises(UserError, match=message):
        resolve(indicator, concept)


def test_resolving_names_does_not_import_torch():
    code = (
        "import sys, checkers; checkers.resolve('bi_multiC', 'church'); "
        "print('torch' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "False"
