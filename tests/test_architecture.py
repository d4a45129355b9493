"""Rooms import one way, as docs/architecture.md draws it."""

import ast

from tests.conftest import ROOT

# A room may import itself and those on the lines before its own.
ORDER = [
    ["utils"],
    ["stats", "inputs", "model_files"],
    ["extractors"],
    ["features"],
    ["checkers", "metrics"],
    ["records"],
    ["evaluation"],
    ["analysis"],
    ["report"],
    ["compat"],
    ["igmu"],
]
LEVEL = {room: level for level, rooms in enumerate(ORDER) for room in rooms}


def imported(path):
    """The rooms that a module imports, also within its functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def test_no_room_imports_one_above_it():
    # A circle between rooms makes each of them impossible to read, or to test, alone.
    wrong = {
        f"{path.relative_to(ROOT)} imports {other}"
        for room, level in LEVEL.items()
        for path in (ROOT / room).glob("*.py")
        for other in imported(path)
        if other in LEVEL and other != room and LEVEL[other] >= level
    }
    assert wrong == set()


def test_every_room_is_in_the_order_and_in_the_document():
    text = (ROOT / "docs" / "architecture.md").read_text()
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert rooms == set(LEVEL)
    assert all(f"{room}/" in text for room in rooms)


def test_what_the_published_scripts_do_is_known_to_nothing_else():
    rooms = [path for room in LEVEL if room != "compat" for path in (ROOT / room).glob("*.py")]
    assert [path for path in rooms if "compat" in imported(path)] == []
