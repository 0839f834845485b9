"""The content of rows in a few numbers: what "the same dataset" means, whatever the engine, layout or order.

The bytes that are hashed are specified in FORMAT.md, "Row hash".
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa

from loaders.errors import FormatError
from loaders.format.fields import Field, is_number_list, schema_id

LARGE_ROW_BYTES = 16 << 10
"""Rows above this are hashed in pieces; of smaller ones each piece costs more than a copy of them all."""

_NULL, _NUMBER, _BYTES, _NUMBERS, _LIST, _MAP = (bytes([tag]) for tag in range(6))
_NAN = struct.pack("<d", float("nan"))


def row_hashes(data: pa.Table | pa.RecordBatch, fields: Sequence[Field]) -> list[bytes]:
    """Return the 32-byte hash of each row; `data` has exactly these columns."""
    start = bytes.fromhex(schema_id(fields))
    columns = [column for field in fields for column in _pieces(one_array(data.column(field.name)), field.type)]
    rows = zip(*columns, strict=True)
    if data.nbytes > LARGE_ROW_BYTES * data.num_rows:
        return [_hash_of(start, pieces) for pieces in rows]
    return [hashlib.sha256(b"".join((start, *pieces))).digest() for pieces in rows]


def _hash_of(start: bytes, pieces: Iterable[bytes | memoryview]) -> bytes:
    """Return the hash of a row piece by piece: to put a photo together takes as long as to hash it."""
    found = hashlib.sha256(start)
    for piece in pieces:
        found.update(piece)
    return found.digest()


def one_array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return an Arrow column, chunked or not, as one array."""
    if isinstance(column, pa.ChunkedArray):
        return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    return column


def _pieces(values: pa.Array, kind: pa.DataType) -> tuple[Sequence[bytes | memoryview], ...]:
    """Return what is hashed of a column, for each row: its cell, or the pieces that its cell is made of."""
    if pa.types.is_binary(values.type) or pa.types.is_string(values.type):
        return _lengths_and_bytes(values)
    return (_cells(values, kind),)


def _lengths_and_bytes(values: pa.Array) -> tuple[list[bytes], list[memoryview]]:
    _, offsets, data = values.buffers()
    if not len(values):
        return [], []
    places = np.frombuffer(offsets, np.int32, len(values) + 1, 4 * values.offset)
    packed, content = np.diff(places).astype("<u8").tobytes(), memoryview(data or b"")
    starts = [_BYTES + packed[at : at + 8] for at in range(0, len(packed), 8)]
    views = [content[begin:end] for begin, end in pairwise(places.tolist())]
    if values.null_count:
        is_valid = values.is_valid().to_pylist()
        starts = [start if ok else _NULL for start, ok in zip(starts, is_valid, strict=True)]
        views = [view if ok else view[:0] for view, ok in zip(views, is_valid, strict=True)]
    return starts, views


def _cells(values: pa.Array, kind: pa.DataType) -> list[bytes]:
    if _is_number(kind):
        return _number_cells(values, kind)
    if is_number_list(kind):
        return [_NULL if not item.is_valid else _number_list(item.values, kind.value_type) for item in values]
    if pa.types.is_map(kind):
        return [_NULL if pairs is None else _map_cell(pairs) for pairs in values.to_pylist()]
    return [_cell(value) for value in values.to_pylist()]


def _number_cells(values: pa.Array, kind: pa.DataType) -> list[bytes]:
    packed = _packed(values, kind)
    cells = [_NUMBER + packed[at : at + 8] for at in range(0, len(packed), 8)]
    if values.null_count:
        return [cell if ok else _NULL for cell, ok in zip(cells, values.is_valid().to_pylist(), strict=True)]
    return cells


def _number_list(values: pa.Array, kind: pa.DataType) -> bytes:
    if values.null_count:
        return _LIST + struct.pack("<Q", len(values)) + b"".join(_number_cells(values, kind))
    return _NUMBERS + struct.pack("<Q", len(values)) + _packed(values, kind)


def _packed(values: pa.Array, kind: pa.DataType) -> bytes:
    """Return eight little-endian bytes for each value; what stands for a null is zero and is not used."""
    if pa.types.is_floating(kind):
        numbers = values.fill_null(0).to_numpy(zero_copy_only=False).astype("<f8") + 0.0  # -0.0 + 0.0 is 0.0
        numbers[np.isnan(numbers)] = np.frombuffer(_NAN, "<f8")[0]
        return bytes(numbers.tobytes())
    if pa.types.is_timestamp(kind):
        values = values.cast(pa.int64())
    if pa.types.is_date(kind):
        values = values.cast(pa.int32())
    if pa.types.is_boolean(kind):
        values = values.cast(pa.uint8())
    numbers = values.fill_null(0).to_numpy(zero_copy_only=False)
    return bytes(numbers.astype("<u8" if pa.types.is_uint64(kind) else "<i8").tobytes())


def _cell(value: object) -> bytes:
    if value is None:
        return _NULL
    if isinstance(value, str | bytes):
        raw = value.encode() if isinstance(value, str) else value
        return _BYTES + struct.pack("<Q", len(raw)) + raw
    if isinstance(value, int):
        return _NUMBER + struct.pack("<q", value)
    if isinstance(value, float):
        return _NUMBER + (_NAN if value != value else struct.pack("<d", value + 0.0))
    if isinstance(value, list):
        return _LIST + struct.pack("<Q", len(value)) + b"".join(_cell(item) for item in value)
    raise FormatError(f"no row hash for a value of type {type(value).__name__}")


def _map_cell(pairs: list[tuple[object, object]]) -> bytes:
    # The order in which a map holds its entries is not content.
    entries = sorted(_cell(key) + _cell(value) for key, value in pairs)
    return _MAP + struct.pack("<Q", len(entries)) + b"".join(entries)


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_boolean(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_timestamp(kind)
        or pa.types.is_date(kind)
    )
