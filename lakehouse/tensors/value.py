"""The value type of arrays in SQL: a struct of dtype, shape and bytes, as Arrow columns and as NumPy arrays.

`bytes` is the array in C order, numbers little-endian; `dtype` is NumPy's name of its type.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lakehouse.errors import TensorError

Array = npt.NDArray[Any]

TENSOR = pa.struct([("dtype", pa.string()), ("shape", pa.list_(pa.int64())), ("bytes", pa.binary())])
"""Arrow type of an array in SQL."""

DUCKDB_TENSOR = "STRUCT(dtype VARCHAR, shape BIGINT[], bytes BLOB)"

DTYPES: dict[str, np.dtype[np.generic]] = {
    name: np.dtype(name).newbyteorder("<")
    for name in (
        "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
        "float16", "float32", "float64",
    )
}  # fmt: skip
"""Names that `dtype` may have."""

MAX_BATCH_BYTES = (1 << 31) - 1
"""Bytes of the arrays of one Arrow batch: what its 32-bit offsets reach."""


def dtype_named(name: object) -> np.dtype[np.generic]:
    """Return a type of numbers by NumPy's name.

    Raises:
        TensorError: If arrays in SQL have no such type.
    """
    found = DTYPES.get(name) if isinstance(name, str) else None
    if found is None:
        raise TensorError(f"no array of dtype {str(name)[:50]!r}; known: {', '.join(DTYPES)}")
    return found


def as_struct(array: object) -> dict[str, object]:
    """Return a NumPy array as the value that SQL has of it: for parameters, rows and tests."""
    found = np.asarray(array)
    dtype = dtype_named(found.dtype.name)
    return {"dtype": found.dtype.name, "shape": list(found.shape), "bytes": found.astype(dtype, copy=False).tobytes()}


def from_struct(value: dict[str, object] | None) -> Array | None:
    """Return the NumPy array of a value that SQL gave; None of NULL.

    Raises:
        TensorError: If dtype, shape and bytes do not go together.
    """
    if value is None:
        return None
    shape, data = value["shape"], value["bytes"]
    if not isinstance(shape, list) or not isinstance(data, bytes):
        raise TensorError(f"an array is a struct of dtype, shape and bytes, found {sorted(value)}")
    dtype = dtype_named(value["dtype"])
    check_bytes(dtype, tuple(shape), len(data))
    return np.frombuffer(data, dtype).reshape(shape)


def check_bytes(dtype: np.dtype[np.generic], shape: tuple[int, ...], found: int) -> None:
    """Raise TensorError if an array of this type and shape does not have `found` bytes."""
    wanted = dtype.itemsize
    for length in shape:
        if length < 0:
            raise TensorError(f"shape {shape} has a negative length")
        wanted *= length
    if found != wanted:
        raise TensorError(f"{dtype.name} {shape} has {wanted:,} bytes, found {found:,}")


def stacked_column(stacked: Array) -> pa.StructArray:
    """Return arrays of one dtype and shape, stacked along the first axis, as an Arrow column of `TENSOR`.

    Raises:
        TensorError: If SQL has no such dtype, or they are too large for one batch.
    """
    rows, shape = len(stacked), stacked.shape[1:]
    dtype = dtype_named(stacked.dtype.name)
    data = np.ascontiguousarray(stacked, dtype)
    each = data.nbytes // rows if rows else 0
    if data.nbytes > MAX_BATCH_BYTES:
        raise TensorError(
            f"{rows:,} arrays of {dtype.name} {shape} are {data.nbytes:,} bytes, more than a batch holds; ask the "
            "function that needs them of the picture itself, which decodes row by row, or for fewer rows at a time"
        )
    offsets = np.arange(rows + 1, dtype=np.int32) * np.int32(each)
    places = np.arange(rows + 1, dtype=np.int32) * np.int32(len(shape))
    return pa.StructArray.from_arrays(
        [
            pa.repeat(pa.scalar(dtype.name, pa.string()), rows),
            pa.ListArray.from_arrays(pa.array(places), pa.array(np.tile(np.array(shape, np.int64), rows))),
            pa.Array.from_buffers(
                pa.binary(), rows, [None, pa.py_buffer(offsets), pa.py_buffer(data.reshape(-1).view(np.uint8))]
            ),
        ],
        fields=list(TENSOR),
    )


def ragged_column(arrays: Sequence[Array]) -> pa.StructArray:
    """Return arrays of any shapes as an Arrow column of `TENSOR`; raises as `stacked_column`."""
    size = sum(each.nbytes for each in arrays)
    if size > MAX_BATCH_BYTES:
        raise TensorError(f"{len(arrays):,} arrays are {size:,} bytes, more than a batch holds; ask for fewer rows")
    return pa.array([as_struct(each) for each in arrays], TENSOR)
