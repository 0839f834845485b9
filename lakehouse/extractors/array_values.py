"""array_values: what an array is, and what its values are like.

Over the finite values x, as float64 (booleans count as 0 and 1): minimum, maximum, mean and the standard deviation
sqrt(mean((x - mean)^2)). Values are taken in pieces of a million, so that memory does not grow with the array.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from lakehouse.extractors.extractor import Dimension, Extractor, Value
from lakehouse.media.plain_views import ArrayView

PIECE = 1 << 20


def measure_array(view: ArrayView) -> Mapping[str, Value]:
    """Return the values of `ARRAY_VALUES` for one array.

    Raises:
        RejectedInputError: If it cannot be read, or is beyond the limits.
    """
    array = view.array
    found: dict[str, Value] = {
        "array_dtype": array.dtype.name,
        "array_axes": array.ndim,
        "array_shape": "x".join(map(str, array.shape)),
        "array_values": array.size,
        "array_is_column_major": array.ndim > 1 and array.flags.f_contiguous and not array.flags.c_contiguous,
    }
    if not array.size:
        return found
    nans = infinite = zeros = 0
    counts, means, squares = 0, 0.0, 0.0
    low, high = math.inf, -math.inf
    for piece in _pieces(array):
        is_nan = np.isnan(piece)
        finite = piece[np.isfinite(piece)]
        nans += int(np.count_nonzero(is_nan))
        infinite += int(len(piece) - len(finite) - np.count_nonzero(is_nan))
        zeros += int(np.count_nonzero(piece == 0))
        if not len(finite):
            continue
        low, high = min(low, float(finite.min())), max(high, float(finite.max()))
        # Chan, Golub and LeVeque: the moments of two parts give those of both.
        mean, count = float(finite.mean()), len(finite)
        apart = mean - means
        total = counts + count
        squares += float(np.square(finite - mean).sum()) + apart * apart * counts * count / total
        means += apart * count / total
        counts = total
    found |= {
        "array_nan_share": nans / array.size,
        "array_infinite_share": infinite / array.size,
        "array_zero_share": zeros / array.size,
    }
    if counts and math.isfinite(squares) and math.isfinite(means):
        found |= {
            "array_min": low, "array_max": high, "array_mean": means, "array_std": math.sqrt(squares / counts),
        }  # fmt: skip
    return found


def _pieces(array: npt.NDArray[np.generic]) -> Iterator[npt.NDArray[np.float64]]:
    flat = array.reshape(-1, order="A")  # in the order in which it lies: no copy
    for start in range(0, len(flat), PIECE):
        yield flat[start : start + PIECE].astype(np.float64)


ARRAY_VALUES = Extractor(
    name="array_values",
    version=1,
    media_types=("application/x-np",),
    function=measure_array,
    dimensions=(
        Dimension("array_dtype", "text", "numpy's name of the type of its values: float32, uint8, bool ..."),
        Dimension("array_axes", "integer", "Number of axes; 0 for a single number.", "1"),
        Dimension("array_shape", "text", "Sizes of its axes: 3x224x224; empty for a single number."),
        Dimension("array_values", "integer", "Number of values.", "1"),
        Dimension("array_is_column_major", "boolean", "Whether the first axis lies closest (Fortran's order) and the "
                  "last does not."),
        Dimension("array_nan_share", "number", "Share of values that are NaN, 0 to 1. No value: no values.", "1"),
        Dimension("array_infinite_share", "number", "Share of values that are infinite. No value: no values.", "1"),
        Dimension("array_zero_share", "number", "Share of values that are 0. No value: no values.", "1"),
        Dimension("array_min", "number", "Least finite value. No value: no finite one.", "1"),
        Dimension("array_max", "number", "Greatest finite value. No value: no finite one.", "1"),
        Dimension("array_mean", "number", "Mean of the finite values. No value: no finite one.", "1"),
        Dimension("array_std", "number", "Standard deviation of the finite values, not corrected for their number. No "
                  "value: as for `array_mean`.", "1"),
    ),
)
"""Version 1."""
