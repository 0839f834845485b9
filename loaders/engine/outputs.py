"""Which arrays batches are made of, and of which shape: settled before the first one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from loaders.axes import DType
from loaders.decoding.decoders import AnyDecoder
from loaders.decoding.values import dense_dtype, dense_shape
from loaders.engine.objects import Objects, Output
from loaders.reading.layout import ReadColumn, blocks_of


def outputs_of(
    columns: tuple[ReadColumn, ...], decoders: Mapping[str, AnyDecoder], objects: Objects
) -> list[Output]:
    """Return the arrays that batches are made of; columns that are copied as a block follow the others."""
    found: list[Output] = [*objects.outputs]
    in_blocks = {at for block in blocks_of(columns) for at in block}
    for at, column in enumerate(columns):
        shape, dtype = delivered(column, decoders)
        if shape is None or dtype is None:
            continue
        if at not in in_blocks:
            found.append((column.name, "values", shape, dtype))
        if column.field.nullable:
            found.append((column.name, "valid", (), np.dtype("bool")))
    for block in blocks_of(columns):
        dtype = columns[block[0]].dtype
        assert dtype is not None
        found.append(("", "block", (len(block),), dtype))
    return found


def output_parts(outputs: list[Output], rows: int, length: int) -> list[Output]:
    """Return the arrays for so many samples; the shape is now that of the whole array."""
    lead = (rows,) if length == 1 else (rows, length)
    return [
        (name, what, (*shape, rows * length) if what == "block" else (*lead, *shape), dtype)
        for name, what, shape, dtype in outputs
    ]


def delivered(
    column: ReadColumn, decoders: Mapping[str, AnyDecoder]
) -> tuple[tuple[int, ...] | None, DType | None]:
    """Return shape and dtype of one value as it is delivered; (None, None) for columns that come as lists."""
    decoder = decoders.get(column.name)
    if decoder is not None:
        fixed = tuple(axis for axis in decoder.shape if axis is not None)
        return (fixed, decoder.dtype) if len(fixed) == len(decoder.shape) else (None, None)
    if column.kind == "other":
        return None, None
    shape, dtype = dense_shape(column.field), dense_dtype(column.field)
    return (None, None) if shape is None or dtype is None else (shape, dtype)
