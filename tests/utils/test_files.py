import pytest

from utils.errors import UserError
from utils.files import check_folder, check_writable


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
