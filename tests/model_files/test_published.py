import hashlib
import os
import socket
from pathlib import Path

import pytest

from model_files.download import Published
from model_files.heads import find_head
from model_files.published import find_checkpoint, is_published
from utils.errors import UserError

LAYOUT = "bi_multiC/object_church"


def pipe(path):
    os.mkfifo(path)


def device(path):
    path.symlink_to("/dev/zero")


def listening(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def giant(path):
    with path.open("wb") as file:
        file.truncate(6 << 30)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (pipe, "a pipe"),
        (device, "a device"),
        (listening, "a socket"),
        (os.mkdir, "a folder"),
        (giant, "6442450944 bytes"),
        (Path.touch, "an empty file"),  # as those of /proc are, which may wait for ever
    ],
)
def test_only_files_of_a_likely_size_are_read(tmp_path, monkeypatch, make, said):
    # Each of these would hang, or be read for minutes.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = tmp_path / "x.pth"
    make(path)
    with pytest.raises(UserError, match=said) as caught:
        find_checkpoint("inception", str(path), Published("https://nowhere/x.pth"))
    assert str(caught.value).startswith(f"--model inception={path}: ")
    head = tmp_path / LAYOUT / "classifier_head.pth"
    head.parent.mkdir(parents=True)
    head.symlink_to(path)
    with pytest.raises(UserError, match=said):
        find_head(LAYOUT, tmp_path, tmp_path / "cache")
    cached = tmp_path / "hub" / "checkpoints" / "x.pth"
    cached.parent.mkdir(parents=True)
    cached.symlink_to(path)
    with pytest.raises(UserError, match=said):
        find_checkpoint("inception", None, Published("https://nowhere/x.pth"))


def test_another_file_under_a_published_name_is_refused(tmp_path, monkeypatch, state):
    # It was used, and the manifest told of a digest that nobody compares.
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cached = tmp_path / "hub" / "checkpoints" / "x.pth"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(state.read_bytes())
    published = Published("https://nowhere/x.pth", hashlib.sha256(b"x").hexdigest())
    with pytest.raises(UserError, match=r"not the file that is published.*--model inception=FILE"):
        find_checkpoint("inception", None, published)
    assert find_checkpoint("inception", str(cached), published) == cached
    assert is_published(published, cached) is False
    published = Published(published.url, hashlib.sha256(state.read_bytes()).hexdigest())
    assert find_checkpoint("inception", None, published) == cached
    assert is_published(published, cached) is True


@pytest.mark.parametrize(
    ("content", "said"), [(b"<html>", "a web page"), (b"text", "not a PyTorch")]
)
def test_what_is_plainly_no_model_is_refused_before_it_is_read_whole(tmp_path, content, said):
    (tmp_path / "x.ckpt").write_bytes(content)
    with pytest.raises(UserError, match=said):
        find_checkpoint("inception", str(tmp_path / "x.ckpt"), Published("https://nowhere/x.pth"))
