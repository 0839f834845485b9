"""One number of an array, or of each place along an axis: sum, mean, largest, any ..."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from lakehouse.tensors.function import ArrayFunction
from lakehouse.tensors.value import Array


def _mean(x: Array, axis: Any) -> Any:
    # NumPy gives nan too, with a warning that no query would see.
    if _reduced(x, axis) == 0:
        return np.full(np.sum(x, axis=axis).shape, np.nan, _floating(x))
    if (narrow := _narrow(x, axis)) is not None:
        # The very number: NumPy adds whole numbers as float64, exactly, and takes twice as long for a picture.
        return np.sum(x, axis=axis, dtype=narrow) / _reduced(x, axis)
    return np.mean(x, axis=axis)


def _sum(x: Array, axis: Any) -> Any:
    narrow = _narrow(x, axis)
    if narrow is None:
        return np.sum(x, axis=axis)
    return np.sum(x, axis=axis, dtype=narrow).astype(np.uint64 if x.dtype.kind == "u" else np.int64)


def _std(x: Array, axis: Any) -> Any:
    if _reduced(x, axis) == 0:
        return np.full(np.sum(x, axis=axis).shape, np.nan, _floating(x))
    return np.std(x, axis=axis)


def _reduced(x: Array, axis: tuple[int, ...]) -> int:
    return int(np.prod([x.shape[each] for each in axis], dtype=np.int64)) if axis else 1


def _narrow(x: Array, axis: tuple[int, ...]) -> np.dtype[Any] | None:
    """Return a dtype of 32 bits that holds any sum of such small whole numbers; None: of these none does."""
    if x.dtype.kind not in "iu" or x.dtype.itemsize > 2:
        return None
    found = np.dtype(np.uint32 if x.dtype.kind == "u" else np.int32)
    most = max(np.iinfo(x.dtype).max, -int(np.iinfo(x.dtype).min)) * _reduced(x, axis)
    return found if most <= np.iinfo(found).max else None


def _floating(x: Array) -> np.dtype[Any]:
    return x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)


REDUCTIONS: dict[str, Callable[..., Any]] = {
    "mean": _mean, "sum": _sum, "min": np.min, "max": np.max, "prod": np.prod, "std": _std,
}  # fmt: skip


def whole(reduce: Callable[..., Any]) -> Callable[[Array], Array]:
    """Return a kernel that reduces each row's array to one number."""

    def kernel(x: Array) -> Array:
        flat = x.reshape(len(x), int(np.prod(x.shape[1:], dtype=np.int64)))
        found: Array = np.asarray(reduce(flat, axis=(1,)))
        return found

    return kernel


def along(reduce: Callable[..., Any]) -> Callable[[Array, Any], Array]:
    """Return a kernel that reduces each row's array along axes."""

    def kernel(x: Array, axis: Any) -> Array:
        found: Array = np.asarray(reduce(x, axis=row_axes(axis, x.ndim - 1)))
        return found

    return kernel


def row_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """Return axes of a row's array as axes of the stacked one; negative ones count from the last.

    Raises:
        AxisError: If there is no such axis.
        TypeError: If one is no whole number.
    """
    given = axis if isinstance(axis, list | tuple) else [axis]
    wanted = tuple(whole_number(each, "an axis") for each in given)
    found = tuple(each + ndim if each < 0 else each for each in wanted)
    for each, asked in zip(found, wanted, strict=True):
        if not 0 <= each < ndim:
            raise np.exceptions.AxisError(asked, ndim)
    return tuple(each + 1 for each in found)


def whole_number(value: Any, what: str) -> int:
    """Return a number that SQL gave where NumPy takes whole ones: `1` and `1.0`, not 0.9 and not NULL.

    Raises:
        TypeError: If it is none.
    """
    if value is None or isinstance(value, str | bytes) or value != value or value in (math.inf, -math.inf):
        raise TypeError(f"{what} is a whole number, found {value!r}")
    if int(value) != value:
        raise TypeError(f"{what} is a whole number, found {value}")
    return int(value)


def _functions() -> list[ArrayFunction]:
    found = []
    for name, reduce in REDUCTIONS.items():
        found += [
            ArrayFunction(f"nd_{name}", whole(reduce), ("x",), "number", f"np.{name}(x)"),
            ArrayFunction(
                f"nd_{name}_axis", along(reduce), ("x",), "array", f"np.{name}(x, axis=axis)", values=("axis",)
            ),
        ]
    for name, reduce in (("any", np.any), ("all", np.all)):
        found += [
            ArrayFunction(f"nd_{name}", whole(reduce), ("x",), "boolean", f"np.{name}(x)"),
            ArrayFunction(
                f"nd_{name}_axis", along(reduce), ("x",), "array", f"np.{name}(x, axis=axis)", values=("axis",)
            ),
        ]
    return found


FUNCTIONS = tuple(_functions())
