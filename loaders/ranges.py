"""A file of which only some ranges are in memory, for pyarrow to read from."""

from __future__ import annotations

import io
import os
from bisect import bisect_right


class Ranges(io.RawIOBase):
    """Shows fetched ranges at their places in a file; reading anything else is an error, never zeros."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size
        self._at = 0
        self._starts: list[int] = []
        self._data: list[bytes] = []

    @property
    def last(self) -> bytes:
        """The range that was added last."""
        return self._data[-1]

    def add(self, start: int, data: bytes) -> None:
        """Add a range; ranges come in the order in which they lie."""
        self._starts.append(start)
        self._data.append(data)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        index = bisect_right(self._starts, self._at) - 1
        begin = self._at - self._starts[index] if index >= 0 else -1
        if size < 0 or index < 0 or begin + size > len(self._data[index]):
            raise OSError(f"bytes {self._at} to {self._at + size} were not fetched")
        self._at += size
        return self._data[index][begin : begin + size]
