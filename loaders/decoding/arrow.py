"""Arrow's memory as numpy arrays, without pyarrow's own conversions: those import pandas, a quarter of a second and
58 MB, whether or not it is needed.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from loaders.axes import Array, DType, Ints, Mask


def numbers(values: pa.Array) -> Array:
    """Return numbers, booleans, or moments as their numbers; (n,). What stands for a null is undefined.

    A view where that is possible; it can be written to if the memory is nobody else's.
    """
    kind, (_, data) = values.type, values.buffers()
    if data is None:
        return np.zeros(len(values), dtype=_dtype(kind))
    if pa.types.is_boolean(kind):
        bits = np.frombuffer(data, dtype=np.uint8)
        return np.unpackbits(bits, bitorder="little")[values.offset :][: len(values)].view(np.bool_)
    return np.frombuffer(data, dtype=_dtype(kind))[values.offset :][: len(values)]


def validity(values: pa.Array) -> Mask:
    """Return which values are no nulls; bool (n,)."""
    bits = values.buffers()[0]
    if bits is None or not values.null_count:
        return np.full(len(values), values.type != pa.null())
    whole = np.unpackbits(np.frombuffer(bits, dtype=np.uint8), bitorder="little")
    return whole[values.offset :][: len(values)].view(np.bool_)


def indices(rows: Ints) -> pa.Array:
    """Return numbers of rows for `Array.take`."""
    places = np.ascontiguousarray(rows, dtype=np.int64)
    return pa.Array.from_buffers(pa.int64(), len(places), [None, pa.py_buffer(places)])


def one_chunk(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array; no copy if it is one already."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def expanded(values: pa.Array) -> pa.Array:
    """Return values without a dictionary."""
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values


def _dtype(kind: pa.DataType) -> DType:
    if pa.types.is_temporal(kind):
        return np.dtype(f"i{kind.bit_width // 8}")
    found: DType = np.dtype(kind.to_pandas_dtype())
    return found
