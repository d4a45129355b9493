import hashlib
import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import extractors.yolo as yolo
from extractors.yolo import YoloExtractor
from extractors.yolo_networks import process_kept
from inputs.images import decode, read
from tests.conftest import ROOT, photo
from tests.models import export_yolo, metadata, save_yolo
from utils.errors import MissingModelError, UserError

pytestmark = pytest.mark.skipif(
    find_spec("ultralytics") is None,  # importing it here would change the process for all tests
    reason="ultralytics (AGPL-3.0) is not installed",
)


@pytest.fixture(scope="module", autouse=True)
def threads(tmp_path_factory):
    """Return torch's number of threads; run on one, and keep settings out of the home folder.

    With several threads, another process on the same cores slows these small networks tenfold.
    """
    import torch

    number = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("YOLO_CONFIG_DIR", str(tmp_path_factory.mktemp("settings")))
        yield number
    torch.set_num_threads(number)


def textured(seed: int, width: int, height: int) -> Image.Image:
    """A photograph-like image with detail, so that no two boxes have equal scores."""
    noise = np.random.default_rng(seed).normal(0, 30, (height // 8, width // 8, 3))
    noise = np.kron(noise, np.ones((8, 8, 1)))
    smooth = np.asarray(photo(seed, noise.shape[1], noise.shape[0]), float)
    pixels = np.clip(smooth + noise, 0, 255).astype(np.uint8)
    return Image.fromarray(pixels).resize((width, height))


@pytest.fixture(scope="module")
def weights(models_dir) -> Path:
    """Random weights whose scores spread from 0 to 1 on the images of these tests."""
    images = [textured(seed, 320, 320) for seed in range(100, 104)]
    return save_yolo(models_dir / "textured.pt", images)


@pytest.fixture(scope="module")
def extractor(weights):
    return YoloExtractor(str(weights), device="cpu", trust=True)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[Path]:
    """One file of each shape and format that a folder may mix."""
    folder = tmp_path_factory.mktemp("images")
    made = {
        "square.png": textured(1, 512, 512),
        "square2.png": textured(2, 512, 512),
        "wide.png": textured(3, 800, 120),
        "tall.jpg": textured(4, 230, 410),
        "large.jpg": textured(5, 1000, 771),
        "small.bmp": textured(6, 50, 37),
        "strip.png": textured(7, 900, 8),
        "grey.png": textured(8, 480, 320).convert("L"),
        "palette.png": textured(9, 480, 320).quantize(64),
    }
    for name, image in made.items():
        image.save(folder / name)
    alpha = textured(10, 480, 320).convert("RGBA")
    alpha.putalpha(Image.fromarray(np.tile(np.arange(480, dtype=np.uint8) // 2, (320, 1))))
    alpha.save(folder / "alpha.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    textured(11, 480, 320).save(folder / "turned.jpg", exif=exif)
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def predicted(weights, files) -> dict[float, list]:
    """What ``predict`` gives for each file alone, as our rows, by its threshold."""
    return {conf: predict(weights, files, conf) for conf in (0.001, 0.5)}


def predict(weights, paths, conf):
    options = {"conf": conf, "iou": 0.6, "device": "cpu", "verbose": False}
    with process_kept():
        from ultralytics import YOLO

        model = YOLO(weights)
        return [as_rows(*model.predict(str(path), **options)) for path in paths]


def as_rows(result):
    boxes = result.boxes
    found = zip(boxes.cls.tolist(), boxes.conf.tolist(), boxes.xyxy.tolist(), strict=True)
    return [
        {"label": result.names[int(number)], "score": score}
        | {"x": left, "y": top, "w": right - left, "h": bottom - top}
        for number, score, (left, top, right, bottom) in found
    ]


@pytest.fixture(scope="module")
def alone(extractor, files):
    """Rows of the files, each alone in its batch."""
    return [extractor.forward([extractor.prepare(decode(read(path)))])[0] for path in files]


@pytest.fixture
def sample(extractor, files):
    """A small one, hence quick."""
    (path,) = (path for path in files if path.name == "wide.png")
    return extractor.prepare(decode(read(path)))


def assert_same(rows, expected):
    """The same boxes, highest score first; scores equal up to rounding may change places."""
    scores = [d["score"] for d in rows]
    assert scores == pytest.approx([d["score"] for d in expected], abs=1e-4)
    tolerance = {"score": 1e-4, "x": 0.05, "y": 0.05, "w": 0.05, "h": 0.05}
    for box in expected:
        alike = [d for d in rows if d["label"] == box["label"]]
        assert any(all(abs(d[k] - box[k]) <= t for k, t in tolerance.items()) for d in alike), box


def test_every_shape_and_format_gives_what_predict_gives(alone, predicted):
    # Letterbox, upscaling, EXIF, channel order, NMS settings: each could be done otherwise.
    for row, expected in zip(alone, predicted[0.001], strict=True):
        assert_same(row, expected)
    counts = [len(expected) for expected in predicted[0.001]]
    assert sum(n >= 5 for n in counts) >= 8  # else the comparison is of nothing
    assert max(counts) == 300  # the cut at 300 boxes is compared too


def test_a_model_that_names_no_size_gets_640_pixels(weights, files, tmp_path):
    # yolov8n.pt is run at 640: at another size small people are lost.
    import torch

    checkpoint = torch.load(weights, weights_only=False)
    del checkpoint["train_args"]
    torch.save(checkpoint, tmp_path / "plain.pt")
    (path,) = (path for path in files if path.name == "square.png")
    extractor = YoloExtractor(str(tmp_path / "plain.pt"), device="cpu", trust=True)
    sample = extractor.prepare(decode(read(path)))
    (expected,) = predict(tmp_path / "plain.pt", [path], 0.001)
    assert len(expected) >= 5
    assert_same(extractor.forward([sample])[0], expected)


def test_a_later_threshold_is_a_recomputation(alone, predicted):
    # The published threshold, 0.5, is applied to stored rows: that must equal predicting with it.
    above = [[d for d in row if d["score"] > 0.5] for row in alone]
    for row, expected in zip(above, predicted[0.5], strict=True):
        assert_same(row, expected)
    kept, stored = (sum(map(len, rows)) for rows in (above, alone))
    assert 20 < kept < stored - 20  # else the threshold divides nothing


def test_boxes_lie_in_the_upright_image(extractor, files):
    # A turned photo's boxes must fit the picture as one sees it, 320 wide and 480 high.
    (path,) = (path for path in files if path.name == "turned.jpg")
    sample = extractor.prepare(decode(read(path)))
    assert sample.size == (320, 480)
    (row,) = extractor.forward([sample])
    assert max(d["y"] + d["h"] for d in row) > 320
    assert all(0 <= d["x"] <= d["x"] + d["w"] <= 320.01 for d in row)
    assert all(0 <= d["y"] <= d["y"] + d["h"] <= 480.01 for d in row)


def test_a_row_does_not_depend_on_the_batch(extractor, alone, files):
    # predict() of the whole list would pad these to one square and change the rows.
    samples = [extractor.prepare(decode(read(path))) for path in files]
    by_shape = {}
    for i, sample in enumerate(samples):
        by_shape.setdefault(sample.pixels.shape, []).append(i)
    assert max(map(len, by_shape.values())) >= 3
    for several in by_shape.values():
        rows = extractor.forward([samples[i] for i in reversed(several)])
        for i, row in zip(reversed(several), rows, strict=True):
            assert_same(row, alone[i])


def test_values_that_are_not_finite_are_no_row(weights, extractor, sample, monkeypatch):
    # A NaN score is above no threshold: it would be counted as "no person".
    network = type(extractor._network)
    anchors = network.anchors

    def damaged(*arguments):
        found = anchors(*arguments).clone()
        found[1, 7, 3] = float("nan")
        return found

    (sound,) = extractor.forward([sample])
    monkeypatch.setattr(network, "anchors", damaged)
    first, second = extractor.forward([sample, sample])
    assert_same(first, sound)
    assert second is None


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_gives_nearly_the_same_best_scores(weights, extractor, sample, precision):
    half = YoloExtractor(str(weights), device="cpu", precision=precision, trust=True)
    best = [max(d["score"] for d in e.forward([sample])[0]) for e in (extractor, half)]
    assert best[1] == pytest.approx(best[0], abs=0.05)
    assert half.id != extractor.id  # else rows of one precision would pass for the other's


def test_the_id_depends_on_the_content_not_the_place(weights, extractor, tmp_path):
    # A moved file must find its rows; other weights under the same name must not.
    moved = Path(shutil.copy(weights, tmp_path / "other.pt"))
    assert YoloExtractor(str(moved), trust=True).id == extractor.id
    changed = tmp_path / "changed" / "random.pt"
    changed.parent.mkdir()
    changed.write_bytes(weights.read_bytes() + b"\0")
    assert YoloExtractor(str(changed), trust=True).id != extractor.id


PROBE = """
import os, socket, sys
from PIL import Image
from extractors.yolo import YoloExtractor
from inputs.images import Picture

def refuse(*args):
    print("network", args)
    raise OSError("no network in this test")

socket.getaddrinfo = socket.socket.connect = refuse
extractor = YoloExtractor(sys.argv[1], device="cpu", trust=True)
assert not {"cv2", "torch", "ultralytics"} & set(sys.modules)

import cv2  # it changes the environment too
environment, opened, threads = dict(os.environ), Image.open, cv2.getNumThreads()
extractor.forward([extractor.prepare(Picture(Image.new("RGB", (64, 64))))])
assert "ultralytics" in sys.modules
assert dict(os.environ) == environment, set(os.environ.items()) ^ set(environment.items())
import torch
assert torch.get_num_threads() == int(sys.argv[2]), torch.get_num_threads()
assert cv2.getNumThreads() == threads
assert Image.open is opened and torch.save.__module__ == "torch.serialization"
"""


def test_the_process_is_left_as_it_was(weights, threads):
    # Importing ultralytics sets OMP_NUM_THREADS=1 (torch would run on one core), replaces
    # PIL.Image.open (damaged images would start pip) and looks whether the network is there.
    command = [sys.executable, "-c", PROBE, str(weights), str(threads)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.fixture
def weights_folder(tmp_path, monkeypatch) -> Path:
    """The (absent) weights folder of ultralytics' settings; downloads fail."""
    settings = tmp_path / "config" / "Ultralytics" / "settings.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"weights_dir": str(tmp_path / "kept")}))
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)

    def fail(published, target):
        raise OSError("no network")

    monkeypatch.setattr("model_files.published.download", fail)
    return tmp_path / "kept"


def test_missing_weights_are_named_with_source_and_place(weights_folder):
    with pytest.raises(MissingModelError) as caught:
        YoloExtractor()
    message = str(caught.value)
    parts = ("yolov8n.pt", yolo.DEFAULT.url, str(weights_folder), "--model yolo=FILE", "no network")
    assert all(part in message for part in parts)
    assert "\n" not in message


def test_default_weights_are_found_where_ultralytics_and_the_published_script_keep_them(
    weights_folder, monkeypatch
):
    monkeypatch.setattr(
        yolo, "_OFFICIAL", (yolo.DEFAULT.sha256, hashlib.sha256(b"published").hexdigest())
    )
    published = Path("Weights", "yolov8n.pt")
    published.parent.mkdir()
    published.write_bytes(b"published")
    assert YoloExtractor().path == published
    assert YoloExtractor().provenance["published"] is True
    weights_folder.mkdir()
    (weights_folder / "yolov8n.pt").write_bytes(b"published")
    assert YoloExtractor().path == weights_folder / "yolov8n.pt"


def test_another_file_under_the_default_name_is_refused_not_loaded(weights_folder):
    # Loading it would run whatever is in it.
    place = weights_folder / "yolov8n.pt"
    weights_folder.mkdir()
    make_payload(place)
    with pytest.raises(UserError, match="not the file that is published"):
        YoloExtractor()
    place.unlink()
    make_payload(Path("Weights", "yolov8n.pt"))
    with pytest.raises(UserError, match="not the file that is published"):
        YoloExtractor()


def test_default_weights_are_downloaded_into_ultralytics_folder(weights_folder, monkeypatch):
    asked = []
    monkeypatch.setattr("model_files.published.download", lambda *args: asked.append(args))
    YoloExtractor()
    assert asked == [(yolo.DEFAULT, weights_folder / "yolov8n.pt")]


class Payload:
    """Unpickling this makes a folder: proof that code in the file was run."""

    def __init__(self, proof):
        self.proof = str(proof)

    def __reduce__(self):
        return os.mkdir, (self.proof,)


def make_payload(path: Path) -> Path:
    """Write a ``.pt`` file with code in it; returns the folder that the code would make."""
    import torch

    path.parent.mkdir(exist_ok=True)
    torch.save({"model": Payload(path.with_suffix(".ran"))}, path)
    return path.with_suffix(".ran")


def test_a_pt_file_of_an_unknown_digest_runs_no_code_unless_trusted(tmp_path):
    proof = make_payload(tmp_path / "mine.pt")
    with pytest.raises(UserError, match=r"can run code.*format=onnx.*--trust-weights"):
        YoloExtractor(str(tmp_path / "mine.pt"))
    assert not proof.exists()
    extractor = YoloExtractor(str(tmp_path / "mine.pt"), trust=True)
    assert not proof.exists()
    with pytest.raises(UserError, match="ultralytics cannot load it"):
        extractor.check()
    assert proof.exists()  # so it is the flag that holds it back


@pytest.fixture(scope="module")
def onnx(weights, tmp_path_factory):
    return export_yolo(weights, tmp_path_factory.mktemp("onnx") / "model.onnx")


def test_the_onnx_form_gives_what_the_pt_form_gives(onnx, alone, files):
    extractor = YoloExtractor(str(onnx), device="cpu")
    extractor.check()
    for path, expected in zip(files, alone, strict=True):
        assert_same(extractor.forward([extractor.prepare(decode(read(path)))])[0], expected)


def test_an_onnx_form_of_fixed_size_takes_any_batch(weights, files, tmp_path):
    path = export_yolo(weights, tmp_path / "model.onnx", size=320)
    extractor = YoloExtractor(str(path), device="cpu")
    samples = [extractor.prepare(decode(read(path))) for path in files[:4]]
    rows = extractor.forward(samples)
    for sample, row in zip(samples, rows, strict=True):
        assert len(row) >= 5
        assert_same(extractor.forward([sample])[0], row)


def test_the_onnx_forms_rows_are_its_own_and_of_fp32(onnx, extractor):
    ours = YoloExtractor(str(onnx))
    assert ours.id != extractor.id
    assert YoloExtractor(str(onnx), precision="bf16").id == ours.id  # the file's own is what runs
    assert ours.provenance["precision"] == "fp32"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"task": "segment"}, "a model for segment"),
        ({"names": ""}, "does not name its classes"),
        ({"names": "{0: 'person'}"}, "no boxes with a score for each class"),
        ({"names": "__import__('os').mkdir('proof')"}, "not a detection model"),
        ({"names": "(" * 100_000}, "not a detection model"),
        ({"imgsz": "[0, 320]"}, "in steps of"),
        ({"imgsz": "[10000000, 320]"}, "in steps of"),
        ({"stride": "wide"}, "not a detection model"),
    ],
)
def test_an_onnx_file_that_says_odd_things_of_itself_is_refused(onnx, said, why, tmp_path):
    path = tmp_path / "odd.onnx"
    path.write_bytes(onnx.read_bytes() + metadata(said))
    extractor = YoloExtractor(str(path), device="cpu")
    with pytest.raises(UserError, match=why):
        extractor.forward([extractor.prepare(decode_photo(tmp_path))])


def test_files_that_are_no_detection_model_are_refused(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="no such file"):
        YoloExtractor(str(tmp_path / "gone.pt"))
    (tmp_path / "model.txt").touch()
    with pytest.raises(UserError, match=r"neither an \.onnx nor a \.pt file"):
        YoloExtractor(str(tmp_path / "model.txt"))
    for content in (b"", b"<html>", b"not a model"):
        (tmp_path / "model.onnx").write_bytes(content)
        with pytest.raises(UserError, match=r"model\.onnx: (an empty|a web page|not an ONNX)"):
            YoloExtractor(str(tmp_path / "model.onnx"))
    (tmp_path / "model.onnx").write_bytes(b"\x08\x09 and no more")
    with pytest.raises(UserError, match="not an ONNX model"):
        YoloExtractor(str(tmp_path / "model.onnx")).check()
    # Under an official name, given bare, ultralytics would delete the file and download another.
    monkeypatch.chdir(tmp_path)
    for content in (b"\x80not a model", b"\x80", b"PK\x03\x04"):
        Path("yolov8n.pt").write_bytes(content)
        with pytest.raises(UserError, match=r"cannot load it|cut short") as caught:
            YoloExtractor("yolov8n.pt", trust=True).load()
        assert "\n" not in str(caught.value)
        assert Path("yolov8n.pt").read_bytes() == content


def test_models_for_other_tasks_are_refused(tmp_path):
    # Their boxes would come with masks or angles, read as class scores.
    with process_kept():
        from ultralytics import YOLO

        YOLO("yolov8n-seg.yaml").save(tmp_path / "seg.pt")
    with pytest.raises(UserError, match="segment"):
        YoloExtractor(str(tmp_path / "seg.pt"), trust=True).load()


def test_without_ultralytics_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ultralytics", None)
    with pytest.raises(UserError, match=r"pip install ultralytics.*AGPL-3\.0"):
        YoloExtractor()


def decode_photo(folder: Path):
    photo(1).save(folder / "photo.png")
    return decode(read(folder / "photo.png"))
