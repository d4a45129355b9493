import re
import shutil
import threading
import time

import numpy as np
import pytest

from extractors.base import Embeddings, Sample, pair_key
from features.engine import extract
from features.store import FeatureStore
from inputs.images import UnreadableImageError, scan
from tests.conftest import photo
from utils.errors import UserError


class Mean:
    """An extractor without a network: the mean colour; counts what it is asked to do."""

    def __init__(self, name="mean", shapes=False, fail=None):
        self.name = self.id = name
        self.provenance = {"path": "weights.pth"}
        self.rows = Embeddings(3)
        self.shapes = shapes  # keep the image's own shape
        self.fail = fail
        self.slow_to_load = False
        self.loads = 0
        self.batches = []
        self.prepared = 0
        self.lock = threading.Lock()

    def prepare(self, picture):
        with self.lock:
            self.prepared += 1
        if self.fail == "prepare":
            raise UnreadableImageError("too long")
        if self.fail == "bug":
            raise AttributeError("no attribute rbg")
        pixels = np.asarray(picture.rgb, np.float32)
        return Sample(pixels if self.shapes else pixels.mean(axis=(0, 1)), picture.rgb.size)

    def load(self):
        self.loads += 1
        if self.fail == "model":
            raise UserError("no such model")

    def unload(self):
        pass

    def forward(self, batch):
        assert len({sample.pixels.shape for sample in batch}) == 1
        self.batches.append(len(batch))
        rows = np.stack([s.pixels.reshape(-1, 3).mean(axis=0) for s in batch])
        if self.fail == "nan":
            rows[:] = np.nan
        elif self.fail == "nan once" and len(self.batches) == 2:
            rows[0, 1] = np.inf
        return rows


def run(folder, extractors, store, batch_size=4):
    images = dict.fromkeys(scan(folder), extractors)
    return extract(images, store, batch_size=batch_size, workers=2)


def test_rows_are_those_of_each_image_whatever_the_batch_size(make_images, tmp_path):
    folder = make_images("a", 9)
    expected = [np.asarray(photo(i), np.float32).mean(axis=(0, 1)) for i in range(9)]
    for size in (1, 4, 64):
        store = FeatureStore(tmp_path / f"store{size}")
        done = run(folder, [Mean()], store, size)
        rows = done.tables["mean"].get([record.digest for record in done.records.values()])
        np.testing.assert_allclose(rows, expected, rtol=1e-5)


def test_a_second_run_computes_nothing(make_images, tmp_path):
    folder = make_images("a", 5)
    run(folder, [Mean()], FeatureStore(tmp_path / "store"))
    again = Mean()
    done = run(folder, [again], FeatureStore(tmp_path / "store"))
    assert (done.computed, again.prepared, again.batches) == ({"mean": 0}, 0, [])
    assert again.loads == 0


def test_models_are_loaded_while_their_weights_are_hashed_where_nothing_is_stored(
    make_images, tmp_path
):
    # Else both cores of a laptop wait for a file of half a gigabyte before torch is imported.
    class Hashed(Mean):
        loading = threading.Event()

        @property
        def id(self):
            assert self.loading.wait(10), "not loaded before its digest was known"
            return "hashed"

        @id.setter
        def id(self, _):
            pass

        def load(self):
            self.loading.set()

    done = run(make_images("a", 2), [Hashed()], FeatureStore(tmp_path / "store"))
    assert done.computed == {"mean": 2}


def test_several_extractors_share_one_decode(make_images, tmp_path, monkeypatch):
    import features.loading

    decoded = []
    original = features.loading.decode
    monkeypatch.setattr(features.loading, "decode", lambda d: decoded.append(1) or original(d))
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
    assert len({record.digest for record in done.records.values()}) == 3


def test_bad_files_are_named_and_the_rest_is_scored(make_images, tmp_path):
    folder = make_images("a", 4)
    (folder / "0_0_1.png").write_bytes(b"")
    (folder / "0_0_2.png").write_bytes(b"text")
    done = run(folder, [Mean()], FeatureStore(tmp_path / "store"))
    assert [record.error is None for record in done.records.values()] == [True, False, False, True]
    assert done.computed == {"mean": 2}


def test_an_image_the_network_cannot_take_is_an_error_of_that_image(make_images, tmp_path):
    done = run(make_images("a", 2), [Mean(fail="prepare")], FeatureStore(tmp_path / "store"))
    expected = "mean cannot take it (64x48): too long"
    assert [done.error(path, "mean") for path in done.records] == [expected] * 2


def test_a_row_that_is_not_finite_is_an_error_of_that_image(make_images, tmp_path):
    # Kept in the store it would poison every later score.
    done = run(make_images("a", 8), [Mean(fail="nan once")], FeatureStore(tmp_path / "store"))
    errors = [done.error(path, "mean") for path in done.records]
    assert errors == [None] * 4 + ["mean gives values that are not finite"] + [None] * 3
    assert (len(done.tables["mean"]), done.computed) == (7, {"mean": 7})


@pytest.mark.parametrize(("images", "batches"), [(12, 1), (3, 1)])
def test_a_network_without_one_finite_row_ends_the_run(make_images, tmp_path, images, batches):
    # Every image's own failure, hours later, would not say that the file is damaged.
    extractor, store = Mean(fail="nan"), FeatureStore(tmp_path / "store")
    with pytest.raises(UserError, match=r"weights\.pth: mean .* its weights are damaged"):
        run(make_images("a", images), [extractor], store)
    assert len(extractor.batches) == batches
    assert store.is_empty()


def test_a_new_image_without_a_finite_row_does_not_blame_weights_that_gave_others(
    make_images, tmp_path
):
    store = FeatureStore(tmp_path / "store")
    run(make_images("a", 1), [Mean()], store)
    done = run(make_images("b", 1, first=9), [Mean(fail="nan")], store)
    assert len(done.failures) == 1


def test_a_programming_error_is_not_the_images_fault(make_images, tmp_path):
    # As a warning with exit code 0 it would leave all images out of a score.
    with pytest.raises(AttributeError, match="rbg"):
        run(make_images("a", 2), [Mean(fail="bug")], FeatureStore(tmp_path / "store"))


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


class Difference(Mean):
    """A pair extractor: the difference of the mean colours."""

    def forward(self, batch):
        self.batches.append(len(batch))
        means = [[s.pixels.reshape(-1, 3).mean(axis=0) for s in pair] for pair in batch]
        return np.stack([candidate - reference for reference, candidate in means])


def run_pairs(root, store, extractor, batch_size=4):
    pairs = {
        (root / "ORG" / f"0_0_{i}.png", root / method / f"0_0_{i}.png"): [extractor]
        for method in ("ESD", "UCE")
        for i in range(3)
    }
    images = dict.fromkeys([path for pair in pairs for path in pair], ())
    return extract(images, store, pairs=pairs, batch_size=batch_size, workers=2), list(pairs)


@pytest.fixture
def methods(make_images, tmp_path):
    for n, method in enumerate(("ORG", "ESD", "UCE")):
        make_images(method, 3, first=10 * n)
    return tmp_path


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_pairs_are_of_the_right_images_whatever_the_batch(methods, tmp_path, batch_size):
    done, pairs = run_pairs(methods, FeatureStore(tmp_path / "s"), Difference("d"), batch_size)
    keys = [pair_key(*(done.records[path].digest for path in pair)) for pair in pairs]
    mean = [
        [np.asarray(photo(10 * n + i), float).mean(axis=(0, 1)) for i in range(3)] for n in range(3)
    ]
    expected = [mean[n][i] - mean[0][i] for n in (1, 2) for i in range(3)]
    np.testing.assert_allclose(done.tables["d"].get(keys), expected, rtol=1e-4)


def test_a_reference_is_decoded_and_prepared_once_for_all_methods(methods, tmp_path):
    extractor = Difference("d")
    run_pairs(methods, FeatureStore(tmp_path / "store"), extractor)
    assert extractor.prepared == 9


def test_pairs_in_the_store_are_not_computed_again(methods, tmp_path):
    store = FeatureStore(tmp_path / "store")
    run_pairs(methods, store, Difference("d"))
    again = Difference("d")
    done, _ = run_pairs(methods, store, again)
    assert (done.computed, again.prepared) == ({"d": 0}, 0)


def test_pairs_that_cannot_be_compared_say_why(methods, tmp_path):
    photo(1, 32, 32).save(methods / "ESD" / "0_0_0.png")
    (methods / "UCE" / "0_0_1.png").write_bytes(b"text")
    done, pairs = run_pairs(methods, FeatureStore(tmp_path / "s"), Difference("d", shapes=True))
    errors = [done.pair_error(pair, "d") for pair in pairs]
    assert "differ in size (64x48 and 32x32)" in errors[0]
    assert "0_0_1.png: not an image" in errors[4]
    assert done.computed == {"d": 4}


def test_many_shapes_do_not_pile_up(tmp_path):
    # Each shape waits for a batch of its own; a million sizes must not fill the memory.
    folder = tmp_path / "a"
    folder.mkdir()
    for i in range(40):
        photo(i, 20 + i, 20).save(folder / f"{i}.png")
    extractor = Mean(shapes=True)
    run(folder, [extractor], FeatureStore(tmp_path / "store"), batch_size=4)
    assert sum(extractor.batches) == 40


def test_large_images_make_small_batches(make_images, tmp_path, monkeypatch):
    # A batch of sixteen pairs of 4,000 x 4,000 pixels is 1.5 GB before a network sees it.
    one = 64 * 48 * 3 * 4
    monkeypatch.setattr("features.engine._BATCH_BYTES", 3 * one)
    extractor = Mean(shapes=True)
    run(make_images("a", 8), [extractor], FeatureStore(tmp_path / "store"), batch_size=4)
    assert extractor.batches == [3, 3, 2]


def test_what_waits_for_its_like_is_bounded_in_bytes(tmp_path, monkeypatch):
    folder = tmp_path / "a"
    folder.mkdir()
    for i in range(12):
        photo(i, 20 + i // 2, 20).save(folder / f"{i}.png")
    monkeypatch.setattr("features.engine._WAITING_BYTES", 0)
    extractor = Mean(shapes=True)
    run(folder, [extractor], FeatureStore(tmp_path / "store"))
    assert extractor.batches == [1] * 12


def test_the_bar_counts_rows_and_names_what_runs(make_images, tmp_path, capsys):
    # By images it would stand at the end while all networks have yet to run.
    folder, store = make_images("a", 4), FeatureStore(tmp_path / "store")
    run(folder, [Mean("one")], store)
    seen = []

    class Watched(Mean):
        def forward(self, batch):
            seen.append(capsys.readouterr().err.rsplit("\r", 1)[-1])
            return super().forward(batch)

    (folder / "bad.png").write_bytes(b"text")
    several = (Mean("one"), Watched("two"))
    images = dict.fromkeys(scan(folder), several)
    extract(images, store, batch_size=4, workers=2, progress=True)
    shown = capsys.readouterr().err.rsplit("\r", 1)[-1]
    assert re.match(r"two: .* [46]/10 ", seen[0])
    assert re.match(r"two: 100%.* 10/10 ", shown)


def test_the_summary_gives_each_extractor_its_own_time(make_images, tmp_path, caplog):
    class Slow(Mean):
        def forward(self, batch):
            time.sleep(0.2)
            return super().forward(batch)

    caplog.set_level("INFO", "features.engine")  # a program that ran before may have set another
    run(make_images("a", 3), [Mean("quick"), Slow("slow")], FeatureStore(tmp_path / "store"))
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == "quick: 3 rows computed (3 images, 0.0 s)"
    assert lines[1].startswith("slow: 3 rows computed (3 images, 0.2 s")


def test_a_store_that_cannot_be_written_is_used_if_it_holds_every_row(
    make_images, tmp_path, monkeypatch
):
    folder, store = make_images("a", 2), FeatureStore(tmp_path / "store")
    run(folder, [Mean()], store)
    monkeypatch.setattr("features.store.check_writable", refused)
    again = FeatureStore(tmp_path / "store")
    assert run(folder, [Mean()], again).computed == {"mean": 0}
    lacking = Mean("other")
    with pytest.raises(UserError, match="lacks rows of these images; give a writable folder"):
        run(folder, [lacking], again)
    assert lacking.prepared == 0  # else it would be found after hours of work


def refused(folder, option):
    raise UserError(f"{option} {folder}: cannot be written (Read-only file system)")


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


def test_an_equal_file_that_comes_while_the_network_loads_is_computed_once(make_images, tmp_path):
    # Its first batch is full but has not run: without care the store would hold two rows.
    folder = make_images("a", 2)
    for i in range(4):
        shutil.copy(folder / "0_0_0.png", folder / f"copy{i}.png")
    extractor, arrived = Mean(), threading.Event()
    load, prepare = extractor.load, extractor.prepare
    extractor.load = lambda: (arrived.wait(10), load())

    def prepared(picture):
        if extractor.prepared == 5:
            arrived.set()
        return prepare(picture)

    extractor.prepare = prepared
    done = run(folder, [extractor], FeatureStore(tmp_path / "store"), batch_size=1)
    assert done.computed == {"mean": 2}
    assert extractor.batches == [1, 1]
