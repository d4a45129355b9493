import json
import re
from dataclasses import replace

from report.page import embedded_json, page
from tests.report.data import Made, gone, names, place, ranked, reported
from utils.text import printable

HOSTILE = "</script><script>alert(1)</script>\"'&\u2028"


def data_of(page: str):
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])


def test_a_page_of_very_many_images_says_what_it_leaves_out(tmp_path, monkeypatch):
    # A hundred thousand images would make a page that no browser opens.
    monkeypatch.setattr("report.page._MOST_VALUES", 12)
    made = Made()
    for method in ("ORG", "ESD"):
        for metric in ("lpips", "clip_score"):
            made.add(("church", method, metric), dict.fromkeys(names(10), 0.5))
    page = reported(made.write(tmp_path))[0].read_text("utf-8")
    (images,) = data_of(page)["concepts"][0]["images"]
    assert (images["names"], images["more"]) == (names(3), 7)


def test_names_cannot_leave_the_data(tmp_path):
    # A file name is somebody else's text: it must not become part of the page.
    made = Made()
    long = "x" * 300 + "_0_0.png"
    values = {f"{HOSTILE}.png": 1.0, long: 0.0, "0_0_0.png": 0.5, "0_1_0.png": 0.25}
    made.add((HOSTILE, "ORG", "lpips"), values, warnings=HOSTILE)
    made.add((HOSTILE, f"{HOSTILE}2", "lpips"), values)
    made.manifest = {"command": [HOSTILE]}
    page = reported(made.write(tmp_path))[0].read_text("utf-8")
    assert page.count("<script") == 2
    assert page.count("</script>") == 2
    (concept,) = data_of(page)["concepts"]
    assert concept["name"] == printable(HOSTILE)
    assert long in concept["images"][0]["names"]


def test_embedded_json_is_read_back_as_it_was():
    document = {"a": [HOSTILE, "</SCRIPT><!--", 1.5, None]}
    text = embedded_json(document)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == document


def test_the_page_asks_nothing_of_the_network(tmp_path):
    made = Made().add(("church", "ESD", "lpips"), dict.fromkeys(names(5), 0.5))
    page = reported(made.write(tmp_path))[0].read_text("utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src 'none'")
    assert "connect-src" not in policy
    addresses = set(re.findall(r"(?:https?:)?//[\w./]+", page))
    assert addresses <= {"http://www.w3.org/2000/svg"}  # a namespace, never asked for


def concept_of(results):
    (concept,) = data_of(reported(results)[0].read_text("utf-8"))["concepts"]
    return concept


def test_views_and_front_point_at_their_methods(tmp_path):
    # Rows hold places of methods: one off, and every number is another method's.
    concept = concept_of(gone(tmp_path, ESD=0.1, Same=1.0))
    assert concept["damages"] == ["fid", "yolo_person"]
    assert concept["fronts"] == [[1], [1, 2]]
    assert [row[:2] for row in concept["effective"]] == [[0, 1], [1, 0.1], [2, 1]]
    assert "one sample a prompt" in concept["effective_note"]
    assert concept["fates"] == [[0, 60, 0, 0, 0], [1, 6, 0, 54, 0], [2, 60, 0, 0, 0]]


def test_values_of_images_are_in_the_unit_of_the_score(tmp_path):
    # A rate in percent has images of 0 and 1: their means would not be the score.
    results = gone(tmp_path, ESD=0.1)
    scores = [
        replace(row, unit="%" if row.metric == "yolo_person" else "") for row in results.scores
    ]
    concept = concept_of(replace(results, scores=scores))
    values = concept["images"][0]["values"]
    assert set(values["yolo_person"][1]) == {0, 100}
    assert set(values["presence_rate"][1]) == {0, 1}


def test_provenance_is_that_of_every_run(tmp_path):
    made = Made().add(("church", "ESD", "lpips"), dict.fromkeys(names(5), 0.5))
    model = {"clip": {"sha256": "abc", "path": "/w"}}
    before = {"command": ["benchmark.py", "--before"], "folder": "/", "models": model}
    before |= {"metrics": []}
    made.manifest = {"command": ["benchmark.py"], "packages": {"numpy": "2"}, "earlier": [before]}
    page = reported(made.write(tmp_path))[0].read_text("utf-8")
    known = data_of(page)["provenance"]
    assert known["Run 1"] == [["command", "benchmark.py"], ["packages", "numpy: 2"]]
    assert known["Run 2"] == [["command", "benchmark.py --before"]]
    assert known["Models"] == [["clip", "sha256: abc\npath: /w"]]


def test_a_page_says_what_must_be_known_before_its_numbers(tmp_path):
    # A blind judge and a reference with the concept: nothing here is a success.
    made = Made()
    for method in ("ORG", "ESD", "UCE"):
        for metric in ("presence_rate", "presence_rate_mine"):
            made.add(("church", method, metric), dict.fromkeys(names(1, 5), 0.0), (0, 0.43))
        made.add(("church", method, "lpips"), dict.fromkeys(names(1, 5), 0.2 * len(method)))
    made.manifest = {
        "tasks": {"church": "object"},
        "places": [place("church", m, f"forgot/{m}") for m in ("ORG", "ESD", "UCE")],
        "references": [place("church", "", "forgot/ORG")],
    }
    results = made.write(tmp_path)
    paths = reported(results)
    concept = concept_of(results)
    few, judge, reference = concept["remarks"]
    assert few.startswith("Few images (5 a method)")
    assert judge.startswith("Unfit judge, presence_rate: ")
    assert reference.startswith("No reference without the concept: distances (lpips) are")
    assert [m["label"] for m in concept["metrics"]] == [
        "presence_rate (unfit judge)",
        "lpips to ORG",
    ]
    assert [m["higher"] for m in concept["metrics"]] == [None, None]
    assert concept["fronts"] == [[]]
    assert concept["directions"] == [
        "distance from images with the concept: neither direction is better"
    ]
    assert concept["judges"]["unfit"][0].startswith("the judge finds the concept in 0%")
    words = "".join(path.read_text("utf-8") for path in paths if path.suffix in (".md", ".tex"))
    words += json.dumps([concept, data_of(paths[0].read_text("utf-8"))["about"]])
    assert "still present in 0%" not in words
    assert not any(mark in words for mark in ("★", "†", "**", "textbf", "dagger"))


def test_names_with_control_characters_stay_in_their_line(tmp_path):
    made = Made()
    made.add(("a\rb", "x\x1b[2J", "lpips"), {"0_0_0.png": 0.5, "c\u202ed.png": 0.25})
    for path in reported(made.write(tmp_path)):
        if path.suffix != ".png":
            assert not set("\r\x1b\u202e") & set(path.read_text("utf-8")), path.name
    assert concept_of(made.write(tmp_path))["images"][0]["names"] == ["0_0_0.png", "c\\u202ed.png"]


def test_results_of_a_trial_run_say_so_above_everything(tmp_path):
    made = Made(manifest={"partial": True, "limit": 3})
    made.add(("church", "ESD", "lpips"), dict.fromkeys(names(5), 0.5))
    trial = made.write(tmp_path / "trial")
    assert "the first 3 images of each folder" in page(trial, ranked(trial), images=False)
    made.manifest = {}
    whole = made.write(tmp_path / "whole")
    assert '"banner":""' in page(whole, ranked(whole), images=False)


def test_what_a_kill_left_of_the_report_goes_with_the_next(tmp_path):
    made = Made().add(("church", "ESD", "lpips"), dict.fromkeys(names(5), 0.5))
    results = made.write(tmp_path)
    left, other = tmp_path / f".report.html.{'0a' * 16}", tmp_path / ".report.html.mine"
    for path in (left, other):
        path.write_text("half")
    reported(results)
    assert (left.exists(), other.exists()) == (False, True)
