"""How each column of a split is held in memory between the file and the batch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pyarrow as pa

from loaders.axes import DType
from loaders.decoding.values import dense_dtype, dense_shape
from loaders.format.fields import ENCODED, Field
from loaders.format.part_writer import LARGE_VALUE_BYTES

_PACKED_BYTES = 64
"""Values up to this size, a cache line, are packed: 20 columns of float32 gathered one by one cost 20 cache misses a
row, from records one or two."""

Kind = Literal["dense", "blob", "other"]


@dataclass(frozen=True, slots=True)
class ReadColumn:
    """One column that is read.

    Attributes:
        field: What it is.
        kind: `dense`: every value has one shape and dtype. `blob`: bytes that are decoded one by one. `other`: text,
            lists and maps, held as Arrow arrays.
        shape: Shape of one stored value of a dense column, else ().
        dtype: Its element type; None unless dense.
        has_mask: Whether a dense column may hold nulls.
        is_direct: Whether its values are read from the file when they are needed, never held.
        is_packed: Whether it is held in records, one for each row, together with other small columns.
    """

    field: Field
    kind: Kind
    shape: tuple[int, ...] = ()
    dtype: DType | None = None
    has_mask: bool = False
    is_direct: bool = False
    is_packed: bool = False

    @property
    def name(self) -> str:
        """Name of the field."""
        return self.field.name

    @property
    def row_bytes(self) -> int:
        """Bytes of one stored value of a dense column."""
        return math.prod(self.shape) * self.dtype.itemsize if self.dtype is not None else 0


def columns_of(fields: Sequence[Field], is_local: bool, decoders: Mapping[str, object]) -> tuple[ReadColumn, ...]:
    """Return how these fields are held; rows of direct columns can be large only in local files."""
    columns = tuple(_column(field, is_local, field.name in decoders) for field in fields)
    small = {column.name for column in columns if column.kind == "dense" and column.row_bytes <= _PACKED_BYTES}
    if len(small) < 2:
        return columns
    return tuple(replace(column, is_packed=column.name in small) for column in columns)


def record_dtype(columns: Sequence[ReadColumn]) -> DType:
    """Return the record of the packed columns.

    Field i is column i, field mi whether it has a value; fields of plain numbers stand side by side, by type, so that
    `blocks_of` can copy them together.
    """
    fields: list[tuple[str, DType | None] | tuple[str, DType | None, tuple[int, ...]]] = []
    for block in blocks_of(columns):
        fields += [(str(at), columns[at].dtype) for at in block]
    together = {at for block in blocks_of(columns) for at in block}
    for at, column in enumerate(columns):
        if column.is_packed and at not in together:
            fields.append((str(at), column.dtype, column.shape))
        if column.is_packed and column.has_mask:
            fields.append((f"m{at}", np.dtype("bool")))
    return np.dtype(fields)


def blocks_of(columns: Sequence[ReadColumn]) -> list[list[int]]:
    """Return the numbers of packed columns of plain numbers, those of one type together."""
    blocks: dict[str, list[int]] = {}
    for at, column in enumerate(columns):
        if column.is_packed and not column.shape and column.dtype is not None:
            blocks.setdefault(column.dtype.str, []).append(at)
    return [block for block in blocks.values() if len(block) > 1]


def _column(field: Field, is_local: bool, has_decoder: bool) -> ReadColumn:
    is_blob = field.codec in ENCODED or has_decoder
    if is_blob or (field.codec == "raw" and pa.types.is_binary(field.type)):
        return ReadColumn(field, "blob")
    shape, dtype = dense_shape(field), dense_dtype(field)
    if shape is None or dtype is None:
        return ReadColumn(field, "other")
    column = ReadColumn(field, "dense", shape, dtype, has_mask=field.nullable)
    # One copy instead of two. 3x224x224 float32 (602 KB), two threads: 26,500 rows/s straight from the file, 14,400
    # through memory; with rows of 3 KB the calls cost more than the copy.
    is_direct = is_local and field.codec == "ndarray" and not field.nullable and column.row_bytes >= LARGE_VALUE_BYTES
    return ReadColumn(field, "dense", shape, dtype, has_mask=field.nullable, is_direct=is_direct)
