"""The feature store: rows of extractors in Parquet files, keyed by the image's content.

    <root>/<extractor id>/part-<uuid>.parquet     columns: image (SHA-256 of the file), row

Parts are written under another name and renamed, and never changed afterwards, so any number of
processes may write at once, on a network file system too, and a killed one leaves only whole
parts. ``pandas.read_parquet("<root>/<extractor id>")`` opens them.
"""

from __future__ import annotations

import logging
import os
import stat
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from extractors.base import BOX, Detections, Embeddings, is_finite
from features.arrow import numbers, strings
from utils.errors import UserError, reason
from utils.files import check_writable

logger = logging.getLogger(__name__)

T = TypeVar("T")

FLUSH_SECONDS = 2.0
_FLUSH_SHARE = 0.05  # of the time a run has taken: parts grow with it, up to the number below
_PENDING_ROWS = 1024  # that wait to be written, at most: 8 MB of the largest rows
_GROUP_ROWS = 1024  # of a part: what is read at a time
_HELD_ROWS = 8192  # of a table: up to so many are read once; 64 MB of the largest rows
_DETECTION = pa.struct([("label", pa.string()), *((field, pa.float32()) for field in BOX)])


def _schema(rows: Embeddings | Detections) -> pa.Schema:
    kind = (
        pa.list_(pa.float32(), rows.dim) if isinstance(rows, Embeddings) else pa.list_(_DETECTION)
    )
    return pa.schema([("image", pa.string()), ("row", kind)])


class FeatureTable:
    """The rows of one extractor. Not thread-safe, but ``in`` may be asked from any thread.

    Rows that are null, or hold a null or a value that is not finite, are not there: whatever
    decides on a row need not look for them.
    """

    def __init__(self, folder: Path, rows: Embeddings | Detections) -> None:
        self.folder = folder
        self.rows = rows
        self._schema = _schema(rows)
        self._groups: list[tuple[Path, int]] = []  # part, and number of the row group in it
        self._starts = [0]  # rows before each group, and at the end those in all
        self._held: dict[int, pa.Array] = {}  # group -> its rows
        self._index: dict[str, int] = {}  # image -> its row, counted over all groups
        self._pending: dict[str, int] = {}  # image -> its place among those written next
        # In one block: rows left where they were made keep batches from fitting in between, and
        # the heap of a long run grows by hundreds of MB.
        kind = (np.float32, (rows.dim,)) if isinstance(rows, Embeddings) else object
        self._next = np.empty(_PENDING_ROWS, kind)
        self._opened = self._flushed = time.monotonic()
        for part in sorted(folder.glob("part-*.parquet")):
            self._add_part(part)

    def __contains__(self, image: str) -> bool:
        return image in self._index or image in self._pending

    def __len__(self) -> int:
        return len(self._index) + len(self._pending)

    def add(self, image: str, row: Any) -> None:
        """Keep a row.

        While rows keep coming it is on disk ``FLUSH_SECONDS`` later, or a twentieth of the time
        since the table was opened, whichever is longer; at once when ``_PENDING_ROWS`` wait.
        """
        now = time.monotonic()
        if not self._pending:
            self._flushed = now
        self._next[self._pending.setdefault(image, len(self._pending))] = row
        late = now - self._flushed > max(FLUSH_SECONDS, _FLUSH_SHARE * (now - self._opened))
        if late or len(self._pending) == len(self._next):
            self.flush()

    def complete(
        self, wanted: Mapping[str, T], compute: Callable[[list[T]], Iterable[Any]]
    ) -> None:
        """Compute and add the rows that are lacking.

        Args:
            wanted: what each row is computed from, by its key.
            compute: makes a row of each; called only when some are lacking.

        Raises:
            UserError: a row is not finite.
        """
        lacking = {key: source for key, source in wanted.items() if key not in self}
        if lacking:
            rows = compute(list(lacking.values()))
            for key, row in zip(lacking, rows, strict=True):
                if not is_finite(row):
                    raise UserError(
                        f"{self.folder.name}: values that are not finite: its weights are damaged"
                    )
                self.add(key, row)

    def flush(self) -> None:
        """Write the rows that are not on disk yet as one new part.

        Raises:
            UserError: the folder cannot be written.
        """
        if not self._pending:
            return
        rows = self._next[: len(self._pending)]
        if isinstance(self.rows, Embeddings):
            column = pa.FixedSizeListArray.from_arrays(numbers(rows), self.rows.dim)
        else:
            column = _detections(rows)
        table = pa.table([strings(list(self._pending)), column], schema=self._schema)
        part = self.folder / f"part-{uuid.uuid4().hex}.parquet"
        unfinished = part.with_name(f".{part.name}")  # readers of a folder pass over dot files
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            pq.write_table(
                table,
                unfinished,
                row_group_size=_GROUP_ROWS,
                use_dictionary=False,  # values hardly repeat: a third smaller, written faster
                write_page_checksum=True,
            )
            os.replace(unfinished, part)
        except OSError as error:
            raise UserError(
                f"{self.folder}: cannot write features ({error.strerror or error}); "
                "give a writable folder with --cache-dir, or --no-cache"
            ) from error
        self._pending.clear()
        self._add_part(part)
        self._flushed = time.monotonic()

    def get(self, images: Sequence[str]) -> Any:
        """Return the rows of ``images``, in that order.

        Returns:
            float32 array of shape (len(images), dim) for embeddings, else a list of lists.

        Raises:
            KeyError: an image has no row.
            UserError: a part is gone, or has been changed, since the table was opened.
        """
        self.flush()
        n = len(images)
        wanted = np.array([self._index[image] for image in images], np.int64)
        targets = np.argsort(wanted)
        wanted = wanted[targets]
        embeddings = isinstance(self.rows, Embeddings)
        out = np.empty((n, self.rows.dim), np.float32) if embeddings else np.empty(n, object)
        for group in np.unique(np.searchsorted(self._starts, wanted, side="right")) - 1:
            first, end = self._starts[group : group + 2]
            here = slice(*np.searchsorted(wanted, (first, end)))
            out[targets[here]] = self._taken(self._column(group), wanted[here] - first)
        return out if embeddings else list(out)

    def _column(self, group: int) -> pa.Array:
        """The rows of a row group."""
        if group in self._held:
            return self._held[group]
        part, number = self._groups[group]
        try:
            with pq.ParquetFile(part) as file:
                column = file.read_row_group(number, ["row"])["row"].combine_chunks()
        except (OSError, ValueError, pa.ArrowException) as error:
            raise UserError(
                f"{part}: changed or deleted during this run ({reason(error)}); run again"
            ) from error
        if self._starts[-1] <= _HELD_ROWS:
            self._held[group] = column
        return column

    def _taken(self, column: pa.Array, positions: np.ndarray) -> np.ndarray:
        """The rows of a column at some positions."""
        if isinstance(self.rows, Embeddings):
            # Not to_numpy(), which imports pandas: a second of start-up.
            return np.from_dlpack(column.flatten()).reshape(-1, self.rows.dim)[positions]
        taken = np.empty(len(positions), object)
        for i, position in enumerate(positions):
            taken[i] = column[int(position)].as_py()
        return taken

    def _add_part(self, part: Path) -> None:
        try:
            about = part.stat()
            # Reading a pipe, a device or a file of /proc, which has no size, may never end.
            if not stat.S_ISREG(about.st_mode) or about.st_size == 0:
                raise ValueError("not a regular file, or empty")
            with pq.ParquetFile(part, page_checksum_verification=True) as file:
                if not file.schema_arrow.equals(self._schema):
                    raise ValueError(f"its columns are not those of {self.folder.name}")
                groups = [  # reading checks every page
                    self._keys(file.read_row_group(number)) for number in range(file.num_row_groups)
                ]
        except (OSError, ValueError, pa.ArrowException) as error:
            why = reason(error)
            logger.warning("%s: left out of the feature store, delete it: %s", part, why)
            return
        damaged = sum(images.count(None) for images in groups)
        if damaged:
            what = "%s: %d rows left out, with nulls or values that are not finite"
            logger.warning(what, part, damaged)
        for number, images in enumerate(groups):
            for row, image in enumerate(images, self._starts[-1]):
                if image is not None:
                    self._index.setdefault(image, row)
            self._groups.append((part, number))
            self._starts.append(self._starts[-1] + len(images))

    def _keys(self, group: pa.Table) -> list[str | None]:
        """The image of each row of a group; None where the row cannot be decided on."""
        rows, images = group["row"].combine_chunks(), group["image"].to_pylist()
        if _all_sound(rows):
            return images
        sound = map(_is_sound, rows.to_pylist())
        return [image if good else None for image, good in zip(images, sound, strict=True)]


def _all_sound(rows: pa.FixedSizeListArray | pa.ListArray) -> bool:
    """Whether there is no null in any row, and no number that is not finite."""
    flat = rows.flatten()
    detections = isinstance(flat, pa.StructArray)
    values = [flat.field(name) for name in BOX] if detections else [flat]
    columns = [rows, flat, *values, *([flat.field("label")] if detections else [])]
    return not any(column.null_count for column in columns) and all(
        np.isfinite(np.from_dlpack(column)).all() for column in values if len(column)
    )


def _is_sound(row: list[Any] | None) -> bool:
    """The same of one row, as Python has it."""
    if row is None or None in row:
        return False
    if row and isinstance(row[0], dict):
        return all(None not in found.values() for found in row) and is_finite(row)
    return is_finite(np.array(row))


def _detections(rows: Sequence[Sequence[dict[str, Any]]]) -> pa.Array:
    """Lists of detections, column by column: pa.array() of dicts imports pandas, a second."""
    flat = [found for row in rows for found in row]
    columns = [strings([found["label"] for found in flat])]
    columns += [
        numbers(np.array([found[field.name] for found in flat], np.float32))
        for field in list(_DETECTION)[1:]
    ]
    ends = np.cumsum([0, *map(len, rows)], dtype=np.int32)
    return pa.ListArray.from_arrays(
        numbers(ends), pa.StructArray.from_arrays(columns, fields=list(_DETECTION))
    )


class FeatureStore:
    """A folder of feature tables, one an extractor id."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._writable = False  # until it was tried

    def check_writable(self) -> None:
        """Make sure that rows can be kept, before any is computed.

        Raises:
            UserError: they cannot.
        """
        if not self._writable:
            try:
                check_writable(self.root, "--cache-dir")
            except UserError as error:
                raise UserError(
                    f"{error}, and it lacks rows of these images; give a writable folder, or "
                    "--no-cache"
                ) from error
            self._writable = True

    def is_empty(self) -> bool:
        """Whether there is no row of any extractor."""
        return not any(self.root.glob("*/part-*.parquet"))

    def table(self, extractor_id: str, rows: Embeddings | Detections) -> FeatureTable:
        """Open the rows of one extractor (none yet is fine)."""
        return FeatureTable(self.root / extractor_id, rows)
