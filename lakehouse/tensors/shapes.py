"""Making, cutting and turning arrays: shape, dtype, slices, crops, reshape."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from lakehouse.errors import TensorError
from lakehouse.tensors.function import ArrayFunction
from lakehouse.tensors.reductions import row_axes, whole_number
from lakehouse.tensors.value import Array, dtype_named

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")


def _shape(x: Array) -> list[list[int]]:
    return [list(x.shape[1:])] * len(x)


def _constant(value: Any, rows: int) -> Array:
    return np.full(rows, value)


def _dtype(x: Array) -> list[str]:
    return [x.dtype.name] * len(x)


def _array(x: Array, dtype: str = "") -> Array:
    return x.astype(dtype_named(dtype), copy=False) if dtype else x


def _reshape(x: Array, shape: Any) -> Array:
    lengths = [whole_number(each, "a length") for each in (shape if isinstance(shape, list | tuple) else [shape])]
    if -1 not in lengths and math.prod(lengths) != math.prod(x.shape[1:]):
        raise ValueError(f"cannot reshape {x.shape[1:]} into {tuple(lengths)}")
    return x.reshape(len(x), *lengths)


def _transpose(x: Array, axes: Any = None) -> Array:
    order = row_axes(axes, x.ndim - 1) if axes is not None else tuple(range(x.ndim - 1, 0, -1))
    return x.transpose(0, *order)


def _flip(x: Array, axis: Any) -> Array:
    return np.flip(x, axis=row_axes(axis, x.ndim - 1))


def _list(x: Array) -> list[Any]:
    if x.ndim != 2:
        raise ValueError(f"a list is of one dimension, found shape {x.shape[1:]}; nd_reshape(x, -1) makes it so")
    found: list[Any] = x.astype(np.float64).tolist()
    return found


def _item(x: Array) -> Array:
    if math.prod(x.shape[1:]) != 1:
        raise ValueError(f"expected an array of one number, found shape {x.shape[1:]}")
    return x.reshape(len(x)).astype(np.float64)


def _slice(x: Array, spec: str, *numbers: object) -> Array:
    return x[(slice(None), *slices_of(spec, numbers))]


def slices_of(spec: str, numbers: tuple[object, ...] = ()) -> tuple[Any, ...]:
    """Return what stands in the brackets of `x[10:20, :, 0]` as NumPy takes it.

    Args:
        spec: Whole numbers, `start:stop:step` and `...`, with commas between; `?` is the next of the numbers.
        numbers: What the question marks stand for.

    Raises:
        TensorError: If it is none of these, or there are more or fewer numbers than question marks.
    """
    waiting = list(numbers)

    def number(text: str) -> int:
        if text == "?" and waiting:
            value = waiting.pop(0)
            if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
                return int(value)
            raise TensorError(f"slice [{spec}]: expected a whole number, found {value!r}")
        if _WHOLE.fullmatch(text):
            return int(text)
        raise TensorError(f"slice [{spec}]: expected a whole number, found {text!r}")

    found: list[Any] = []
    pieces = [piece.strip() for piece in spec.split(",")]
    if pieces[-1] == "" and len(pieces) > 1:
        pieces.pop()
    for piece in pieces:
        if piece == "...":
            found.append(...)
        elif ":" in piece:
            ends = [end.strip() for end in piece.split(":")]
            if len(ends) > 3:
                raise TensorError(f"slice [{spec}]: expected start:stop:step, found {piece!r}")
            found.append(slice(*[number(end) if end else None for end in ends]))
        else:
            found.append(number(piece))
    if waiting:
        raise TensorError(f"slice [{spec}]: {len(waiting)} numbers more than it has `?`")
    return tuple(found)


def _crop(x: Array, box: Any) -> Array:
    if not isinstance(box, list | tuple) or len(box) != 4 or any(each is None for each in box):
        raise ValueError(f"a box is [x, y, w, h], found {box!r}")
    left, top, width, height = (float(each) for each in box)
    if not all(map(math.isfinite, (left, top, width, height))) or width < 0 or height < 0:
        raise ValueError(f"a box is [x, y, w, h] of finite numbers, w and h at least 0, found {box!r}")
    if x.ndim < 3:
        raise ValueError(f"a picture is (height, width, ...), found shape {x.shape[1:]}")
    rows, columns = (
        slice(min(max(math.floor(start), 0), size), min(max(math.ceil(start + length), 0), size))
        for start, length, size in ((top, height, x.shape[1]), (left, width, x.shape[2]))
    )
    return x[:, rows, columns]


FUNCTIONS = (
    ArrayFunction("nd_shape", _shape, ("x",), "integers", "list(x.shape)"),
    ArrayFunction("nd_ndim", lambda x: _constant(x.ndim - 1, len(x)), ("x",), "integer", "x.ndim"),
    ArrayFunction("nd_size", lambda x: _constant(math.prod(x.shape[1:]), len(x)), ("x",), "integer", "x.size"),
    ArrayFunction("nd_dtype", _dtype, ("x",), "text", "x.dtype.name"),
    ArrayFunction("nd_array", _array, ("x",), "array", "np.asarray(x, dtype)", values=("dtype",), optional=1),
    ArrayFunction("nd_astype", _array, ("x",), "array", "x.astype(dtype)", values=("dtype",)),
    ArrayFunction("nd_reshape", _reshape, ("x",), "array", "x.reshape(shape)", values=("shape",)),
    ArrayFunction("nd_transpose", _transpose, ("x",), "array", "x.transpose(axes)", values=("axes",), optional=1),
    ArrayFunction("nd_flip", _flip, ("x",), "array", "np.flip(x, axis)", values=("axis",)),
    ArrayFunction("nd_slice", _slice, ("x",), "array", "x[slice]", values=("slice",), more=True),
    ArrayFunction(
        "nd_crop", _crop, ("x",), "array", "x[floor(y):ceil(y + h), floor(x0):ceil(x0 + w)], cut at the edges",
        values=("box",),
    ),
    ArrayFunction("nd_list", _list, ("x",), "numbers", "x.tolist(), of one dimension"),
    ArrayFunction("nd_item", _item, ("x",), "number", "float(x.item())"),
    ArrayFunction("nd_decode", lambda x: x, ("x",), "array", "the array behind an id or of a file"),
)  # fmt: skip
