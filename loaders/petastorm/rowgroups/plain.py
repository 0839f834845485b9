"""Numbers without nulls that were stored plainly, copied page by page.

pyarrow makes the same of them, in twice the time: it counts the levels that say, value by value, that none is missing.
Here that is asked once a page. Whatever is otherwise, damaged too, is left to pyarrow, which says what is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from loaders.reading.pages import Head, PageError, crc32

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_KINDS = {"INT32": pa.int32(), "INT64": pa.int64(), "FLOAT": pa.float32(), "DOUBLE": pa.float64()}
_COMPRESSIONS = ("SNAPPY", "UNCOMPRESSED")
_ENCODINGS = {"PLAIN", "RLE", "BIT_PACKED"}  # the latter two of levels
_PLAIN, _RLE = 0, 3
_MOST_LEVELS = 16  # bytes that say that no value is null


def may_be_plain(chunk: pq.ColumnChunkMetaData) -> bool:
    """Return whether a column chunk looks, in the footer, like one that `plain_numbers` makes a column of."""
    is_stored_so = chunk.compression in _COMPRESSIONS and not chunk.has_dictionary_page
    return is_stored_so and chunk.physical_type in _KINDS and _ENCODINGS.issuperset(chunk.encodings)


def plain_numbers(
    chunk: pq.ColumnChunkMetaData, leaf: pq.ColumnSchema, kind: pa.DataType, pages: Sequence[Head], raw: memoryview
) -> pa.Array | None:
    """Return the values of a column chunk, in memory of their own; None: pyarrow is to read it.

    Args:
        chunk: pyarrow's metadata of it; its number of values was compared with the pages.
        leaf: pyarrow's description of its column in the Parquet schema.
        kind: The type that pyarrow gives it.
        pages: The headers in it.
        raw: Its bytes.
    """
    if _KINDS.get(chunk.physical_type) != kind or chunk.compression not in _COMPRESSIONS:
        return None
    if leaf.max_repetition_level or leaf.max_definition_level > 1:
        return None
    is_packed, has_levels = chunk.compression == "SNAPPY", leaf.max_definition_level == 1
    for page in pages:
        if page.levels != _RLE or page.encoding != _PLAIN:
            return None
        if page.unpacked > page.values * kind.byte_width + _MOST_LEVELS:
            return None
    memory = pa.allocate_buffer(chunk.num_values * kind.byte_width)
    out, at = np.frombuffer(memory, np.uint8), 0
    try:
        for page in pages:
            values = _values(page, raw, is_packed=is_packed)
            start = _after_levels(values, page.values) if has_levels else 0
            if len(values) - start != page.values * kind.byte_width:
                return None
            out[at : at + len(values) - start] = values[start:]
            at += len(values) - start
    except (PageError, IndexError, OSError, ValueError, pa.ArrowException):
        return None
    return pa.Array.from_buffers(kind, chunk.num_values, [None, memory], null_count=0)


def _values(page: Head, raw: memoryview, *, is_packed: bool) -> memoryview:
    stored = raw[page.start : page.start + page.bytes]
    if len(stored) != page.bytes or (page.crc is not None and crc32(stored) != page.crc & 0xFFFFFFFF):
        raise PageError("a page that is cut off, or differs from its checksum")
    if not is_packed:
        return stored
    if _number(stored, 0)[0] != page.unpacked:  # snappy's bytes begin with their size
        raise PageError("a page of another size")
    return memoryview(pa.decompress(pa.py_buffer(stored), page.unpacked, codec="snappy")).cast("B")


def _after_levels(values: memoryview, count: int) -> int:
    """Return where the values begin behind the levels, which must be a single run that says that none is null."""
    length = int.from_bytes(values[:4], "little")
    run, at = _number(values, 4)
    if run != count << 1 or values[at] != 1 or at + 1 != 4 + length:
        raise PageError("nulls, or levels in another form")
    return 4 + length


def _number(raw: memoryview, at: int) -> tuple[int, int]:
    """Return a number of seven bits a byte, and where it ends."""
    value = 0
    for shift in range(0, 35, 7):
        byte = raw[at]
        value, at = value | (byte & 127) << shift, at + 1
        if byte < 128:
            return value, at
    raise PageError("a number that does not end")
