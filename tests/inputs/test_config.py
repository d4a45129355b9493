from pathlib import Path

import pytest

import checkers
from inputs.config import Concept, Method, config_plugins, load_config
from inputs.prompts import load_prompts
from metrics import ASPECTS
from tests.conftest import ROOT
from utils.errors import UserError

SHIPPED = ROOT / "dataset" / "benchmark.yaml"
GOOD = """\
aspects: [fid, CSDR]
prompts:
  forgot: forgot.json
  retain: retain.json
concepts:
  church:
    task: object
    forgot: Church/forgot
    reference_fallback: forgot/ORG
    unrelated: Church/unrelated
    categories: {Cat: 4, Chair: 5}
    classes:
      0: church
    words:
      - church
      - chapel
    checkers:
      nudenet: Face
methods:
  - folder: ESD
    name: Erased Stable Diffusion
    year: 2023
  - {folder: UCE, name: UCE}
"""


def load(path):
    return load_config(path, checkers.CHECKERS, ASPECTS, ("clip", "clip_score", "yolo"), rule)


def rule(text):
    if ">" not in text:
        raise UserError("no rule")


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a YAML file, with the prompt files beside it."""
    for name in ("forgot.json", "retain.json"):
        (tmp_path / name).write_text("{}")

    def write(text):
        path = tmp_path / "benchmark.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture(scope="module")
def shipped():
    return load(SHIPPED)


def test_shipped_file_has_the_published_concepts_methods_and_aspects(shipped):
    # A concept or method that goes missing here goes missing from everyone's table.
    assert list(shipped.concepts) == [
        *("nudity", "style_vangogh", "object_church", "object_parachute", "face")
    ]
    assert {m.folder for m in shipped.methods} >= {
        *("ORG", "ESD", "FMN", "SPM", "AdvUnlearn", "MACE", "RECE", "DoCoPreG", "UCE", "Receler"),
        *("ConcptPrune", "DemoBlur", "DemoPixelate", "DemoTint"),
    }
    assert shipped.aspects == tuple(ASPECTS)


def test_published_folder_typo_is_kept_and_shown_right(shipped):
    (method,) = (m for m in shipped.methods if m.folder == "ConcptPrune")
    assert method == Method("ConcptPrune", "ConceptPrune", 2025, "arXiv 2405.19237")


def test_shipped_checkers_know_their_concepts(shipped):
    # resolve raises on a name that the checker does not have: forgetting would fail at run time.
    for concept in shipped.concepts.values():
        assert concept.checkers
        for indicator, name in concept.checkers.items():
            assert checkers.resolve(indicator, name)[1] == name


def test_shipped_classes_have_their_prompts(shipped):
    # A class without 50 prompts leaves images without a prompt: CSDR would refuse to score them.
    forgot, retain = load_prompts(shipped.prompts.forgot), load_prompts(shipped.prompts.retain)
    with_prompts = [c for c in shipped.concepts.values() if c.name != "face"]
    assert set(forgot) == set(retain) == {c.name for c in with_prompts}
    for concept in with_prompts:
        assert set(forgot[concept.name]) == set(concept.classes.values())
        beside = {folder.lower() for folder in concept.categories} or set(concept.classes.values())
        assert set(retain[concept.name]) == beside
        for classes in (forgot[concept.name], retain[concept.name]):
            assert all(len(set(prompts)) == 50 for prompts in classes.values())


def test_shipped_object_indices_are_one_numbering(shipped):
    # Published files are named by it: Church/unrelated/ESD/Airplane/2_0_3.png.
    numbering = {"church": 0, "parachute": 1, "airplane": 2, "bird": 3, "cat": 4, "chair": 5}
    numbering["motorcycle"] = 6
    for name in ("object_church", "object_parachute"):
        concept = shipped.concepts[name]
        found = {folder.lower(): i for folder, i in concept.categories.items()}
        found |= {class_name: i for i, class_name in concept.classes.items()}
        assert found == numbering


def test_shipped_demo_concept_describes_the_bundled_images(shipped):
    face, demo = shipped.concepts["face"], ROOT / "dataset" / "Benchmarking_images_demo"
    assert (demo / face.remove_word / "ORG").is_dir()
    folders = {path.name for path in (demo / face.forgot).iterdir()}
    assert folders <= {method.folder for method in shipped.methods}
    for category, index in face.categories.items():
        assert list((demo / face.unrelated / "ORG" / category).glob(f"{index}_0_*.png"))


def test_values_are_read_with_their_types_and_places(write, tmp_path):
    config = load(write(GOOD))
    church = config.concepts["church"]
    assert (church.remove_word, church.reference_fallback) == (None, "forgot/ORG")
    assert (church.categories, church.classes) == ({"Cat": 4, "Chair": 5}, {0: "church"})
    assert (church.words, church.checkers) == (("church", "chapel"), {"nudenet": "Face"})
    assert church.shared_seeds is False  # unknown
    seeds = GOOD.replace("    words:", "    shared_seeds: true\n    words:")
    assert load(write(seeds)).concepts["church"].shared_seeds is True
    assert config.methods[0] == Method("ESD", "Erased Stable Diffusion", 2023, None)
    # Relative to the YAML file, not to where the command runs.
    assert config.prompts.forgot == tmp_path / "forgot.json"


def test_prompts_and_methods_may_be_left_out(write):
    config = load(write("aspects: [fid]\nconcepts:\n  x: {task: style, forgot: X}\n"))
    assert (config.prompts, config.methods) == (None, ())


MISTAKES = {
    "no truth value": ("words:", "shared_seeds: maybe\n    words:", 14, "true or false, not maybe"),
    "number for a concept": ("  church:\n", "  5:\n", 6, "text, not 5 (put it in quotes)"),
    "concept twice but for spaces": (
        "methods:",
        '  " church ": {task: style, forgot: X}\nmethods:',
        19,
        "same name",
    ),
    "unknown top key": ("methods:", "metods:", 19, "metods is not known (did you mean methods?)"),
    "unknown concept key": ("forgot: C", "forget: C", 8, "did you mean forgot?"),
    "unknown method key": ("year: 2023", "yaer: 2023", 22, "did you mean year?"),
    "unknown prompts key": ("retain:", "retian:", 4, "did you mean retain?"),
    "unknown model": ("methods:", "models: {clop: x}\nmethods:", 19, "did you mean clip?"),
    "rule that is none": ("methods:", "gates: [fid]\nmethods:", 19, "gates: no rule"),
    "rule twice": ("methods:", 'gates: ["fid > 1", "fid > 1"]\nmethods:', 19, "listed twice"),
    "folder of nobody": ("methods:", "data_root: ~nobody0/x\nmethods:", 19, "no such user"),
    "control character in a folder": ("methods:", 'cache_dir: "a\\0"\nmethods:', 19, "one line"),
    "missing concept key": ("    task: object\n", "", 6, "church: lacks task"),
    "missing method key": ("    name: Erased Stable Diffusion\n", "", 20, "lacks name"),
    "missing prompts key": ("  retain: retain.json\n", "", 2, "lacks retain"),
    "no such prompt file": ("retain.json", "gone.json", 4, "gone.json: no such file"),
    "unknown task": ("task: object", "task: objct", 7, "did you mean object?"),
    "unknown indicator": ("nudenet:", "nudnet:", 18, "did you mean nudenet?"),
    "unknown aspect": ("CSDR", "CDSR", 1, "did you mean CSDR?"),
    "aspect twice": ("CSDR", "fid", 1, "fid is listed twice"),
    "word twice": ("chapel", "church", 16, "church is listed twice"),
    "key twice": (
        "    task: object\n",
        "    task: object\n    task: style\n",
        8,
        "task is there tw",
    ),
    "class twice": ("0: church", "0: church\n      0: chapel", 14, "0 is there twice"),
    "concept twice": ("methods:", "  church: {task: style, forgot: X}\nmethods:", 19, "twice"),
    "concept but for case": (
        "methods:",
        "  Church: {task: style, forgot: X}\nmethods:",
        19,
        "same",
    ),
    "method twice": ("folder: UCE", "folder: ESD", 23, "ESD is listed twice"),
    "method's name twice": ("name: UCE", "name: erased stable-diffusion", 23, "is also what ESD ("),
    "another method's folder for a name": ("name: UCE", "name: esd", 23, "is also what ESD ("),
    "another method's name for a folder": (
        "folder: UCE",
        "folder: erased_stable_diffusion",
        23,
        "is also what ESD (",
    ),
    "category index twice": ("Chair: 5", "Chair: 4", 11, "Chair has index 4, which Cat has too"),
    "categories without place": ("    unrelated: Church/unrelated\n", "", 6, "no unrelated"),
    "list for text": ("task: object", "task: [object]", 7, "must be text, not a list"),
    "number for text": ("folder: ESD", "folder: 123", 20, "not 123 (put it in quotes)"),
    "boolean for text": ("folder: ESD", "folder: no", 20, "not no (put it in quotes)"),
    "text for number": ("year: 2023", "year: soon", 22, "a whole number from 0, not soon"),
    "boolean for number": ("Chair: 5", "Chair: true", 11, "whole number from 0, not true"),
    "negative class": ("0: church", "-1: church", 13, "whole number from 0, not -1"),
    "text for class": ("0: church", "church: church", 13, "whole number from 0, not church"),
    "text for list": ("words:\n      - church\n      - chapel", "words: church", 14, "be a list"),
    "list for mapping": ("nudenet: Face", "- nudenet", 17, "must be `key: value` lines"),
    "nothing": ("task: object", "task:", 7, "task: is empty"),
    "several lines": ("name: UCE", 'name: "U\\nCE"', 23, "one line of text"),
    "blank": ("task: object", "task: ' '", 7, "one line of text"),
    "empty list": ("[fid, CSDR]", "[]", 1, "aspects: is empty"),
    "empty mapping": ("{Cat: 4, Chair: 5}", "{}", 11, "categories: is empty"),
    "absolute folder": ("Church/forgot", "/data/Church", 8, "below the data root"),
    "absolute folder on Windows": ("Church/forgot", "'C:\\data'", 8, "below the data root"),
    "folder above": ("Church/unrelated", "Church/../../x", 10, "below the data root"),
    "folder above on Windows": ("Church/unrelated", "'..\\x'", 10, "below the data root"),
    "method folder above": ("folder: ESD", "folder: ..", 20, "below the data root"),
    "method path": ("folder: ESD", "folder: a/ESD", 20, "not a path"),
    "category path": ("{Cat: 4", "{../Cat: 4", 11, "below the data root"),
    "open bracket": ("[fid, CSDR]", "[fid, CSDR", 2, "not YAML"),
    "tab": ("    task: object", "\ttask: object", 7, "not YAML"),
    "control character": ("task: object", "task: \x07", 7, "not YAML"),
    "undefined alias": ("task: object", "task: *t", 7, "not YAML: found undefined alias"),
    "tag that would run code": ("task: object", "task: !!python/name:os.system", 7, "constructor"),
    "no such day": ("name: UCE", "name: 2024-02-31", 23, "no value"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_reported_with_its_line(write, mistake):
    # A wrong line sends people to the wrong place; no report would score something else.
    old, new, line, message = MISTAKES[mistake]
    assert old in GOOD
    path = write(GOOD.replace(old, new, 1))
    with pytest.raises(UserError) as caught:
        load(path)
    said = str(caught.value)
    assert said.startswith(f"{path}:{line}: ")
    assert message in said
    assert "\n" not in said


def test_a_file_without_concepts_says_so(write):
    with pytest.raises(UserError, match="top level: lacks concepts"):
        load(write("aspects: [fid]\n"))


def test_all_mistakes_are_reported_in_the_order_of_the_file(write):
    # One a run would take as many runs as there are mistakes.
    wrong = GOOD.replace("folder: ESD", "folder: /").replace("task: object", "task: x")
    wrong = wrong.replace("Cat: 4, Chair: 5", "Cat: 4, Chair: 4, /: x")
    path = write(wrong.replace("year: 2023", "yaer: 2023"))
    with pytest.raises(UserError) as caught:
        load(path)
    assert [line.split(": ")[0] for line in caught.value.lines] == [
        f"{path}:{line}" for line in (7, 11, 11, 20, 22)
    ]


def test_of_very_many_mistakes_the_first_are_shown(write):
    wrong = "".join(f"wrong{i}: 1\n" for i in range(500))
    with pytest.raises(UserError) as caught:
        load(write(wrong + GOOD))
    assert len(caught.value.lines) == 21
    assert caught.value.lines[-1].endswith("and 480 more mistakes")


def test_a_misspelt_key_of_nothing_is_said_to_be_misspelt(write):
    with pytest.raises(UserError) as caught:
        load(write("metods:\n" + GOOD))
    assert [line.partition(":1: ")[2][:28] for line in caught.value.lines] == [
        "metods: is empty",
        "top level: key: metods is no",
    ]


def test_a_misspelt_key_is_not_said_to_be_missing_too(write):
    with pytest.raises(UserError) as caught:
        load(write(GOOD.replace("task: object", "taks: object")))
    assert len(caught.value.lines) == 1


def test_without_aspects_all_are_scored(write):
    assert load(write("concepts:\n  x: {task: style, forgot: X}\n")).aspects == tuple(ASPECTS)


def test_settings_are_relative_to_the_file_and_hub_ids_stay(write, tmp_path):
    (tmp_path / "clip32").mkdir()
    settings = load(
        write(
            "data_root: out\nresults_dir: /tmp/results\ncache_dir: ~/store\n"
            "models: {clip: clip32, clip_score: openai/clip-vit-base-patch16, yolo: ./gone.pt}\n"
            'gates: ["presence_rate > 0.1"]\n' + GOOD
        )
    ).settings
    assert settings.places == {
        "data_root": tmp_path / "out",
        "results_dir": Path("/tmp/results"),
        "cache_dir": Path.home() / "store",
    }
    assert settings.models == {
        "clip": str(tmp_path / "clip32"),
        "clip_score": "openai/clip-vit-base-patch16",
        "yolo": str(tmp_path / "gone.pt"),  # whose absence is then named
    }
    assert settings.gates == ("presence_rate > 0.1",)


def test_a_copy_of_the_shipped_file_finds_the_bundled_prompts(write, tmp_path, shipped):
    copied = load(write(SHIPPED.read_bytes()))
    assert copied.path == tmp_path / "benchmark.yaml"
    assert copied.prompts == shipped.prompts


DEEP = "[" * 100_000
BOMB = "a: &a {x: 1}\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (DEEP, "nested too deep"),
        (BOMB, "aliases"),
        ("a: &a [*a]\n", "aliases"),
        ("a: x\n" * 300_000, "over 1 MB"),
    ],
    ids=["deep", "bomb", "within itself", "long"],
)
def test_a_hostile_file_is_one_line_at_once(write, text, message):
    with pytest.raises(UserError, match=message):
        load(write(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r":1: the file is empty"),
        ("# nothing but a comment\n", r":1: the file is empty"),
        ("- a\n", r":1: top level: must be `key: value` lines, not a list"),
        ("a: 1\n---\nb: 2\n", r":2: not YAML: but found another document"),
        (b"aspects: [\xff]\n", r"not UTF-8"),
    ],
)
def test_what_is_no_configuration_says_so(write, text, message):
    with pytest.raises(UserError, match=message):
        load(write(text))


def test_missing_file_and_folder_are_named(tmp_path):
    with pytest.raises(UserError, match=r"gone\.yaml: no such file"):
        load(tmp_path / "gone.yaml")
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        load(tmp_path)


def test_plug_ins_are_files_beside_the_file(write, tmp_path):
    # They are asked for before the rest: it may use the names that they bring.
    (tmp_path / "mine.py").touch()
    path = write("plugins: [mine.py]\n" + GOOD.replace("CSDR", "mine"))
    assert config_plugins(path) == (tmp_path / "mine.py",)
    load_config(path, checkers.CHECKERS, [*ASPECTS, "mine"], (), rule)
    path = write("plugins: [gone.py, 3]\n" + GOOD)
    assert config_plugins(path) == ()
    with pytest.raises(UserError) as caught:
        load(path)
    assert caught.value.lines == [
        f"{path}:1: plugins: {tmp_path}/gone.py: no such file",
        f"{path}:1: plugins: must be text, not 3 (put it in quotes)",
    ]


def test_no_key_names_a_concept_but_its_own(write):
    with pytest.raises(UserError, match="church: key: name is not known"):
        load(write(GOOD.replace("task: object", "task: object\n    name: x")))


def test_a_concept_needs_no_file():
    # That is how a program makes one.
    assert Concept("church", "object", "x").words == ()
