from report.compare import ties
from report.verdict import few_images, verdicts
from tests.report.data import Made, gone, names


def said(results):
    return {m: text for (_, m), text in verdicts(results, ties(results)).items()}


def test_a_verdict_says_what_is_gone_and_what_changed(tmp_path):
    found = said(gone(tmp_path, ESD=0.1, Same=1.0))
    assert found["ESD"] == (
        "church still present in 10% of images [5 to 10] ★, fewer than the original's 100%; "
        "FID 21.2; people in 10% of images, fewer than the original's 100%."
    )
    assert found["Same"] == (
        "church still present in 100% of images [50 to 100], not told from the original's 100%; "
        "FID 21.2."
    )
    assert found["ORG"] == "church still present in 100% of images [50 to 100]; FID 21.2."


def test_nothing_is_said_of_an_original_that_is_not_there(tmp_path):
    made = Made().add(("church", "ESD", "presence_rate"), dict.fromkeys(names(5), 1.0))
    assert said(made.write(tmp_path)) == {"ESD": "church still present in 100% of images."}


def test_few_images_are_called_few(tmp_path):
    made = Made().add(("few", "ESD", "lpips"), dict.fromkeys(names(5), 0.5))
    made.add(("many", "ESD", "lpips"), dict.fromkeys(names(50), 0.5))
    results = made.write(tmp_path)
    assert few_images(results, "few").startswith("Few images (5)")
    assert few_images(results, "many") == ""
