from dataclasses import replace

import pytest

from inputs.config import load_config
from inputs.grouping import parse_grouping
from inputs.layout import find_tasks, grouped, limited, plain_task, unknown_concepts
from tests.conftest import ROOT, photo
from utils.errors import UserError


@pytest.fixture(scope="module")
def config():
    from checkers import CHECKERS
    from metrics import ASPECTS

    return load_config(ROOT / "dataset" / "benchmark.yaml", CHECKERS, ASPECTS, ())


@pytest.fixture
def tree(tmp_path):
    """Return a function that makes folders of images named by path."""

    def make(*paths):
        for path in paths:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            photo(len(path), 8, 8).save(tmp_path / path)
        return tmp_path

    return make


def names(task):
    return [method.method.folder for method in task.methods]


def test_concepts_and_methods_are_those_on_disk_the_original_first(config, tree):
    root = tree(
        "Church/forgot/Zeta/0_0_0.png",
        "Church/forgot/ConcptPrune/0_0_0.png",
        "Church/forgot/ORG/0_0_0.png",
        "Church/forgot/ESD/0_0_0.png",
        "Nudity/forgot/ORG/0_0_0.png",
        "Other/forgot/ORG/0_0_0.png",
    )
    nudity, church = find_tasks(config, root)
    assert (nudity.name, church.name) == ("nudity", "object_church")
    assert names(church) == ["ORG", "ESD", "ConcptPrune", "Zeta"]
    # A typo of the published data stays the folder's name; people see the proper one.
    assert [m.method.name for m in church.methods][2:] == ["ConceptPrune", "Zeta"]


def test_the_original_stays_first_where_it_is_listed(config, tree):
    # Else a configuration that lists it third makes another method the one compared with.
    listed = {method.folder: method for method in config.methods}
    turned = [listed["ESD"], listed["UCE"], listed["ORG"]]
    root = tree(*(f"Church/forgot/{method}/0_0_0.png" for method in ("UCE", "ORG", "ESD")))
    (task,) = find_tasks(replace(config, methods=turned), root)
    assert names(task) == ["ORG", "ESD", "UCE"]


def test_a_method_that_is_a_broken_link_is_a_method_without_images(config, tree):
    # Passed over it would be in no table, and a gate on every method would pass.
    root = tree("Church/forgot/ORG/0_0_0.png")
    (root / "Church/forgot/ESD").symlink_to(root / "gone")
    (root / "Church/forgot/UCE").symlink_to("UCE")  # itself
    (root / "Church/forgot/notes.txt").touch()
    (task,) = find_tasks(config, root)
    assert [(m.method.folder, len(m.images), m.is_broken) for m in task.methods] == [
        ("ORG", 1, False),
        ("ESD", 0, True),
        ("UCE", 0, True),
    ]
    plain = plain_task(config, root / "Church/forgot", root / "Church/forgot/ORG")
    assert names(plain)[-2:] == ["ESD", "UCE"]


def test_a_concept_that_is_a_broken_link_is_an_error(config, tree):
    root = tree("Nudity/forgot/ORG/0_0_0.png")
    (root / "Church").mkdir()
    (root / "Church/forgot").symlink_to(root / "gone")
    with pytest.raises(UserError, match=r"Church/forgot: broken link \(concept object_church\)"):
        find_tasks(config, root)


def test_a_reference_that_is_a_broken_link_is_said_to_be_one(config, tree):
    root = tree("Church/forgot/ORG/0_0_0.png")
    (root / "Church/remove_word").mkdir()
    (root / "Church/remove_word/ORG").symlink_to(root / "gone")
    (task,) = find_tasks(config, root)
    assert "remove_word/ORG is a broken link" in task.notes[0]


def test_a_data_root_that_cannot_be_listed_is_one_line(config, tree, monkeypatch):
    root = tree("out/ESD/a.png", "out/base/a.png")

    def refused(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.iterdir", refused)
    with pytest.raises(UserError, match=r"out: cannot be listed \(Permission denied\)"):
        plain_task(config, root / "out", root / "out" / "base")


def test_the_reference_is_remove_word_or_what_the_config_says_and_named(config, tree):
    root = tree("Church/forgot/ORG/0_0_0.png", "Church/forgot/ESD/0_0_0.png")
    (task,) = find_tasks(config, root)
    assert task.reference.folder == root / "Church" / "forgot" / "ORG"
    assert "remove_word/ORG is not there" in task.notes[0]
    tree("Church/remove_word/ORG/0_0_0.png")
    (task,) = find_tasks(config, root)
    assert (task.reference.folder, task.notes) == (root / "Church" / "remove_word" / "ORG", ())


def test_prompt_texts_are_those_of_the_images_there(config, tree):
    # A report that showed another prompt's text would explain the wrong picture.
    root = tree(
        "Church/forgot/ORG/0_1_0.png",
        "Church/forgot/ORG/0_1_1.png",
        "Church/forgot/ORG/other.png",
        "Church/unrelated/ORG/Airplane/2_0_0.png",
        "Church/unrelated/ORG/Bird/2_0_0.png",  # not of its category
    )
    prompts = {(0, 0): "a chapel", (0, 1): "a church", (2, 0): "an airplane"}
    (task,) = find_tasks(config, root)
    assert task.texts(prompts) == {"0_1": "a church"}
    (task,) = find_tasks(config, root, unrelated=True)
    assert task.texts(prompts) == {"Airplane/2_0": "an airplane"}


def test_a_plain_folder_called_as_the_original_model_stays_it(config, tree):
    root = tree("out/ESD/a.png", "out/ORG/a.png", "without/a.png")
    task = plain_task(config, root / "out", root / "without")
    assert names(task) == ["ORG", "ESD"]
    assert task.methods[0].folder == root / "out" / "ORG"


def test_a_trial_takes_the_first_images_of_each_folder_and_says_so(config, tree):
    images = [
        f"Church/unrelated/{m}/{c}/2_0_{k}.png" for m in "AB" for c in "CD" for k in (1, 2, 10)
    ]
    (task,) = find_tasks(config, tree(*images), unrelated=True)
    found = limited(task, 2)
    assert [found.methods[0].name(image) for image in found.methods[0].images] == [
        *("C/2_0_1.png", "C/2_0_2.png", "D/2_0_1.png", "D/2_0_2.png")
    ]
    assert found.notes[-1] == "partial: the first 2 images of each folder"


def test_without_any_reference_it_says_so(config, tree):
    (task,) = find_tasks(config, tree("Nudity/forgot/ORG/0_0_0.png"))
    assert task.reference is None
    assert "no reference" in task.notes[0]


def test_unrelated_takes_every_category(config, tree):
    # The published script scored the first category only.
    root = tree(
        *(f"Church/unrelated/{m}/{c}/2_0_0.png" for m in ("ORG", "ESD") for c in ("Bird", "Cat"))
    )
    tree("Church/forgot/ORG/0_0_0.png")
    (task,) = find_tasks(config, root, unrelated=True)
    assert names(task) == ["ORG", "ESD"]
    pairs = task.pairing(task.methods[1]).pairs
    assert [task.methods[1].name(own) for _, own in pairs] == ["Bird/2_0_0.png", "Cat/2_0_0.png"]


def test_methods_and_concepts_can_be_chosen_by_any_of_their_names(config, tree):
    root = tree("Church/forgot/ORG/0.png", "Church/forgot/ConcptPrune/0.png")
    for name in ("ConcptPrune", "conceptprune", "Concept-Prune"):
        (task,) = find_tasks(config, root, concepts=["church"], methods=[name])
        assert names(task) == ["ConcptPrune"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"concepts": ["Charch"]}, r"did you mean Church\?"),
        ({"methods": ["EDS"]}, r"no method EDS \(did you mean ESD\?\)"),
        ({"concepts": ["nudity"]}, "no such folder"),
        ({"unrelated": True}, "no folder of a known concept"),
    ],
)
def test_wrong_names_get_the_nearest(config, tree, options, message):
    root = tree("Church/forgot/ORG/0.png", "Church/forgot/ESD/0.png")
    with pytest.raises(UserError, match=message):
        find_tasks(config, root, **options)


def test_plain_method_folders_need_no_configuration(config, tree):
    root = tree("out/ESD/a.png", "out/UCE/a.png", "out/base/a.png")
    task = plain_task(config, root / "out", root / "out" / "base")
    # The reference is a row too: presence on the original, and --compare ORG, need it.
    assert (task.name, names(task)) == ("out", ["ORG", "ESD", "UCE"])
    assert task.methods[0].folder == root / "out" / "base"
    assert len(task.pairing(task.methods[1]).pairs) == 1
    named = plain_task(config, root / "out", root / "out" / "base", concept="church")
    assert named.concept.checkers["bi_multiC"] == "object_church"


def test_a_method_that_is_a_link_to_the_reference_is_scored(config, tree):
    # Dropped with it, a method that shows what the original shows would pass every gate.
    root = tree("m/ORG/a.png", "m/ESD/a.png")
    (root / "m/DemoTint").symlink_to("ORG")
    assert names(plain_task(config, root / "m", root / "m/ORG")) == ["ORG", "ESD", "DemoTint"]
    (root / "way").symlink_to("m")  # the same folder by another way is still the reference
    assert names(plain_task(config, root / "m", root / "way/ESD/../ESD")) == ["ORG", "DemoTint"]


def test_what_may_have_been_meant_as_a_method_is_named(config, tree):
    root = tree(*(f"Church/forgot/{method}/0_0_0.png" for method in ("ORG", "ESD", ".DemoTint")))
    (root / "Church/forgot/.git").mkdir()
    for name in (".git/HEAD", "ESD.tar.gz", "UCE.zip", "README.md"):
        (root / "Church/forgot" / name).write_bytes(b"x")
    (root / "Church/forgot/MACE").symlink_to("UCE.zip")
    (task,) = find_tasks(config, root)
    assert names(task) == ["ORG", "ESD"]
    assert [path.name for path in task.passed_over] == [".DemoTint", "MACE", "UCE.zip"]
    assert [line.rsplit(": ", 1)[1] for line in task.not_scored] == [
        "a hidden folder that holds images; rename it if it is a method",
        "a link to a file, not a folder of images",
        "an archive, not a folder of images",
    ]
    plain = plain_task(config, root / "Church/forgot", root / "Church/forgot/.DemoTint")
    assert [path.name for path in plain.passed_over] == ["MACE", "UCE.zip"]
    (chosen,) = find_tasks(config, root, methods=["ESD"])  # the others are not asked for
    assert chosen.passed_over == ()


def test_a_folder_that_looks_like_a_concept_and_is_none_is_named(config, tree):
    root = tree("CHURCH/forgot/ORG/0_0_0.png", "Nudity/forgot/ORG/0_0_0.png", "notes/a.png")
    assert unknown_concepts(config, root) == [
        "not scored: CHURCH: no concept of that name (did you mean Church?)"
    ]


def test_errors_name_each_method_once_and_whose_image_it_is(config, tree):
    root = tree("Church/forgot/ORG/0_0_0.png", "Church/forgot/ConcptPrune/cat.png")
    with pytest.raises(UserError, match=r"; there are (ConcptPrune, ORG|ORG, ConcptPrune)$"):
        find_tasks(config, root, methods=["DemoTint"])
    (task,) = find_tasks(config, root)
    with pytest.raises(UserError, match=r"says nothing of cat\.png in .*/ConcptPrune$"):
        grouped(task, parse_grouping(r"(\d+)_"))
