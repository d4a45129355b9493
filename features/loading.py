"""Images on their way to the networks: read, decoded and prepared by threads, a group at a time."""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from threading import Condition
from typing import Any, TypeVar

from extractors.base import Extractor, Sample, pair_key
from inputs.images import UnreadableImageError, decode, decoding_bytes
from utils.text import printable

T = TypeVar("T")
R = TypeVar("R")
Pair = tuple[Path, Path]  # reference, candidate


@dataclass(frozen=True)
class ImageRecord:
    """One file after extraction: its content's SHA-256, or why it gave no image.

    Attributes:
        digest: empty where there is an error.
    """

    path: Path
    digest: str
    error: str | None = None


@dataclass(frozen=True)
class Group:
    """Images that are loaded together, and the pairs among them."""

    paths: list[Path]
    pairs: list[Pair]


def groups_of(images: Iterable[Path], pairs: Iterable[Pair]) -> list[Group]:
    """Split into groups that no pair crosses, in the order of their first images."""
    group_of = {path: Group([path], []) for path in images}
    for pair in pairs:
        kept, other = (group_of[path] for path in pair)
        if kept is not other:
            kept.paths.extend(other.paths)
            kept.pairs.extend(other.pairs)
            for path in other.paths:
                group_of[path] = kept
        kept.pairs.append(pair)
    return list({id(group): group for group in group_of.values()}.values())


@dataclass
class Loaded:
    """A group in memory; only the samples whose rows the store lacks."""

    rows: int  # that are wanted of it
    records: dict[Path, ImageRecord] = field(default_factory=dict)
    samples: list[tuple[str, str, Any]] = field(default_factory=list)  # extractor, key, sample(s)
    failures: dict[tuple[str, str], str] = field(default_factory=dict)

    def nbytes(self) -> int:
        """Memory that the samples take."""
        arrays = {
            id(one.pixels): one.pixels.nbytes
            for _, _, sample in self.samples
            for one in (sample if isinstance(sample, tuple) else (sample,))
        }
        return sum(arrays.values())


def nbytes(sample: Sample | tuple[Sample, Sample]) -> int:
    """Memory that a sample, or the two of a pair, takes."""
    several = sample if isinstance(sample, tuple) else (sample,)
    return sum(one.pixels.nbytes for one in several)


class Room:
    """Lets threads in while what they take together is at most ``size``; one alone always."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken = 0
        self._changed = Condition()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Wait until there is room, and take it for the body."""
        with self._changed:
            self._changed.wait_for(lambda: not self._taken or self._taken + size <= self._size)
            self._taken += size
        try:
            yield
        finally:
            with self._changed:
                self._taken -= size
                self._changed.notify_all()


# Bytes for images that are being decoded and prepared, by however many threads: one of the largest,
# or hundreds of usual sizes.
_DECODING = Room(1 << 30)


_LARGE = 64 << 20  # bytes that are worth giving back


def _return_freed() -> None:
    """Give freed memory back to the system: glibc keeps it, and each thread has its own."""
    with suppress(AttributeError, OSError, TypeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


@dataclass(frozen=True)
class Prepared:
    """Makes the samples of a group's images, each once however many pairs it is in."""

    loaded: Loaded
    samples: dict[tuple[Path, str], Sample] = field(default_factory=dict)

    def add_image(self, path: Path, content: bytes, extractors: Iterable[Extractor]) -> None:
        """Decode a file and make what the extractors take; then the picture is let go of."""
        size = decoding_bytes(content)
        with _DECODING.taken(size):
            self._add_image(path, content, extractors)
            if size > _LARGE:
                _return_freed()

    def _add_image(self, path: Path, content: bytes, extractors: Iterable[Extractor]) -> None:
        try:
            picture = decode(content)
        except UnreadableImageError as error:
            self.loaded.records[path] = ImageRecord(path, "", str(error))
            return
        for extractor in extractors:
            try:
                self.samples[path, extractor.name] = extractor.prepare(picture)
            except UnreadableImageError as error:  # a 1 x 100000 strip, say
                size = "x".join(map(str, picture.rgb.size))
                why = f"{extractor.name} cannot take it ({size}): {error}"
                self.loaded.failures[self._digest(path), extractor.name] = why

    def add_single(self, path: Path, extractor: Extractor) -> None:
        """Put an image in the line of an extractor."""
        sample = self.samples.get((path, extractor.name))
        if sample is not None:
            self.loaded.samples.append((extractor.name, self._digest(path), sample))

    def add_pair(self, pair: Pair, extractor: Extractor) -> None:
        """Put two images in the line of an extractor, or say why they cannot be compared."""
        if any(self.loaded.records[path].error for path in pair):
            return  # the image's record says why
        slot = pair_key(*map(self._digest, pair)), extractor.name
        reference, candidate = (self.samples.get((path, extractor.name)) for path in pair)
        if reference is None or candidate is None:
            bad = pair[0] if reference is None else pair[1]
            why = self.loaded.failures[self._digest(bad), extractor.name]
            self.loaded.failures[slot] = f"{printable(bad.name)}: {why}"
        elif reference.pixels.shape != candidate.pixels.shape:
            sizes = " and ".join("x".join(map(str, s.size)) for s in (reference, candidate))
            self.loaded.failures[slot] = f"the two images differ in size ({sizes})"
        else:
            self.loaded.samples.append((extractor.name, slot[0], (reference, candidate)))

    def _digest(self, path: Path) -> str:
        return self.loaded.records[path].digest


def ordered_map(
    function: Callable[[T], R],
    items: Iterable[T],
    workers: int,
    ahead: int,
    *,
    size: Callable[[R], int] = lambda _: 0,
    most: float = inf,
) -> Iterator[R]:
    """Yield ``function(item)`` in order, computed by threads at most ``ahead`` items in front.

    Args:
        size: how large a result is; fewer items are in front while as many of the largest so far
            would be larger together than ``most``. Until one is known, as many as threads.
    """
    with ThreadPoolExecutor(workers, thread_name_prefix="loader") as pool:
        queue: deque[Future[R]] = deque()
        largest, in_front = 1, float(workers)

        def first() -> R:
            nonlocal largest, in_front
            result = queue.popleft().result()
            largest = max(largest, size(result))
            in_front = min(ahead, most // largest)
            return result

        try:
            for item in items:
                queue.append(pool.submit(function, item))
                while len(queue) > in_front:
                    yield first()
            while queue:
                yield first()
        finally:
            for future in queue:
                future.cancel()
