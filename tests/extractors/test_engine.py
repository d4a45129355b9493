import shutil
import threading

import numpy as np
import pytest

from extractors.base import Embeddings, Sample
from extractors.engine import extract, ordered_map
from extractors.store import FeatureStore
from tests.conftest import photo
from utils.errors import UserError
from utils.images import scan


class Mean:
    """An extractor without a network: the mean colour; counts what it is asked to do."""

    def __init__(self, name="mean", shapes=False, fail=None):
        self.name = self.id = name
        self.rows = Embeddings(3)
        self.shapes = shapes  # keep the image's own shape
        self.fail = fail
        self.batches = []
        self.prepared = 0
        self.lock = threading.Lock()

    def prepare(self, picture):
        with self.lock:
            self.prepared += 1
        if self.fail == "prepare":
            raise MemoryError("too long")
        pixels = np.asarray(picture.rgb, np.float32)
        return Sample(pixels if self.shapes else pixels.mean(axis=(0, 1)), picture.rgb.size)

    def forward(self, batch):
        if self.fail == "model":
            raise UserError("no such model")
        assert len({sample.pixels.shape for sample in batch}) == 1
        self.batches.append(len(batch))
        rows = np.stack([s.pixels.reshape(-1, 3).mean(axis=0) for s in batch])
        return rows * np.nan if self.fail == "nan" else rows


def run(folder, extractors, store, batch_size=4):
    return extract(scan(folder), extractors, store, batch_size=batch_size, workers=2)


def test_rows_are_those_of_each_image_whatever_the_batch_size(make_images, tmp_path):
    folder = make_images("a", 9)
    expected = [np.asarray(photo(i), np.float32).mean(axis=(0, 1)) for i in range(9)]
    for size in (1, 4, 64):
        store = FeatureStore(tmp_path / f"store{size}")
        done = run(folder, [Mean()], store, size)
        rows = done.tables["mean"].get([record.digest for record in done.records])
        np.testing.assert_allclose(rows, expected, rtol=1e-5)


def test_a_second_run_computes_nothing(make_images, tmp_path):
    folder = make_images("a", 5)
    run(folder, [Mean()], FeatureStore(tmp_path / "store"))
    again = Mean()
    done = run(folder, [again], FeatureStore(tmp_path / "store"))
    assert (done.computed, again.prepared, again.batches) == ({"mean": 0}, 0, [])


def test_several_extractors_share_one_decode(make_images, tmp_path, monkeypatch):
    import extractors.engine

    decoded = []
    original = extractors.engine.decode
    monkeypatch.setattr(extractors.engine, "decode", lambda d: decoded.append(1) or original(d))
    done = run(make_images("a", 6), [Mean("one"), Mean("two")], FeatureStore(tmp_path / "store"))
    assert done.computed == {"one": 6, "two": 6}
    assert len(decoded) == 6


def test_only_the_extractor_that_lacks_a_row_runs(make_images, tmp_path):
    folder, store = make_images("a", 3), FeatureStore(tmp_path / "store")
    run(folder, [Mean("one")], store)
    assert run(folder, [Mean("one"), Mean("two")], store).computed == {"one": 0, "two": 3}


def test_equal_files_are_computed_once_wherever_they_lie(make_images, tmp_path):
    folder = make_images("a", 3)
    shutil.copy(folder / "0_0_0.png", folder / "copy.png")
    extractor = Mean()
    done = run(folder, [extractor], FeatureStore(tmp_path / "store"), batch_size=2)
    assert done.computed == {"mean": 3}
    assert len({record.digest for record in done.records}) == 3


def test_bad_files_are_named_and_the_rest_is_scored(make_images, tmp_path):
    folder = make_images("a", 4)
    (folder / "0_0_1.png").write_bytes(b"")
    (folder / "0_0_2.png").write_bytes(b"text")
    done = run(folder, [Mean()], FeatureStore(tmp_path / "store"))
    assert [record.error is None for record in done.records] == [True, False, False, True]
    assert done.computed == {"mean": 2}


@pytest.mark.parametrize(("fail", "message"), [("nan", "not finite"), ("prepare", "too long")])
def test_an_image_the_network_cannot_take_is_an_error_of_that_image(
    make_images, tmp_path, fail, message
):
    # A NaN row kept in the store would poison every later score.
    done = run(make_images("a", 2), [Mean(fail=fail)], FeatureStore(tmp_path / "store"))
    assert all(message in record.error for record in done.records)
    assert len(done.tables["mean"]) == 0


def test_a_model_that_cannot_be_loaded_ends_the_run(make_images, tmp_path):
    with pytest.raises(UserError, match="no such model"):
        run(make_images("a", 2), [Mean(fail="model")], FeatureStore(tmp_path / "store"))


def test_a_batch_holds_one_shape(make_images, tmp_path):
    # Detectors pad a mixed batch, so a row would depend on its neighbours.
    folder = make_images("a", 3)
    for i in range(3, 6):
        photo(i, 32, 32).save(folder / f"0_0_{i}.png")
    extractor = Mean(shapes=True)
    done = run(folder, [extractor], FeatureStore(tmp_path / "store"))
    assert done.computed == {"mean": 6}
    assert sorted(extractor.batches) == [3, 3]


def test_what_was_computed_before_an_interruption_is_kept(make_images, tmp_path):
    class Interrupted(Mean):
        def forward(self, batch):
            if len(self.batches) == 2:
                raise KeyboardInterrupt
            return super().forward(batch)

    folder, store = make_images("a", 8), FeatureStore(tmp_path / "store")
    with pytest.raises(KeyboardInterrupt):
        run(folder, [Interrupted()], store, batch_size=2)
    resumed = Mean()
    assert run(folder, [resumed], store, batch_size=2).computed == {"mean": 4}
    assert resumed.batches == [2, 2]  # the batches an undisturbed run would have formed


def test_ordered_map_keeps_the_order_and_bounds_the_look_ahead():
    taken = []

    def items():
        for i in range(50):
            taken.append(i)
            yield i

    mapped = ordered_map(lambda i: i * i, items(), workers=3, ahead=5)
    assert next(mapped) == 0
    assert len(taken) <= 7  # a folder of a million images must not fill the memory
    assert list(mapped) == [i * i for i in range(1, 50)]
