import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from report.page import embedded_json, thumbnail, write_report
from tests.conftest import photo
from tests.report.data import Made, drawn, names

HOSTILE = "</script><script>alert(1)</script>\"'&\u2028"


def data_of(page: str):
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])


def test_names_cannot_leave_the_data(tmp_path):
    # A file name is somebody else's text: it must not become part of the page.
    made = Made()
    long = "x" * 300 + "_0_0.png"
    values = {f"{HOSTILE}.png": 1.0, long: 0.0, "0_0_0.png": 0.5, "0_1_0.png": 0.25}
    made.add((HOSTILE, "ORG", "lpips"), values, warnings=HOSTILE)
    made.add((HOSTILE, f"{HOSTILE}2", "lpips"), values)
    made.manifest = {"command": [HOSTILE]}
    page = write_report(made.write(tmp_path))[0].read_text("utf-8")
    assert page.count("<script") == 2
    assert page.count("</script>") == 2
    (concept,) = data_of(page)["concepts"]
    assert concept["name"] == HOSTILE
    assert long in concept["images"][0]["names"]


def test_embedded_json_is_read_back_as_it_was():
    document = {"a": [HOSTILE, "</SCRIPT><!--", 1.5, None]}
    text = embedded_json(document)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == document


def test_the_page_asks_nothing_of_the_network(tmp_path):
    made = Made().add(("church", "ESD", "lpips"), dict.fromkeys(names(5), 0.5))
    page = write_report(made.write(tmp_path))[0].read_text("utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src 'none'")
    assert "connect-src" not in policy
    addresses = set(re.findall(r"(?:https?:)?//[\w./]+", page))
    assert addresses <= {"http://www.w3.org/2000/svg"}  # a namespace, never asked for


def test_a_large_report_is_small(tmp_path):
    # 11 methods, 4 concepts, 250 images, 8 metrics: under 5 MB without images.
    rng = np.random.default_rng(0)
    made, files = Made(), names(50, 5)
    for concept in "abcd":
        for method in ("ORG", *map(str, range(10))):
            for metric in ("presence_rate", "yolo_person"):
                made.add((concept, method, metric), drawn(rng, files, "rate"), (0, 1))
            for metric in ("lpips", "ssim", "psnr", "csdr", "clip_score", "clip_score_reference"):
                made.add((concept, method, metric), drawn(rng, files), (-9, 9))
    page = write_report(made.write(tmp_path))[0]
    assert page.stat().st_size < 5e6


@pytest.fixture
def nude_results(tmp_path):
    """A concept whose checker flagged one of two images (photographs of nobody)."""
    folder = tmp_path / "Nudity" / "forgot" / "ESD"
    folder.mkdir(parents=True)
    for k in range(2):
        noise = np.random.default_rng(k).integers(0, 256, (96, 96, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"0_0_{k}.png")
    made = Made().add(
        ("nudity", "ESD", "presence_rate"), {"0_0_0.png": 1.0, "0_0_1.png": 0.0}, (0.1, 0.9)
    )
    made.add(("church", "ESD", "lpips"), {"0_0_0.png": 0.5})  # no folder of it is known
    place = {"concept": "nudity", "scope": "forgot", "method": "ESD", "folder": str(folder)}
    made.manifest = {"places": [place]}
    return made.write(tmp_path / "results")


def sharpness(jpeg: str) -> float:
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(jpeg))).convert("L"), float)
    return float(np.abs(np.diff(pixels, axis=1)).mean())


def test_flagged_images_are_blurred_in_their_pixels(nude_results):
    page = write_report(nude_results, images=True)[0].read_text("utf-8")
    concepts = {concept["name"]: concept for concept in data_of(page)["concepts"]}
    (shown,) = concepts["nudity"]["thumbnails"]
    assert sharpness(shown["0_0_0.png"]) < 0.05 * sharpness(shown["0_0_1.png"])
    assert concepts["church"]["thumbnails"] == [{}]  # never another concept's image
    assert "blurred" in data_of(page)["images_note"]


def test_images_are_left_out_unless_asked_for(nude_results):
    page = write_report(nude_results)[0].read_text("utf-8")
    assert all(not any(c["thumbnails"]) for c in data_of(page)["concepts"])


def test_a_thumbnail_is_small(tmp_path):
    photo(1, 640, 480).save(tmp_path / "a.png")
    jpeg = thumbnail(tmp_path / "a.png", blurred=False)
    assert Image.open(io.BytesIO(base64.b64decode(jpeg))).size == (96, 72)
