from analysis.notes import number_notes


def test_what_holds_for_every_method_is_said_once_at_the_metric():
    # Eleven methods with three numbers in every cell hide the one that is their own.
    found = number_notes(
        [
            ("ORG", "fid", ["few"]),
            ("ESD", "fid", ["few", "1 left out", "few"]),
            ("ORG", "csdr", ["text"]),
            ("ESD", "csdr", ["few"]),
        ]
    )
    assert found.texts == ["few", "1 left out", "text"]
    assert found.heads == {"fid": [1], "csdr": []}
    assert found.cells == {
        ("ORG", "fid"): [],
        ("ESD", "fid"): [2],
        ("ORG", "csdr"): [3],
        ("ESD", "csdr"): [1],
    }


def test_a_note_of_the_only_method_is_its_own():
    assert number_notes([("ESD", "fid", ["few"])]).cells == {("ESD", "fid"): [1]}


def test_a_name_in_a_note_stays_in_its_line():
    assert number_notes([("ESD", "fid", ["a\rb left out"])]).texts == ["a\\rb left out"]
