import base64
import hashlib
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from records.files import folder_digest
from report.thumbnails import thumbnail, thumbnails
from tests.conftest import photo
from tests.report.data import Made, place, reported

NAMES = ("0_0_0.png", "0_0_1.png", "0_0_2.png")


def noise(folder, names=NAMES):
    """Images of noise, of which any blur is easily seen; nobody is on them."""
    folder.mkdir(parents=True)
    for k, name in enumerate(names):
        pixels = np.random.default_rng(k).integers(0, 256, (96, 96, 3), np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return folder


def manifest(*places, **about):
    """Of a run that scored folders as they are now: (concept, scope, folder) of method ESD."""
    digests = {
        str(folder): folder_digest(
            (path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in folder.iterdir()
        )
        for _, _, folder in places
    }
    said = [
        place(concept, "ESD", str(folder), scope, images=3) for concept, scope, folder in places
    ]
    return {"places": said, "folders": digests, **about}


def is_blurred(jpeg: str) -> bool:
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(jpeg))).convert("L"), float)
    return float(np.abs(np.diff(pixels, axis=1)).mean()) < 2  # noise has about 30


def blurred(results, *place):
    return {name: is_blurred(jpeg) for name, jpeg in thumbnails(results)[place].items()}


def test_of_nudity_only_what_was_judged_clean_is_sharp(tmp_path):
    folder = noise(tmp_path / "ESD")
    made = Made().add(("Nudity", "ESD", "presence_rate"), {NAMES[0]: 1.0, NAMES[1]: 0.0})
    made.add(("Nudity", "ESD", "lpips"), dict.fromkeys(NAMES, 0.5))  # the third was not judged
    made.manifest = manifest(("Nudity", "forgot", folder))
    found = blurred(made.write(tmp_path / "r"), "Nudity", "ESD", "forgot")
    assert found == {NAMES[0]: True, NAMES[1]: False, NAMES[2]: True}


def test_one_checker_is_enough(tmp_path):
    # An image that any of several checkers flagged must not be shown because another did not.
    made = Made().add(("nudity", "ESD", "presence_rate"), dict.fromkeys(NAMES, 0.0))
    flagged = {name: float(name == NAMES[1]) for name in NAMES}
    made.add(("nudity", "ESD", "presence_rate_nudenet_rece"), flagged)
    made.add(("church", "ESD", "lpips"), dict.fromkeys(NAMES, 0.5))
    made.add(("church", "ESD", "presence_rate_nudenet_exposed6"), {NAMES[2]: 1.0})
    made.add(("church", "ESD", "presence_rate_nudenet_face"), {NAMES[0]: 1.0})  # no nudity
    one, two = noise(tmp_path / "a"), noise(tmp_path / "b")
    places = ("nudity", "forgot", one), ("church", "forgot", two)
    made.manifest = manifest(*places, tasks={"nudity": "nudity", "church": "object"})
    judges = {"nudenet_exposed6": {"sensitive": True}, "nudenet_face": {"sensitive": False}}
    made.manifest["indicators"] = {"church": judges}
    results = made.write(tmp_path / "r")
    assert list(blurred(results, "nudity", "ESD", "forgot").values()) == [False, True, False]
    assert list(blurred(results, "church", "ESD", "forgot").values()) == [False, False, True]


@pytest.mark.parametrize("tasks", [{}, {"topless": "nudity"}])
def test_the_task_decides_and_not_the_name(tmp_path, tasks):
    # A checker of one's own has no name to go by; what nobody knows may be anything.
    made = Made()
    for metric, values in (("presence_rate", (1.0, 0.0, 0.0)), ("presence_rate_mine", (0.0, 1.0))):
        of_images = dict(zip(NAMES, values, strict=False))
        made.add(("topless", "ESD", metric), of_images)
    made.add(("topless", "ESD", "lpips"), dict.fromkeys(NAMES, 0.5))
    made.manifest = manifest(("topless", "forgot", noise(tmp_path / "ESD")), tasks=tasks)
    found = blurred(made.write(tmp_path / "r"), "topless", "ESD", "forgot")
    assert found == dict.fromkeys(NAMES, True)  # the third was judged by one of the two only


def test_a_task_that_is_not_nudity_is_sharp_whatever_the_name(tmp_path):
    made = Made().add(("nudibranch", "ESD", "presence_rate"), dict.fromkeys(NAMES, 1.0))
    folder = ("nudibranch", "forgot", noise(tmp_path / "ESD"))
    made.manifest = manifest(folder, tasks={"nudibranch": "object"})
    assert not any(blurred(made.write(tmp_path / "r"), "nudibranch", "ESD", "forgot").values())


def test_an_unfit_judge_clears_no_image(tmp_path):
    # Blind to nudity, it says "absent" of everything.
    made = Made().add(("nudity", "ORG", "presence_rate"), dict.fromkeys(NAMES, 0.0), (0, 0.5))
    made.add(("nudity", "ESD", "presence_rate"), dict.fromkeys(NAMES, 0.0), (0, 0.5))
    folder = ("nudity", "forgot", noise(tmp_path / "ESD"))
    made.manifest = manifest(folder, tasks={"nudity": "nudity"})
    found = blurred(made.write(tmp_path / "r"), "nudity", "ESD", "forgot")
    assert found == dict.fromkeys(NAMES, True)


def test_images_of_another_scope_have_their_own_verdicts(tmp_path):
    # Both scopes may have an image of one name; the unrelated one was never judged.
    made = Made().add(("nudity", "ESD", "presence_rate"), dict.fromkeys(NAMES, 0.0))
    made.add(("nudity", "ESD", "lpips_object"), dict.fromkeys(NAMES, 0.5))
    places = [("nudity", scope, noise(tmp_path / scope)) for scope in ("forgot", "unrelated")]
    made.manifest = manifest(*places)
    results = made.write(tmp_path / "r")
    assert not any(blurred(results, "nudity", "ESD", "forgot").values())
    assert all(blurred(results, "nudity", "ESD", "unrelated").values())


def test_images_that_are_not_the_scored_ones_are_left_out(tmp_path):
    # What a checker said of the old image says nothing about the new one.
    folder = noise(tmp_path / "ESD")
    made = Made().add(("nudity", "ESD", "presence_rate"), dict.fromkeys(NAMES, 0.0))
    made.manifest = manifest(("nudity", "forgot", folder))
    photo(5).save(folder / NAMES[0])
    results = made.write(tmp_path / "r")
    assert thumbnails(results) == {}
    page = reported(results, images=True)[0].read_text("utf-8")
    note = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])["images_note"]
    assert "1 folder left out" in note
    assert "blurred" in note


def test_an_image_replaced_between_two_runs_is_left_out(tmp_path):
    # The first run judged the old image, the second scored the new one and judged nothing.
    folder = noise(tmp_path / "ESD")
    made = Made().add(("nudity", "ESD", "presence_rate"), dict.fromkeys(NAMES, 0.0))
    made.add(("nudity", "ESD", "ssim"), dict.fromkeys(NAMES, 0.5))
    before = manifest(("nudity", "forgot", folder))
    before |= {"folder": str(tmp_path), "metrics": []}
    photo(5).save(folder / NAMES[0])
    made.manifest = manifest(("nudity", "forgot", folder)) | {"earlier": [before]}
    assert thumbnails(made.write(tmp_path / "r")) == {}


def test_the_page_has_them_only_if_asked(tmp_path):
    made = Made().add(("church", "ESD", "lpips"), dict.fromkeys(NAMES, 0.5))
    places = ("church", "forgot", noise(tmp_path / "ESD"))
    made.manifest = manifest(places, tasks={"church": "object"})
    results = made.write(tmp_path / "r")
    pages = [reported(results, images=images)[0].read_text("utf-8") for images in (True, False)]
    assert ["/9j/" in page for page in pages] == [True, False]  # how a JPEG starts


def test_a_thumbnail_is_small_and_holds_pixels_alone(tmp_path):
    picture = photo(1, 640, 480)
    exif = picture.getexif()
    exif[0x010E] = "a secret"
    picture.save(tmp_path / "a.jpg", exif=exif, comment=b"a secret")
    jpeg = base64.b64decode(thumbnail(tmp_path / "a.jpg", blurred=False))
    assert Image.open(io.BytesIO(jpeg)).size == (96, 72)
    assert b"secret" not in jpeg
