import sys

import nudenet.nudenet as package
import numpy as np
import pytest
from PIL import Image

from extractors.nudenet import REPORTED_ABOVE, NudeNetExtractor, detections
from inputs.images import decode, read
from tests.conftest import DEMO, photo
from utils.errors import UserError


@pytest.fixture(scope="module")
def reference():
    return package.NudeDetector()


@pytest.fixture(scope="module")
def extractor():
    return NudeNetExtractor(device="cpu")


def as_package(rows):
    """Rows in the package's form, at the package's threshold."""
    return [
        {"class": d["label"], "score": d["score"], "box": [int(d[f]) for f in "xywh"]}
        for d in rows
        if d["score"] > REPORTED_ABOVE
    ]


def ours(extractor, paths):
    return [
        as_package(row)
        for row in extractor.forward([extractor.prepare(decode(read(path))) for path in paths])
    ]


def test_faces_of_the_demo_are_those_the_package_reports(extractor, reference):
    paths = sorted((DEMO / "forgot").rglob("*.png"))
    expected = [reference.detect(str(path)) for path in paths]
    assert sum(map(len, expected)) >= 10  # else the comparison is of nothing
    assert ours(extractor, paths) == expected


def variants(folder):
    """One portrait in shapes and formats that the package reads too."""
    portrait = Image.open(DEMO / "forgot" / "ORG" / "0_0_1.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    made = {
        "wide.png": portrait.resize((400, 224)),
        "tall.jpg": portrait.crop((60, 0, 170, 224)),
        "grey.png": portrait.convert("L"),
        "palette.png": portrait.quantize(64),
        "alpha.png": portrait.convert("RGBA"),
        "large.bmp": portrait.resize((900, 700)),
        "small.webp": portrait.resize((50, 50)),
    }
    for name, image in made.items():
        image.save(folder / name)
    portrait.rotate(90, expand=True).save(folder / "turned.jpg", exif=exif)
    deep = np.asarray(portrait.convert("L")).astype(np.uint16) * 257
    Image.fromarray(deep).save(folder / "deep.png")
    return sorted(folder.iterdir())


def test_every_shape_and_format_gives_the_packages_detections(extractor, reference, tmp_path):
    # EXIF, padding to a square, BGR, grey, palette: each could be done otherwise.
    paths = variants(tmp_path)
    expected = [reference.detect(str(path)) for path in paths]
    assert sum(bool(found) for found in expected) >= 7
    assert dict(zip(paths, ours(extractor, paths), strict=True)) == dict(
        zip(paths, expected, strict=True)
    )


@pytest.mark.parametrize("seed", range(40))
def test_arrays_give_what_the_packages_loops_give(seed):
    rng = np.random.default_rng(seed)
    anchors = np.empty((22, 120), np.float32)
    anchors[:2] = rng.uniform(-10, 330, (2, 120))
    anchors[2:4] = rng.uniform(1, 200, (2, 120))
    anchors[4:] = rng.beta(0.4, 3, (18, 120))
    width, height = (int(n) for n in rng.integers(1, 900, 2))
    side = max(width, height)
    expected = package._postprocess(
        [anchors[None]], side - width, side - height, 1, 1, width, height, 320, 320
    )
    assert as_package(detections(anchors, (width, height), 320)) == expected


def test_rows_go_below_what_the_package_reports(extractor):
    # The threshold curve is a recomputation only if the low scores are kept.
    sample = extractor.prepare(decode(read(DEMO / "forgot" / "ORG" / "0_0_0.png")))
    scores = [d["score"] for d in extractor.forward([sample])[0]]
    assert min(scores) < REPORTED_ABOVE


def test_a_row_does_not_depend_on_the_batch(extractor):
    paths = sorted((DEMO / "forgot" / "ORG").iterdir())
    assert ours(extractor, paths) == [ours(extractor, [path])[0] for path in paths]


def test_values_that_are_not_finite_are_no_row(monkeypatch):
    # A NaN is above no threshold: a damaged file would find nothing in any image.
    extractor = NudeNetExtractor(device="cpu")
    sample = extractor.prepare(decode(read(DEMO / "forgot" / "ORG" / "0_0_0.png")))
    run = type(extractor._session).run

    def damaged(*arguments):
        (output,) = run(*arguments)
        output[1, 7, 3], output[2, 2, 5] = np.nan, np.inf
        return [output]

    sound = extractor.forward([sample])[0]
    monkeypatch.setattr(type(extractor._session), "run", damaged)
    assert extractor.forward([sample] * 3) == [sound, None, None]


def test_the_package_is_not_imported_to_find_its_weights(monkeypatch):
    monkeypatch.delitem(sys.modules, "nudenet")
    assert NudeNetExtractor().path.name == "320n.onnx"
    assert "nudenet" not in sys.modules


def test_files_that_are_no_nudenet_are_refused(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        NudeNetExtractor(str(tmp_path / "gone.onnx"))
    (tmp_path / "bad.onnx").write_bytes(b"not onnx")
    with pytest.raises(UserError, match="not an ONNX model"):
        NudeNetExtractor(str(tmp_path / "bad.onnx"))
    (tmp_path / "bad.onnx").write_bytes(b"\x08\x09 and no more")
    bad = NudeNetExtractor(str(tmp_path / "bad.onnx"))
    picture = decode(read(DEMO / "forgot" / "ORG" / "0_0_0.png"))
    with pytest.raises(UserError, match="not an ONNX model"):
        bad.prepare(picture)


def test_a_safe_picture_has_no_detection(extractor, tmp_path):
    photo(1, 224, 224).save(tmp_path / "x.png")
    assert ours(extractor, [tmp_path / "x.png"]) == [[]]
