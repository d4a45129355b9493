import os

import pytest

from utils.errors import UserError
from utils.files import check_folder, check_writable, read_text


def test_an_unwritable_folder_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"--results-dir .*cannot be written"):
        check_writable(tmp_path / "file" / "sub", "--results-dir")


def test_what_is_no_folder_is_named_with_its_flag(tmp_path):
    (tmp_path / "file").touch()
    for name, message in (
        ("gone", "no such folder"),
        ("file", "not a folder"),
        ("a" * 300, "long"),
    ):
        with pytest.raises(UserError, match=f"--images .*{message}"):
            check_folder(tmp_path / name, "--images")


def test_text_is_read_with_and_without_a_mark(tmp_path):
    for data in (b"caf\xc3\xa9", b"\xef\xbb\xbfcaf\xc3\xa9"):
        (tmp_path / "x").write_bytes(data)
        assert read_text(tmp_path / "x", 8) == "caf\u00e9"


def test_what_is_no_small_text_file_is_one_line_and_does_not_hang(tmp_path):
    # A pipe waits for a writer, a device never ends, a sparse file fills the memory.
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(6 << 30)
    for name, message in {
        "pipe": "not a regular file",
        "link": "not a regular file",
        "latin": "not UTF-8",
        "large": "over 0.001 MB",
        "gone": "no such file",
        ".": "Is a directory",
    }.items():
        with pytest.raises(UserError, match=message):
            read_text(tmp_path / name, 1000)
