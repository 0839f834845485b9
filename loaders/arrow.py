"""Batches as Arrow record batches.

    from loaders.arrow import record_batches

    for batch in record_batches(make_reader(folder, batch_size=1024, columns=["image", "label"])):
        batch.column("image")           # FixedShapeTensorArray of (H, W, 3), over the reader's own memory

Numbers and tensors of one shape are not copied; booleans, dates, text, maps and lists are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from loaders.axes import Array
from loaders.decoding.values import Batch, dense_dtype
from loaders.errors import FormatError
from loaders.format.fields import Field, is_number_list
from loaders.reader import Reader
from loaders.tensors.ragged import join


def record_batches(reader: Reader) -> Iterator[pa.RecordBatch]:
    """Read a pass as Arrow.

    Scalars have the type of their field; values of one shape are `arrow.fixed_shape_tensor`; lists of numbers of
    different lengths are lists; pictures and arrays of different shapes are `struct<data: list, shape: list<int32>>`.
    A null is a null, and what a transform adds has the type that Arrow finds for it.

    Raises:
        FormatError: If a column of a transform has no Arrow form.
    """
    for batch in reader:
        yield to_record_batch(batch, reader.fields)


def to_record_batch(batch: Batch, fields: Sequence[Field]) -> pa.RecordBatch:
    """Return one batch as Arrow; see `record_batches`."""
    known = {field.name: field for field in fields}
    return pa.RecordBatch.from_arrays(
        [_column(name, value, known.get(name)) for name, value in batch.items()], names=list(batch)
    )


def _column(name: str, value: Array | Sequence[Any], field: Field | None) -> pa.Array:
    try:
        if isinstance(value, np.ndarray):
            return _tensors(value) if value.ndim > 1 else _numbers(value, field)
        if any(isinstance(each, np.ndarray) for each in value) or (field is not None and _holds_arrays(field)):
            return _ragged(value, field)
        if field is None:
            return pa.array(value)
        return pa.array([list(each.items()) if isinstance(each, Mapping) else each for each in value], type=field.type)
    except (pa.ArrowException, TypeError) as error:
        raise FormatError(f"column {name} has no Arrow form: {error}") from error


def _numbers(value: Array, field: Field | None) -> pa.Array:
    """Return (N,) as an array, of the field's type if it still is of its dtype."""
    is_stored = field is not None and field.codec == "raw" and dense_dtype(field) == value.dtype
    mask = np.ma.getmaskarray(value) if np.ma.is_masked(value) else None
    return pa.array(np.ma.getdata(value), type=field.type if is_stored and field is not None else None, mask=mask)


def _tensors(value: Array) -> pa.Array:
    """Return (N, ...) as a fixed-shape tensor array; a row of which nothing but masked elements is left is null."""
    shape = value.shape[1:]
    nulls = None
    if np.ma.is_masked(value):
        nulls = pa.array(np.ma.getmaskarray(value).reshape(len(value), -1).all(axis=1))  # over elements of a row
    flat = pa.array(np.ascontiguousarray(np.ma.getdata(value)).reshape(-1))
    storage = pa.FixedSizeListArray.from_arrays(flat, int(np.prod(shape)), mask=nulls)
    return pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(flat.type, shape), storage)


def _ragged(values: Sequence[Any], field: Field | None) -> pa.Array:
    """Return arrays of different sizes as lists, or as lists beside their shapes."""
    dtype = next((each.dtype for each in values if each is not None), None if field is None else dense_dtype(field))
    nulls = np.array([each is None for each in values], dtype=bool)
    mask = pa.array(nulls) if nulls.any() else None
    arrays = [np.zeros(0, dtype=dtype) if each is None else np.asarray(each) for each in values]
    flat, offsets = join([each.reshape(-1) for each in arrays])
    data = pa.ListArray.from_arrays(pa.array(offsets).cast(pa.int32()), pa.array(flat), mask=mask)
    if field is not None and is_number_list(field.type):
        return data
    shapes = pa.array([list(each.shape) for each in arrays], type=pa.list_(pa.int32()))
    return pa.StructArray.from_arrays([data, shapes], names=["data", "shape"], mask=mask)


def _holds_arrays(field: Field) -> bool:
    """Whether values of the field are arrays, also where a batch has none but nulls."""
    return field.codec != "raw" or is_number_list(field.type)
