from report.plots import damages, write_plots
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
    assert [path.name for path in one] == ["tradeoff_a_b_c.svg", "tradeoff_a_b_c.png"]
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_a_concept_without_presence_has_no_trade_off(tmp_path):
    assert damages(made().write(tmp_path), "plain") == []
