import hashlib

import pytest

import prefetch
from extractors import EXTRACTORS
from extractors.inception import WEIGHTS
from model_files.download import Published
from model_files.heads import HEADS


@pytest.fixture
def published(monkeypatch):
    """Every head can be downloaded, of the other models none."""
    heads = {
        layout: Published(f"https://here/{layout}", hashlib.sha256(layout.encode()).hexdigest())
        for layout in HEADS
    }
    monkeypatch.setattr("model_files.heads.HEADS", heads)

    def download(what, target):
        if not what.url.startswith("https://here/"):
            raise OSError("no network")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(what.url.removeprefix("https://here/").encode())

    monkeypatch.setattr("model_files.published.download", download)
    return heads


def test_it_fetches_every_head_and_names_what_is_missing(published, tmp_path, capsys):
    code = prefetch.main(["--cache-dir", str(tmp_path / "cache"), "--quiet"])
    out, err = capsys.readouterr()
    assert code == 2  # CLIP is not to be had without the hub
    assert "https://huggingface.co/openai/clip-vit-base-patch32" in err
    for file in ("pt_inception-2015-12-05-6726825d.pth", "alexnet-owt-7be5be79.pth", "yolov8n.pt"):
        assert file in err
    for layout in published:
        cached = tmp_path / "cache" / "weights" / layout / "classifier_head.pth"
        assert cached.read_bytes() == layout.encode()
        assert f"{layout}" in out
        assert str(cached) in out
    assert "nudenet" in out  # from its wheel


def test_what_is_missing_is_a_table_with_the_reason_told_once(published, tmp_path, capsys):
    prefetch.main(["--cache-dir", str(tmp_path / "cache"), "--quiet"])
    lines = capsys.readouterr().err.splitlines()
    (row,) = (i for i, line in enumerate(lines) if line.startswith("inception "))
    assert lines[row].split()[1:] == ["96", WEIGHTS.url]
    assert (
        lines[row + 1].split()[0].endswith("/hub/checkpoints/pt_inception-2015-12-05-6726825d.pth")
    )
    assert lines.count("not downloaded: no network") == 1
    assert max(map(len, lines)) < 200


def test_nothing_missing_is_exit_code_0(published, tmp_path, capsys, monkeypatch):
    only = {name: EXTRACTORS[name] for name in ("nudenet", "pixels", "stats")}
    monkeypatch.setattr("evaluation.listing.EXTRACTORS", only)
    assert prefetch.main(["--cache-dir", str(tmp_path / "cache"), "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert len(out.splitlines()) == 2 + 7 + 1  # heading, heads, nudenet


def test_a_damaged_file_in_a_cache_is_named(published, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("evaluation.listing.EXTRACTORS", {})
    path = tmp_path / "cache" / "weights" / "bi_multiC" / "nudity" / "classifier_head.pth"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    assert prefetch.main(["--cache-dir", str(tmp_path / "cache"), "--quiet"]) == 2
    assert (
        f"wrong: head bi_multiC/nudity: {path}: an empty file; delete it" in capsys.readouterr().err
    )
