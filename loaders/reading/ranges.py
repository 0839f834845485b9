"""A file of which only some ranges are in memory, for pyarrow to read from."""

from __future__ import annotations

import mmap
import sys
import threading

import pyarrow as pa

_HUGE_PAGE = 2 << 20
_ADVICE = getattr(mmap, "MADV_HUGEPAGE", None)
_FLAGS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | (0x4000 if sys.platform == "linux" else 0)
"""Linux: MAP_NORESERVE, which Python 3.11 does not name: most of the address space never becomes memory."""

_MOST_KEPT, _LARGEST_KEPT = 16, 4 << 20
_UNUSED = 3  # references to memory that nobody reads from: the list's, the loop's, and that of asking


class Ranges:
    """Fetched ranges at their places in a file. The rest is untouched address space: it takes no memory, and reads as
    zeros, which are no Parquet page.

    Not a Python file object: pyarrow would call back into Python from its own code, which a daemon thread must not be
    in when the interpreter ends.
    """

    def __init__(self, size: int, memory: mmap.mmap | None = None, first: int = 0) -> None:
        """Take memory of its own, or that of `Rooms`, where the file begins at byte `first`."""
        self._memory = mmap.mmap(-1, max(1, size), flags=_FLAGS) if memory is None else memory
        self._first, self._size = first, size

    def part(self, start: int, length: int) -> memoryview:
        """Return the place of a range, to be filled."""
        return memoryview(self._memory)[self._first + start : self._first + start + length]

    def room(self, start: int, length: int) -> memoryview:
        """Return the place of a range that is about to be filled in one go; a long one comes in large pages.

        The first touch of 4 MiB takes 0.3 ms instead of 2 ms so, measured on the machine of the benchmarks.
        """
        if length >= 2 * _HUGE_PAGE and _ADVICE is not None:
            place = self._first + start
            page = place - place % mmap.PAGESIZE
            try:
                self._memory.madvise(_ADVICE, page, min(place + length + _HUGE_PAGE, len(self._memory)) - page)
            except OSError:
                pass  # a kernel without them
        return self.part(start, length)

    def stream(self) -> pa.NativeFile:
        """Return the file for pyarrow; arrays made from it keep the memory."""
        return pa.BufferReader(pa.py_buffer(self._memory)[self._first : self._first + self._size])


class Rooms:
    """Memory for one row group after the other. Safe to use from several threads.

    The kernel takes 0.2 ms to give 400 kB of zeros and 10 us to fill them from a file that it has (measured on the
    machine of the benchmarks). So each room has address space for a file that ends and for one that begins in its
    middle, and a file is laid out so that what is fetched begins there: in the same memory whatever its place.
    """

    def __init__(self) -> None:
        self._kept: list[mmap.mmap] = []
        self._lock = threading.Lock()

    def ranges(self, size: int, start: int, end: int) -> Ranges:
        """Return a file of `size` bytes of which some ranges from `start` to `end` are going to be fetched."""
        if end - start > _LARGEST_KEPT:
            return Ranges(size)
        with self._lock:
            for memory in self._kept:
                # Whatever still reads from it, be it an array of pyarrow's, holds a reference.
                if sys.getrefcount(memory) == _UNUSED and len(memory) >= 2 * (size + _HUGE_PAGE):
                    break
            else:
                memory = mmap.mmap(-1, 2 * (size + _HUGE_PAGE), flags=_FLAGS)
                self._kept = [*self._kept[-_MOST_KEPT + 1 :], memory]
            middle = len(memory) // 2
            middle -= (pa.py_buffer(memory).address + middle) % _HUGE_PAGE
            return Ranges(size, memory, middle - start)
