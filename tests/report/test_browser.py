"""The page in a real browser: Chromium, driven over its DevTools pipe; skipped where it is not."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import select
import shutil
import subprocess
import time

import numpy as np
import pytest

from records.files import folder_digest
from stats.intervals import wilson_interval
from tests.conftest import photo
from tests.report.data import Made, names, place, reported

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
LONG = "x" * 290 + "/y_0_0.png"


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


CHOOSE = "(s => {{ s.selectedIndex = {}; s.onchange(); }})(document.getElementById('{}'))"
METHODS = ["ORG", "ESD", "FMN", "UCE", "SA", "SPM", "AC", "MACE", "Receler", "Salun", "<b>J</b>"]
TITLES = {"ORG": "Original model", "ESD": "Erased Stable Diffusion", "FMN": "Forget-Me-Not"}
RATES = (0.92, 0.04, 0.31, 0.08, 0.5, 0.35, 0.3, 0.02, 0.05, 0.01, 0.04)  # concept still present
PRICES = (0, 21, 14, 12, 25, 8, 10, 30, 26, 60, 28)  # FID above the original's
CONCEPTS = ("church", "vangogh", "parachute", "a concept with a long name, " * 4)


def realistic(prompts: int) -> Made:
    """Eleven methods, four concepts, five samples a prompt, eight metrics of images, and FID."""
    rng, files, made = np.random.default_rng(0), names(prompts, 5), Made()
    n = len(files)
    for concept, method, rate, price in (
        (concept, *of) for concept in CONCEPTS for of in zip(METHODS, RATES, PRICES, strict=True)
    ):
        for metric, share in (("presence_rate", rate), ("yolo_person", 0.6 - price / 150)):
            drawn = rng.random(n) < share
            values = dict(zip(files, map(float, drawn), strict=True))
            made.add((concept, method, metric), values, wilson_interval(int(drawn.sum()), n))
        for metric, centre, spread in (
            ("lpips", 0.2 + price / 100, 0.08),
            ("csdr", 3 + price / 2, 4),
            ("clip_score", 26 - price / 10, 2),
            ("clip_score_reference", 26, 2),
            ("ssim", 0.8 - price / 100, 0.1),
            ("psnr", 25 - price / 5, 3),
        ):
            values = dict(zip(files, rng.normal(centre, spread, n).tolist(), strict=True))
            half = 2 * spread / n**0.5
            made.add((concept, method, metric), values, (centre - half, centre + half))
        blocks = dict(enumerate(rng.normal(price + 20, 0.3, 10)))
        made.add_set((concept, method, "fid"), price + 20.0, blocks, n)
    made.manifest = {"titles": TITLES, "started": "2026-01-31T12:00:00+00:00"}
    return made


CHECKERS = {"multi_multiC": 0.5, "bi_multiC": 0.5, "nudenet_face": 0.45}  # and their thresholds


def add_judges(made: Made, concept: str, prompts: int) -> None:
    """Three checkers: two were tried on labelled images, one is no better than chance."""
    rng, files = np.random.default_rng(1), names(prompts, 5)
    for method, rate in zip(METHODS, RATES, strict=True):
        shared = rng.normal(2 * rate - 1, 1, len(files))
        for checker, threshold in CHECKERS.items():
            scores = 1 / (1 + np.exp(-shared - rng.normal(0, 0.5, len(files))))
            score = "nudenet_2labels" if checker.startswith("nudenet") else checker
            made.add(
                (concept, method, f"presence_score_{score}"),
                dict(zip(files, scores.tolist(), strict=True)),
            )
            present = scores > threshold
            made.add(
                (concept, method, f"presence_rate_{checker}"),
                dict(zip(files, present.astype(float).tolist(), strict=True)),
                wilson_interval(int(present.sum()), len(files)),
            )
    good, bad = ({"true_positive": n, "false_negative": 50 - n} for n in (45, 20))
    counts = {"multi_multiC": good, "bi_multiC": bad}
    right = {"true_negative": 48, "false_positive": 2}, {"true_negative": 25, "false_positive": 25}
    preset = {"preset": "face", "score": "nudenet_2labels", "threshold": 0.45}
    made.manifest |= {
        "indicators": {concept: {"nudenet_face": preset}},
        "calibration": {
            concept: {
                "checkers": {
                    name: kind | other
                    for (name, kind), other in zip(counts.items(), right, strict=True)
                }
            }
        },
        "prompts": {concept: {"forgot": {"0_0": f"a church {HOSTILE}", "0_1": "a chapel"}}},
    }


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report of full width, with thumbnails of one method, and names that would do harm."""
    root = tmp_path_factory.mktemp("report")
    made = realistic(prompts=10)
    add_judges(made, "church", 10)
    for method in METHODS:
        made.images["church", method, "lpips"] |= {HOSTILE: 1.0, LONG: 0.5}
    made.scores["church", "ESD", "lpips"] = (0.4, 0.3, 0.5, 49, f"1 pair left out: {HOSTILE}")
    folder = root / "ESD"
    folder.mkdir()
    for name in names(1, 5):
        photo(1, 640, 480).save(folder / name)
    digests = [
        (path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in folder.iterdir()
    ]
    made.manifest |= {
        "places": [place("church", "ESD", str(folder))],
        "folders": {str(folder): folder_digest(digests)},
        "tasks": {"church": "object"},
        "command": ["benchmark.py", HOSTILE, "/x" * 150],
    }
    return reported(made.write(root / "results"), images=True)[0]


def test_it_loads_quietly_and_asks_for_nothing(browser, report):
    browser.open(report)
    assert browser.trouble() == []
    assert browser.run("document.querySelectorAll('#matrix tbody tr').length") == 11
    assert browser.run("document.querySelectorAll('#verdict li').length") == 11
    assert browser.run("document.querySelectorAll('#tradeoff-plot .point').length") == 11
    assert browser.run("document.querySelectorAll('#fates-table tbody tr').length") == 11


def test_a_large_report_is_small_and_opens_at_once(browser, tmp_path):
    # 11 methods, 4 concepts, 250 images.
    page = reported(realistic(prompts=50).write(tmp_path))[0]
    assert page.stat().st_size < 5e6
    assert browser.open(page) < 2
    assert browser.trouble() == []


def order(browser):
    rows = "[...document.querySelectorAll('#matrix tbody tr')]"
    return browser.run(f"{rows}.map(row => parseFloat(row.cells[3].textContent))")


def test_sorting_by_mouse_and_by_keyboard(browser, report):
    browser.open(report)
    assert browser.run("document.querySelector('#matrix tbody th').textContent") == TITLES["ORG"]
    browser.run("document.querySelectorAll('#matrix thead button')[2].click()")
    values = order(browser)
    assert values == sorted(values)
    browser.press("Enter")  # the button kept its focus
    assert order(browser) == sorted(values, reverse=True)
    heads = "[...document.querySelectorAll('#matrix thead th')].map(h => h.ariaSort)"
    assert browser.run(heads)[2:5] == ["none", "descending", "none"]
    assert browser.trouble() == []


def test_prompts_open_and_show_images(browser, report):
    browser.open(report)
    button = "document.querySelector('#prompts button')"
    rows = "document.querySelectorAll('#prompts tr.image').length"
    assert browser.run(rows) == 0  # built when it is asked for
    browser.run(f"{button}.focus()")
    browser.press("Enter")
    assert browser.run(rows) == 5
    assert browser.run(f"{button}.ariaExpanded") == "true"
    assert browser.run("document.querySelectorAll('#prompts img').length") == 5
    shown = "document.querySelector('#prompts img').decode()"
    browser.ask("Runtime.evaluate", expression=shown, awaitPromise=True)
    assert browser.run("document.querySelector('#prompts img').naturalWidth") == 96
    browser.press("Enter")
    assert browser.run(rows) == 0
    assert browser.trouble() == []


def test_judges_are_compared_and_their_disagreements_open(browser, report):
    browser.open(report)
    row = "document.querySelector('#agreements tbody tr')"
    count = browser.run(f"{row}.querySelector('button').textContent.match(/[(](\\d+)[)]/)[1]")
    browser.run(f"{row}.querySelector('button').focus()")
    browser.press("Enter")
    listed = "document.querySelectorAll('#agreements li').length"
    assert browser.run(listed) == int(count) + 1  # and a heading
    browser.press("Enter")
    assert browser.run(listed) == 0
    browser.run(CHOOSE.format(2, "score"))
    assert browser.run("document.querySelectorAll('#curves .curve').length") == 11
    assert "face 0.45" in browser.run("document.getElementById('curves').textContent")
    assert browser.run("document.querySelectorAll('#corrected tbody tr').length") == 11
    assert "no better than chance" in browser.run(
        "document.getElementById('uncorrected').textContent"
    )
    browser.run(CHOOSE.format(1, "concept"))
    assert browser.run("document.getElementById('judges').hidden")
    assert browser.trouble() == []


def test_prompts_are_shown_as_text(browser, report):
    browser.open(report)
    shown = browser.run("document.querySelector('#prompts th small').textContent")
    assert shown == f"a church {HOSTILE}"
    assert "prompt set" in browser.run("document.getElementById('texts-note').textContent")


def test_another_concept_and_another_damage(browser, report):
    browser.open(report)
    browser.run(CHOOSE.format(1, "damage"))
    label = "document.querySelector('#tradeoff-plot svg').getAttribute('aria-label')"
    assert "against lpips" in browser.run(label)
    browser.run(CHOOSE.format(3, "concept"))
    assert "against fid" in browser.run(label)
    assert "a concept with a long name" in browser.run(
        "document.querySelector('#verdict').innerText"
    )
    assert browser.trouble() == []


def test_hostile_names_are_text(browser, report):
    browser.open(report)
    browser.run(CHOOSE.format(2, "drill-metric"))  # lpips, which has them
    text = browser.run("document.getElementById('prompts').textContent")
    assert HOSTILE.removesuffix("_0_0.png") in text
    assert LONG.removesuffix("_0_0.png") in text
    assert "<b>J</b>" in text
    assert HOSTILE in browser.run("document.getElementById('warnings').textContent")
    assert browser.run("document.querySelectorAll('b').length") == 0
    assert browser.run("document.scripts.length") == 2
    assert browser.trouble() == []


def test_printing_opens_everything(browser, report):
    browser.open(report)
    browser.run("window.dispatchEvent(new Event('beforeprint'))")
    assert browser.run("document.querySelectorAll('#prompts tr.image').length") == 50
    assert browser.run("document.querySelectorAll('details:not([open])').length") == 0


@pytest.mark.parametrize("width", [1366, 390])
def test_the_page_itself_never_scrolls_sideways(browser, report, width):
    browser.open(report, width=width, height=844)
    browser.run("window.dispatchEvent(new Event('beforeprint'))")
    browser.run(CHOOSE.format(2, "drill-metric"))
    assert browser.run("document.documentElement.scrollWidth") <= width
