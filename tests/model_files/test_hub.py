import hashlib
import shutil

import huggingface_hub.constants
import pytest

from model_files.hub import as_published, find_hub_model, hub_weights
from tests.utils.server import Answer, sends, serving
from utils.errors import MissingModelError, UserError

EMPTY = (2).to_bytes(8, "little") + b"{}"  # a safetensors file without tensors
PICKLE = b"\x80\x02}."


def hub(weights: bytes, said: bytes = EMPTY, name: str = "model.safetensors") -> Answer:
    """Answer as the hub does for a model: ``weights`` come, of which it says what ``said`` is."""

    def answer(request):
        files = {"config.json": (b"{}", b"{}"), name: (weights, said), "": (b"hub", b"hub")}
        file = request.path.rsplit("/", 1)[-1]
        if file not in files:
            return sends(b"", 404, X_Error_Code="EntryNotFound", X_Repo_Commit="0" * 40)(request)
        body, published = files[file]
        tag = f'"{hashlib.sha256(published).hexdigest()}"'
        return sends(body, 200, len(published), ETag=tag, X_Repo_Commit="0" * 40)(request)

    return answer


@pytest.fixture
def find(tmp_path, monkeypatch):
    """Return a function that finds the model a/b at a hub that gives these answers."""
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))

    def find(*answers):
        with serving(*answers) as (url, _):
            template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, url)
            monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
            monkeypatch.setattr(constants, "ENDPOINT", url)
            return find_hub_model("clip", "a/b", ("tokenizer.json",))

    return find


@pytest.mark.parametrize(
    ("name", "content"), [("model.safetensors", EMPTY), ("pytorch_model.bin", PICKLE)]
)
def test_a_model_of_the_hub_is_downloaded_once(find, name, content):
    folder = find(hub(content, content, name))
    assert (folder / name).read_bytes() == content
    assert as_published(hub_weights(folder)) is True
    assert find(sends(b"", 500)) == folder


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        (b"<html>page", "a web page"),
        (EMPTY[:-1] + b"]", "not a safetensors"),
        (b"", "received 0 bytes"),
    ],
)
def test_weights_that_came_wrong_are_not_kept(find, tmp_path, monkeypatch, weights, said):
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(MissingModelError, match=said) as caught:
        find(hub(weights))
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.rglob("model.safetensors"))
    assert all(path.stat().st_size < 4 for path in (tmp_path / "hub").rglob("blobs/*"))
    folder = find(hub(EMPTY))  # the hub is well again
    assert as_published(hub_weights(folder)) is True


def test_weights_changed_in_the_hubs_cache_are_refused(find, tmp_path):
    # The cache names them by their digest; a changed file was scored with.
    weights = hub_weights(find(hub(EMPTY)))
    copy = tmp_path / "copy"
    shutil.copytree(weights.parent, copy)  # files, not links: what they should be is not known
    assert as_published(hub_weights(copy)) == "no digest is published"
    weights.resolve().write_bytes((3).to_bytes(8, "little") + b"{ }")
    with pytest.raises(UserError, match=r"not the file that the hub published.*delete it"):
        as_published(weights)


def test_a_missing_hub_model_names_source_and_mend():
    with pytest.raises(MissingModelError) as caught:
        find_hub_model("clip", "nobody/nothing", ())
    for part in ("clip=nobody/nothing", "https://huggingface.co/nobody/nothing", "--model clip="):
        assert part in str(caught.value)


@pytest.mark.parametrize("model", ["./gone", "/gone", "gone", "a/b/c"])
def test_a_path_that_is_no_folder_is_no_hub_id(model):
    with pytest.raises(UserError, match="neither a folder nor a hub id"):
        find_hub_model("clip", model, ())


def test_a_model_folder_must_hold_config_and_weights(tmp_path):
    with pytest.raises(UserError, match=r"config.json: no such file"):
        find_hub_model("clip", str(tmp_path), ())
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"no model.safetensors"):
        find_hub_model("clip", str(tmp_path), ())
    (tmp_path / "model.safetensors").symlink_to("/dev/zero")
    with pytest.raises(UserError, match="not a file but a device"):
        find_hub_model("clip", str(tmp_path), ())
