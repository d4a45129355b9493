import numpy as np

from report.diff import diff, render
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
    assert (new.before, new.after, new.test) == (None, 1, None)
    text = render(one, two)
    assert "torch: 1 -> 2" in text
    assert "clip: a -> b" in text
    assert "csdr" not in text


def test_a_folder_is_the_same_as_itself(tmp_path):
    results = Made().add(("church", "ESD", "lpips"), dict.fromkeys(names(5), 0.5)).write(tmp_path)
    assert render(results, results) == "the 1 scores are the same"
