import re

import numpy as np

from metrics.fid import MOSTLY_BIAS, Fid
from report.plots import damages, file_stems, pareto, write_plots
from tests.metrics.data import Data
from tests.report.data import Made, names, place, ranked


def made():
    made = Made()
    for method, value in (("ORG", 0.9), ("ESD", 0.1), ("$x_{", 0.2)):
        made.add(("a/b $c", method, "presence_rate"), dict.fromkeys(names(5), value), (0, 1))
        made.add(("a/b $c", method, "lpips"), dict.fromkeys(names(5), 1 - value))
        made.add(("plain", method, "lpips"), dict.fromkeys(names(5), 1 - value))
    return made


def test_plots_are_the_same_for_the_same_numbers(tmp_path):
    # A plot that changes with the day cannot be reviewed in a diff.
    both = [made().write(tmp_path / name) for name in ("one", "two")]
    one, two = (write_plots(results, ranked(results)) for results in both)
    stems = ("tradeoff_a_b_c", "bars_a_b_c", "bars_plain")
    assert [path.name for path in one] == [f"{s}.{kind}" for s in stems for kind in ("svg", "png")]
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_a_concept_without_presence_has_no_trade_off(tmp_path):
    results = made().write(tmp_path)
    assert damages(results, ranked(results), "plain") == []


def test_files_of_concepts_never_meet():
    # One concept's plot would stand under another's name.
    concepts = ["a b", "a/b", "A_B", "../..", "", "x" * 300, "x" * 301]
    stems = file_stems(concepts)
    assert list(stems) == concepts
    assert len({stem.casefold() for stem in stems.values()}) == len(concepts)
    assert all(re.fullmatch("[0-9A-Za-z_-]{1,90}", stem) for stem in stems.values())


def test_the_front_is_of_methods_that_none_beats(tmp_path):
    points = {"ORG": (0.0, 0), "A": (0.1, 30), "B": (0.2, 20), "C": (0.2, 25), "D": (0.3, 20)}
    points |= {"E": (0.1, 30), "F": (0.9, 1)}
    made = Made()
    for method, (presence, fid) in points.items():
        made.scores["c", method, "presence_rate"] = (presence, None, None, 9, "")
        made.scores["c", method, "fid"] = (fid, None, None, 9, "")
        made.scores["c", method, "yolo_person"] = (fid, None, None, 9, "")
    results = made.write(tmp_path)
    found = ranked(results)
    assert pareto(results, found, "c", "fid") == ["A", "E", "B", "F"]  # A and E: equal, both stay
    assert pareto(results, found, "c", "yolo_person") == [
        "A",
        "E",
    ]  # higher is better: all else is beaten
    assert pareto(results, found, "c", "lpips") == []  # nobody has it


def test_the_front_leaves_out_what_ranks_no_method(tmp_path):
    # Among images with the concept the nearest has forgotten nothing; a blind judge sees all gone.
    made = Made()
    for method, rate in (("ORG", 0.1), ("A", 0.0), ("B", 0.1)):
        made.add(("blind", method, "presence_rate"), dict.fromkeys(names(5), rate), (0, 0.4))
        made.add(("near", method, "presence_rate"), dict.fromkeys(names(5), rate), (0.6, 1))
        for concept in ("blind", "near"):
            for metric in ("lpips", "clip_score"):
                made.add((concept, method, metric), dict.fromkeys(names(5), 1 - rate))
    made.manifest = {
        "tasks": {"near": "object"},
        "places": [place("near", "ORG", "forgot/ORG")],
        "references": [place("near", "", "forgot/ORG")],
    }
    results = made.write(tmp_path)
    found = ranked(results)
    assert pareto(results, found, "blind", "lpips") == []
    assert pareto(results, found, "near", "lpips") == []
    assert pareto(results, found, "near", "clip_score") == ["A"]
    assert damages(results, found, "near") == ["clip_score", "lpips"]


def test_a_fid_of_few_images_leads_nothing(tmp_path):
    # It is mostly bias: five images' FID chose the verdict's first number and the plot's axis.
    made = Made()
    for method in ("ORG", "ESD"):
        made.add(("church", method, "presence_rate"), dict.fromkeys(names(5), 0.9), (0.6, 1))
        made.scores["church", method, "fid"] = (30.0, 29.0, 31.0, 5, "mostly_bias: under 2048")
        made.add(("church", method, "lpips"), dict.fromkeys(names(5), 0.5))
        made.scores["church", method, "kid"] = (0.1, 0.0, 0.2, 5, "")
    results = made.write(tmp_path)
    assert damages(results, ranked(results), "church") == ["kid", "lpips", "fid"]


def test_nothing_is_plotted_against_a_metric_without_a_direction(tmp_path):
    # The front would take it for one of which less is better.
    made = Made()
    for metric in ("presence_rate", "ssim", "fid"):
        made.scores["c", "ESD", metric] = (0.5, None, None, 9, "")
    results = made.write(tmp_path)
    assert damages(results, ranked(results), "c") == ["fid"]  # no direction is written of ssim


def test_fid_says_so_where_it_is_mostly_bias():
    # By these words it is told from one that may lead.
    rows = np.random.default_rng(0).normal(size=(4, 8))
    codes = [warning.code for warning in Fid().score(Data(rows, rows))[0].warnings]
    assert MOSTLY_BIAS in codes


def whiskers(folder, *intervals):
    made = Made()
    for method, interval in zip(("ORG", "ESD"), intervals, strict=True):
        made.add(("church", method, "lpips"), dict.fromkeys(names(5), 0.5), interval)
    results = made.write(folder)
    paths = write_plots(results, ranked(results))
    return paths[0].read_text().count('id="LineCollection')


def test_a_bar_without_an_interval_has_no_whisker(tmp_path):
    # One of no width reads as certainty.
    assert whiskers(tmp_path / "2", (0.4, 0.6), (0.4, 0.6)) == 2
    assert whiskers(tmp_path / "1", (0.4, 0.6), (None, None)) == 1
    assert whiskers(tmp_path / "0", (None, None), (None, None)) == 0
