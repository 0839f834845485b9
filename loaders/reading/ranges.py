"""A file of which only some ranges are in memory, for pyarrow to read from."""

from __future__ import annotations

import mmap

import pyarrow as pa


class Ranges:
    """Fetched ranges at their places in a file. The rest is untouched address space: it takes no memory, and reads as
    zeros, which are no Parquet page.

    Not a Python file object: pyarrow would call back into Python from its own code, which a daemon thread must not be
    in when the interpreter ends.
    """

    def __init__(self, size: int) -> None:
        self._memory = mmap.mmap(-1, max(1, size), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)

    def part(self, start: int, length: int) -> memoryview:
        """Return the place of a range, to be filled."""
        return memoryview(self._memory)[start : start + length]

    def stream(self) -> pa.NativeFile:
        """Return the file for pyarrow; arrays made from it keep the memory."""
        return pa.BufferReader(pa.py_buffer(self._memory))
