"""What the numbers of an array are like: histograms, percentiles, where they are not zero."""

from __future__ import annotations

from typing import Any

import numpy as np

from lakehouse.tensors.function import ArrayFunction
from lakehouse.tensors.value import Array

MAX_BINS = 1 << 20


def _histogram(x: Array, bins: Any, low: Any = None, high: Any = None) -> Array:
    if not isinstance(bins, int) or not 1 <= bins <= MAX_BINS:
        raise ValueError(f"bins: expected a whole number from 1 to {MAX_BINS:,}, found {bins!r}")
    if (low is None) != (high is None):
        raise ValueError("give both ends of the range, or none")
    bounds: Any = None if low is None else (float(low), float(high))
    if x.dtype.kind == "b":
        x = x.view(np.uint8)
    return np.stack([np.histogram(each, bins, bounds)[0].astype(np.int64) for each in x])


def _percentile(x: Array, q: Any) -> Array:
    flat = x.reshape(len(x), int(np.prod(x.shape[1:], dtype=np.int64)))
    found: Array = np.asarray(np.percentile(flat, float(q), axis=1))
    return found


def _nonzero(x: Array) -> list[Array]:
    return [np.stack(np.nonzero(each)).astype(np.int64) for each in x]


def _argwhere(x: Array) -> list[Array]:
    return [np.argwhere(each).astype(np.int64) for each in x]


def _counted(x: Array) -> Array:
    found: Array = np.count_nonzero(x.reshape(len(x), int(np.prod(x.shape[1:], dtype=np.int64))), axis=1)
    return found


FUNCTIONS = (
    ArrayFunction(
        "nd_histogram", _histogram, ("x",), "array", "np.histogram(x, bins, (low, high))[0]",
        values=("bins", "low", "high"), optional=2,
    ),
    ArrayFunction("nd_percentile", _percentile, ("x",), "number", "np.percentile(x, q)", values=("q",)),
    ArrayFunction("nd_nonzero", _nonzero, ("x",), "array", "np.stack(np.nonzero(x)), (ndim, k)"),
    ArrayFunction("nd_argwhere", _argwhere, ("x",), "array", "np.argwhere(x), (k, ndim)"),
    ArrayFunction("nd_count_nonzero", _counted, ("x",), "integer", "np.count_nonzero(x)"),
)  # fmt: skip
