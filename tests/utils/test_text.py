import pytest

from utils.text import printable


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\rb\n.png", r"a\rb\n.png"),
        ("\x1b[2J\x7f\x9b", r"\x1b[2J\x7f\x9b"),
        ("a\u2028b\u202egnp.c", r"a\u2028b\u202egnp.c"),
        ("Écône \\ 教会 🙂", "Écône \\ 教会 🙂"),
    ],
)
def test_a_name_stays_on_its_line_and_says_what_it_holds(name, shown):
    # A carriage return in a name would write over the line that names the file.
    assert printable(name) == shown
