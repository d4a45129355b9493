import gc
import weakref

import numpy as np
import pytest
import torch
from cleanfid.resize import build_resizer
from PIL import Image
from pytorch_fid import inception as reference

from extractors.inception import WEIGHTS, InceptionExtractor
from extractors.torch_run import inference
from inputs.images import Picture
from model_files.digests import file_sha256
from model_files.download import Published
from tests.conftest import photo
from utils.errors import UserError

SIZES = [(512, 512), (640, 427), (301, 500), (299, 299), (90, 60), (1, 1), (37, 1000)]


@pytest.fixture(scope="module")
def weights(inception_file):
    return inception_file


@pytest.fixture(scope="module")
def state(weights):
    return torch.load(weights, weights_only=True)


@pytest.fixture(scope="module")
def extractor(weights):
    return InceptionExtractor(str(weights), device="cpu")


@pytest.fixture(scope="module")
def samples(extractor):
    return [extractor.prepare(Picture(photo(i, 200 + 60 * i, 256))) for i in range(3)]


@pytest.fixture(scope="module")
def rows(extractor, samples):
    return extractor.forward(samples)


@pytest.mark.parametrize("size", SIZES)
def test_preprocessing_is_bit_identical_to_clean_fid(extractor, size):
    # Every published clean-fid value stands on this resize; another one shifts the FID by units.
    image = photo(sum(size), *size)
    ours = extractor.prepare(Picture(image))
    theirs = build_resizer("clean")(np.asarray(image)).transpose(2, 0, 1)
    assert ours.pixels.dtype == theirs.dtype == np.float32
    assert ours.size == size
    np.testing.assert_array_equal(ours.pixels, theirs)


def test_overshoot_of_the_bicubic_filter_is_clipped(extractor):
    # Unclipped, a hard edge gives values outside 0..255, which clean-fid never shows the network.
    image = Image.new("RGB", (320, 320))
    image.paste((255, 255, 255), (0, 0, 150, 320))
    pixels = extractor.prepare(Picture(image)).pixels
    assert (pixels.min(), pixels.max()) == (0, 255)


def test_the_exif_turn_is_not_applied(extractor):
    # clean-fid and pyiqa ignore it; turning the picture would compare another image.
    turned, plain = Picture(photo(3), orientation=6), Picture(photo(3))
    np.testing.assert_array_equal(extractor.prepare(turned).pixels, extractor.prepare(plain).pixels)


def test_features_are_those_of_pytorch_fid(samples, rows, state, monkeypatch):
    # A wrong pool, layer or scale gives a number that looks like an FID and is none.
    monkeypatch.setattr(reference, "load_state_dict_from_url", lambda *_, **__: state)
    theirs = reference.InceptionV3(resize_input=False, normalize_input=False).eval()
    pixels = torch.from_numpy(np.stack([sample.pixels for sample in samples]))
    with torch.inference_mode():
        expected = theirs((pixels - 128) / 128)[0].flatten(1).numpy()
    assert expected.std(axis=0).mean() > 1e-2  # else anything would pass
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).mean())


def test_a_row_does_not_depend_on_the_batch(extractor, samples, rows):
    alone = np.concatenate([extractor.forward([sample]) for sample in samples])
    turned = extractor.forward(samples[::-1])[::-1]
    scale = np.abs(rows).mean()
    np.testing.assert_allclose(alone, rows, rtol=1e-4, atol=1e-4 * scale)
    np.testing.assert_allclose(turned, rows, rtol=1e-4, atol=1e-4 * scale)


def test_bf16_is_close_to_fp32_and_not_the_same(weights, samples, rows):
    # The same: the precision asked for was ignored. Far: the cast reached what it must not.
    rough = InceptionExtractor(str(weights), device="cpu", precision="bf16").forward(samples[:1])
    assert rough.dtype == np.float32
    assert 0 < np.abs(rough - rows[:1]).mean() < 0.05 * np.abs(rows).mean()


def test_convolutions_in_fp32_do_not_round_to_tf32():
    # torch's default lets them on recent GPUs: the same image, another row on another machine.
    cudnn = torch.backends.cudnn
    before = cudnn.allow_tf32
    with inference(torch.device("cpu"), "fp32"):
        assert cudnn.enabled
        assert not cudnn.allow_tf32
        assert torch.is_inference_mode_enabled()
    assert cudnn.allow_tf32 == before


def test_an_unloaded_network_is_gone_and_loaded_anew_when_needed(weights, samples, rows):
    extractor = InceptionExtractor(str(weights), device="cpu")
    extractor.load()
    network = weakref.ref(extractor._network)
    extractor.unload()
    extractor.unload()  # of one that is gone: nothing
    gc.collect()
    assert network() is None
    np.testing.assert_allclose(extractor.forward(samples[:1]), rows[:1], rtol=1e-5)


def test_a_file_without_batch_counters_loads(state, tmp_path):
    # Weights saved before torch 0.4.1 have no num_batches_tracked, which plays no part.
    path = tmp_path / "old.pth"
    torch.save({k: v for k, v in state.items() if "num_batches" not in k}, path)
    assert InceptionExtractor(str(path), device="cpu")._network is not None


def test_the_id_is_of_weights_and_precision_not_of_the_place(weights, tmp_path):
    # By path, a moved file would cost every row; or changed weights would reuse stale ones.
    copy, other = tmp_path / "copy.pth", tmp_path / "other.pth"
    copy.hardlink_to(weights)
    torch.save({}, other)
    here = InceptionExtractor(str(weights))
    assert here.id == InceptionExtractor(str(copy)).id
    assert here.id != InceptionExtractor(str(other)).id
    assert here.id != InceptionExtractor(str(weights), precision="bf16").id


@pytest.mark.parametrize("wrong", ["shape", "missing", "torchvision", "damaged", "AlexNet"])
def test_another_networks_file_is_refused_in_one_line(wrong, state, tmp_path):
    # Loaded with strict=False, half the network would stay random and the FID with it.
    path = tmp_path / "wrong.pth"
    aux = {"AuxLogits.fc.weight": torch.zeros(1000, 768)}
    contents = {
        "shape": state | {"fc.weight": torch.zeros(1000, 2048)},
        "missing": {k: v for k, v in state.items() if k != "Mixed_7c.branch1x1.conv.weight"},
        "torchvision": state | aux,
        "damaged": state | {"fc.bias": torch.full((1008,), torch.nan)},
        "AlexNet": {f"features.{i}.weight": torch.zeros(1) for i in range(500)},
    }
    torch.save(contents[wrong], path)
    extractor = InceptionExtractor(str(path), device="cpu")
    with pytest.raises(UserError) as caught:
        extractor.check()
    assert len(str(caught.value)) < len(str(path)) + 250  # it was 20,000
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_weights_are_named_with_source_and_place(tmp_path, monkeypatch):
    # Without one of the three a user on a cluster without internet is stuck.
    def offline(*_):
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("model_files.published.download", offline)
    with pytest.raises(UserError) as caught:
        InceptionExtractor()
    message = str(caught.value)
    place = tmp_path / "hub" / "checkpoints" / "pt_inception-2015-12-05-6726825d.pth"
    assert WEIGHTS.url in message
    assert str(place) in message
    assert "--model inception=FILE" in message
    assert "\n" not in message
    place.parent.mkdir(parents=True)
    torch.save({}, place)
    with pytest.raises(UserError, match="not the file that is published"):
        InceptionExtractor()  # nor another file in its place
    assert InceptionExtractor(str(place)).path == place


def test_the_manifest_says_whether_the_weights_are_the_published_ones(weights, monkeypatch):
    extractor = InceptionExtractor(str(weights))
    assert extractor.provenance["published"] is False
    before = extractor.id
    monkeypatch.setattr("extractors.inception.WEIGHTS", Published("", file_sha256(weights)))
    assert extractor.provenance["published"] is True
    assert extractor.id == before  # else every row of earlier runs would be computed anew
