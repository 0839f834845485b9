"""Memory for row groups, taken once: `slots` row groups side by side, column by column.

Row r of the row group in slot s is row `s * rows + r` of each column's array, so that one gather makes a batch of
rows from any number of row groups.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from loaders.axes import Array, DType, Ints, Mask, Octets
from loaders.reading.layout import ReadColumn, record_dtype

_ALIGN = 64

Allocate = Callable[[int], Octets]
"""Returns that many bytes as a writable uint8 array."""


@dataclass(frozen=True, slots=True)
class ArenaShape:
    """What decides how an arena is laid out; two arenas of one shape over the same bytes show the same rows.

    Attributes:
        columns: What is held; direct columns are not.
        slots: Row groups that fit.
        rows: Rows of the largest row group.
        chunk_bytes: {blob column: bytes of its largest chunk in a file}.
    """

    columns: tuple[ReadColumn, ...]
    slots: int
    rows: int
    chunk_bytes: dict[str, int]

    def parts(self) -> list[tuple[str, str, tuple[int, ...], DType]]:
        """Return (column, what, shape, dtype) of each array."""
        found: list[tuple[str, str, tuple[int, ...], DType]] = []
        height = self.slots * self.rows
        for column in self.columns:
            if column.is_direct or column.is_packed:
                continue
            if column.dtype is not None:
                found.append((column.name, "values", (height, *column.shape), column.dtype))
            elif column.kind == "blob":
                found.append((column.name, "bytes", (self.slots, self.chunk_bytes[column.name]), np.dtype("uint8")))
                found.append((column.name, "spans", (height, 2), np.dtype("int64")))
            if column.has_mask:
                found.append((column.name, "valid", (height,), np.dtype("bool")))
        record = record_dtype(self.columns)
        if record.itemsize:
            found.append(("", "records", (height,), record))
        return found

    @property
    def bytes(self) -> int:
        """Size of the whole."""
        return sum(_padded(shape, dtype) for _, _, shape, dtype in self.parts())


@dataclass
class Arena:
    """The arrays.

    Attributes:
        shape: How it is laid out.
        values: {dense column: (slots * rows, ...)}; of packed columns, a view of the records.
        valid: {dense column with nulls: bool (slots * rows,)}.
        blobs: {blob column: uint8 (slots, chunk bytes)}.
        spans: {blob column: int64 (slots * rows, 2)}: place in the flat `blobs` and length; length -1 is null.
        records: (slots * rows,) of `record_dtype`, None without packed columns.
        others: {text, list or map column: Arrow array} of each slot.
    """

    shape: ArenaShape
    values: dict[str, Array] = field(default_factory=dict)
    valid: dict[str, Mask] = field(default_factory=dict)
    blobs: dict[str, Octets] = field(default_factory=dict)
    spans: dict[str, Ints] = field(default_factory=dict)
    records: Array | None = None
    others: list[dict[str, pa.Array]] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Rows that one slot has room for."""
        return self.shape.rows


def make_arena(shape: ArenaShape, allocate: Allocate) -> Arena:
    """Lay an arena over fresh bytes from `allocate`, or over bytes that another process shares."""
    arena = Arena(shape, others=[{} for _ in range(shape.slots)])
    homes = {"values": arena.values, "valid": arena.valid, "bytes": arena.blobs, "spans": arena.spans}
    for (name, what, _, _), array in zip(shape.parts(), carve(allocate(shape.bytes), shape.parts()), strict=True):
        if what == "records":
            arena.records = array
        else:
            homes[what][name] = array
    for at, column in enumerate(shape.columns):
        if column.is_packed and arena.records is not None:
            arena.values[column.name] = arena.records[str(at)]
            if column.has_mask:
                arena.valid[column.name] = arena.records[f"m{at}"]
    return arena


def carve(memory: Octets, parts: Sequence[tuple[str, str, tuple[int, ...], DType]]) -> list[Array]:
    """Cut a uint8 array into arrays that lie one after the other, each at a multiple of 64 bytes."""
    arrays, at = [], 0
    for _, _, shape, dtype in parts:
        size = math.prod(shape) * dtype.itemsize
        arrays.append(memory[at : at + size].view(dtype).reshape(shape))
        at += _padded(shape, dtype)
    return arrays


def _padded(shape: tuple[int, ...], dtype: DType) -> int:
    size = math.prod(shape) * dtype.itemsize
    return -(-size // _ALIGN) * _ALIGN
