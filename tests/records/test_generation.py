import os
import subprocess
import sys

import pytest

from records import generation
from utils.errors import UserError


def writers(**texts):
    return {name: lambda path, text=text: path.write_text(text) for name, text in texts.items()}


def contents(folder):
    return {p.name: p.read_text() for p in folder.iterdir() if not p.name.startswith(".")}


@pytest.mark.parametrize("at", range(6))
def test_killed_at_any_step_the_files_are_all_old_or_all_new(tmp_path, at):
    # New scores beside an old manifest would be taken for scores of the old images.
    with generation.held(tmp_path):
        generation.commit(tmp_path, writers(a="old", b="old", c="old"))
    script = f"""
import os, sys
from pathlib import Path
from records import generation
steps = 0
def counted(function):
    def step(*arguments, **options):
        global steps
        steps += 1
        if steps > {at}:
            os._exit(9)
        return function(*arguments, **options)
    return step
os.replace = counted(os.replace)
Path.rename = counted(Path.rename)
Path.write_text = counted(Path.write_text)
folder = Path(sys.argv[1])
with generation.held(folder):
    generation.commit(folder, {{n: lambda path: path.write_text("new") for n in "abc"}})
"""
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert killed.returncode == 9
    with generation.held(tmp_path):
        now = contents(tmp_path)
    assert now in (dict.fromkeys("abc", "old"), dict.fromkeys("abc", "new"))
    assert not [p for p in tmp_path.iterdir() if p.name.startswith((".next", ".commit"))]
    assert (now["a"] == "new") == (at > 3)


def test_writers_take_turns_so_that_nothing_is_lost(tmp_path):
    (tmp_path / "list").write_text("")
    script = """
import sys
from pathlib import Path
from records import generation
folder, name = Path(sys.argv[1]), sys.argv[2]
for i in range(20):
    with generation.held(folder):
        text = (folder / "list").read_text() + f"{name}{i} "
        generation.commit(folder, {"list": lambda path: path.write_text(text)})
"""
    writing = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path), name]) for name in "ab"
    ]
    assert [process.wait(60) for process in writing] == [0, 0]
    assert len((tmp_path / "list").read_text().split()) == 40


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    def full(path):
        raise OSError(28, "No space left on device")

    with generation.held(tmp_path):
        generation.commit(tmp_path, writers(a="old"))
        with pytest.raises(UserError, match="No space left"):
            generation.commit(tmp_path, {**writers(a="new"), "b": full})
    assert contents(tmp_path) == {"a": "old"}
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != ".lock") == ["a"]


def test_a_folder_that_cannot_be_written_can_be_read(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    with generation.held(tmp_path):
        pass
    (tmp_path / ".commit").mkdir()
    with pytest.raises(UserError, match="read-only"), generation.held(tmp_path):
        pass


@pytest.mark.parametrize("kind", ["link", "file", "with a folder", "with a link"])
def test_what_no_run_left_there_is_neither_moved_nor_removed(tmp_path, kind):
    # A link called .commit had the files of the folder that it points to moved away.
    folder, victim = tmp_path / "results", tmp_path / "victim"
    folder.mkdir()
    victim.mkdir()
    (victim / "mine").write_text("mine")
    strange = folder / ".commit"
    if kind == "link":
        strange.symlink_to(victim)
    elif kind == "file":
        strange.write_text("x")
    else:
        strange.mkdir()
        if kind == "with a link":
            (strange / "a").symlink_to(victim / "mine")
        else:
            (strange / "a").mkdir()
    (folder / ".next-1").symlink_to(victim)
    with pytest.raises(UserError, match="move it away"), generation.held(folder):
        pass
    assert (victim / "mine").read_text() == "mine"
