import pytest

from inputs.grouping import parse_grouping
from inputs.prompts import prompt_key
from utils.errors import UserError


def keys(text, *paths):
    grouping = parse_grouping(text)
    return [prompt_key(grouping.name(path)) for path in paths]


def test_a_name_with_a_prompt_is_the_same_path_as_without():
    name = parse_grouping(r"p(\d+)").name("p12_s3.png")
    assert (name, {name: 1}["p12_s3.png"]) == ("p12_s3.png", 1)


def test_groups_of_an_expression_are_the_prompt_or_all_that_it_matches():
    assert keys(r"^p(\d+)", "p1_a.png", "p1_b.png", "p12_a.png") == ["1", "1", "12"]
    assert keys(r"(\w)/p(\d)(x)?", "a/p1.png", "b/p1.png") == ["a_1_", "b_1_"]
    assert keys(r"^[^_]+", "cat_1.png", "cat_2.png") == ["cat", "cat"]


def test_a_table_says_the_prompt_of_each_file_with_or_without_its_extension(tmp_path):
    table = tmp_path / "prompts.csv"
    table.write_text("seed,file,prompt\n1,a/x.png,a cat\n2,a/y,a cat\n3,z.png,a dog\n")
    assert keys(str(table), "a/x.png", "a/y.jpg", "z.webp") == ["a cat", "a cat", "a dog"]


def test_folders_can_be_kept_apart():
    grouping = parse_grouping(r"\d").within_folders()
    assert prompt_key(grouping.name("Cat/1_a.png")) == "Cat/1"
    with pytest.raises(UserError, match=r"says nothing of Cat/x\.png"):
        grouping.name("Cat/x.png")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file;prompt\nx;y\n", ":1: needs the columns file and prompt"),
        ("", ":1: needs the columns"),
        ("file,prompt\nx.png\n", ":2: lacks a file or a prompt"),
        ("file,prompt\nx.png,a\nx,b\n", ":3: x has another prompt above"),
        ('file,prompt\n"x.png,a\n' + "b" * 200_000, "no CSV"),
    ],
)
def test_a_table_that_is_none_is_one_line(tmp_path, content, message):
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(UserError, match=message):
        parse_grouping(str(tmp_path / "t.csv"))


def test_an_image_of_no_group_and_an_expression_that_is_none_are_errors():
    with pytest.raises(UserError, match=r"says nothing of b\.png"):
        keys("^a", "b.png")
    with pytest.raises(UserError, match=r"no regular expression \(missing \)"):
        parse_grouping("(")
    with pytest.raises(UserError, match="no such file"):
        parse_grouping("gone.csv")
