"""Parquet pages as they lie in a file: where their values begin, how many there are, and their checksum.

Only what the format of FORMAT.md needs to read values without a copy: data pages of version 1, PLAIN, uncompressed,
of columns without nulls. The page header is a Thrift structure in the compact protocol (Parquet's parquet.thrift,
`PageHeader`); everything else goes through pyarrow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from loaders.axes import Array, Ints

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loaders.stores.storage import Files

try:
    from isal.isal_zlib import crc32 as _crc32
except ImportError:  # pragma: no cover - the same sum, at a fifth of the speed
    from zlib import crc32 as _crc32

crc32: Callable[[bytes | memoryview], int] = _crc32
"""CRC-32 of bytes (the polynomial of zlib, as Parquet has it); releases the GIL."""

HEADER_LIMIT = 256
"""Bytes in which every header of a page that we read ends: without statistics they have about 35."""

_DATA_PAGE, _PLAIN = 0, 0
_DICTIONARY = 2
# page type: the field that describes it, and the place of its encoding there; the first says how many values it has
_DESCRIBED = {_DATA_PAGE: (5, 2), _DICTIONARY: (7, 2), 3: (8, 4)}
_LONGEST_HEADER = 64 << 10  # with statistics of long text
_BOOLEANS, _BYTE, _INTEGERS, _DOUBLE, _BINARY, _LISTS, _STRUCT = (1, 2), 3, (4, 5, 6), 7, 8, (9, 10), 12


_Thrift: TypeAlias = Any
"""A value of a header: a number, bytes, or {number of a field: value}."""


class PageError(ValueError):
    """The bytes are no page that this module reads."""


@dataclass(frozen=True, slots=True)
class Page:
    """One data page.

    Attributes:
        start: Where its values begin, counted from the first byte of its header.
        bytes: Size of its values.
        values: Number of its values.
        crc: CRC-32 of its values.
    """

    start: int
    bytes: int
    values: int
    crc: int


def read_header(raw: memoryview) -> Page:
    """Read the header of the page that begins with `raw`.

    Raises:
        PageError: If it is none, or of another kind than a PLAIN, uncompressed data page of version 1 with checksum.
    """
    try:
        header, at = _struct(raw, 0, 0)
        data = header[5]
        if header[1] != _DATA_PAGE or header[2] != header[3] or data[2] != _PLAIN:
            raise PageError("not an uncompressed data page with PLAIN values")
        page = Page(start=at, bytes=header[3], values=data[1], crc=header[4] & 0xFFFFFFFF)
    except (KeyError, IndexError, TypeError) as error:
        raise PageError(f"not the header of a data page with checksum: {error!r}") from None
    if page.bytes < 0 or page.values < 0:
        raise PageError("a page of negative size")
    return page


def walk(raw: memoryview) -> Iterator[tuple[int, int, bool]]:
    """Go through the pages of a column chunk: (bytes when unpacked, number of values, whether it is a dictionary).

    Raises:
        PageError: If the bytes are no sequence of pages.
    """
    for head in heads(raw):
        yield head.unpacked, head.values, head.is_dictionary


class Head(NamedTuple):
    """What the header of a page claims.

    Attributes:
        start: Where its values begin, counted from the first byte of the chunk.
        bytes: Its size in the file, without the header.
        unpacked: Its size when unpacked.
        values: Number of its values, nulls included.
        encoding: Parquet's number of it.
        is_dictionary: Whether it holds the words that other pages point to.
        levels: Parquet's number of the encoding of the levels before the values; None: there are none, or apart.
        crc: CRC-32 of the page as it is in the file, if its writer noted it.
    """

    start: int
    bytes: int
    unpacked: int
    values: int
    encoding: int
    is_dictionary: bool
    levels: int | None
    crc: int | None


def heads(raw: memoryview) -> Iterator[Head]:
    """Go through the headers of the pages of a column chunk; raises like `walk`."""
    at = 0
    while at < len(raw):
        try:
            try:
                header, start = _struct(bytes(raw[at : at + HEADER_LIMIT]), 0, 0)
            except IndexError:  # a longer one
                header, start = _struct(bytes(raw[at : at + _LONGEST_HEADER]), 0, 0)
            kind, unpacked, packed = header[1], header[2], header[3]
            described, encoding = _DESCRIBED[kind]
            data = header[described]
            values, encoded = data[1], data[encoding]
            levels = data[3] if kind == _DATA_PAGE else None
            is_negative = packed < 0 or unpacked < 0 or values < 0
        except (KeyError, IndexError, TypeError) as error:
            raise PageError(f"not the header of a page: {error!r}") from None
        if is_negative:
            raise PageError("a page of negative size")
        yield Head(at + start, packed, unpacked, values, encoded, kind == _DICTIONARY, levels, header.get(4))
        at += start + packed


def row_reader(files: Files) -> Callable[[str, int, int, memoryview], None]:
    """Return the function that reads one row straight from a file: (file, first byte, CRC-32, memory to fill).

    It raises PageError if the bytes differ from the checksum, and what `files` raises.
    """

    def read(file: str, start: int, crc: int, memory: memoryview) -> None:
        files.read_into(file, start, [memory])
        if crc32(memory) != crc:
            raise PageError(f"the {memory.nbytes:,} bytes from byte {start:,} on differ from their CRC-32")

    return read


def check(page: Page, values: bytes | memoryview) -> None:
    """Compare the values of a page with its checksum.

    Raises:
        PageError: If they differ.
    """
    found = crc32(values)
    if found != page.crc:
        raise PageError(f"CRC-32 is {found:08x}, the page header says {page.crc:08x}")


def byte_array_spans(raw: memoryview, start: int, count: int, out: Ints) -> int:
    """Find `count` values, each a 32-bit length and its bytes.

    Args:
        raw: The page's values.
        start: What is added to each place.
        count: How many there are.
        out: int64 (count, 2), receives place and length of each value.

    Returns:
        The bytes they take.

    Raises:
        PageError: If a length points beyond the page.
    """
    at, end = 0, len(raw)
    for number in range(count):
        length = int.from_bytes(raw[at : at + 4], "little")
        at += 4
        if at + length > end:
            raise PageError(f"value {number} has length {length}, beyond the end of its page")
        out[number, 0] = start + at
        out[number, 1] = length
        at += length
    return at


def _struct(raw: bytes | memoryview, at: int, depth: int) -> tuple[dict[int, _Thrift], int]:
    if depth > 4:
        raise PageError("structures too deep")
    fields: dict[int, _Thrift] = {}
    number = 0
    while True:
        head = raw[at]
        at += 1
        if head == 0:
            return fields, at
        kind = head & 15
        if head >> 4:
            number += head >> 4
        else:
            number, at = _integer(raw, at)
        # Most fields by far are short integers, short text and structures: without a call where that can be.
        if kind in _INTEGERS and (byte := raw[at]) < 128:
            fields[number], at = (byte >> 1) ^ -(byte & 1), at + 1
        elif kind == _BINARY and (length := raw[at]) < 128:
            fields[number], at = None, at + 1 + length
        elif kind == _STRUCT:
            fields[number], at = _struct(raw, at, depth + 1)
        else:
            fields[number], at = _value(raw, at, kind)


def _value(raw: bytes | memoryview, at: int, kind: int) -> tuple[_Thrift, int]:
    if kind in _BOOLEANS:
        return kind == 1, at
    if kind == _BYTE:
        return raw[at], at + 1
    if kind in _INTEGERS:
        return _integer(raw, at)
    if kind == _DOUBLE:
        return None, at + 8
    if kind == _BINARY:
        length, at = _varint(raw, at)
        return None, at + length
    if kind in _LISTS:
        raise PageError("a list in a page header")
    raise PageError(f"unknown type {kind} in a page header")


def _integer(raw: bytes | memoryview, at: int) -> tuple[int, int]:
    value, at = _varint(raw, at)
    return (value >> 1) ^ -(value & 1), at


def _varint(raw: bytes | memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 64:
        byte = raw[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise PageError("a number of more than 64 bits in a page header")


def as_bytes(array: Array) -> memoryview:
    """Return the memory of a C-contiguous array as writable bytes."""
    return array.reshape(-1).view(np.uint8).data
