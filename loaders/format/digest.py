"""The content of rows in a few numbers: what "the same dataset" means, whatever the engine, layout or order.

The bytes that are hashed are specified in FORMAT.md, "Row hash".
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from loaders.errors import FormatError
from loaders.format.fields import Field, is_number_list, schema_id

_NULL, _NUMBER, _BYTES, _NUMBERS, _LIST, _MAP = (bytes([tag]) for tag in range(6))
_NAN = struct.pack("<d", float("nan"))


def row_hashes(data: pa.Table | pa.RecordBatch, fields: Sequence[Field]) -> list[bytes]:
    """Return the 32-byte hash of each row; `data` has exactly these columns."""
    start = bytes.fromhex(schema_id(fields))
    columns = [_cells(one_array(data.column(field.name)), field.type) for field in fields]
    return [hashlib.sha256(start + b"".join(cells)).digest() for cells in zip(*columns, strict=True)]


def one_array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return an Arrow column, chunked or not, as one array."""
    if isinstance(column, pa.ChunkedArray):
        return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    return column


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
