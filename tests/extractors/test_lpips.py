import warnings

import lpips
import numpy as np
import pytest
import torch
import torchvision

from extractors.lpips import BACKBONE, LpipsExtractor
from inputs.images import Picture, UnreadableImageError
from tests.conftest import photo
from utils.errors import UserError

SIZES = [(64, 48), (256, 256), (100, 130), (31, 31)]


@pytest.fixture(scope="module")
def alexnet():
    torch.manual_seed(0)
    return torchvision.models.alexnet().eval()


@pytest.fixture(scope="module")
def weights(alexnet, tmp_path_factory):
    """A user's file: torchvision's format, a classifier of another size in it."""
    features = {k: v for k, v in alexnet.state_dict().items() if k.startswith("features.")}
    path = tmp_path_factory.mktemp("alexnet") / "weights.pth"
    torch.save(features | {"classifier.6.weight": torch.zeros(7, 4096)}, path)
    return path


@pytest.fixture(scope="module")
def theirs(alexnet):
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setattr(torchvision.models, "alexnet", lambda **_: alexnet)
        return lpips.LPIPS(net="alex", version="0.1", verbose=False)


@pytest.fixture(scope="module")
def extractor(weights):
    return LpipsExtractor(str(weights), device="cpu")


def prepared(extractor, n, size=(64, 48)):
    return [extractor.prepare(Picture(photo(i, *size))) for i in range(n)]


@pytest.mark.parametrize("size", SIZES)
def test_distances_are_those_of_the_lpips_package(extractor, theirs, size):
    # Another epsilon, scale or layer gives distances that look right and rank methods wrongly.
    samples = prepared(extractor, 4, size)
    pairs = [(samples[0], samples[1]), (samples[2], samples[3]), (samples[3], samples[0])]
    left, right = (
        torch.from_numpy(np.stack([pair[side].pixels for pair in pairs])).permute(0, 3, 1, 2)
        for side in (0, 1)
    )
    with torch.inference_mode():
        expected = theirs(left / 127.5 - 1, right / 127.5 - 1).flatten(1).numpy()
    ours = extractor.forward(pairs)
    assert ours.dtype == np.float32
    assert ours.shape == (3, 1)
    assert expected.std() > 1e-3  # else anything would pass
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-6)


def test_equal_images_are_at_distance_zero(extractor):
    # An offset here is added to every distance.
    sample, same = (extractor.prepare(Picture(photo(1, 100, 130))) for _ in range(2))
    assert extractor.forward([(sample, sample)])[0, 0] == 0
    assert extractor.forward([(sample, same)])[0, 0] < 1e-9


def test_an_image_of_several_pairs_goes_through_alexnet_once(extractor, monkeypatch):
    # Ten methods share a reference; running it ten times nearly doubles the work.
    seen = []
    network = type(extractor._network)
    run = network.distances
    monkeypatch.setattr(
        network, "distances", lambda self, x, *pairs: seen.append(len(x)) or run(self, x, *pairs)
    )
    reference, *candidates = prepared(extractor, 4)
    extractor.forward([(reference, candidate) for candidate in candidates])
    assert seen == [4]


def test_a_row_does_not_depend_on_the_batch(extractor):
    # Pairs mixed up with each other show here as well.
    reference, *candidates = prepared(extractor, 6, (100, 130))
    pairs = [(reference, candidate) for candidate in candidates] + [tuple(candidates[:2])]
    together = extractor.forward(pairs)
    alone = np.concatenate([extractor.forward([pair]) for pair in pairs])
    turned = extractor.forward(pairs[::-1])[::-1]
    np.testing.assert_allclose(alone, together, rtol=1e-4)
    np.testing.assert_allclose(turned, together, rtol=1e-4)


def test_bf16_is_close_to_fp32_and_not_the_same(weights, extractor):
    samples = prepared(extractor, 2)
    rough = LpipsExtractor(str(weights), device="cpu", precision="bf16").forward([tuple(samples)])
    exact = extractor.forward([tuple(samples)])
    assert rough.dtype == np.float32
    assert 0 < abs(rough - exact).item() < 0.05 * exact.item()


@pytest.mark.parametrize("size", [(30, 64), (64, 30)])
def test_an_image_too_small_for_alexnet_is_refused_when_prepared(extractor, size):
    # Refused in forward it would end the run; here it is that image's failure.
    with pytest.raises(UnreadableImageError, match="at least 31 pixels"):
        extractor.prepare(Picture(photo(0, *size)))


def test_an_image_too_large_for_memory_is_refused_when_prepared(extractor, monkeypatch):
    monkeypatch.setattr("extractors.lpips._LARGEST", 64 * 48 - 1)
    with pytest.raises(UnreadableImageError, match="over 3071 pixels"):
        extractor.prepare(Picture(photo(0)))


def test_the_id_is_of_weights_and_precision_not_of_the_place(weights, tmp_path):
    # By path, a moved file would cost every row; or changed weights would reuse stale ones.
    copy, other = tmp_path / "copy.pth", tmp_path / "other.pth"
    copy.hardlink_to(weights)
    torch.save({}, other)
    here = LpipsExtractor(str(weights))
    assert here.id == LpipsExtractor(str(copy)).id
    assert here.id != LpipsExtractor(str(other)).id
    assert here.id != LpipsExtractor(str(weights), precision="fp16").id


@pytest.mark.parametrize("wrong", ["shape", "missing", "no features"])
def test_another_networks_file_is_refused_in_one_line(wrong, alexnet, tmp_path):
    # Loaded with strict=False, layers would stay random.
    path = tmp_path / "wrong.pth"
    features = {k: v for k, v in alexnet.state_dict().items() if k.startswith("features.")}
    contents = {
        "shape": features | {"features.0.weight": torch.zeros(64, 3, 7, 7)},
        "missing": {k: v for k, v in features.items() if k != "features.10.bias"},
        "no features": {"fc.weight": torch.zeros(2, 2)},
    }
    torch.save(contents[wrong], path)
    extractor = LpipsExtractor(str(path), device="cpu")
    with pytest.raises(UserError) as caught:
        extractor.check()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_weights_are_named_with_source_and_place(tmp_path, monkeypatch):
    # Without one of the three a user on a cluster without internet is stuck.
    def offline(*_):
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("model_files.published.download", offline)
    with pytest.raises(UserError) as caught:
        LpipsExtractor()
    message = str(caught.value)
    assert BACKBONE.url in message
    assert str(tmp_path / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth") in message
    assert "--model lpips_backbone=FILE" in message
    assert "\n" not in message


def test_linear_layers_that_are_not_the_published_ones_are_refused(weights, monkeypatch):
    # A later torchmetrics may ship others under the same name: the distances would move.
    monkeypatch.setattr("extractors.lpips._LINEAR_SHA256", "0000")
    with pytest.raises(UserError, match=r"alex\.pth: not the LPIPS"):
        LpipsExtractor(str(weights))
    monkeypatch.setattr("extractors.lpips.find_spec", lambda _: None)
    with pytest.raises(UserError, match="pip install torchmetrics"):
        LpipsExtractor(str(weights))
