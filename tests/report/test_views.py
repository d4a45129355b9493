import pytest

from report.views import effective, fates
from tests.report.data import Made, names


@pytest.fixture
def made():
    """Ten prompts: the original model shows the concept on six and a person on all."""
    made, files = Made(), names(10)
    made.add(("church", "ORG", "presence_rate"), {n: float(i < 6) for i, n in enumerate(files)})
    made.add(("church", "ORG", "yolo_person"), dict.fromkeys(files, 1.0))
    made.add(("church", "ESD", "presence_rate"), {n: float(i < 2) for i, n in enumerate(files)})
    made.add(("church", "ESD", "yolo_person"), {n: float(i < 7) for i, n in enumerate(files)})
    scene = {n: 30.0 if i != 3 else 5.0 for i, n in enumerate(files)}
    made.add(("church", "ESD", "clip_score"), scene)
    made.add(("church", "ESD", "clip_score_reference"), dict.fromkeys(files, 20.0))
    return made


def test_an_image_that_is_noise_is_not_counted_as_well_forgotten(made, tmp_path):
    (fate,) = (one for one in fates(made.write(tmp_path)) if one.method == "ESD")
    # 0, 1 still show it; 3 lost the scene by CLIP score; 7, 8, 9 lost their person.
    assert (fate.present, fate.kept, fate.broken, fate.n) == (2, 4, 4, 10)
    assert fate.images["0_3_0.png"] == fate.images["0_8_0.png"] == "broken"
    assert "20" in fate.rule


def test_without_scene_metrics_nothing_is_said(made, tmp_path):
    made.images = {k: v for k, v in made.images.items() if k[2] == "presence_rate"}
    assert fates(made.write(tmp_path)) == []


def test_the_effective_rate_is_of_prompts_that_show_the_concept(made, tmp_path):
    # On prompts where even the original model shows no church, forgetting proves nothing.
    own = {one.method: one for one in effective(made.write(tmp_path))}["ESD"]
    assert (own.prompts, own.n, own.rate, own.plain) == (6, 6, pytest.approx(1 / 3), 0.2)
    assert own.ci_low < own.rate < own.ci_high
