"""tar, plain or packed by gzip, bzip2 or zstd, read once from the first byte to the last."""

from __future__ import annotations

import datetime
import os
import tarfile
from collections.abc import Iterator
from typing import IO, BinaryIO

from lakehouse.errors import RejectedInputError
from lakehouse.ingestion.containers.budget import Budget
from lakehouse.ingestion.containers.member import Member
from lakehouse.ingestion.containers.unpacking import BLOCK_BYTES, Unpacked

HEADER_BYTES = 1 << 20
"""Of a name or of what else stands in headers of their own: tarfile takes them into memory whole."""

HEADERS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME,
           tarfile.GNUTYPE_LONGLINK)
KINDS = {
    tarfile.SYMTYPE: ("symlink", "a symbolic link in an archive"),
    tarfile.LNKTYPE: ("hard_link", "a hard link in an archive: its bytes stand under the other name"),
    tarfile.FIFOTYPE: ("not_a_regular_file", "a FIFO in an archive"),
    tarfile.CHRTYPE: ("not_a_regular_file", "a device in an archive"),
    tarfile.BLKTYPE: ("not_a_regular_file", "a device in an archive"),
}


def tar_members(stream: BinaryIO, budget: Budget) -> Iterator[Member]:
    """Yield the files of a tar; each is read, or not, before the next.

    Raises:
        RejectedInputError: If it is none, is broken or cut, or unpacks to too much; what came before stays.
    """
    seen_end = [False]
    try:
        unpacked = Unpacked(stream, budget)
        with tarfile.open(
            fileobj=unpacked, mode="r|", bufsize=BLOCK_BYTES, tarinfo=_header_type(seen_end),
            encoding="utf-8", errors="surrogateescape",
        ) as archive:  # fmt: skip
            for found in archive:
                archive.members = []  # type: ignore[attr-defined]  # else it keeps every one
                if not found.isdir():
                    budget.count()
                    if found.sparse is not None:
                        budget.spend(found.size)  # its holes are no bytes of the archive, which alone are counted
                    elif unpacked.is_packed:
                        budget.expect(found.size)
                    yield _member(archive, found)
    except (tarfile.TarError, EOFError, OSError, UnicodeError, ValueError) as error:
        if isinstance(error, RejectedInputError):
            raise
        rule = "archive_broken" if budget.members else "not_an_archive"
        raise RejectedInputError(rule, f"cannot be read as tar: {error}") from error
    if not seen_end[0]:
        # tarfile ends without a word at a header that is damaged, and where an archive is cut between two files.
        raise RejectedInputError("archive_broken", "ends without the mark of its end: what follows is lost or damaged")
    # To the last byte: only there gzip, bzip2 and zstd compare their checksums, and a tar has none.
    if not unpacked.all_zeros_from(archive.offset):
        raise RejectedInputError("trailing_data", "more follows the mark of its end, as where archives were put one "
                                 "behind another; land each by itself")


def _member(archive: tarfile.TarFile, found: tarfile.TarInfo) -> Member:
    name = os.fsencode(found.name)
    if not found.isreg():
        rule, reason = KINDS.get(found.type, ("not_a_regular_file", "no regular file in an archive"))
        return Member(name, 0, rule=rule, reason=reason)
    return Member(name, found.size, content=_Content(archive, found), mtime=_instant(found.mtime))


class _Content:
    """The bytes of a member, opened when they are first asked for."""

    def __init__(self, archive: tarfile.TarFile, found: tarfile.TarInfo) -> None:
        self._archive, self._found = archive, found
        self._stream: IO[bytes] | None = None

    def read(self, size: int = -1, /) -> bytes:
        try:
            if self._stream is None:
                self._stream = self._archive.extractfile(self._found)
            return self._stream.read(size) if self._stream else b""
        except (tarfile.TarError, EOFError, OSError) as error:
            raise RejectedInputError("archive_broken", f"the archive ends in it, or is damaged: {error}") from error


def _header_type(seen_end: list[bool]) -> type[tarfile.TarInfo]:
    class Header(tarfile.TarInfo):
        """A header that notes the end of its archive, and takes no gigabytes for a name."""

        @classmethod
        def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Header:
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):
                seen_end[0] = True
            found = super().frombuf(buf, encoding, errors)
            if found.type in HEADERS and found.size > HEADER_BYTES:
                raise RejectedInputError("archive_broken", f"a header of {found.size} bytes, limit {HEADER_BYTES}")
            return found

    return Header


def _instant(seconds: float) -> datetime.datetime | None:
    try:
        return datetime.datetime.fromtimestamp(int(seconds), datetime.UTC)
    except (OverflowError, ValueError, OSError):
        return None
