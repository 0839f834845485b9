"""Columns of plain numbers of any writer's Parquet file, unpacked straight into memory of their own.

pyarrow gives the same, in three times the time: it unpacks a column chunk into fresh memory and decodes it from there,
while here a few chunks at a time are read and unpacked where the processor still has them. Only what is most common:
data pages of version 1, PLAIN, packed with snappy or not at all, and without nulls. Whatever is otherwise, damaged too,
is left to pyarrow, which says what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from loaders.reading.pages import Head, PageError, crc32, heads
from loaders.reading.row_group import merged, span
from loaders.stores.storage import Files

_KINDS = {"INT32": pa.int32(), "INT64": pa.int64(), "FLOAT": pa.float32(), "DOUBLE": pa.float64()}
_ENCODINGS = {"PLAIN", "RLE", "BIT_PACKED"}  # the latter two of levels
_PLAIN, _RLE = 0, 3
_MOST_LEVELS = 16  # bytes that say that no value is null
_AT_ONCE = 1 << 20  # bytes that are read in one go, if there are several chunks: they stay in the processor's cache
_MOST_PACKED = 64  # times that snappy makes of its bytes, at most: a copy of 64 bytes takes three


def is_plain(chunk: Any, column: Any, kind: pa.DataType, rows: int) -> bool:
    """Whether a chunk is one that `read_numbers` reads, as far as the footer tells.

    Args:
        chunk: pyarrow's metadata of it.
        column: pyarrow's description of its column in the Parquet schema.
        kind: The type that pyarrow gives it.
        rows: Rows of the row group.
    """
    if _KINDS.get(chunk.physical_type) != kind or chunk.compression not in ("SNAPPY", "UNCOMPRESSED"):
        return False
    if column.max_repetition_level or column.max_definition_level > 1 or chunk.num_values != rows:
        return False
    if not rows * kind.byte_width <= chunk.total_compressed_size * _MOST_PACKED:
        return False
    if chunk.has_dictionary_page or not _ENCODINGS.issuperset(chunk.encodings):
        return False
    stated = chunk.statistics if column.max_definition_level else None
    return not column.max_definition_level or (stated is not None and stated.null_count == 0)


def read_numbers(
    files: Files,
    name: str,
    size: int,
    chunks: Mapping[str, Any],
    rows: int,
    *,
    gap: int,
    has_levels: Mapping[str, bool],
) -> dict[str, pa.Array]:
    """Read columns.

    Args:
        files: Where the file lies.
        name: The file.
        size: Its bytes.
        chunks: {column: pyarrow's metadata of its chunk}, for which `is_plain` holds.
        rows: Rows of the row group.
        gap: Chunks that are at most so many bytes apart are read in one go.
        has_levels: {column: whether it may have nulls}.

    Returns:
        Those that are plain indeed; their memory is mutable, and nobody else's.

    Raises:
        PageError: If a chunk lies outside of its file.
        CorruptionError, StorageError, DeadlineError: Like `files.read_into`.
    """
    spans = {column: span(chunk, size) for column, chunk in chunks.items()}
    left = sorted(spans, key=spans.__getitem__)
    made: dict[str, pa.Array] = {}
    for start, end in merged(list(spans.values()), gap, most=_AT_ONCE):
        raw = memoryview(pa.allocate_buffer(end - start)).cast("B")
        files.read_into(name, start, [raw])
        while left and spans[left[0]][1] <= end:
            column = left.pop(0)
            part = raw[spans[column][0] - start : spans[column][1] - start]
            found = _numbers(part, chunks[column], rows, has_levels=has_levels[column])
            if found is not None:
                made[column] = found
    return made


def _numbers(raw: memoryview, chunk: Any, rows: int, *, has_levels: bool) -> pa.Array | None:
    kind = _KINDS[chunk.physical_type]
    memory = pa.allocate_buffer(rows * kind.byte_width)
    out = np.frombuffer(memory, np.uint8)
    done = 0
    try:
        for head in heads(raw):
            packed = raw[head.start : head.start + head.bytes]
            if head.levels != _RLE or head.encoding != _PLAIN or done + head.values > rows:
                return None
            if head.unpacked > head.values * kind.byte_width + _MOST_LEVELS:
                return None
            if head.crc is not None and crc32(packed) != head.crc & 0xFFFFFFFF:
                return None
            values = packed if chunk.compression == "UNCOMPRESSED" else _unpacked(packed, head)
            start = _after_levels(values, head.values) if has_levels else 0
            if len(values) - start != head.values * kind.byte_width:
                return None
            place = done * kind.byte_width
            out[place : place + len(values) - start] = values[start:]
            done += head.values
    except (PageError, IndexError, OSError, ValueError, pa.ArrowException):
        return None
    return pa.Array.from_buffers(kind, rows, [None, memory], null_count=0) if done == rows else None


def _unpacked(packed: memoryview, head: Head) -> memoryview:
    """Unpack a page of snappy, which begins with its size as a number of seven bits a byte."""
    if len(packed) != head.bytes or _number(packed, 0)[0] != head.unpacked:
        raise PageError("a page of another size")
    return memoryview(pa.decompress(pa.py_buffer(packed), head.unpacked, codec="snappy")).cast("B")


def _after_levels(values: memoryview, count: int) -> int:
    """Return where the values begin behind the levels, which must be a single run that says that none is null."""
    length = int.from_bytes(values[:4], "little")
    run, at = _number(values, 4)
    if run != count << 1 or values[at] != 1 or at + 1 != 4 + length:
        raise PageError("nulls, or levels in another form")
    return 4 + length


def _number(raw: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 35:
        byte = raw[at]
        value |= (byte & 127) << shift
        shift, at = shift + 7, at + 1
        if byte < 128:
            return value, at
    raise PageError("a number that does not end")
