"""What stored values take once they are decoded, told from their headers: nothing is decoded for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from loaders.decoding.arrays import blobs, npz_bytes
from loaders.decoding.arrow import numbers, validity
from loaders.decoding.pictures import stored_form
from loaders.decoding.png import are_alike
from loaders.errors import DecodeError
from loaders.petastorm.arrow_types import is_text
from loaders.petastorm.codecs import CompressedImageCodec, CompressedNdarrayCodec
from loaders.petastorm.unischema import UnischemaField

Sizes = NDArray[np.int64]

_OBJECT_BYTES = 64
"""About what a Python object takes beside its content."""


def decoded_bytes(field: UnischemaField, values: pa.Array) -> Sizes:
    """Return about how many bytes each value takes when it is decoded; int64 (n,)."""
    if pa.types.is_dictionary(values.type):
        each = decoded_bytes(field, values.dictionary)
        sizes = np.zeros(len(values), dtype=np.int64)
        if len(each):
            is_there = validity(values)
            sizes[is_there] = each[numbers(values.indices)[is_there]]
        return sizes
    measure = _MEASURES.get(type(field.codec))
    if measure is not None and len(values) and _holds_bytes(values.type):  # else: told when it is decoded
        return _measured(values, measure)
    if _holds_bytes(values.type):
        _, ends = blobs(values)
        return np.diff(ends).astype(np.int64) + _OBJECT_BYTES
    return np.full(len(values), -(-values.nbytes // max(1, len(values))), dtype=np.int64)


def _measured(values: pa.Array, measure: Callable[[memoryview], int]) -> Sizes:
    sizes = np.zeros(len(values), dtype=np.int64)
    is_there = validity(values)
    data, ends = blobs(values.drop_null() if values.null_count else values)
    raw = memoryview(data)  # type: ignore[arg-type]
    if len(ends) > 1 and are_alike(data, ends.astype(np.int64)):
        sizes[is_there] = measure(raw[ends[0] : ends[1]])  # one form, which is read once: each takes two microseconds
    else:
        sizes[is_there] = [measure(raw[begin:end]) for begin, end in pairwise(ends.tolist())]
    return sizes


def _holds_bytes(kind: pa.DataType) -> bool:
    return bool(is_text(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
                or pa.types.is_fixed_size_binary(kind))  # fmt: skip


def _picture_bytes(raw: memoryview) -> int:
    try:
        form = stored_form(raw)
    except DecodeError:  # told when it is decoded
        return 0
    return math.prod(form.shape) * form.dtype.itemsize


_MEASURES: dict[type, Callable[[memoryview], int]] = {
    CompressedImageCodec: _picture_bytes,
    CompressedNdarrayCodec: npz_bytes,
}
