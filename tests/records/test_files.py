import csv
import json

import pytest

from records.files import folder_digest, write_csv, write_json


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
    rows = [("a,b", 'say "x"'), ("é", None)]
    write_csv(tmp_path / "x.csv", ("one", "two"), rows)
    with (tmp_path / "x.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["one", "two"], ["a,b", 'say "x"'], ["é", ""]]


def test_a_name_that_is_no_utf8_leaves_valid_files(tmp_path):
    name = b"caf\xe9.png".decode(errors="surrogateescape")
    write_json(tmp_path / "x.json", {name: 1})
    write_csv(tmp_path / "x.csv", ("image",), [(name,)])
    assert list(json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))) == [name]
    assert "caf" in (tmp_path / "x.csv").read_text(encoding="utf-8")


def test_folder_digest_is_of_contents_not_of_order():
    images = [("a.png", "1"), ("b.png", "2")]
    assert folder_digest(images) == folder_digest(images[::-1])
    assert folder_digest(images) != folder_digest([("a.png", "1"), ("b.png", "3")])


def test_a_name_with_a_carriage_return_stays_in_its_row_and_cell(tmp_path):
    # Such a file could not be read back, nor overwritten: the folder was lost.
    write_csv(tmp_path / "a.csv", ("method", "n"), [("Demo\rBlur\n", 1), ("b", 2)])
    with (tmp_path / "a.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["method", "n"], ["Demo\\rBlur\\n", "1"], ["b", "2"]]
