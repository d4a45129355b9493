import pytest

from metrics.spec import ScoreKey
from tests.report.data import Made, gone, names, place, ranked

WELL = (0.9, 1.0)  # an interval of a judge that finds the concept in the original's images


def marks(results):
    return {(key.method, key.column): mark for key, mark in ranked(results).marks.items()}


def made(of, **shares):
    """Presence of a church in a share of the images of each method."""
    result = Made()
    for method, share in shares.items():
        values = {name: float(i < share * len(of)) for i, name in enumerate(of)}
        result.add(("church", method, "presence_rate"), values, WELL)
    return result


def test_the_best_that_was_tested_is_told_from_the_best_that_was_not(tmp_path):
    # A star on five images of one prompt would read as a finding.
    tested = made(names(60), ORG=1, ESD=0.1, UCE=0.8)
    assert marks(tested.write(tmp_path / "60")) == {("ESD", "presence_rate"): "best"}
    untested = made(names(1, 5), ORG=1, ESD=0.2, UCE=0.8).write(tmp_path / "1")
    assert marks(untested) == {("ESD", "presence_rate"): "untested"}
    (meaning,) = ranked(untested).meanings(untested.by_key, {"untested": "†"})
    assert meaning.startswith("†: the best value, not tested (")


def test_where_all_are_equal_and_untested_none_is_the_best(tmp_path):
    results = made(names(1, 5), ORG=1, ESD=0, UCE=0)
    results.add(("church", "ESD", "yolo_person"), dict.fromkeys(names(1, 5), 0.0))
    results.add(("church", "UCE", "yolo_person"), dict.fromkeys(names(1, 5), 0.0))
    assert marks(results.write(tmp_path)) == {}


def test_a_presence_rate_not_told_from_the_originals_is_no_success(tmp_path):
    # "Present in 100%" would have a star, as the best of two that have not forgotten.
    assert marks(gone(tmp_path, ESD=1.0, Same=1.0)) == {
        (method, "yolo_person"): "best" for method in ("ESD", "Same")
    }


def test_an_untested_presence_rate_as_high_as_the_originals_is_no_success(tmp_path):
    assert marks(made(names(1, 5), ORG=0.8, ESD=0.8, UCE=1).write(tmp_path)) == {}


def test_an_unfit_judge_ranks_no_method(tmp_path):
    # Blind to churches it would call them gone from every method.
    blind = made(names(60), ORG=0.1, ESD=0, UCE=0.1)
    for key in blind.images:
        blind.add(key, blind.images[key], (0, 0.2))
    results = blind.write(tmp_path)
    found = ranked(results)
    assert found.marks == {}
    assert found.label("church", "presence_rate") == "presence_rate (unfit judge)"
    assert (
        found.higher_is_better(results.by_key[ScoreKey.of("church", "ESD", "presence_rate")])
        is None
    )
    (remark,) = found.remarks("church", ["presence_rate"])
    assert remark.startswith("Unfit judge, presence_rate: the judge finds the concept in 10%")


def compared(tmp_path, reference, tasks, metric="lpips"):
    result = Made()
    for method, value in (("ORG", 0.0), ("ESD", 0.3), ("UCE", 0.5)):
        values = {name: value + 0.01 * i for i, name in enumerate(names(20))}
        result.add(("church", method, metric), values)
        result.add(("church", method, f"{metric}_object"), values)
    result.manifest = {
        "tasks": tasks,
        "places": [place("church", m, f"Church/forgot/{m}") for m in ("ESD", "UCE")],
        "references": [
            place("church", "", reference),
            place("church", "", "Church/unrelated/ORG", "unrelated"),
        ],
    }
    return result.write(tmp_path)


def test_a_distance_from_images_with_the_concept_ranks_no_method(tmp_path):
    # The model that forgets nothing is nearest to them.
    results = compared(tmp_path, "Church/forgot/ORG", {"church": "object"})
    found = ranked(results)
    assert {key.column for key in found.marks} == {"lpips_object"}
    assert found.label("church", "lpips") == "lpips to ORG"
    assert found.higher_is_better(results.by_key[ScoreKey.of("church", "ESD", "lpips")]) is None
    (remark,) = found.remarks("church", ["lpips", "lpips_object"])
    assert remark.startswith("No reference without the concept: distances (lpips) are")


@pytest.mark.parametrize(
    ("reference", "tasks", "metric"),
    [
        ("Church/remove_word/ORG", {"church": "object"}, "lpips"),
        ("Church/forgot/ORG", {}, "lpips"),  # plain folders: of what, nobody knows
        ("Church/forgot/ORG", {"church": "object"}, "clip_score"),  # is compared with a text
    ],
)
def test_other_scores_keep_their_direction(tmp_path, reference, tasks, metric):
    found = ranked(compared(tmp_path, reference, tasks, metric))
    assert {key.column for key in found.marks} == {metric, f"{metric}_object"}
    assert found.label("church", metric) == metric
    assert found.remarks("church", [metric]) == []


def test_what_is_stale_has_no_mark(tmp_path):
    from records.merge import CHANGED

    result = made(names(60), ORG=1, ESD=0.1, UCE=0.5)
    numbers = result.scores["church", "ESD", "presence_rate"]
    result.scores["church", "ESD", "presence_rate"] = (*numbers[:-1], CHANGED.text)
    assert ("ESD", "presence_rate") not in marks(result.write(tmp_path))
