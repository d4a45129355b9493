import csv
import io

import pytest

from utils.text import printable


@pytest.mark.parametrize(
    "text", ["plain", "é ß 雪 😀", "back\\slash", "a\u200db"], ids=["ascii", "letters", "\\", "zwj"]
)
def test_what_can_be_printed_stays_as_it_is(text):
    assert printable(text) == text


@pytest.mark.parametrize("control", ["\r", "\n", "\t", "\x1b", "\u2028", "\u202e", "\udcff"])
def test_a_name_with_a_control_character_stays_in_its_line(control):
    # A carriage return broke scores.csv for good; an escape sequence would reach the terminal.
    shown = printable(f"a{control}b")
    assert shown.isprintable()
    assert shown.startswith("a\\")
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerow([shown, "x"])
    assert list(csv.reader([file.getvalue()])) == [[shown, "x"]]


def test_no_two_names_become_one():
    assert printable("a\\r\n") != printable("a\r\n")
