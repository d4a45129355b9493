import json

import pytest

from tests.conftest import SHARED
from utils.name_to_id import NAME_TO_ID, NEUTRAL_CLASS, Object_name_to_id, Style_name_to_id, match


def test_tables_have_the_sizes_of_the_published_heads():
    # A missing or doubled name would shift every id after it.
    assert {task: len(table) for task, table in NAME_TO_ID.items()} == {
        "Nudity": 2,
        "Object": 11,
        "Style": 129,
    }
    assert all(NEUTRAL_CLASS[task] in table for task, table in NAME_TO_ID.items())


def test_ids_are_those_the_heads_were_trained_with():
    file = SHARED / "class_ids.json"
    if not file.is_file():
        pytest.skip("../shared/data/class_ids.json is not here")
    published = json.loads(file.read_text())
    assert published == {"object": Object_name_to_id, "style": Style_name_to_id}


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("english springer", "English_springer"),
        ("ENGLISH-SPRINGER", "English_springer"),
        ("Joaquin-Sorolla", "joaquin-sorolla"),
        ("Joaquín Sorolla", "joaquin-sorolla"),
        ("joaquã\u00adn-sorolla", "joaquin-sorolla"),  # the published misspelling
        ("M.C. Escher", "m.c.-escher"),
    ],
)
def test_names_match_whatever_their_case_and_separators(written, name):
    assert match(written, [*Object_name_to_id, *Style_name_to_id]) == name


def test_no_two_classes_are_the_same_name():
    # Otherwise a user's spelling could pick the wrong class.
    for table in NAME_TO_ID.values():
        assert [match(name, table) for name in table] == list(table)
