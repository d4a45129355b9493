"""From image files to rows in the store: plan, load, forward, store.

Loader threads read each file once, ask the store what is missing, decode once and make every
extractor's input from that; the main thread runs the networks. Decoding and resizing release
the interpreter lock, so threads use all cores without copying images between processes.

Networks are loaded by a thread of their own, one after the other; those that are there already
run meanwhile, as importing some libraries takes longer than scoring a few images.

Images that are compared are loaded together, so that pairs need no second decode. Batches are
formed in the order given: a run that is resumed forms the batches of one never stopped.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extractors.base import Extractor, Sample, is_finite, pair_key
from features.loading import (
    Group,
    ImageRecord,
    Loaded,
    Pair,
    Prepared,
    groups_of,
    nbytes,
    ordered_map,
)
from features.networks import Networks
from features.progress import Progress
from features.store import FeatureStore, FeatureTable
from inputs.images import UnreadableImageError, read
from utils.errors import UserError
from utils.text import printable

logger = logging.getLogger(__name__)

_BATCHES_AHEAD = 4  # of an extractor, while its network is being loaded
_ENOUGH = 4  # images of a batch: if none of so many gives a finite row, the weights are to blame
# Bytes of samples, which networks multiply: images of usual sizes stay far below.
_BATCH_BYTES = 128 << 20
_PAIRS_BYTES = 16 << 20  # of a batch of pairs, which are compared at their own size
_WAITING_BYTES = 512 << 20
_LOADED_BYTES = 256 << 20  # of groups that are loaded ahead


@dataclass(frozen=True)
class Extraction:
    """What ``extract`` did.

    Attributes:
        records: one an image, in the order given.
        tables: the feature table of each extractor, by the extractor's name.
        computed: number of rows computed in this run, by the extractor's name.
        failures: (row key, extractor's name) -> why a readable image or pair has no row.
    """

    records: dict[Path, ImageRecord]
    tables: dict[str, FeatureTable]
    computed: dict[str, int]
    failures: dict[tuple[str, str], str]

    def error(self, path: Path, extractor: str) -> str | None:
        """Why an image has no row of an extractor; None if it has one."""
        return self.records[path].error or self.failure(path, extractor)

    def failure(self, path: Path, extractor: str) -> str | None:
        """The same, of images that could be read."""
        return self.failures.get((self.records[path].digest, extractor))

    def pair_error(self, pair: Pair, extractor: str) -> str | None:
        """Why a pair has no row of an extractor; None if it has one."""
        broken = next((r for r in (self.records[path] for path in pair) if r.error), None)
        if broken:
            return f"{printable(broken.path.name)}: {broken.error}"
        return self.pair_failure(pair, extractor)

    def pair_failure(self, pair: Pair, extractor: str) -> str | None:
        """The same, of pairs that could be read."""
        digests = [self.records[path].digest for path in pair]
        return self.failures.get((pair_key(*digests), extractor)) if all(digests) else None


def extract(
    images: Mapping[Path, Sequence[Extractor]],
    store: FeatureStore,
    *,
    pairs: Mapping[Pair, Sequence[Extractor]] | None = None,
    batch_size: int,
    workers: int,
    progress: bool = False,
) -> Extraction:
    """Make sure the store holds every row that is wanted of readable images and pairs.

    Args:
        images: the extractors wanted of each file; files of equal content are computed once.
        store: where rows are looked up and kept.
        pairs: the extractors wanted of each (reference, candidate); both are in ``images``.
        batch_size: most samples in a forward pass.
        workers: loader threads.
        progress: show a bar on stderr: rows done of those wanted, what runs, rate, time left.

    Raises:
        UserError: a model cannot be loaded or is damaged, or rows are lacking and the store cannot
            be written.
    """
    run = _Run(images, pairs or {}, store, batch_size, progress)
    groups = groups_of(images, pairs or {})
    ahead = max(1, (2 * workers + batch_size) * len(groups) // max(1, len(images)))
    try:
        run.open()
        for loaded in ordered_map(
            run.load, groups, workers, ahead, size=Loaded.nbytes, most=_LOADED_BYTES
        ):
            run.take(loaded)
        run.forward_rest()
    finally:
        run.close()
    run.report()
    records = {path: run.records[path] for path in images}
    return Extraction(records, run.tables, run.computed, run.failures)


class _Run:
    """The state of one ``extract`` call: tables, batches being filled, records."""

    def __init__(
        self,
        images: Mapping[Path, Sequence[Extractor]],
        pairs: Mapping[Pair, Sequence[Extractor]],
        store: FeatureStore,
        batch_size: int,
        progress: bool,
    ) -> None:
        self.images = images
        self.pairs = pairs
        wanted = [e for several in (*images.values(), *pairs.values()) for e in several]
        self.extractors = {e.name: e for e in wanted}
        self.wanted = Counter(e.name for e in wanted)
        self.progress = Progress(len(wanted), shown=progress)
        self.store = store
        self.tables: dict[str, FeatureTable] = {}
        self.networks = Networks(self.extractors.values())
        self.computed = dict.fromkeys(self.extractors, 0)
        self.refused: Counter[str] = Counter()  # rows that are not finite
        self.seconds = dict.fromkeys(self.extractors, 0.0)  # in forward passes
        self.batch_size = batch_size
        self.records: dict[Path, ImageRecord] = {}
        self.failures: dict[tuple[str, str], str] = {}
        # (extractor, input shape) -> samples waiting for a full batch, by row key
        self.waiting: dict[tuple[str, tuple[int, ...]], dict[str, Any]] = {}
        self.ready: dict[str, deque[dict[str, Any]]] = {}  # extractor -> batches to be run

    def open(self) -> None:
        """Open the tables, whose names need the digests of the weights."""
        if self.store.is_empty():  # every row will be lacking
            self.networks.start(self.extractors)
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda extractor: extractor.id, self.extractors.values()))
        self.tables = {e.name: self.store.table(e.id, e.rows) for e in self.extractors.values()}

    def load(self, group: Group) -> Loaded:
        """Read, hash, decode and prepare a group (in a loader thread)."""
        wanted = [self.images[path] for path in group.paths]
        wanted += [self.pairs[pair] for pair in group.pairs]
        loaded = Loaded(sum(map(len, wanted)))
        contents: dict[Path, bytes] = {}
        for path in group.paths:
            try:
                contents[path] = read(path)
                digest = hashlib.sha256(contents[path]).hexdigest()
                loaded.records[path] = ImageRecord(path, digest)
            except UnreadableImageError as error:
                loaded.records[path] = ImageRecord(path, "", str(error))
        singles, pairs = self._lacking(group, loaded.records)
        if singles or pairs:
            self.store.check_writable()
            self.networks.start(extractor.name for _, extractor in (*singles, *pairs))
        takers: dict[Path, dict[str, Extractor]] = {}
        for path, extractor in [*singles, *((p, e) for pair, e in pairs for p in pair)]:
            takers.setdefault(path, {})[extractor.name] = extractor
        prepared = Prepared(loaded)
        for path, extractors in takers.items():
            prepared.add_image(path, contents.pop(path), extractors.values())
        for path, extractor in singles:
            prepared.add_single(path, extractor)
        for pair, extractor in pairs:
            prepared.add_pair(pair, extractor)
        return loaded

    def _lacking(
        self, group: Group, records: Mapping[Path, ImageRecord]
    ) -> tuple[list[tuple[Path, Extractor]], list[tuple[Pair, Extractor]]]:
        """What of a group the store has no rows of."""
        digests = {path: record.digest for path, record in records.items() if record.digest}
        singles = [
            (path, extractor)
            for path, digest in digests.items()
            for extractor in self.images[path]
            if digest not in self.tables[extractor.name]
        ]
        pairs = [
            (pair, extractor)
            for pair in group.pairs
            if pair[0] in digests and pair[1] in digests
            for extractor in self.pairs[pair]
            if pair_key(*(digests[path] for path in pair)) not in self.tables[extractor.name]
        ]
        return singles, pairs

    def take(self, loaded: Loaded) -> None:
        """Queue the samples of a group, and run the full batches whose networks are there."""
        self.records.update(loaded.records)
        self.failures.update(loaded.failures)
        queued = 0
        for name, key, sample in loaded.samples:
            if self._came_before(name, key):
                continue
            queued += 1
            shape = (sample if isinstance(sample, Sample) else sample[0]).pixels.shape
            batch = self.waiting.setdefault((name, shape), {})
            batch[key] = sample
            if len(batch) == self._most(sample):
                self._close_batch(name, shape)
        self.progress.found(loaded.rows - queued)
        while self._too_much_waits():
            # A folder of many shapes: what waits for its like must not fill the memory.
            self._close_batch(*max(self.waiting, key=lambda slot: _nbytes(self.waiting[slot])))
        self._forward(most_left=_BATCHES_AHEAD)

    def _most(self, sample: Sample | tuple[Sample, Sample]) -> int:
        """The size of a batch of samples like this one."""
        most = _BATCH_BYTES if isinstance(sample, Sample) else _PAIRS_BYTES
        return min(self.batch_size, max(1, most // nbytes(sample)))

    def _too_much_waits(self) -> bool:
        batches = self.waiting.values()
        return (
            sum(map(len, batches)) > 4 * self.batch_size * len(self.extractors)
            or sum(map(_nbytes, batches)) > _WAITING_BYTES
        )

    def forward_rest(self) -> None:
        """Run everything that waits, also the batches that never filled."""
        for slot in list(self.waiting):
            self._close_batch(*slot)
        self._forward(most_left=0)
        for name in self.extractors:
            self._check_weights(name)

    def _came_before(self, name: str, key: str) -> bool:
        """Whether an equal file was there first."""
        return (
            key in self.tables[name]
            or (key, name) in self.failures
            or any(key in batch for batch in self.ready.get(name, ()))
            or any(key in batch for slot, batch in self.waiting.items() if slot[0] == name)
        )

    def _close_batch(self, name: str, shape: tuple[int, ...]) -> None:
        self.ready.setdefault(name, deque()).append(self.waiting.pop((name, shape)))

    def _forward(self, most_left: int) -> None:
        """Run the batches whose networks are loaded, waiting for one while too many are left."""
        while self.ready:
            name = self.networks.first_loaded(self.ready)
            if name is None:
                if self._may_wait(most_left):
                    return
                self.progress.says(f"loading {next(iter(self.ready))}")
                self.networks.wait(self.ready)
                continue
            self._run_batch(name, self.ready[name].popleft())
            if not self.ready[name]:
                del self.ready[name]

    def _may_wait(self, most_left: int) -> bool:
        """Whether the batches whose networks are still loading may be joined by more."""
        several = self.ready.values()
        held = sum(_nbytes(batch) for batches in several for batch in batches)
        return max(map(len, several)) <= most_left and held <= _WAITING_BYTES

    def _run_batch(self, name: str, batch: Mapping[str, Any]) -> None:
        extractor, table = self.extractors[name], self.tables[name]
        self.progress.says(name)
        started = time.monotonic()
        with self.networks.beside_loading():
            rows = extractor.forward(list(batch.values()))
        self.seconds[name] += time.monotonic() - started
        for key, row in zip(batch, rows, strict=True):
            if is_finite(row):
                table.add(key, row)
                self.computed[name] += 1
            else:
                self.refused[name] += 1
                self.failures[key, name] = f"{name} gives values that are not finite"
        self.progress.computed(len(batch))
        if len(batch) >= _ENOUGH:
            self._check_weights(name)

    def _check_weights(self, name: str) -> None:
        """Refuse a network that has failed on every image there was.

        Raises:
            UserError: it has.
        """
        if self.refused[name] and not len(self.tables[name]):
            about = self.extractors[name].provenance
            precision = about.get("precision")
            coarse = f", or too large for {precision}" if precision in ("bf16", "fp16") else ""
            raise UserError(
                f"{about.get('path', name)}: {name} gives values that are not finite for every "
                f"image: its weights are damaged{coarse}"
            )

    def report(self) -> None:
        """Log what was computed of each extractor, and how long its own passes took."""
        pairwise = {e.name for several in self.pairs.values() for e in several}
        for name, n in self.computed.items():
            found = "every row was in the store" if len(self.tables[name]) else "nothing to compute"
            what = f"{n} rows computed" if n else f"{found}, no forward pass"
            unit = "pairs" if name in pairwise else "images"
            about = (name, what, self.wanted[name], self.seconds[name])
            logger.info(f"%s: %s (%d {unit}, %.1f s)", *about)

    def close(self) -> None:
        """Let go of the networks, and write what is not written yet."""
        self.progress.close()
        self.networks.close()
        for table in self.tables.values():
            table.flush()


def _nbytes(batch: Mapping[str, Any]) -> int:
    """Memory that the samples of a batch take, those of several pairs counted with each."""
    return len(batch) * nbytes(next(iter(batch.values())))
