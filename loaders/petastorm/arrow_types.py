"""Which numpy type and shape stand for a type of Arrow's, where no Unischema says."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa

from loaders.petastorm.kinds import NumpyType

types = pa.types


def numpy_form(kind: pa.DataType) -> tuple[NumpyType, tuple[int | None, ...]]:
    """Return class and shape of one value.

    - Numbers and booleans: their own type, unsigned and half ones too.
    - Text of every kind, and dictionaries of it: `str_`; bytes: `bytes_`; decimals: `Decimal`.
    - Dates and timestamps: `datetime64`, in the unit that is stored; a time zone is dropped, the instant is in UTC.
      Durations: `timedelta64`.
    - Lists: one more axis, None; of a fixed size: that size; tensors: their shape.
    - Structs, maps, times of day and columns of nothing but nulls: `object_`, the Python value.

    Raises:
        ValueError: If nothing stands for the type.
    """
    if isinstance(kind, pa.FixedShapeTensorType):
        return numpy_form(kind.value_type)[0], tuple(kind.shape)
    if isinstance(kind, pa.BaseExtensionType):
        return numpy_form(kind.storage_type)
    if types.is_dictionary(kind):
        return numpy_form(kind.value_type)
    if is_list(kind):
        dtype, shape = numpy_form(kind.value_type)
        return dtype, (kind.list_size if types.is_fixed_size_list(kind) else None, *shape)
    return _scalar(kind), ()


def is_list(kind: pa.DataType) -> bool:
    """Whether values are lists."""
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def is_text(kind: pa.DataType) -> bool:
    """Whether values are text."""
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def is_bytes(kind: pa.DataType) -> bool:
    """Whether values are bytes."""
    return bool(
        types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_binary_view(kind)
        or types.is_fixed_size_binary(kind)
    )


def is_number(kind: pa.DataType) -> bool:
    """Whether values are numbers or booleans."""
    return bool(types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind))


def _scalar(kind: pa.DataType) -> NumpyType:
    if is_number(kind):
        return np.dtype(kind.to_pandas_dtype()).type
    if is_text(kind):
        return np.str_
    if is_bytes(kind):
        return np.bytes_
    if types.is_decimal(kind):
        return Decimal
    if types.is_date(kind) or types.is_timestamp(kind):
        return np.datetime64
    if types.is_duration(kind):
        return np.timedelta64
    if types.is_struct(kind) or types.is_map(kind) or types.is_time(kind) or types.is_null(kind):
        return np.object_
    raise ValueError(f"Cannot auto-create unischema due to unsupported column type {kind}")
