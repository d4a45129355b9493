import hashlib

import pytest
import torch
from torch import nn

from model_files.download import Published
from model_files.heads import HEADS, find_head
from model_files.published import is_published
from tests.utils.server import sends, serving
from utils.errors import MissingModelError, UserError

LAYOUT = "bi_multiC/object_church"
HEAD = b"\x80\x02}."


def put(folder, layout, data=b"head"):
    path = folder / layout / "classifier_head.pth"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    return path


@pytest.fixture
def asked(monkeypatch):
    """The head is published on this machine; returns what was asked of the server."""
    with serving(sends(HEAD)) as (url, asked):
        published = Published(f"{url}/head.pth", hashlib.sha256(HEAD).hexdigest())
        monkeypatch.setattr("model_files.heads.HEADS", {LAYOUT: published})
        yield asked


def test_all_seven_heads_have_a_source():
    assert len(HEADS) == 7
    assert all(
        head.url.startswith("https://github.com/ryliu68/IGMU/raw/") for head in HEADS.values()
    )
    assert sum(head.sha256 is not None for head in HEADS.values()) == 4


def test_weights_dir_comes_first_in_both_published_layouts(tmp_path, asked):
    for name, layout in (("new", LAYOUT), ("old", "object_church")):
        mine = put(tmp_path / name, layout)
        assert find_head(LAYOUT, tmp_path / name, tmp_path / "cache") == mine


def test_a_head_is_downloaded_once(tmp_path, asked):
    cached = find_head(LAYOUT, None, tmp_path / "cache")
    assert cached.read_bytes() == HEAD
    assert find_head(LAYOUT, None, tmp_path / "cache") == cached
    assert len(asked) == 1


def test_a_damaged_cached_head_is_refused(tmp_path, asked):
    put(tmp_path / "cache" / "weights", LAYOUT, b"half")
    with pytest.raises(UserError, match="delete it"):
        find_head(LAYOUT, None, tmp_path / "cache")


def test_a_missing_head_names_file_source_and_place(tmp_path, monkeypatch):
    published = Published("http://127.0.0.1:1/head.pth", "0" * 64, 1.7)
    monkeypatch.setattr("model_files.heads.HEADS", {LAYOUT: published})
    with pytest.raises(MissingModelError) as caught:
        find_head(LAYOUT, None, tmp_path / "cache")
    place = tmp_path / "cache" / "weights" / LAYOUT / "classifier_head.pth"
    for part in (f"head {LAYOUT}", published.url, str(place), "--weights-dir", "refused"):
        assert part in str(caught.value)
    assert (caught.value.url, caught.value.place) == (published.url, str(place))
    assert caught.value.megabytes == 1.7
    assert caught.value.why == "Connection refused"


def test_a_cache_that_cannot_be_written_is_said_in_a_line(tmp_path, asked):
    (tmp_path / "cache").write_bytes(b"")  # root can write to a folder that is read-only
    with pytest.raises(MissingModelError, match="Not a directory") as caught:
        find_head(LAYOUT, None, tmp_path / "cache")
    assert "\n" not in str(caught.value)
    assert asked == []


def test_a_weights_folder_without_the_head_is_an_error_not_another_head(tmp_path, asked):
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


def test_where_no_digest_is_published_the_first_download_is_what_counts(
    tmp_path, monkeypatch, state
):
    with serving(sends(state.read_bytes())) as (url, _):
        published = Published(f"{url}/classifier_head.pth")
        monkeypatch.setattr("model_files.heads.HEADS", {LAYOUT: published})
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
    monkeypatch.setattr("model_files.heads.HEADS", {LAYOUT: published})
    path = put(tmp_path / "cache" / "weights", LAYOUT, state.read_bytes())
    assert find_head(LAYOUT, None, tmp_path / "cache") == path
    assert is_published(published, path) == "no digest is published"
    path.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(UserError, match="cut short; delete it"):
        find_head(LAYOUT, None, tmp_path / "cache")
