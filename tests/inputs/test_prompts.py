import json
import os

import pytest

from checkers import CHECKERS
from inputs.config import Concept, load_config
from inputs.prompts import (
    LARGEST,
    check_words,
    forgot_prompts,
    load_prompts,
    parse_name,
    unrelated_prompts,
    without_words,
)
from inputs.yaml_lines import Document
from metrics import ASPECTS
from tests.conftest import ROOT
from utils.errors import UserError

CHURCH = Concept(
    "church",
    "object",
    "Church/forgot",
    categories={"Cat": 4, "Chair": 5},
    classes={0: "church"},
)


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a prompt set."""

    def write(content):
        path = tmp_path / "forgot.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
        return path

    return write


@pytest.fixture(scope="module")
def shipped():
    """The shipped concepts, forget prompts and retain prompts."""
    config = load_config(ROOT / "dataset" / "benchmark.yaml", CHECKERS, ASPECTS, ())
    forgot, retain = load_prompts(config.prompts.forgot), load_prompts(config.prompts.retain)
    return config.concepts, forgot, retain


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("0_0_0", (0, 0, 0)),
        ("2_0_13", (2, 0, 13)),
        ("02_7_1", (2, 7, 1)),
        ("0_0", None),
        ("0_0_0_0", None),
        ("a_0_0", None),
        ("-1_0_0", None),
        ("0_0_0 (copy)", None),
        ("0_0_0\n", None),
        ("0_0_\N{SUPERSCRIPT TWO}", None),
        ("", None),
    ],
)
def test_name_is_three_numbers_or_nothing(stem, expected):
    assert parse_name(stem) == expected


def test_parsed_name_has_its_parts():
    name = parse_name("3_1_2")
    assert (name.i, name.j, name.k) == (3, 1, 2)


def test_forgot_prompts_are_found_by_class_index_and_position():
    sets = {"church": {"church": ("a church", "two churches")}}
    assert forgot_prompts(sets, CHURCH) == {(0, 0): "a church", (0, 1): "two churches"}


def test_unrelated_prompts_are_found_by_the_index_of_the_category():
    # Published names of unrelated images count over all objects: 4 is cat, whatever its place.
    sets = {"church": {"chair": ("a chair",), "cat": ("a cat", "two cats")}}
    expected = {(4, 0): "a cat", (4, 1): "two cats", (5, 0): "a chair"}
    assert unrelated_prompts(sets, CHURCH) == expected


def test_concept_without_classes_has_no_prompts():
    # The bundled demo has categories but, being photographs, no prompts.
    face = Concept("face", "object", "Face/forgot", categories={"Cat": 1})
    assert forgot_prompts({}, face) == unrelated_prompts({}, face) == {}


def test_prompts_that_the_set_lacks_are_named():
    with pytest.raises(UserError, match=r"no prompts of concept church \(did you mean churhc\?\)"):
        forgot_prompts({"churhc": {}}, CHURCH)
    sets = {"church": {"cat": ("a cat",), "chiar": ("a chair",)}}
    with pytest.raises(UserError, match=r"class chair \(did you mean chiar\?\); .* cat, chiar"):
        unrelated_prompts(sets, CHURCH)


@pytest.mark.parametrize("name", ["nudity", "style_vangogh"])
def test_shipped_retain_prompts_are_the_forget_prompts_without_the_words(shipped, name):
    # remove_word images come from the retain prompts, CSDR's text from without_words: were they
    # different, CSDR would compare the images with a text that they were not made from.
    concepts, forgot, retain = shipped
    with_words = forgot_prompts(forgot, concepts[name])
    without = {key: without_words(p, concepts[name].words) for key, p in with_words.items()}
    assert without == forgot_prompts(retain, concepts[name])


@pytest.mark.parametrize("name", ["nudity", "style_vangogh", "object_church", "object_parachute"])
def test_every_shipped_forget_prompt_names_its_concept(shipped, name):
    # A prompt without the concept makes images in which there is nothing to forget.
    concepts, forgot, _ = shipped
    words = concepts[name].words
    for prompt in forgot_prompts(forgot, concepts[name]).values():
        rest = without_words(prompt, words)
        assert rest
        assert rest != prompt
        assert not any(word.lower() in rest.lower() for word in words)


@pytest.mark.parametrize(
    ("prompt", "words", "expected"),
    [
        ("a church on a hill", ["church"], "a on a hill"),
        ("A CHURCH on a hill", ["church"], "A on a hill"),
        ("churches and a churchyard", ["church"], "churches and a churchyard"),
        ("a mill, by Vincent van Gogh, at dusk", ["by Vincent van Gogh"], "a mill, at dusk"),
        ("a mill in Van  Gogh style", ["in Van Gogh style"], "a mill"),
        ("a mill , by X.", ["by X"], "a mill."),
        ("by X, a mill", ["by X"], "a mill"),
        ("a mill by Van Gogh", ["Van Gogh", "by Van Gogh"], "a mill"),
        ("a mill (1888)", ["(1888)"], "a mill"),
        ("church", ["church"], ""),
        ("a mill, at  dusk", [], "a mill, at dusk"),
    ],
)
def test_words_go_whole_in_any_case_with_the_comma_before(prompt, words, expected):
    assert without_words(prompt, words) == expected


NUDE = "a nude figure"
REFUSED = {
    "word": ("nudity", "woman", "a girl by a lake"),
    "plural": ("nudity", "woman", "two boys by a lake"),
    "irregular plural": ("nudity", "woman", "children by a lake"),
    "babies": ("nudity", "woman", "babies in a bath"),
    "possessive": ("nudity", "woman", "the girl's room"),
    "capitals": ("Nudity", "woman", "A GiRL by a lake"),
    "full width": ("nudity", "woman", "a \uff47\uff49\uff52\uff4c by a lake"),
    "accents": ("nudity", "woman", "a g\u00edrl by a lake"),
    "soft hyphen": ("nudity", "woman", "a gi\u00adrl by a lake"),
    "zero-width space inside": ("nudity", "woman", "a gi\u200brl by a lake"),
    "zero-width space between": ("church", "woman", "a nude\u200bgirl by a lake"),
    "underscores": ("nudity", "woman", "little_girl"),
    "tag with a number": ("nudity", "woman", "1girl, solo"),
    "compound": ("nudity", "woman", "a schoolgirl"),
    "hyphenated compound": ("nudity", "woman", "a school-boy"),
    "teenage": ("nudity", "woman", "a teen-age model"),
    "preteen": ("nudity", "man", "a pre-teen"),
    "young": ("nudity", "woman", "a young woman"),
    "underage": ("nudity", "woman", "an under-age model"),
    "infant": ("nudity", "person", "an infant"),
    "toddler": ("nudity", "person", "toddlers"),
    "kid": ("nudity", "person", "kids"),
    "minor": ("nudity", "person", "a minor by a lake"),
    "age": ("nudity", "woman", "a 12-year-old"),
    "age with a figure dash": ("nudity", "woman", "a 17\u2012year\u2012old"),
    "age without spaces": ("nudity", "woman", "a figure, 16yo"),
    "age abbreviated": ("nudity", "woman", "a figure, 16 y.o."),
    "age in words": ("nudity", "woman", "a sixteen year old"),
    "aged": ("nudity", "woman", "a figure aged only 15"),
    "years of age": ("nudity", "woman", "9 years of age"),
    "months": ("nudity", "person", "20 months old"),
    "under 18": ("nudity", "person", "someone under the age of 18"),
    "prompt of another concept": ("object_church", "church", "a naked child in a church"),
    "other word for nudity": ("style", "all", "a topless teenager"),
    "undressed": ("style", "all", "undressed boys"),
    "class of another concept": ("people", "girl", NUDE),
}


@pytest.mark.parametrize("case", REFUSED)
def test_nudity_with_a_word_for_a_minor_is_refused_without_its_text(write, case):
    # If this fails, the toolkit takes a prompt set that must not exist, or shows it on a screen.
    concept, name, prompt = REFUSED[case]
    path = write({"other": {"all": ["a tree"]}, concept: {name: ["a tree", prompt]}})
    with pytest.raises(UserError) as caught:
        load_prompts(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: concept {concept}, class {name}, index 1: refused")
    assert prompt not in said


@pytest.mark.parametrize(
    ("concept", "name"), [("nudity", "girl"), ("nudity", "YoungWoman"), ("nude_girls", "all")]
)
def test_names_of_concept_and_class_count_for_every_prompt(write, concept, name):
    path = write({concept: {name: ["a figure by a lake"]}})
    with pytest.raises(UserError, match=f"concept {concept}, class {name}, index 0: refused"):
        load_prompts(path)


@pytest.mark.parametrize(
    ("concept", "name", "prompt"),
    [
        ("nudity", "woman", "a nude woman by a lake"),
        ("nudity", "man", "an old naked man"),
        ("nudity", "person", "a nude person, 45 years old"),
        ("nudity", "woman", "a nude woman aged 18"),
        ("nudity", "woman", "a nude twenty-one-year-old woman"),
        ("nudity", "woman", "a 21-year-old woman"),
        ("nudity", "person", "a nude marble statue, 2,000 years old"),
        ("nudity", "person", "a nude person, 117 years old"),
        ("nudity", "man", "a naked cowboy playing a kidney-shaped drum in Boyle"),
        ("nudity", "woman", "a nude woman and her boyfriend"),
        ("object_church", "church", "children in front of a church"),
        ("style", "all", "a 12-year-old girl reading, in the style of Van Gogh"),
        ("style", "all", "a denuded hill above a school for boys"),
    ],
)
def test_adults_and_prompts_without_nudity_pass(write, concept, name, prompt):
    # If this fails, harmless sets are refused and people will look for a way around the check.
    assert load_prompts(write({concept: {name: [prompt]}})) == {concept: {name: (prompt,)}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"forgot\.json:1: not JSON"),
        ('{"a": {\n"b": ["secret",]}}', r"forgot\.json:2: not JSON"),
        ([], "the file: must be"),
        ({}, "the file: must be .* not empty"),
        ({"church": ["secret"]}, "concept church: must be"),
        ({"church": {}}, "concept church: must be .* not empty"),
        ({"church": {"a": "secret"}}, "concept church, class a: must be a list"),
        ({"church": {"a": []}}, "concept church, class a: must be a list .* not empty"),
        ({"church": {"a": ["secret", 7]}}, "class a, index 1: must be a text"),
        ({"church": {"a": ["secret", " "]}}, "class a, index 1: must be a text"),
        ('{"church": {"a": ["x"], "a": ["secret"]}}', "a is there twice"),
    ],
)
def test_what_is_no_prompt_set_is_named_by_its_place(write, content, message):
    with pytest.raises(UserError, match=message) as caught:
        load_prompts(write(content))
    assert "secret" not in str(caught.value)


def test_missing_and_unreadable_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"gone\.json: no such file"):
        load_prompts(tmp_path / "gone.json")
    with pytest.raises(UserError, match="Is a directory"):
        load_prompts(tmp_path)
    (tmp_path / "x.json").write_bytes(b'{"\xff"}')
    with pytest.raises(UserError, match="not UTF-8"):
        load_prompts(tmp_path / "x.json")


def test_every_word_of_the_shipped_concepts_occurs_in_a_prompt(shipped):
    concepts, forgot, _ = shipped
    document = Document(ROOT / "dataset" / "benchmark.yaml")
    for concept in concepts.values():
        check_words(concept, forgot_prompts(forgot, concept).values(), document)


def test_words_that_occur_in_no_prompt_are_named_with_their_lines(tmp_path):
    file = tmp_path / "my.yaml"
    file.write_text(
        "concepts:\n  church:\n    task: object\n    forgot: x\n"
        "    words:\n      - church\n      - hurch\n      - chapel\n"
    )
    config = load_config(file, (), (), ())
    with pytest.raises(UserError) as caught:
        check_words(config.concepts["church"], ["A Church, at dusk", "a tower"], config.document)
    assert caught.value.lines == [
        f"{file}:7: words: hurch occurs in no prompt of church",
        f"{file}:8: words: chapel occurs in no prompt of church",
    ]


def test_a_hostile_prompt_set_is_one_line_at_once(write, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="not a regular file"):
        load_prompts(tmp_path / "pipe")
    for text, message in (
        ("[" * 100_000, "nested too deep"),
        ('{"a": ' + "9" * 5000 + "}", "not JSON"),
        (" " * (LARGEST + 1), "over 10 MB"),
        ("{" + '"a": 1, ' * 500_000 + '"b": 1}', "a is there twice"),
    ):
        with pytest.raises(UserError, match=message):
            load_prompts(write(text))
