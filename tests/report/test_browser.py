"""The page in a real browser: Chromium, driven over its DevTools pipe; skipped where it is not."""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import subprocess
import time

import numpy as np
import pytest

from report.page import write_report
from tests.conftest import photo
from tests.report.data import Made, drawn, names

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium here")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)
HOSTILE = "<script>alert(1)</script>\"'_0_0.png"


class Browser:
    """One page of a headless Chromium; messages are JSON that ends with a zero byte."""

    def __init__(self, profile) -> None:
        ours, theirs = os.pipe(), os.pipe()  # to the browser, from it
        command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "about:blank"]

        def connect() -> None:  # the browser reads from 3 and writes to 4
            ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (ours[0], theirs[1])]
            for number, end in zip((3, 4), ends, strict=True):
                os.dup2(end, number)

        self.process = subprocess.Popen(
            command,
            preexec_fn=connect,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(ours[0])
        os.close(theirs[1])
        self.to, self.source, self.received = ours[1], theirs[0], b""
        self.number, self.events, self.session = 0, [], None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.read()
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]

    def read(self):
        while b"\0" not in self.received:
            assert select.select([self.source], [], [], 20)[0], "Chromium does not answer"
            found = os.read(self.source, 1 << 16)
            assert found, "Chromium has ended"
            self.received += found
        first, _, self.received = self.received.partition(b"\0")
        message = json.loads(first)
        if "method" in message:
            self.events.append(message)
        return message

    def open(self, path, width=1366, height=768):
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.events.clear()
        started = time.monotonic()
        self.ask("Page.navigate", url=path.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.read()
        return time.monotonic() - started

    def run(self, script):
        result = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def press(self, key):
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            self.ask(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=13,
                **text,
            )

    def trouble(self):
        """Errors on the console, and requests for anything but the file and what is in it."""
        bad = [
            e for e in self.events if e["method"] in ("Runtime.exceptionThrown", "Log.entryAdded")
        ]
        requests = [
            event["params"]["request"]["url"]
            for event in self.events
            if event["method"] == "Network.requestWillBeSent"
        ]
        return bad + [url for url in requests[1:] if not url.startswith("data:")]

    def close(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Eleven methods, two concepts, thumbnails of one method, hostile names."""
    root = tmp_path_factory.mktemp("report")
    rng, made, files = np.random.default_rng(0), Made(), names(20, 5)
    for m, method in enumerate(("ORG", *"ABCDEFGHI", "<b>J</b>")):
        for concept in ("church", "a concept with a long name, " * 4):
            made.add((concept, method, "presence_rate"), drawn(rng, files, "rate"), (0, 1))
            values = {name: v + 0.3 * m for name, v in drawn(rng, files).items()}
            made.add((concept, method, "lpips"), values | {HOSTILE: 1.0}, (-9, 9), HOSTILE)
    folder = root / "A"
    folder.mkdir()
    for name in files[:5]:
        photo(1).save(folder / name)
    place = {"concept": "church", "scope": "forgot", "method": "A", "folder": str(folder)}
    made.manifest = {"places": [place], "command": [HOSTILE, "x" * 300]}
    return write_report(made.write(root / "results"), images=True)[0]


def test_it_loads_quietly_and_asks_for_nothing(browser, report):
    seconds = browser.open(report)
    assert browser.trouble() == []
    assert browser.run("document.querySelectorAll('#matrix tbody tr').length") == 11
    assert seconds < 2


def first(browser):
    return browser.run("document.querySelector('#matrix tbody td').textContent")


def test_sorting_by_mouse_and_by_keyboard(browser, report):
    browser.open(report)
    assert first(browser) == "ORG"
    button = "document.querySelectorAll('#matrix thead button')[1]"
    browser.run(f"{button}.click()")
    rows = "[...document.querySelectorAll('#matrix tbody tr')]"
    order = f"{rows}.map(row => parseFloat(row.cells[2].textContent))"
    values = browser.run(order)
    assert values == sorted(values)
    browser.press("Enter")  # the button kept its focus
    assert browser.run(order) == sorted(values, reverse=True)
    head = "document.querySelectorAll('#matrix th')[2].getAttribute('aria-sort')"
    assert browser.run(head) == "descending"
    assert browser.trouble() == []


def test_prompts_open_and_show_images(browser, report):
    browser.open(report)
    browser.run("document.querySelector('#prompts button').click()")
    rows = "document.querySelectorAll('#prompts tr.image').length"
    assert browser.run(rows) == 5
    assert browser.run("document.querySelector('#prompts img').decode().then(() => 1) && 1") == 1
    assert browser.run("document.querySelectorAll('#prompts img').length") == 5
    assert browser.run("document.querySelector('#prompts img').naturalWidth") == 64
    browser.run("document.querySelector('#prompts button').click()")
    assert browser.run(rows) == 0


def test_another_concept_and_another_damage(browser, report):
    browser.open(report)
    choose = "(s => {{ s.selectedIndex = {}; s.onchange(); }})(document.getElementById('{}'))"
    browser.run(choose.format(1, "concept"))
    assert browser.run("document.querySelectorAll('#tradeoff-plot svg').length") == 1
    assert browser.run("document.getElementById('concept').value").startswith("a concept with")
    assert browser.trouble() == []


def test_hostile_names_are_text(browser, report):
    browser.open(report)
    browser.run("document.getElementById('drill-metric').selectedIndex = 1")
    browser.run("document.getElementById('drill-metric').onchange()")
    text = browser.run("document.body.textContent")
    assert HOSTILE in browser.run("document.getElementById('prompts').textContent")
    assert "<b>J</b>" in text
    assert browser.run("document.querySelectorAll('b').length") == 0
    assert browser.run("document.scripts.length") == 2


@pytest.mark.parametrize("width", [1366, 390])
def test_the_page_itself_never_scrolls_sideways(browser, report, width):
    browser.open(report, width=width, height=844)
    assert browser.run("document.documentElement.scrollWidth") <= width
