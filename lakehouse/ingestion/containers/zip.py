"""zip: the directory at its end, then each file by its place; in a bucket ranges are read, not the whole."""

from __future__ import annotations

import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from lakehouse.errors import RejectedInputError
from lakehouse.ingestion.containers.budget import Budget
from lakehouse.ingestion.containers.member import Member

BEGINS = (b"PK\x03\x04", b"PK\x05\x06")
DIRECTORY_BYTES = 512 << 20
"""Of the directory, which is in memory whole: some five million names."""

END = struct.Struct("<4s4H2LH")
END64 = struct.Struct("<4sQ2H2L4Q")
LOCATOR = struct.Struct("<4sLQL")
ENCRYPTED, UTF8 = 0x1, 0x800
READ_KINDS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2}
BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, NotImplementedError, ValueError,
          UnicodeError)


def zip_members(stream: BinaryIO, budget: Budget) -> Iterator[Member]:
    """Yield the files of a zip in the order of its directory.

    Raises:
        RejectedInputError: If it has no directory, as one that was cut, or unpacks to too much; what came before stays.
    """
    try:
        _check_directory(stream)
        archive = zipfile.ZipFile(stream)
    except BROKEN as error:
        if isinstance(error, RejectedInputError):
            raise
        raise RejectedInputError("archive_broken", f"its directory, which stands at the end, cannot be read: {error}; "
                                 "was it cut?") from error
    with archive:
        for found in archive.infolist():
            if found.is_dir():
                continue
            budget.count()
            budget.spend(found.file_size)
            yield _member(archive, found)


def _member(archive: zipfile.ZipFile, found: zipfile.ZipInfo) -> Member:
    name, kind = _name(found), stat.S_IFMT(found.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return Member(name, 0, rule="symlink", reason="a symbolic link in an archive")
    if kind not in (0, stat.S_IFREG):
        return Member(name, 0, rule="not_a_regular_file", reason="no regular file in an archive")
    if found.flag_bits & ENCRYPTED:
        return Member(name, found.file_size, rule="encrypted", reason="encrypted; unpack it with its password, and "
                      "land what comes out")
    if found.compress_type not in READ_KINDS:
        return Member(name, found.file_size, rule="unsupported_compression", reason="packed by method "
                      f"{found.compress_type}; pack it with deflate, or store it")
    # Times in a zip name no zone; the checksum tells another content from the same.
    return Member(name, found.file_size, content=_Content(archive, found), etag=f"crc32:{found.CRC:08x}")


class _Content:
    """The bytes of a member, opened when they are first asked for; their checksum is compared at the end."""

    def __init__(self, archive: zipfile.ZipFile, found: zipfile.ZipInfo) -> None:
        self._archive, self._found = archive, found
        self._stream: zipfile.ZipExtFile | None = None

    def read(self, size: int = -1, /) -> bytes:
        try:
            if self._stream is None:
                self._stream = self._archive.open(self._found)  # type: ignore[assignment]
            assert self._stream is not None
            return self._stream.read(size)
        except BROKEN as error:
            if isinstance(error, RejectedInputError):
                raise
            raise RejectedInputError("archive_broken", f"damaged in the archive: {error}") from error


def _name(found: zipfile.ZipInfo) -> bytes:
    if found.flag_bits & UTF8:
        return found.orig_filename.encode("utf-8", "surrogatepass")
    # Without the flag a name is of code page 437 by the book, and UTF-8 by what macOS and many a script write.
    raw = found.orig_filename.encode("cp437", "replace")
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return found.orig_filename.encode("utf-8")
    return raw


def _check_directory(stream: BinaryIO) -> None:
    """Refuse a directory that would fill the memory: zipfile takes it all."""
    end = stream.seek(0, 2)
    tail_bytes = min(end, END.size + (1 << 16))
    stream.seek(end - tail_bytes)
    tail = stream.read(tail_bytes)
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or len(tail) - place < END.size:
        raise RejectedInputError("archive_broken", "it has no directory, which stands at the end of a zip: was it cut?")
    size = END.unpack_from(tail, place)[5]
    locator = end - tail_bytes + place - LOCATOR.size
    if locator >= 0:  # zipfile goes by it wherever there is one
        stream.seek(locator)
        mark, _, at, _ = LOCATOR.unpack(stream.read(LOCATOR.size))
        if mark == b"PK\x06\x07" and at + END64.size <= end:
            stream.seek(at)
            size = END64.unpack(stream.read(END64.size))[8]
    stream.seek(0)
    if size > min(DIRECTORY_BYTES, end):
        raise RejectedInputError("archive_bomb", f"its directory has {size} bytes, limit {min(DIRECTORY_BYTES, end)}")
