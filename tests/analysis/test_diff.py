import numpy as np

from analysis.diff import changed_software, diff, render
from tests.report.data import Made, drawn, names


def test_changes_are_told_with_their_significance(tmp_path):
    rng = np.random.default_rng(0)
    base = drawn(rng, names(40))
    before, after = Made(), Made()
    for made, shift in ((before, 0.0), (after, 1.0)):
        made.add(
            ("church", "ESD", "lpips"),
            {n: v + shift * (1 + 0.1 * rng.normal()) for n, v in base.items()},
        )
        made.add(("church", "ESD", "csdr"), base)
    after.scores["church", "NEW", "lpips"] = (1.0, None, None, 3, "")
    before.manifest = {"packages": {"torch": "1"}, "models": {"clip": {"sha256": "a"}}}
    after.manifest = {"packages": {"torch": "2"}, "models": {"clip": {"sha256": "b"}}}
    one, two = before.write(tmp_path / "one"), after.write(tmp_path / "two")
    moved, same, new = diff(one, two)
    assert moved.test.significant
    assert 0.9 < moved.test.difference < 1.1
    assert (same.test.difference, same.test.p) == (0, 1)
    assert (new.before, new.after) == (None, 1)
    assert new.test.reason == "only one of the two has it"
    text = render(one, two)
    assert "package torch: 1 -> 2" in text
    assert "model clip sha256: a -> b" in text
    assert "csdr" not in text


def test_a_folder_is_the_same_as_itself(tmp_path):
    results = Made().add(("church", "ESD", "lpips"), dict.fromkeys(names(5), 0.5)).write(tmp_path)
    assert render(results, results) == "the 1 scores are the same"


def test_another_indicator_is_told_though_it_was_not_the_last_run(tmp_path):
    # The presence rate moved because another checker judged, not because the images did.
    head = {"church": {"head": "/a/head.pth", "sha256": "a"}}
    preset = {"church": {"preset": "face", "threshold": 0.45}}
    later = {"models": {"clip": {"path": "/a", "sha256": "c"}}}
    before, after = Made(), Made()
    before.manifest = later | {"earlier": [{"checkers": head}]}
    after.manifest = {"models": {"clip": {"path": "/b", "sha256": "c"}}, "checkers": preset}
    assert changed_software(before.write(tmp_path / "one"), after.write(tmp_path / "two")) == [
        "checker of church preset: - -> face",
        "checker of church sha256: a -> -",
        "checker of church threshold: - -> 0.45",
    ]


def test_a_score_without_values_of_images_still_has_a_difference(tmp_path):
    key = ("church", "ESD", "forgetting_rate")
    folders = []
    for name, value in (("one", 0.25), ("two", 0.75)):
        made = Made()
        made.scores[key] = (value, None, None, 4, "")
        folders.append(made.write(tmp_path / name))
    (change,) = diff(*folders)
    assert change.difference == 0.5
    assert "no values of single images" in change.test.reason
    assert "+0.5" in render(*folders)
    assert "not tested: no values" in render(*folders)
    assert "*" not in render(*folders).replace("*: p below", "")


def test_scores_of_sets_are_compared_over_two_folders(tmp_path):
    # The same prompts are left out in both, so what moves with them is no difference.
    blocks = np.random.default_rng(1).normal(0, 5, 10)
    folders = [
        Made()
        .add_set(("church", "ESD", "fid"), value, dict(enumerate(value + blocks + noise)))
        .write(tmp_path / name)
        for name, value, noise in (
            ("one", 20.0, 0.0),
            ("two", 21.0, 0.01 * np.random.default_rng(2).normal(size=10)),
        )
    ]
    (change,) = diff(*folders)
    assert change.test.difference == 1
    assert change.test.p < 0.001
