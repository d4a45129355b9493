import hashlib
import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
import torch

import model_files.download
from model_files.download import Published, download, no_downloads
from tests.conftest import ROOT
from tests.utils.server import babbles, resets, sends, serving


@pytest.fixture
def weights(tmp_path):
    """The bytes of a state dict."""
    torch.save({"weight": torch.arange(500.0)}, tmp_path / "w.pth")
    return (tmp_path / "w.pth").read_bytes()


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """Return the seconds that were waited, which take none here."""
    waited = []
    monkeypatch.setattr("urllib3.util.retry.time.sleep", waited.append)
    return waited


def fetched(tmp_path, *answers, sha256=None, name="head.pth"):
    """Download from a server that gives these answers; returns the file and what was asked."""
    target = tmp_path / "cache" / name
    with serving(*answers) as (url, asked):
        digest = download(Published(f"{url}/{name}", sha256), target)
    assert hashlib.sha256(target.read_bytes()).hexdigest() == digest
    assert list(target.parent.iterdir()) == [target]
    return target.read_bytes(), asked


def refused(tmp_path, *answers, name="head.pth", sha256=None):
    """Return why a download fails; nothing of it may stay."""
    target = tmp_path / "cache" / name
    with serving(*answers) as (url, asked), pytest.raises(OSError) as caught:
        download(Published(f"{url}/{name}", sha256), target)
    assert list(target.parent.iterdir()) == []
    return str(caught.value), len(asked)


def test_a_whole_file_is_kept(tmp_path, weights):
    assert fetched(tmp_path, sends(weights)) == (weights, ["/head.pth"])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><title>Sign in</title>", "a web page"),
        (b"\n <html>", "a web page"),
        (b"just text", "not a PyTorch file"),
    ],
)
def test_what_is_no_model_is_not_kept_where_no_digest_is_published(tmp_path, body, said):
    # It was "ready", and every run after it ended at "not a plain state dict".
    message, asked = refused(tmp_path, sends(body))
    assert said in message
    assert asked == 1


def test_a_file_cut_short_by_a_proxy_that_says_nothing_of_it_is_not_kept(tmp_path, weights):
    message, _ = refused(tmp_path, sends(weights[: len(weights) // 2]))
    assert "cut short" in message


def test_a_flipped_bit_is_found_by_the_archives_checksums(tmp_path, weights):
    # torch does not look at them: the head would have another weight.
    damaged = bytearray(weights)
    damaged[weights.index(torch.arange(500.0).numpy().tobytes()) + 400] ^= 1
    message, _ = refused(tmp_path, sends(bytes(damaged)))
    assert "checksum" in message


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("model.onnx", b"<html>", "a web page"),
        ("model.onnx", b"PK\x03\x04", "not an ONNX model"),
        ("model.safetensors", b"\x10" + bytes(7) + b'{"a":1}', "safetensors"),
        ("model.safetensors", (2).to_bytes(8, "little") + b"{}x", "not a safetensors"),
        ("model.safetensors", (3).to_bytes(8, "little") + b"[1]", "not a safetensors"),
    ],
)
def test_other_kinds_of_model_are_told_by_their_first_bytes(tmp_path, name, body, said):
    assert said in refused(tmp_path, sends(body), name=name)[0]


def test_a_short_body_is_asked_for_again(tmp_path, weights):
    short = sends(weights[:100], length=len(weights))
    assert fetched(tmp_path, short, sends(weights)) == (weights, ["/head.pth"] * 2)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(tmp_path, weights, pauses, status):
    body, asked = fetched(tmp_path, sends(b"", status), sends(b"", status), sends(weights))
    assert body == weights
    assert len(asked) == 3
    assert pauses == [2]  # the first is asked at once


def test_retry_after_is_waited_for_within_reason(tmp_path, weights, pauses):
    busy = [sends(b"", 429, Retry_After=wait) for wait in (7, 100_000)]
    fetched(tmp_path, *busy, sends(weights))
    assert pauses == [7, 60]


@pytest.mark.parametrize("breaks", [resets, babbles])
def test_a_connection_that_breaks_is_tried_again(tmp_path, weights, breaks):
    # BadStatusLine and IncompleteRead are no OSError: they were tracebacks.
    assert fetched(tmp_path, breaks, sends(weights))[0] == weights
    message, asked = refused(tmp_path / "again", breaks)
    assert message
    assert asked == 4


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_what_does_not_pass_by_itself_is_not_tried_again(tmp_path, pauses, status):
    message, asked = refused(tmp_path, sends(b"gone", status))
    assert str(status) in message
    assert (asked, pauses) == (1, [])


def test_a_server_that_never_recovers_is_given_up(tmp_path, pauses):
    message, asked = refused(tmp_path, sends(b"", 503))
    assert "503" in message
    assert asked == 4


def test_another_file_than_the_published_one_is_said_to_be_that(tmp_path, weights):
    message, _ = refused(tmp_path, sends(weights), sha256="0" * 64)
    assert "another file" in message
    message, _ = refused(tmp_path, sends(b"<html>"), sha256="0" * 64)
    assert "a web page" in message


def test_an_endless_body_is_cut_off(tmp_path, monkeypatch):
    monkeypatch.setattr(model_files.download, "LARGEST", 1000)
    message, _ = refused(tmp_path, sends(bytes(5000)))
    assert "larger than any model" in message


def test_an_answer_that_means_nothing_is_said_to_be_that(tmp_path):
    message, _ = refused(tmp_path, sends(b"", 429, Retry_After="tomorrow"))
    assert "Retry-After" in message


def test_where_a_connection_breaks_the_rest_is_asked_for(tmp_path, monkeypatch, weights, caplog):
    monkeypatch.setattr(model_files.download, "_CHUNK", 100)
    ranges = []

    def rest(request):
        ranges.append(request.headers["Range"])
        sends(weights[200:], 206)(request)

    with caplog.at_level(logging.INFO, "model_files.download"):
        body, _ = fetched(tmp_path, sends(weights[:250], length=len(weights)), rest)
    assert body == weights
    assert ranges == ["bytes=200-"]
    assert "going on after 200 bytes" in caplog.text


def test_a_file_is_for_all_who_share_the_cache(tmp_path, weights):
    fetched(tmp_path, sends(weights))
    (tmp_path / "own").touch()
    assert (tmp_path / "cache" / "head.pth").stat().st_mode == (tmp_path / "own").stat().st_mode


def test_a_download_that_is_killed_leaves_nothing_that_is_taken_for_the_file(tmp_path):
    code = "import sys; from pathlib import Path; from model_files.download import *; "
    code += "download(Published(sys.argv[1]), Path(sys.argv[2]))"
    target, begun = tmp_path / "cache" / "head.pth", Event()

    def stalls(request):
        request.send_response(200)
        request.send_header("Content-Length", "1000")
        request.end_headers()
        request.wfile.write(b"PK\x03\x04")
        request.wfile.flush()
        begun.set()
        ended.wait()

    ended = Event()
    with serving(stalls) as (url, _):
        command = [sys.executable, "-c", code, f"{url}/head.pth", str(target)]
        process = subprocess.Popen(command, cwd=ROOT)
        assert begun.wait(60)
        process.kill()
        process.wait()
        ended.set()
    assert not target.exists()


def test_two_at_once_leave_one_whole_file(tmp_path, weights):
    target = tmp_path / "cache" / "head.pth"
    with serving(sends(weights)) as (url, _), ThreadPoolExecutor() as pool:
        published = Published(f"{url}/head.pth", hashlib.sha256(weights).hexdigest())
        assert set(pool.map(lambda _: download(published, target), range(8))) == {published.sha256}
    assert list(target.parent.iterdir()) == [target]


def test_a_proxy_is_asked_where_one_is_set(tmp_path, monkeypatch, weights):
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with serving(sends(weights)) as (proxy, asked):
        monkeypatch.setenv("http_proxy", proxy)
        download(Published("http://nowhere.invalid/head.pth"), tmp_path / "head.pth")
    assert asked == ["http://nowhere.invalid/head.pth"]


def test_nothing_is_asked_while_one_only_looks(tmp_path):
    with serving(sends(b"")) as (url, asked), no_downloads(), pytest.raises(OSError, match="only"):
        download(Published(f"{url}/head.pth"), tmp_path / "head.pth")
    assert asked == []
