"""Arrays of different sizes as one array: padded, or end to end. numpy alone.

Shapes: N values; the first `axes` axes of a value vary, the others (...) are equal in all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loaders.axes import Array, DType, Ints
from loaders.decoding.values import dense_dtype
from loaders.errors import FormatError
from loaders.format.fields import Field, is_number_list


def varying_axes(field: Field) -> int | None:
    """Return how many leading axes of a value may vary: 1 for lists of numbers, 2 for pictures, 0 if none does.

    Returns:
        None if all of them may: `npy` whose shape is not declared.

    Raises:
        FormatError: If the column holds no arrays, but text, maps or single numbers.
    """
    if field.codec == "raw" and not is_number_list(field.type):
        raise FormatError(f"column {field.name} holds {field.type_name}, no arrays that could be padded or joined")
    if field.shape is None:
        return {"image": 2, "raw": 1, "text": 1}.get(field.codec)
    return max((at + 1 for at, axis in enumerate(field.shape) if axis is None), default=0)


def pad(values: Sequence[Array], *, axes: int | None) -> tuple[Array, Ints]:
    """Copy arrays into one, each in the corner at 0; what lies beyond a value is zero.

    Args:
        values: Arrays of one dtype and number of axes.
        axes: How many leading axes vary, None for all.

    Returns:
        Padded values, (N, largest of each varying axis, ...); and their sizes along these axes, int64 (N, axes).

    Raises:
        FormatError: If dtypes differ, or axes that should be equal.
    """
    if axes is None:
        axes = values[0].ndim if len(values) else 1
    rest, dtype = _common(values, axes)
    # sizes: (N, axes)
    sizes = np.array([value.shape[:axes] for value in values], dtype=np.int64).reshape(len(values), axes)
    largest = sizes.max(axis=0, initial=0).tolist()
    out = np.zeros((len(values), *largest, *rest), dtype=dtype)
    for row, value in zip(out, values, strict=True):
        row[tuple(slice(length) for length in value.shape[:axes])] = value
    return out, sizes


def join(values: Sequence[Array]) -> tuple[Array, Ints]:
    """Lay arrays end to end along their first axis.

    Returns:
        All values, (sum of lengths, ...); and where each begins and the last ends, int64 (N + 1,).

    Raises:
        FormatError: If dtypes differ, or axes other than the first.
    """
    rest, dtype = _common(values, 1)
    offsets = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum([len(value) for value in values], out=offsets[1:])
    out = np.empty((int(offsets[-1]), *rest), dtype=dtype)
    if len(values):
        np.concatenate(values, out=out)
    return out, offsets


def empty_value(field: Field, like: Array | None) -> Array:
    """Return a value of size 0 that fits beside `like`, another value of the column if there is one."""
    axes = varying_axes(field)
    if like is not None:
        return np.zeros([0 if axes is None or at < axes else n for at, n in enumerate(like.shape)], dtype=like.dtype)
    shape = field.shape or ((None, None, 3) if field.codec == "image" else (None,))
    return np.zeros(
        [0 if axes is None or at < axes else axis or 0 for at, axis in enumerate(shape)], dtype=dense_dtype(field)
    )


def _common(values: Sequence[Array], axes: int) -> tuple[tuple[int, ...], DType]:
    """Return the shape behind the varying axes, and the dtype; of no values at all: (), float32."""
    if not len(values):
        return (), np.dtype("float32")
    if not isinstance(values[0], np.ndarray):  # columns of codec `text` come as str
        raise FormatError("text is no array; read its bytes by decoders={...: Utf8Bytes()}")
    wanted = (values[0].ndim, values[0].shape[axes:], values[0].dtype)
    for at, value in enumerate(values):
        if (value.ndim, value.shape[axes:], value.dtype) != wanted or value.ndim < axes:
            raise FormatError(
                f"row {at} is {value.dtype} {value.shape}, row 0 is {values[0].dtype} {values[0].shape}: only the "
                f"first {axes} axes may differ; make them alike in the reader's transform"
            )
    return wanted[1], wanted[2]
