import argparse
import errno
import io
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from utils.cli import Parser, add_output_flags, run
from utils.errors import UserError


def parser():
    made = Parser()
    add_output_flags(made)
    made.set_defaults(no_cache=False)
    return made


def raises(error):
    def main(args: argparse.Namespace) -> int:
        raise error

    return main


def test_a_mistake_of_the_program_is_told_from_a_failed_gate(capsys):
    # Exit code 1 is the gate's: a crash must not look like its answer.
    assert run(parser, raises(ValueError("tuple.index(x)\nsecond line")), []) == 70
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "ValueError: tuple.index(x) second line" in said
    kept = Path(said.rsplit(" ", 1)[1].strip())
    assert "Traceback" in kept.read_text()
    kept.unlink()


@pytest.mark.parametrize(("error", "code"), [(ValueError("a bug"), 70), (UserError("a bug"), 2)])
def test_debug_shows_the_traceback_and_keeps_the_exit_code(capsys, error, code):
    # Raised on, the interpreter would make it 1: the code of a failed gate.
    assert run(parser, raises(error), ["--debug"]) == code
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "a bug" in said


class Full(io.TextIOWrapper):
    """A stream on a full disk."""

    def __init__(self):
        super().__init__(io.BytesIO())

    def write(self, text):
        raise OSError(errno.ENOSPC, "No space left on device")


def prints(args: argparse.Namespace) -> int:
    print("failed: ESD")
    print("failed: UCE")
    return 1


def test_output_that_cannot_be_written_leaves_the_exit_code_and_is_said_once(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout", Full())
    assert run(parser, prints, []) == 1
    said = capsys.readouterr().err
    assert said == "standard output could not be written (No space left on device)\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_stream_leaves_the_exit_code(closed):
    program = (
        "import sys; from utils.cli import Parser, add_output_flags, run\n"
        "made = Parser(); add_output_flags(made)\n"
        "sys.exit(run(lambda: made, lambda args: print('failed: ESD') or 1, []))"
    )
    ended = subprocess.run(
        ["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, program],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    said = "standard output could not be written (it is closed)\n"
    assert ended.stderr == (said if closed == ">&-" else "")
    assert ended.stdout == ("failed: ESD\n" if closed == "2>&-" else "")


def test_control_characters_of_a_name_do_not_reach_the_terminal(capsys):
    assert run(parser, raises(UserError("a\x1b[31mb\rc: no such folder")), []) == 2
    assert capsys.readouterr().err == "error: a\\x1b[31mb c: no such folder\n"
