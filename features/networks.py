"""Loading networks while others run, and letting go of them."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Lock

from extractors.base import Extractor

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_USUAL, _LARGE = 1 << 20, 1 << 30
_HEAP = _LARGE - (1 << 20)  # under both thresholds


class Networks:
    """Loads extractors in one thread of its own, those that import a slow library last.

    One thread, because two that import libraries that import each other may deadlock.
    """

    def __init__(self, extractors: Iterable[Extractor]) -> None:
        self._extractors = sorted(extractors, key=lambda extractor: extractor.slow_to_load)
        self._loads: dict[str, Future[None]] = {}
        self._starting = Lock()
        self._pool = ThreadPoolExecutor(1, "networks")
        _prepare_memory()

    def start(self, names: Iterable[str]) -> None:
        """Begin to load networks, if that was not begun before; any thread may ask."""
        with self._starting:
            wanted = set(names) - self._loads.keys()
            for extractor in self._extractors:
                if extractor.name in wanted:
                    self._loads[extractor.name] = self._pool.submit(extractor.load)

    def first_loaded(self, names: Collection[str]) -> str | None:
        """Return the extractor whose network was there first; None if there is none.

        Raises:
            UserError: it cannot be loaded.
        """
        with self._starting:
            loads = list(self._loads.items())
        for name, load in loads:
            if name in names and load.done():
                load.result()
                return name
        return None

    def wait(self, names: Iterable[str]) -> None:
        """Wait until one of the extractors has its network, or fails to load it."""
        wait([self._loads[name] for name in names], return_when=FIRST_COMPLETED)

    @contextmanager
    def beside_loading(self) -> Iterator[None]:
        """Run the body with a core less while networks are loaded.

        A forward pass that shares a core with an import waits for its slowest thread: with both
        cores of two it takes as long as with one, and the import longer.
        """
        with self._starting:
            loads = list(self._loads.values())
        # Not by an import statement, which would wait for the thread that is importing torch.
        torch = sys.modules.get("torch")
        if all(load.done() for load in loads) or not hasattr(torch, "set_num_threads"):
            yield
            return
        threads = torch.get_num_threads()
        torch.set_num_threads(max(1, threads - 1))
        try:
            yield
        finally:
            torch.set_num_threads(threads)

    def close(self) -> None:
        """Begin no further load; when those begun have ended, let go of the networks.

        So what takes memory for every image, the scores, has the place that the networks had.
        """
        self._pool.shutdown(cancel_futures=True)
        for extractor in self._extractors:
            if extractor.name in self._loads:
                extractor.unload()
        if self._loads:
            _release_memory()


def _prepare_memory() -> None:
    """Have arrays cost less: a tenth of the time of a run on CPUs goes into clearing their memory.

    glibc hands large blocks back to the system, which clears each anew: it is to keep them for the
    next ones. Linux is to give the heap of the main thread, which must call this, pages of 2 MB as
    far as it is likely to grow. (torch's ``THP_MEM_ALLOC_ENABLE`` aligns every block to such pages:
    the gaps between them let the heap of a long run grow by hundreds of MB.)
    """
    glibc = _glibc()
    if not glibc:
        return
    glibc.mallopt(_M_MMAP_THRESHOLD, _LARGE)
    glibc.mallopt(_M_TRIM_THRESHOLD, _LARGE)
    glibc.malloc.restype = ctypes.c_void_p
    block = glibc.malloc(ctypes.c_size_t(_HEAP))
    if block:
        first = -(-block // mmap.PAGESIZE) * mmap.PAGESIZE
        length = (block + _HEAP - first) // mmap.PAGESIZE * mmap.PAGESIZE
        glibc.madvise(ctypes.c_void_p(first), ctypes.c_size_t(length), mmap.MADV_HUGEPAGE)
        glibc.free(ctypes.c_void_p(block))


def _release_memory() -> None:
    """Hand back what was kept, and large blocks at once from now on: scoring needs few of them."""
    glibc = _glibc()
    if glibc:
        glibc.mallopt(_M_MMAP_THRESHOLD, _USUAL)
        glibc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    """The C library, if it is GNU's; another one is left as it is."""
    is_gnu = "CS_GNU_LIBC_VERSION" in getattr(os, "confstr_names", {})
    return ctypes.CDLL(None) if is_gnu else None
