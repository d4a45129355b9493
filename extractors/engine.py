"""From image files to rows in the store: plan, load, forward, store.

Loader threads read each file once, ask the store what is missing, decode once and make every
extractor's input from that; the main thread runs the networks. Decoding and resizing release
the interpreter lock, so threads use all cores without copying images between processes.

Images are taken and batches formed in the order given, so a run that is resumed forms the same
batches as one that was never stopped.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from extractors.base import Embeddings, Extractor, Sample
from extractors.store import FeatureStore, FeatureTable
from utils.errors import UserError
from utils.images import Picture, UnreadableImageError, decode, read

logger = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class ImageRecord:
    """One file after extraction: its content's SHA-256, or why it has no row."""

    path: Path
    digest: str | None
    error: str | None = None


@dataclass(frozen=True)
class Extraction:
    """What ``extract`` did.

    Attributes:
        records: one an image, in the order given.
        tables: the feature table of each extractor, by the extractor's name.
        computed: number of rows computed in this run, by the extractor's name.
    """

    records: list[ImageRecord]
    tables: dict[str, FeatureTable]
    computed: dict[str, int]


def extract(
    paths: Sequence[Path],
    extractors: Sequence[Extractor],
    store: FeatureStore,
    *,
    batch_size: int,
    workers: int,
    progress: bool = False,
) -> Extraction:
    """Make sure the store holds every extractor's row of every readable image.

    Args:
        paths: image files; equal files (by content) are computed once.
        extractors: each gets its input from the one decode of an image.
        store: where rows are looked up and kept.
        batch_size: most samples in a forward pass.
        workers: loader threads.
        progress: show a bar with rate and estimate on stderr.

    Raises:
        UserError: a model cannot be loaded or the store cannot be written.
    """
    run = _Run(extractors, store, batch_size)
    started = time.monotonic()
    loaded = ordered_map(run.load, paths, workers, ahead=2 * workers + batch_size)
    try:
        bar = tqdm(loaded, total=len(paths), unit="img", disable=not progress, smoothing=0.1)
        for image in bar:
            run.take(image)
        run.forward_rest()
    finally:
        run.flush()
    seconds = time.monotonic() - started
    for extractor in extractors:
        n = run.computed[extractor.name]
        logger.info(
            "%s: %s (%d images, %.1f s)",
            extractor.name,
            f"{n} rows computed" if n else "every row was in the store, no forward pass",
            len(paths),
            seconds,
        )
    return Extraction(run.finished_records(), run.tables, run.computed)


@dataclass(frozen=True)
class _Loaded:
    record: ImageRecord
    samples: dict[str, Sample]  # by extractor name; only what the store lacks


class _Run:
    """The state of one ``extract`` call: tables, batches being filled, records."""

    def __init__(
        self, extractors: Sequence[Extractor], store: FeatureStore, batch_size: int
    ) -> None:
        self.extractors = {extractor.name: extractor for extractor in extractors}
        self.tables = {e.name: store.table(e.id, e.rows) for e in extractors}
        self.computed = dict.fromkeys(self.extractors, 0)
        self.batch_size = batch_size
        self.records: list[ImageRecord] = []
        # (extractor, input shape) -> samples waiting for a full batch, by digest
        self.waiting: dict[tuple[str, tuple[int, ...]], dict[str, Sample]] = {}
        self.rejected: dict[str, str] = {}  # digest -> why its row was not kept

    def load(self, path: Path) -> _Loaded:
        """Read, hash, decode and prepare one file (in a loader thread)."""
        try:
            data = read(path)
            digest = hashlib.sha256(data).hexdigest()
            lacking = [e for e in self.extractors.values() if digest not in self.tables[e.name]]
            if not lacking:
                return _Loaded(ImageRecord(path, digest), {})
            picture = decode(data)
            samples = {e.name: _prepare(e, picture) for e in lacking}
            return _Loaded(ImageRecord(path, digest), samples)
        except UnreadableImageError as error:
            return _Loaded(ImageRecord(path, None, str(error)), {})

    def take(self, image: _Loaded) -> None:
        """Queue the samples of one image and run every batch that is full."""
        self.records.append(image.record)
        digest = image.record.digest
        for name, sample in image.samples.items():
            key = (name, sample.pixels.shape)
            batch = self.waiting.setdefault(key, {})
            if digest in self.tables[name] or digest in self.rejected:
                continue  # an equal file came first
            batch[digest] = sample
            if len(batch) == self.batch_size:
                self._forward(*key)

    def forward_rest(self) -> None:
        """Run the batches that never filled."""
        for key in list(self.waiting):
            self._forward(*key)

    def _forward(self, name: str, shape: tuple[int, ...]) -> None:
        batch = self.waiting.pop((name, shape))
        if not batch:
            return
        extractor, table = self.extractors[name], self.tables[name]
        rows = extractor.forward(list(batch.values()))
        for digest, row in zip(batch, rows, strict=True):
            if isinstance(extractor.rows, Embeddings) and not np.isfinite(row).all():
                self.rejected[digest] = f"{name} gives values that are not finite"
                continue
            table.add(digest, row)
            self.computed[name] += 1

    def flush(self) -> None:
        for table in self.tables.values():
            table.flush()

    def finished_records(self) -> list[ImageRecord]:
        return [
            ImageRecord(r.path, None, self.rejected[r.digest]) if r.digest in self.rejected else r
            for r in self.records
        ]


def _prepare(extractor: Extractor, picture: Picture) -> Sample:
    try:
        return extractor.prepare(picture)
    except UserError:  # the model's fault
        raise
    except Exception as error:  # a 1 x 100000 strip, say: the file's fault, not the run's
        size = "x".join(map(str, picture.rgb.size))
        raise UnreadableImageError(f"{extractor.name} cannot take it ({size}): {error}") from error


def ordered_map(
    function: Callable[[T], R], items: Iterable[T], workers: int, ahead: int
) -> Iterator[R]:
    """Yield ``function(item)`` in order, computed by threads at most ``ahead`` items in front."""
    with ThreadPoolExecutor(workers, thread_name_prefix="loader") as pool:
        queue: deque[Future[R]] = deque()
        try:
            for item in items:
                queue.append(pool.submit(function, item))
                if len(queue) > ahead:
                    yield queue.popleft().result()
            while queue:
                yield queue.popleft().result()
        finally:
            for future in queue:
                future.cancel()
