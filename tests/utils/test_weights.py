import hashlib

import pytest

import utils.weights
from utils.errors import UserError
from utils.weights import HEADS, Published, download, file_sha256, find_head, find_hub_model

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
    monkeypatch.setattr(utils.weights, "HEADS", {LAYOUT: Published(file.as_uri(), digest)})
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


def test_a_download_with_another_digest_leaves_nothing(tmp_path, source):
    target = tmp_path / "t" / "x.pth"
    with pytest.raises(OSError, match="not the published one"):
        download(Published(source.as_uri(), "0" * 64), target)
    assert list(target.parent.iterdir()) == []


def test_a_missing_head_names_file_source_and_place(tmp_path, source):
    source.unlink()
    with pytest.raises(UserError) as caught:
        find_head(LAYOUT, None, tmp_path / "cache")
    place = tmp_path / "cache" / "weights" / LAYOUT / "classifier_head.pth"
    for part in (f"{LAYOUT}/classifier_head.pth", source.as_uri(), str(place), "--weights-dir"):
        assert part in str(caught.value)


def test_a_missing_hub_model_names_source_and_mend(monkeypatch):
    with pytest.raises(UserError) as caught:
        find_hub_model("clip", "nobody/nothing", ())
    for part in ("clip=nobody/nothing", "https://huggingface.co/nobody/nothing", "--model clip="):
        assert part in str(caught.value)


@pytest.mark.parametrize("model", ["./gone", "/gone", "gone", "a/b/c"])
def test_a_path_that_is_no_folder_is_no_hub_id(model):
    with pytest.raises(UserError, match="neither a folder nor a hub id"):
        find_hub_model("clip", model, ())


def test_a_model_folder_must_hold_config_and_weights(tmp_path):
    with pytest.raises(UserError, match=r"no config.json"):
        find_hub_model("clip", str(tmp_path), ())
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"no model.safetensors"):
        find_hub_model("clip", str(tmp_path), ())
