import multiprocessing
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import features.store
from extractors.base import Detections, Embeddings
from features.store import FeatureStore
from utils.errors import UserError

FACE = {"label": "FACE_MALE", "score": 0.5, "x": 1.0, "y": 2.0, "w": 3.0, "h": 4.0}


def count_reads(monkeypatch):
    """From here on, the numbers of the row groups that are read."""
    read = []
    original = pq.ParquetFile.read_row_group
    monkeypatch.setattr(
        pq.ParquetFile, "read_row_group", lambda f, i, *a: read.append(i) or original(f, i, *a)
    )
    return read


def test_embeddings_come_back_in_the_order_asked_for(tmp_path):
    store = FeatureStore(tmp_path)
    table = store.table("e", Embeddings(3))
    rows = {name: np.random.default_rng(i).random(3, np.float32) for i, name in enumerate("abc")}
    for name in "ab":
        table.add(name, rows[name])
    table.flush()
    table.add("c", rows["c"])
    expected = np.stack([rows[n] for n in "caba"])
    np.testing.assert_array_equal(table.get(list("caba")), expected)
    np.testing.assert_array_equal(store.table("e", Embeddings(3)).get(list("caba")), expected)


def test_detections_come_back_exactly(tmp_path):
    table = FeatureStore(tmp_path).table("d", Detections())
    table.add("a", [FACE, FACE])
    table.add("b", [])
    assert table.get(["b", "a"]) == [[], [FACE, FACE]]


@pytest.mark.parametrize("rows", [Embeddings(3), Detections()])
def test_a_part_is_read_in_pieces_and_only_those_that_are_asked_for(tmp_path, monkeypatch, rows):
    # Else a part of a million images fills the memory, and each method reads all of it again.
    monkeypatch.setattr(features.store, "_GROUP_ROWS", 4)
    table = FeatureStore(tmp_path).table("t", rows)
    made = {f"{i}": [FACE] * i if isinstance(rows, Detections) else [i] * 3 for i in range(10)}
    for image, row in made.items():
        table.add(image, row if isinstance(rows, Detections) else np.array(row, np.float32))
    table.flush()
    read = count_reads(monkeypatch)
    asked = ["9", "1", "8", "1"]
    assert [list(row) for row in table.get(asked)] == [made[image] for image in asked]
    assert read == [0, 2]
    assert len(FeatureStore(tmp_path).table("t", rows)) == 10


@pytest.mark.parametrize(("held", "reads"), [(10, 3), (9, 6)])
def test_a_small_table_is_read_once_and_a_large_one_is_not_kept(tmp_path, monkeypatch, held, reads):
    # Else every method's scores read all parts again, or a million images' rows fill the memory.
    monkeypatch.setattr(features.store, "_GROUP_ROWS", 4)
    monkeypatch.setattr(features.store, "_HELD_ROWS", held)
    table = FeatureStore(tmp_path).table("t", Embeddings(1))
    for i in range(10):
        table.add(f"{i}", np.array([i], np.float32))
    table.flush()
    read = count_reads(monkeypatch)
    for images in ("0123456789", "9876543210"):
        assert table.get(images).ravel().tolist() == [*map(int, images)]
    assert len(read) == reads


def test_no_more_than_some_rows_wait_to_be_written(tmp_path, monkeypatch):
    # Else a twentieth of a run of a day is lost when it is killed, and fills the memory till then.
    monkeypatch.setattr(features.store, "_PENDING_ROWS", 4)
    table = FeatureStore(tmp_path).table("e", Embeddings(1))
    for i in range(11):
        table.add(f"{i}", np.array([i], np.float32))
    assert len(FeatureStore(tmp_path).table("e", Embeddings(1))) == 8
    assert len(table) == 11


def test_a_store_is_empty_until_a_row_is_written(tmp_path):
    # A folder of heads lies in the same cache.
    store = FeatureStore(tmp_path)
    (tmp_path / "weights").mkdir()
    assert store.is_empty()
    table = store.table("e", Embeddings(3))
    table.add("a", np.ones(3, np.float32))
    table.flush()
    assert not store.is_empty()


def test_a_row_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(KeyError):
        FeatureStore(tmp_path).table("e", Embeddings(3)).get(["a"])


def test_only_what_is_lacking_is_computed(tmp_path):
    table = FeatureStore(tmp_path).table("e", Embeddings(1))
    asked = []

    def compute(sources):
        asked.append(sources)
        return np.array(sources, np.float32)[:, None]

    table.complete({"a": 1, "b": 2}, compute)
    table.complete({"b": 7, "c": 3}, compute)
    table.complete({"a": 9}, compute)
    assert asked == [[1, 2], [3]]
    assert table.get(["a", "b", "c"]).tolist() == [[1], [2], [3]]


def test_anyone_can_open_it_with_pandas(tmp_path):
    table = FeatureStore(tmp_path).table("e", Embeddings(2))
    table.add("a", np.array([1, 2], np.float32))
    table.flush()
    frame = pd.read_parquet(tmp_path / "e")
    assert frame["image"].tolist() == ["a"]
    assert frame["row"][0].tolist() == [1, 2]


def test_torn_and_foreign_parts_are_reported_and_left_out(tmp_path, caplog):
    store = FeatureStore(tmp_path)
    table = store.table("e", Embeddings(2))
    table.add("a", np.zeros(2, np.float32))
    table.flush()
    whole = next((tmp_path / "e").iterdir()).read_bytes()
    (tmp_path / "e" / "part-torn.parquet").write_bytes(whole[:-20])
    pq.write_table(pa.table({"x": [1]}), tmp_path / "e" / "part-foreign.parquet")
    again = store.table("e", Embeddings(2))
    assert len(again) == 1
    assert sorted(r.getMessage().split(":")[0].rsplit("/")[-1] for r in caplog.records) == [
        "part-foreign.parquet",
        "part-torn.parquet",
    ]


def test_a_flipped_bit_costs_the_part_not_a_decision(tmp_path, caplog):
    store = FeatureStore(tmp_path)
    table = store.table("e", Embeddings(64))
    for i in range(50):
        table.add(str(i), np.random.default_rng(i).random(64, np.float32))
    table.flush()
    (part,) = (tmp_path / "e").iterdir()
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)
    assert len(store.table("e", Embeddings(64))) == 0
    assert "delete it" in caplog.text


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("rows", "bad"),
    [
        (Embeddings(2), [None, [None, 1.0], [NAN, 1.0], [1.0, -INF]]),
        (
            Detections(),
            [
                None,
                [None],
                [FACE, {**FACE, "score": NAN}],
                [{**FACE, "score": None}, FACE],
                [{**FACE, "label": None}],
                [{**FACE, "w": INF}],
            ],
        ),
    ],
)
def test_rows_that_cannot_be_decided_on_are_not_there(tmp_path, caplog, rows, bad):
    # "score > threshold" is false for NaN: the concept would be gone from the image.
    good = [1.0, 2.0] if isinstance(rows, Embeddings) else [FACE]
    table = FeatureStore(tmp_path).table("t", rows)
    table.add("good", np.array(good, np.float32) if isinstance(rows, Embeddings) else good)
    table.flush()
    kept = next((tmp_path / "t").iterdir())
    for number, row in enumerate(bad):
        names = ["before", f"{number}", None]
        part = pa.table({"image": names, "row": [good, row, good]}, pq.read_schema(kept))
        pq.write_table(part, tmp_path / "t" / f"part-{number}.parquet")
    again = FeatureStore(tmp_path).table("t", rows)
    assert [name for name in ("good", "before", *map(str, range(9))) if name in again] == [
        "good",
        "before",
    ]
    assert [list(row) for row in again.get(["before", "good"])] == [good, good]
    assert caplog.text.count("2 rows left out, with nulls or values that are not finite") == len(
        bad
    )


def test_rows_without_one_detection_are_there(tmp_path):
    table = FeatureStore(tmp_path).table("t", Detections())
    table.add("a", [])
    table.flush()
    assert "a" in FeatureStore(tmp_path).table("t", Detections())


def test_what_is_computed_beside_the_store_must_be_finite_too(tmp_path):
    table = FeatureStore(tmp_path).table("clip-text", Embeddings(1))
    with pytest.raises(UserError, match="clip-text: values that are not finite"):
        table.complete({"a": 1}, lambda _: np.full((1, 1), np.nan, np.float32))


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "system", "empty", "broken link"])
def test_what_is_no_regular_file_is_no_part(tmp_path, caplog, kind):
    # Opening a pipe waits for a writer; /dev/zero and /proc/kmsg never end.
    part = tmp_path / "e" / "part-x.parquet"
    part.parent.mkdir()
    links = {"device": "/dev/zero", "system": "/proc/kmsg", "broken link": "gone"}
    if kind in links:
        part.symlink_to(links[kind])
    else:
        {"pipe": os.mkfifo, "folder": os.mkdir, "empty": Path.touch}[kind](part)
    assert len(FeatureStore(tmp_path).table("e", Embeddings(1))) == 0
    assert "left out of the feature store" in caplog.text


@pytest.mark.parametrize("change", ["gone", "torn"])
def test_a_part_that_goes_during_a_run_is_one_line(tmp_path, change):
    table = FeatureStore(tmp_path).table("e", Embeddings(1))
    table.add("a", np.zeros(1, np.float32))
    table.flush()
    (part,) = (tmp_path / "e").iterdir()
    if change == "gone":
        shutil.rmtree(tmp_path)
    else:
        part.write_bytes(part.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"part-.* changed or deleted during this run") as caught:
        table.get(["a"])
    assert "\n" not in str(caught.value)


def test_rows_are_written_though_the_folder_was_deleted_meanwhile(tmp_path):
    table = FeatureStore(tmp_path / "store").table("e", Embeddings(1))
    table.add("a", np.zeros(1, np.float32))
    table.flush()
    shutil.rmtree(tmp_path / "store")
    table.add("b", np.ones(1, np.float32))
    assert table.get(["b"]).tolist() == [[1]]


def test_an_unfinished_part_does_not_stop_other_readers(tmp_path, monkeypatch):
    table = FeatureStore(tmp_path).table("e", Embeddings(1))
    table.add("a", np.zeros(1, np.float32))
    table.flush()
    table.add("b", np.zeros(1, np.float32))

    def killed(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(features.store.os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        table.flush()
    assert len(list((tmp_path / "e").iterdir())) == 2
    assert pd.read_parquet(tmp_path / "e")["image"].tolist() == ["a"]


def test_rows_reach_the_disk_within_seconds(tmp_path, monkeypatch):
    # Otherwise a killed run loses hours.
    now = [0.0]
    monkeypatch.setattr(features.store.time, "monotonic", lambda: now[0])
    store = FeatureStore(tmp_path)
    table = store.table("e", Embeddings(1))
    for second in range(4):
        now[0] = float(second)
        table.add(str(second), np.zeros(1, np.float32))
    assert len(store.table("e", Embeddings(1))) == 4  # flushed by the add at t = 3 s


def _write(root, number):
    table = FeatureStore(root).table("e", Embeddings(1))
    for i in range(50):
        table.add(f"{number}-{i}", np.full(1, i, np.float32))
        table.flush()
    os._exit(0)  # as a killed process: nothing is tidied up


def test_concurrent_writers_lose_nothing(tmp_path):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_write, args=(tmp_path, n)) for n in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    table = FeatureStore(tmp_path).table("e", Embeddings(1))
    assert len(table) == 150
    assert table.get([f"{n}-7" for n in range(3)]).tolist() == [[7], [7], [7]]


def test_an_unwritable_store_is_a_user_error(tmp_path):
    (tmp_path / "file").touch()
    table = FeatureStore(tmp_path / "file").table("e", Embeddings(1))
    table.add("a", np.zeros(1, np.float32))
    with pytest.raises(UserError, match="--cache-dir"):
        table.flush()
