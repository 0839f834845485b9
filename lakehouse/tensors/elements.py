"""Element by element, with NumPy's broadcasting and dtypes: arithmetic, comparison, logic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lakehouse.tensors.columns import Weak
from lakehouse.tensors.function import ArrayFunction
from lakehouse.tensors.value import Array

ARITHMETIC = ("add", "subtract", "multiply", "divide", "floor_divide", "remainder", "power", "minimum", "maximum")
COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
LOGIC = ("logical_and", "logical_or", "logical_xor")
ALONE = (
    "negative", "absolute", "sign", "sqrt", "exp", "log", "floor", "ceil", "logical_not", "isnan", "isfinite", "square",
)  # fmt: skip


def broadcast(arguments: Sequence[Array | Weak], *, exact: bool = False) -> list[Array]:
    """Return stacked arguments so that NumPy broadcasts within rows: (rows, 1 ..., *shape).

    Args:
        arguments: Arrays (rows, *shape), or numbers of SQL, which take the dtype of the arrays as Python's do.
        exact: Leave whole numbers as they are, as comparisons do.

    Raises:
        OverflowError: If a whole number is none of the dtype of the arrays.
    """
    strong = [each for each in arguments if not isinstance(each, Weak)]
    ndim = max((each.ndim for each in strong), default=1)
    return broadcast_to_ndim(
        [_cast(each.values, strong, exact) if isinstance(each, Weak) else each for each in arguments], ndim
    )


def broadcast_to_ndim(arrays: Sequence[Array], ndim: int) -> list[Array]:
    """Return stacked arrays with so many dimensions, new ones behind the rows."""
    return [each.reshape(len(each), *[1] * (ndim - each.ndim), *each.shape[1:]) for each in arrays]


def _cast(values: Array, strong: Sequence[Array], exact: bool) -> Array:
    kind = values.dtype.kind
    plain: Any = {"b": bool, "i": int, "u": int, "f": float}[kind]
    if not strong and kind == "u" and len(values) and values.max() > np.iinfo(np.int64).max:
        return values  # as NumPy takes such a number of Python's
    if not strong:
        return values.astype(bool if plain is bool else np.int64 if plain is int else np.float64)
    target = np.result_type(*[each.dtype for each in strong], plain(0))
    if plain is int and target.kind in "iu":
        if exact:
            return values
        bounds = np.iinfo(target)
        wrong = values[(values < bounds.min) | (values > bounds.max)]
        if len(wrong):
            raise OverflowError(f"{wrong[0]} is no {target.name}")
    return values.astype(target)


def _binary(ufunc: Callable[..., Any], *, exact: bool = False) -> Callable[..., Any]:
    def kernel(x: Array | Weak, y: Array | Weak) -> Any:
        return ufunc(*broadcast([x, y], exact=exact))

    return kernel


def _unary(ufunc: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x: ufunc(x)


def _where(condition: Array | Weak, x: Array | Weak, y: Array | Weak) -> Any:
    if isinstance(condition, Weak):
        condition = condition.values
    x, y = broadcast([x, y])
    ndim = max(condition.ndim, x.ndim)
    return np.where(*broadcast_to_ndim([condition, x, y], ndim))


def _clip(x: Array | Weak, low: Array | Weak, high: Array | Weak) -> Any:
    return np.clip(*broadcast([x, low, high]))


FUNCTIONS = (
    *(
        ArrayFunction(f"nd_{name}", _binary(getattr(np, name)), ("x", "y"), "array", f"np.{name}(x, y)", weak=True)
        for name in (*ARITHMETIC, *LOGIC)
    ),
    *(
        ArrayFunction(
            f"nd_{name}", _binary(getattr(np, name), exact=True), ("x", "y"), "array", f"np.{name}(x, y)", weak=True
        )
        for name in COMPARISONS
    ),
    *(ArrayFunction(f"nd_{name}", _unary(getattr(np, name)), ("x",), "array", f"np.{name}(x)") for name in ALONE),
    ArrayFunction(
        "nd_where", _where, ("condition", "x", "y"), "array", "np.where(condition, x, y)", weak=True
    ),
    ArrayFunction("nd_clip", _clip, ("x", "low", "high"), "array", "np.clip(x, low, high)", weak=True),
)
