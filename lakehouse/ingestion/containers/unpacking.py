"""What packs a tar, told by its first bytes, and a stream of what is in it that stops at a budget."""

from __future__ import annotations

import bz2
import gzip
import io
import zlib
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, cast

import pyarrow as pa

from lakehouse.errors import RejectedInputError
from lakehouse.ingestion.containers.budget import Budget

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PACKED: dict[bytes, Callable[[BinaryIO], BinaryIO]] = {
    b"\x1f\x8b": lambda stream: cast(BinaryIO, gzip.GzipFile(fileobj=stream, mode="rb")),
    b"BZh": lambda stream: cast(BinaryIO, bz2.BZ2File(stream, "rb")),
    b"\x28\xb5\x2f\xfd": lambda stream: cast(BinaryIO, pa.CompressedInputStream(pa.PythonFile(stream, "r"), "zstd")),
}

UNREAD = {b"\xfd7zXZ\x00": "xz", b"7z\xbc\xaf\x27\x1c": "7-Zip", b"Rar!": "RAR"}


BLOCK_BYTES = 1 << 20
"""Unpacked bytes that are asked for at once."""


PIECE_BYTES = 1 << 16


class Unpacked(io.RawIOBase):
    """The bytes that a packed stream unpacks to; those of one that is not packed are taken as they are."""

    def __init__(self, stream: BinaryIO, budget: Budget) -> None:
        super().__init__()
        head = stream.read(8)
        stream.seek(0)
        for begin, kind in UNREAD.items():
            if head.startswith(begin):
                raise RejectedInputError("not_an_archive", f"{kind}, which is not read; pack it as tar.gz, tar.zst or "
                                         "zip")
        unpack = next((each for begin, each in PACKED.items() if head.startswith(begin)), None)
        self._stream, self._budget = unpack(stream) if unpack else stream, budget
        self.is_packed = unpack is not None
        self._read: Callable[[int], bytes] = getattr(self._stream, "read1", self._stream.read)
        self._place = 0
        self._recent: deque[bytes] = deque(maxlen=2)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        try:
            # What came before the place where a stream is cut counts: whole reads would lose up to their size of it.
            data = self._read(min(len(view), PIECE_BYTES))
        except RejectedInputError:
            raise  # of the container itself
        except (OSError, EOFError, zlib.error, ValueError) as error:
            raise RejectedInputError("archive_broken", f"cannot be unpacked further: {error}") from error
        self._budget.spend(len(data))
        view[: len(data)] = data
        self._place += len(data)
        self._recent.append(data)
        return len(data)

    def all_zeros_from(self, place: int) -> bool:
        """Read to the end, where what packs compares its checksum, and say whether zeros alone came from a place on.

        Args:
            place: In what was unpacked, no further back than the last two pieces that were read.
        """
        known = b"".join(self._recent)
        rest = known[max(0, len(known) - (self._place - place)) :]
        zeros = not rest.strip(b"\0")
        while more := self.read(BLOCK_BYTES):
            zeros &= not more.strip(b"\0")
        return zeros
