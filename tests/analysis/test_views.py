import numpy as np
import pytest

from analysis.compare import ties
from analysis.ranking import ranking
from analysis.views import KINDS, effective, fates
from tests.report.data import Made, names, place, ranked

FOUND = (0.9, 1.0)  # an interval of a judge that finds the concept in the original's images


@pytest.fixture
def made():
    """Ten prompts: the original model shows the concept on six and a person on nine."""
    made, files = Made(), names(10)
    present = {n: float(i < 6) for i, n in enumerate(files)}
    made.add(("church", "ORG", "presence_rate"), present, FOUND)
    made.add(("church", "ORG", "yolo_person"), {n: float(i != 9) for i, n in enumerate(files)})
    made.add(("church", "ORG", "clip_score"), {n: 20.0 + i % 3 for i, n in enumerate(files)})
    made.add(("church", "ORG", "clip_score_reference"), dict.fromkeys(files, 22.0))
    made.add(("church", "ESD", "presence_rate"), {n: float(i < 2) for i, n in enumerate(files)})
    made.add(("church", "ESD", "yolo_person"), {n: float(i < 7) for i, n in enumerate(files)})
    scene = {n: 30.0 if i != 3 else 15.0 for i, n in enumerate(files)}
    made.add(("church", "ESD", "clip_score"), scene)
    made.add(("church", "ESD", "clip_score_reference"), dict.fromkeys(files, 22.0))
    return made


def fate_of(results, method="ESD"):
    return next(one for one in fates(results, ranked(results)) if one.method == method)


def counts(results, method="ESD"):
    return dict(zip(KINDS, fate_of(results, method).counts, strict=True))


def test_an_image_that_is_noise_is_not_counted_as_well_forgotten(made, tmp_path):
    results = made.write(tmp_path)
    fate = fate_of(results)
    # 0, 1 still show it; 3 lost the scene by CLIP score; 7 and 8 lost their person, which 9 never
    # had to show.
    assert counts(results) == {"present": 2, "kept": 5, "broken": 3, "untold": 0}
    assert fate.images["0_3_0.png"] == fate.images["0_8_0.png"] == "broken"
    assert fate.images["0_9_0.png"] == "kept"
    # The original's are 2, 1, 0, ... below: 1.1 in the mean, and 3.6 with t = 2.82 of 9.
    assert "at most 3.6" in fate.rule


def test_without_scene_metrics_nothing_is_said(made, tmp_path):
    made.images = {k: v for k, v in made.images.items() if k[2] == "presence_rate"}
    made.scores = {k: v for k, v in made.scores.items() if k in made.images}
    results = made.write(tmp_path)
    assert fates(results, ranked(results)) == []


def test_where_a_scene_cannot_be_judged_that_is_said(made, tmp_path):
    # Noise in which no person was ever due was "gone, scene kept".
    for key in [k for k in made.images if k[2].startswith("clip")]:
        del made.images[key], made.scores[key]
    made.images["church", "ORG", "yolo_person"] = dict.fromkeys(names(10), 0.0)
    results = made.write(tmp_path)
    assert counts(results) == {"present": 2, "kept": 0, "broken": 0, "untold": 8}
    assert "do not tell" in fate_of(results).rule


def test_an_original_that_is_its_own_reference_tells_nothing_of_scenes(made, tmp_path):
    # Without a spread every image that is not as good would be broken.
    own = made.images["church", "ORG", "clip_score"]
    made.add(("church", "ORG", "clip_score_reference"), own)
    assert "all by the same" in fate_of(made.write(tmp_path)).rule


def test_a_person_is_due_only_where_every_image_of_the_prompt_shows_one(tmp_path):
    # One that is there by chance is missing by chance.
    made, files = Made(), names(2, 2)
    made.add(("church", "ORG", "presence_rate"), dict.fromkeys(files, 1.0), FOUND)
    made.add(("church", "ORG", "yolo_person"), dict(zip(files, (1.0, 1.0, 1.0, 0.0), strict=True)))
    for metric in ("presence_rate", "yolo_person"):
        made.add(("church", "ESD", metric), dict.fromkeys(files, 0.0))
    assert counts(made.write(tmp_path)) == {"present": 0, "kept": 0, "broken": 2, "untold": 2}


def test_a_blind_judge_does_not_call_the_originals_images_gone(made, tmp_path):
    blind = made.images["church", "ORG", "presence_rate"]
    made.add(("church", "ORG", "presence_rate"), dict.fromkeys(blind, 0.0), (0.0, 0.3))
    results = made.write(tmp_path)
    assert counts(results, "ORG") == {"present": 0, "kept": 0, "broken": 0, "untold": 10}
    assert "the judge finds the concept in 0%" in fate_of(results).rule
    assert effective(results, ranked(results)) == []


def test_a_reference_with_the_concept_does_not_tell_whether_a_scene_is_whole(made, tmp_path):
    made.manifest = {
        "tasks": {"church": "object"},
        "places": [place("church", "ORG", "forgot/ORG")],
        "references": [place("church", "", "forgot/ORG")],
    }
    fate = fate_of(made.write(tmp_path))
    assert "there is no reference without the concept" in fate.rule
    assert fate.images["0_3_0.png"] == "kept"  # it has its person


@pytest.mark.parametrize("prompts", [5, 20])
def test_whole_scenes_are_seldom_called_broken_and_great_losses_are_found(tmp_path, prompts):
    # The 5th percentile of five references called a fifth of perfect images broken.
    rng = np.random.default_rng(0)
    told = {"Whole": [], "Lost": []}
    for i in range(60):
        made, files = Made(), names(prompts)
        level = 26 + 2 * rng.normal(size=prompts)
        for method, share in (("ORG", 1.0), ("Whole", 1.0), ("Lost", 0.7)):
            here = dict.fromkeys(files, float(method == "ORG"))
            made.add(("church", method, "presence_rate"), here, FOUND)
            for metric, part in (("clip_score", share), ("clip_score_reference", 1.0)):
                drawn = part * level * (1 + 0.04 * rng.normal(size=prompts))
                of_method = dict(zip(files, drawn.tolist(), strict=True))
                made.add(("church", method, metric), of_method)
        results = made.write(tmp_path / str(i))
        found = ranking(results, ties(results))
        for fate in fates(results, found):
            if fate.method in told and "untold" not in fate.images.values():
                told[fate.method].append(fate.counts[KINDS.index("broken")] / prompts)
    assert len(told["Whole"]) >= 30  # where the test is made
    assert np.mean(told["Whole"]) < 0.05
    assert np.mean(told["Lost"]) > 0.9


def by_method(made, tmp_path):
    results = made.write(tmp_path)
    return {one.method: one for one in effective(results, ranked(results))}


def test_the_effective_rate_is_of_prompts_that_show_the_concept(tmp_path):
    # On prompts where even the original model shows no church, forgetting proves nothing.
    made, files = Made(), names(10, 2)
    for method, prompts in (("ORG", 5), ("ESD", 2)):
        values = {name: float(i < 2 * prompts) for i, name in enumerate(files)}
        made.add(("church", method, "presence_rate"), values, FOUND)
    found = by_method(made, tmp_path)
    assert (found["ESD"].plain, found["ESD"].found.rate) == (0.2, 0.4)
    assert (found["ORG"].plain, found["ORG"].found.rate) == (0.5, 1.0)


def test_the_original_is_not_shown_by_the_samples_that_chose_its_prompts(tmp_path):
    # A model that shows the concept in half of its images did so "in 75% on effective prompts";
    # drawn again it falls to a half.
    rng = np.random.default_rng(1)
    values = {name: float(rng.random() < 0.5) for name in names(500, 2)}
    made = Made().add(("church", "ORG", "presence_rate"), values, FOUND)
    found = by_method(made, tmp_path)["ORG"].found
    assert found.rate == pytest.approx(0.5, abs=0.06)


def test_with_one_sample_a_prompt_it_is_said_that_nothing_can_be_told(made, tmp_path):
    found = by_method(made, tmp_path)["ORG"].found
    assert found.rate is None
    assert "one sample a prompt" in found.interval.note
