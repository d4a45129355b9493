from analysis.verdict import few_images, verdicts
from records.merge import CHANGED
from tests.report.data import Made, gone, names, place, ranked


def said(results):
    return {m: text for (_, m), text in verdicts(results, ranked(results)).items()}


def test_a_verdict_says_what_is_gone_and_what_changed(tmp_path):
    found = said(gone(tmp_path, ESD=0.1, Same=1.0))
    assert found["ESD"] == (
        "church still present in 10% of images [5 to 10] ★, fewer than the original's 100%; "
        "FID 21.2 [20.2 to 22.2]; people in 10% of images, fewer than the original's 100%."
    )
    assert found["Same"] == (
        "church still present in 100% of images [50 to 100], not told from the original's 100%; "
        "FID 21.2 [20.2 to 22.2]."
    )
    assert found["ORG"] == (
        "church still present in 100% of images [50 to 100]; FID 21.2 [20.2 to 22.2]."
    )


def test_nothing_is_said_of_an_original_that_is_not_there(tmp_path):
    made = Made().add(("church", "ESD", "presence_rate"), dict.fromkeys(names(5), 1.0))
    assert said(made.write(tmp_path)) == {"ESD": "church still present in 100% of images."}


def test_what_was_not_tested_is_called_so(tmp_path):
    made = Made()
    for method, rate in (("ORG", 1.0), ("ESD", 0.0), ("UCE", 1.0)):
        made.add(("church", method, "presence_rate"), dict.fromkeys(names(1, 5), rate), (0.6, 1))
    assert said(made.write(tmp_path))["ESD"] == (
        "church still present in 0% of images [60 to 100] †, not tested against the original's "
        "100%."
    )


def test_methods_with_other_images_are_compared_on_those_that_both_have(tmp_path):
    # "Present in 83%, fewer than the original's 75%": the test was of the prompts that both have.
    images = names(40, 5)
    original = {name: float(int(name.split("_")[1]) < 30) for name in images}
    method = {name: float(i % 6 != 0) for i, name in enumerate(images[:150])}
    made = Made().add(("church", "ORG", "presence_rate"), original, (0.7, 0.8))
    made.add(("church", "ESD", "presence_rate"), method, (0.8, 0.9))
    assert "83% of images" in (text := said(made.write(tmp_path))["ESD"])
    assert "on the 150 images that both have fewer than the original's (-17 points)" in text


def test_an_unfit_judge_does_not_say_that_a_concept_is_gone(tmp_path):
    # "Still present in 0%" of a judge that sees it in 0% of the original's reads as a success.
    made = Made()
    for method in ("ORG", "ESD"):
        made.add(("church", method, "presence_rate"), dict.fromkeys(names(5), 0.0), (0, 0.43))
    for sentence in said(made.write(tmp_path)).values():
        assert sentence == (
            "whether church is gone cannot be told "
            "(unfit judge: it sees it in 0% of images [0 to 43])."
        )


def test_a_distance_from_images_with_the_concept_is_called_so(tmp_path):
    made = Made().add(("church", "ESD", "lpips"), dict.fromkeys(names(5), 0.25))
    made.manifest = {
        "tasks": {"church": "object"},
        "places": [place("church", "ESD", "forgot/ESD")],
        "references": [place("church", "", "forgot/ORG")],
    }
    assert said(made.write(tmp_path)) == {"ESD": "LPIPS to ORG's images with the concept 0.250."}


def test_a_score_of_images_that_are_others_now_is_called_so(tmp_path):
    made = Made().add(
        ("church", "ESD", "lpips"), dict.fromkeys(names(5), 0.25), warnings=CHANGED.text
    )
    assert said(made.write(tmp_path)) == {"ESD": f"LPIPS 0.250 ({CHANGED.text})."}


def test_few_images_are_those_of_a_method_and_not_of_a_metric(tmp_path):
    # "Few images (0)": one metric left all five out.
    made = Made().add(("few", "ESD", "lpips"), dict.fromkeys(names(5), 0.5))
    made.scores["few", "ESD", "psnr"] = (None, None, None, 0, "")
    made.add(("many", "ESD", "lpips"), dict.fromkeys(names(50), 0.5))
    made.add(("counted", "ESD", "lpips"), dict.fromkeys(names(3), 0.5))
    unread = place("counted", "ESD", "forgot/ESD", images=60) | {"unreadable": 58}
    made.manifest = {"places": [unread]}
    results = made.write(tmp_path)
    assert few_images(results, "few").startswith("Few images (5 a method)")
    assert few_images(results, "many") == ""
    assert few_images(results, "counted").startswith("Few images (2 a method)")
