import hashlib
import os
import socket
from pathlib import Path

import pytest
import torch
from torch import nn

import model_files.weights
from model_files.check import check_file
from model_files.download import Published
from model_files.weights import (
    HEADS,
    file_sha256,
    find_checkpoint,
    find_head,
    is_published,
    load_state_dict,
    load_strictly,
)
from tests.utils.server import sends, serving
from utils.errors import MissingModelError, UserError

LAYOUT = "bi_multiC/object_church"


def put(folder, layout, data=b"head"):
    path = folder / layout / "classifier_head.pth"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    return path


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A published file that can be reached without a network; returns its contents."""
    file = tmp_path / "published.pth"
    file.write_bytes(b"published")
    digest = hashlib.sha256(b"published").hexdigest()
    monkeypatch.setattr(model_files.weights, "HEADS", {LAYOUT: Published(file.as_uri(), digest)})
    return file


@pytest.mark.parametrize("content", [b"", b"weights", bytes(range(256)) * 8192])
def test_a_files_digest_is_its_sha256(tmp_path, content):
    # Rows are keyed by it, and others compare it with sha256sum's; an empty file cannot be mapped.
    (tmp_path / "file").write_bytes(content)
    assert file_sha256(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_all_seven_heads_have_a_source():
    assert len(HEADS) == 7
    assert all(
        head.url.startswith("https://github.com/ryliu68/IGMU/raw/") for head in HEADS.values()
    )
    assert sum(head.sha256 is not None for head in HEADS.values()) == 4


def test_weights_dir_comes_first_in_both_published_layouts(tmp_path, source):
    for name, layout in (("new", LAYOUT), ("old", "object_church")):
        mine = put(tmp_path / name, layout)
        assert find_head(LAYOUT, tmp_path / name, tmp_path / "cache") == mine


def test_a_head_is_downloaded_once(tmp_path, source):
    cached = find_head(LAYOUT, None, tmp_path / "cache")
    assert cached.read_bytes() == b"published"
    source.unlink()
    assert find_head(LAYOUT, None, tmp_path / "cache") == cached


def test_a_damaged_cached_head_is_refused(tmp_path, source):
    put(tmp_path / "cache" / "weights", LAYOUT, b"half")
    with pytest.raises(UserError, match="delete it"):
        find_head(LAYOUT, None, tmp_path / "cache")


def test_a_missing_head_names_file_source_and_place(tmp_path, source):
    source.unlink()
    with pytest.raises(MissingModelError) as caught:
        find_head(LAYOUT, None, tmp_path / "cache")
    place = tmp_path / "cache" / "weights" / LAYOUT / "classifier_head.pth"
    for part in (f"head {LAYOUT}", source.as_uri(), str(place), "--weights-dir"):
        assert part in str(caught.value)
    assert caught.value.source.url == source.as_uri()
    assert caught.value.place == str(place)


def test_a_weights_folder_without_the_head_is_an_error_not_another_head(tmp_path, source):
    # It warned, and took the published head in place of the user's.
    put(tmp_path / "mine", "multi_multiC/Nudity")
    put(tmp_path / "mine", "style_vangogh")
    with pytest.raises(MissingModelError) as caught:
        find_head(LAYOUT, tmp_path / "mine", tmp_path / "cache")
    assert f"no {LAYOUT}/classifier_head.pth there" in str(caught.value)
    assert not (tmp_path / "cache").exists()


def test_what_a_weights_folder_has_is_named(tmp_path):
    put(tmp_path, "multi_multiC/Nudity")
    put(tmp_path, "style_vangogh")
    with pytest.raises(UserError, match="it has bi_multiC/style_vangogh, multi_multiC/Nudity;"):
        find_head(LAYOUT, tmp_path, tmp_path / "cache")


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


@pytest.mark.parametrize("name", ["gone.pth", "x" * 300, "nul\0l"])
def test_a_path_that_leads_nowhere_is_one_line(tmp_path, name):
    with pytest.raises(UserError) as caught:
        check_file(tmp_path / name, "--model inception=x")
    assert str(caught.value).startswith("--model inception=x: ")


@pytest.fixture
def state(tmp_path):
    """The file of a small state dict."""
    torch.save(nn.Linear(40, 30).state_dict(), tmp_path / "x.pth")
    return tmp_path / "x.pth"


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


def test_where_no_digest_is_published_the_first_download_is_what_counts(
    tmp_path, monkeypatch, state
):
    with serving(sends(state.read_bytes())) as (url, _):
        published = Published(f"{url}/classifier_head.pth")
        monkeypatch.setattr(model_files.weights, "HEADS", {LAYOUT: published})
        path = find_head(LAYOUT, None, tmp_path / "cache")
    assert is_published(published, path) == "no digest is published; the one first downloaded"
    kept = path.with_name("classifier_head.pth.sha256").read_text()
    assert kept == f"{hashlib.sha256(state.read_bytes()).hexdigest()}  classifier_head.pth\n"
    assert find_head(LAYOUT, None, tmp_path / "cache") == path
    torch.save(nn.Linear(4, 3).state_dict(), path)
    with pytest.raises(UserError, match="not the file that was downloaded"):
        find_head(LAYOUT, None, tmp_path / "cache")


def test_a_file_put_into_the_cache_by_hand_must_be_whole(tmp_path, monkeypatch, state):
    published = Published("https://nowhere/classifier_head.pth")
    monkeypatch.setattr(model_files.weights, "HEADS", {LAYOUT: published})
    path = put(tmp_path / "cache" / "weights", LAYOUT, state.read_bytes())
    assert find_head(LAYOUT, None, tmp_path / "cache") == path
    assert is_published(published, path) == "no digest is published"
    path.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(UserError, match="cut short; delete it"):
        find_head(LAYOUT, None, tmp_path / "cache")


def test_a_flipped_bit_is_refused_when_loaded(state):
    # torch does not check the archive's sums: the network would have another weight.
    damaged = bytearray(state.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    state.write_bytes(damaged)
    torch.load(state, weights_only=True)  # it does not see it
    with pytest.raises(UserError, match=r"refused.*checksum"):
        load_state_dict(state)


@pytest.mark.parametrize(
    ("content", "said"), [(b"<html>", "a web page"), (b"text", "not a PyTorch")]
)
def test_what_is_plainly_no_model_is_refused_before_it_is_read_whole(tmp_path, content, said):
    (tmp_path / "x.ckpt").write_bytes(content)
    with pytest.raises(UserError, match=said):
        find_checkpoint("inception", str(tmp_path / "x.ckpt"), Published("https://nowhere/x.pth"))


def test_torchs_advice_to_run_what_is_in_a_file_is_not_passed_on(tmp_path):
    (tmp_path / "x.pth").write_bytes(b"\x80\x02}cos\nsystem\n.")
    with pytest.raises(UserError, match="more than tensors") as caught:
        load_state_dict(tmp_path / "x.pth")
    assert "weights_only" not in str(caught.value)


def test_an_archive_that_unpacks_to_more_than_it_is_is_refused(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "x.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", bytes(1 << 20))
    with pytest.raises(UserError, match="compressed"):
        load_state_dict(tmp_path / "x.pth")


def test_at_most_three_tensors_are_named(tmp_path):
    # A file of another network gave 20,000 characters.
    module = nn.Sequential(*(nn.Linear(2, 2) for _ in range(50)))
    wrong = {f"{'x' * 1000}{i}": torch.zeros(1) for i in range(50)}
    with pytest.raises(UserError) as caught:
        load_strictly(module, wrong, tmp_path / "x.pth")
    assert "not the state dict of Sequential: no 0.weight; no 0.bias; no 1.weight" in str(
        caught.value
    )
    assert "and 147 more" in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"weight": torch.zeros(2, 3)}, "weight is 2x3, not 3x2"),
        ({"weight": torch.tensor(1.0)}, "weight is a number, not 3x2"),
        ({"bias": torch.zeros(3, dtype=torch.int64)}, "bias is of type torch.int64"),
        ({"bias": [1.0, 2.0, 3.0]}, "bias is no tensor but a list"),
        ({"more": torch.zeros(1)}, "more is none of its tensors"),
        ({7: torch.zeros(1)}, "7 is none of its tensors"),
        ({"bias": torch.tensor([0, torch.nan, 0])}, "bias holds values that are not finite"),
        ({"weight": torch.full((3, 2), torch.inf)}, "weight holds values that are not finite"),
        ({"bias": torch.zeros(3, device="meta")}, "not the state dict of Linear"),
        ({"weight": torch.zeros(3, 2).to_sparse()}, "not the state dict of Linear"),
    ],
)
def test_what_is_wrong_with_a_tensor_is_said(tmp_path, change, said):
    with pytest.raises(UserError, match=r"x\.pth") as caught:
        load_strictly(nn.Linear(2, 3), nn.Linear(2, 3).state_dict() | change, tmp_path / "x.pth")
    assert said in str(caught.value)
