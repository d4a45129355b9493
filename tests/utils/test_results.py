import csv
import json

import pytest

from utils.errors import UserError
from utils.results import check_writable, folder_digest, write_csv, write_json


def test_json_is_rewritten_whole(tmp_path):
    # The published scripts appended, so the second run left an invalid file.
    path = tmp_path / "FID.json"
    write_json(path, {"FID": {"forgot": {"ESD": 1.0}}})
    write_json(path, {"FID": {}})
    assert json.loads(path.read_text()) == {"FID": {}}
    assert [p.name for p in tmp_path.iterdir()] == ["FID.json"]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError):
        write_json(path, {"a": float("nan")})  # would not be valid JSON
    assert json.loads(path.read_text()) == {"a": 1}
    assert len(list(tmp_path.iterdir())) == 1


def test_csv_quotes_what_needs_it(tmp_path):
    rows = [("a,b", 'say "x"'), ("é\n", None)]
    write_csv(tmp_path / "x.csv", ("one", "two"), rows)
    with (tmp_path / "x.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["one", "two"], ["a,b", 'say "x"'], ["é\n", ""]]


def test_an_unwritable_folder_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"--results-dir .*cannot be written"):
        check_writable(tmp_path / "file" / "sub")


def test_folder_digest_is_of_contents_not_of_order():
    images = [("a.png", "1"), ("b.png", "2")]
    assert folder_digest(images) == folder_digest(images[::-1])
    assert folder_digest(images) != folder_digest([("a.png", "1"), ("b.png", "3")])
