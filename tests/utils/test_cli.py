import argparse
from pathlib import Path

import pytest

from utils.cli import Parser, add_output_flags, run, store_dir
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
    assert run(parser(), raises(ValueError("tuple.index(x)\nsecond line")), []) == 70
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "ValueError: tuple.index(x) second line" in said
    kept = Path(said.rsplit(" ", 1)[1].strip())
    assert "Traceback" in kept.read_text()
    kept.unlink()


def test_debug_shows_the_traceback():
    with pytest.raises(ValueError, match="a bug"):
        run(parser(), raises(ValueError("a bug")), ["--debug"])


def test_control_characters_of_a_name_do_not_reach_the_terminal(capsys):
    assert run(parser(), raises(UserError("a\x1b[31mb\rc: no such folder")), []) == 2
    assert capsys.readouterr().err == "error: a\\x1b[31mb c: no such folder\n"


def test_a_store_with_rows_may_be_read_only_and_an_empty_one_may_not(tmp_path, monkeypatch):
    # Whether it lacks a row is found before the first is computed; an empty one lacks all.
    def refused(folder, option):
        raise UserError(f"{option} {folder}: cannot be written")

    monkeypatch.setattr("utils.cli.check_writable", refused)
    args = argparse.Namespace(no_cache=False, cache_dir=tmp_path)
    with pytest.raises(UserError, match="cannot be written"), store_dir(args):
        pass
    (tmp_path / "nudenet-1").mkdir()
    (tmp_path / "nudenet-1" / "part-1.parquet").touch()
    with store_dir(args) as folder:
        assert folder == tmp_path
