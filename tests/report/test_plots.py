import re

from report.plots import damages, file_stems, pareto, write_plots
from tests.report.data import Made, names


def made():
    made = Made()
    for method, value in (("ORG", 0.9), ("ESD", 0.1), ("$x_{", 0.2)):
        made.add(("a/b $c", method, "presence_rate"), dict.fromkeys(names(5), value), (0, 1))
        made.add(("a/b $c", method, "lpips"), dict.fromkeys(names(5), 1 - value))
        made.add(("plain", method, "lpips"), dict.fromkeys(names(5), 1 - value))
    return made


def test_plots_are_the_same_for_the_same_numbers(tmp_path):
    # A plot that changes with the day cannot be reviewed in a diff.
    one, two = (write_plots(made().write(tmp_path / name)) for name in ("one", "two"))
    stems = ("tradeoff_a_b_c", "bars_a_b_c", "bars_plain")
    assert [path.name for path in one] == [f"{s}.{kind}" for s in stems for kind in ("svg", "png")]
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_a_concept_without_presence_has_no_trade_off(tmp_path):
    assert damages(made().write(tmp_path), "plain") == []


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
    assert pareto(results, "c", "fid") == ["A", "E", "B", "F"]  # A and E: equal, both stay
    assert pareto(results, "c", "yolo_person") == ["A", "E"]  # higher is better: all else is beaten
    assert pareto(results, "c", "lpips") == []  # nobody has it


def test_nothing_is_plotted_against_a_metric_without_a_direction(tmp_path):
    # The front would take it for one of which less is better.
    made = Made()
    for metric in ("presence_rate", "ssim", "fid"):
        made.scores["c", "ESD", metric] = (0.5, None, None, 9, "")
    assert damages(made.write(tmp_path), "c") == ["fid"]  # no direction is written of ssim
