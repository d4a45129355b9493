"""What could falsify a score: found, named, counted."""

import pytest

from evaluation.audit import audit_images, audit_names, render, short, shown
from extractors.stats import StatsExtractor
from features.engine import extract
from features.store import FeatureStore
from inputs.config import Concept, Method
from inputs.images import scan
from inputs.layout import MethodFolder, Task
from tests.conftest import photo


@pytest.fixture
def audit(tmp_path):
    """Return a function that audits the method folders below ``tmp_path / "data"``."""

    def audit():
        folders = sorted((tmp_path / "data").iterdir())
        methods = [
            MethodFolder(
                Method(f.name, f.name), f, scan(f, may_be_empty=True) if f.exists() else []
            )
            for f in folders
        ]
        task = Task(Concept("church", "object", "."), "forgot", methods, None)
        wanted = {image: [StatsExtractor()] for m in methods for image in m.images}
        store = FeatureStore(tmp_path / "store")
        extraction = extract(wanted, store, batch_size=4, workers=1)
        return audit_images(audit_names(task, None), extraction)

    return audit


@pytest.fixture
def method(tmp_path):
    """Return a function that makes a method's folder of n images."""

    def method(name, n):
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        for i in range(n):
            photo(len(name) * 100 + i).save(folder / f"0_0_{i}.png")
        return folder

    return method


def kinds(audit):
    return {
        finding.kind: list(finding.names) for finding in audit.findings if finding.kind != "few"
    }


def test_every_file_that_gives_no_image_is_named_and_counted(audit, method):
    # A rate of what is left says nothing about the method.
    folder = method("ESD", 3)
    (folder / "0_0_1.png").write_bytes((folder / "0_0_1.png").read_bytes()[:900])
    (folder / "0_0_3.avif").write_bytes(b"x")
    (folder / "0_0_4.png").symlink_to("gone.png")
    (folder / "notes.txt").write_text("seed 1")
    (found,) = audit()
    assert (found.files, found.unreadable) == (5, 3)
    assert found.falsifies
    named = kinds(found)
    assert named.keys() == {"unreadable", "truncated"}
    assert named["unreadable"] == [
        "0_0_3.avif: extension .avif is not read: convert it to PNG",
        "0_0_4.png: broken link",
    ]
    assert named["truncated"][0].startswith("0_0_1.png: ")


def test_a_broken_link_in_the_place_of_a_method_falsifies(audit, method):
    method("ORG", 2)
    esd = method("ESD", 0)
    esd.rmdir()
    esd.symlink_to("gone")
    broken, sound = audit()
    assert (broken.files, broken.unreadable, kinds(broken)) == (1, 1, {"broken_link": ["ESD"]})
    assert (sound.files, sound.unreadable, kinds(sound)) == (2, 0, {})
    assert "church ESD: broken_link: ESD" in short([broken, sound])


def test_before_an_image_is_read_nothing_is_said_to_be_readable(method, tmp_path):
    folder = method("ESD", 1)
    task = Task(
        Concept("church", "object", "."),
        "forgot",
        [MethodFolder(Method("ESD", "ESD"), folder, scan(folder))],
        None,
    )
    (found,) = audit_names(task, None)
    assert (found.files, found.unreadable) == (1, None)


def test_a_name_with_control_characters_stays_on_its_line(audit, method):
    # A carriage return would write over the beginning of its line.
    folder = method("ES\rD", 1)
    (folder / "a\r\x1b[2Kb.png").write_bytes(b"text")
    text = render(audit())
    assert "\r" not in text
    assert "\x1b" not in text
    assert r"ES\rD" in text
    assert r"a\r\x1b[2Kb.png: not an image" in text
    assert shown(["a\nb"] * 7) == ", ".join([r"a\nb"] * 5) + " and 2 more"
    assert len(shown(["d/" * 1100 + "x.png"])) < 200


def test_what_is_taken_for_no_method_falsifies(tmp_path):
    # A gate on every method would pass without having seen it.
    hidden = tmp_path / ".ESD"
    concept = Concept("church", "object", ".")
    audits = audit_names(Task(concept, "forgot", [], None, passed_over=(hidden,)), None)
    assert [(a.label, kinds(a), a.falsifies) for a in audits] == [
        (".ESD", {"passed_over": [".ESD"]}, True)
    ]
    assert "0 method folders" in short(audits)
