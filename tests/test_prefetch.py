import hashlib

import pytest

import extractors.yolo
import prefetch
import utils.weights
from utils.weights import HEADS, Published


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Every head as a file on this machine."""
    heads = {}
    for layout in HEADS:
        path = tmp_path / "site" / f"{layout.replace('/', '_')}.pth"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(layout.encode())
        heads[layout] = Published(path.as_uri(), hashlib.sha256(layout.encode()).hexdigest())
    monkeypatch.setattr(utils.weights, "HEADS", heads)
    original = utils.weights.download

    def download(what, target):
        if not what.url.startswith("file:"):
            raise OSError("no network")
        original(what, target)

    monkeypatch.setattr(utils.weights, "download", download)
    monkeypatch.setattr(extractors.yolo, "download", download)
    return heads


def test_it_fetches_every_head_and_names_what_is_missing(published, tmp_path, capsys):
    code = prefetch.main(["--cache-dir", str(tmp_path / "cache"), "--quiet"])
    out, err = capsys.readouterr()
    assert code == 2  # CLIP is not to be had without the hub
    assert "https://huggingface.co/openai/clip-vit-base-patch32" in err
    assert out.count("ready") == 8  # seven heads, and nudenet from its wheel
    for file in ("pt_inception-2015-12-05-6726825d.pth", "alexnet-owt-7be5be79.pth", "yolov8n.pt"):
        assert file in err
    for layout in published:
        cached = tmp_path / "cache" / "weights" / layout / "classifier_head.pth"
        assert cached.read_bytes() == layout.encode()
