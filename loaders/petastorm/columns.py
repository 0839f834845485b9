"""From the stored values of a column to the values of a field: whole columns at once wherever they fit.

Arrays own their memory and are C-contiguous, aligned and writable.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from loaders.axes import Array, DType
from loaders.decoding.arrays import dense_npy, dense_npz, each, npz_bytes, stacked
from loaders.decoding.arrow import expanded, indices, numbers, one_chunk, validity
from loaders.errors import DecodeError
from loaders.petastorm import images
from loaders.petastorm.arrow_types import is_list, is_number, is_text
from loaders.petastorm.codecs import CompressedImageCodec, CompressedNdarrayCodec, NdarrayCodec, ScalarCodec, single
from loaders.petastorm.kinds import Column, NumpyType, Value
from loaders.petastorm.unischema import UnischemaField, scalar_type
from loaders.petastorm.utils import DecodeFieldError

"""(n, ...), or a list of n values in which None is a null."""

_MAX_TEXT_BLOCK = 256 << 20
_DENSE: dict[type, Callable[[pa.Array], Column]] = {
    NdarrayCodec: dense_npy,
    CompressedNdarrayCodec: dense_npz,
    CompressedImageCodec: images.decode_all,
}


def decode_column(field: UnischemaField, values: pa.Array) -> Column:
    """Return what the codec's `decode` gives for each value.

    Args:
        field: What the values are.
        values: As they are stored; may be dictionary-encoded.

    Returns:
        (n, *shape), if no value is missing and all have one shape and type, in the field's type for single numbers;
        else a list of n values, None for a null. Text and decimals come in lists, as `np.str_` and `Decimal`. As with
        Petastorm a null of stored floating-point numbers is NaN, and moments are in microseconds.

    Raises:
        DecodeFieldError: If a value cannot be decoded; its `row` says which, its cause why.
    """
    values = _storage(values)
    if values.null_count and pa.types.is_floating(values.type) and _is_floating(field):
        return _cast(_with_nan(values), np.dtype(scalar_type(field.numpy_dtype)))
    if values.null_count:
        places = np.flatnonzero(validity(values))
        out: list[Value] = [None] * len(values)
        for place, value in zip(places.tolist(), rows_of(_decoded(field, values.drop_null(), places)), strict=True):
            out[place] = value
        return out
    return _decoded(field, values, None)


def _is_floating(field: UnischemaField) -> bool:
    kind = scalar_type(field.numpy_dtype)
    return (field.codec is None or type(field.codec) is ScalarCodec) and issubclass(kind, np.floating)


def rows_of(column: Column) -> list[Value]:
    """Return the values one by one: numpy scalars, and arrays of their own, so that a kept row keeps no other."""
    if isinstance(column, list):
        return column
    if column.ndim == 1:
        return list(column)
    return [row.copy() for row in column]


def batch_column(field: UnischemaField, values: pa.Array) -> Array:
    """Return a column as the reader of batches gives it: stored values, no codec.

    Numbers keep their type; with nulls, integers become float64 and NaN, booleans objects and None. Text is `<U`, with
    nulls objects and None; so is text of which one value is so long that a block of that width would not fit into
    memory. Timestamps are `datetime64` in the stored unit, NaT for a null. Lists of one length are one array with one
    more axis; others, or with nulls, an array of objects. All else, bytes, dates, decimals, structs, is an array of
    Python objects.

    Raises:
        DecodeFieldError: If the values do not have the shape of the field.
    """
    values = expanded(_storage(values))
    try:
        found = _native_batch(values)
        if len(field.shape) > 1 and None not in field.shape and found.dtype != object:
            return found.reshape(len(values), *field.shape)
    except (ValueError, pa.ArrowException) as error:
        raise _failure(field, error, None) from error
    return found


def _decoded(field: UnischemaField, values: pa.Array, places: NDArray[np.intp] | None) -> Column:
    """Decode values of which none is null; `places` are their rows, if not 0 ... n-1."""
    try:
        if pa.types.is_dictionary(values.type):
            return _by_dictionary(field, values)
        return _plain(field, values)
    except Exception as error:  # codecs may be the user's; whatever they raise is told as one error
        row = getattr(error, "row", None)
        raise _failure(field, error, row if row is None or places is None else int(places[row])) from error


def _failure(field: UnischemaField, error: Exception, row: int | None) -> DecodeFieldError:
    where = "" if row is None else f" (row {row})"
    return DecodeFieldError(f'Decoding field "{field.name}" failed: {error}{where}', row=row, column=field.name)


def _plain(field: UnischemaField, values: pa.Array) -> Column:
    codec = field.codec
    dense = _DENSE.get(type(codec))
    if dense is not None:
        if not len(values):
            return np.empty((0, *(axis or 0 for axis in field.shape)), field.numpy_dtype)
        if dense is dense_npz and field.shape and None not in field.shape:
            _check_claims(field, values)
        found = dense(values)
        # Arrays without axes stay arrays; from a block they would come as single numbers.
        return found if isinstance(found, list) or found.ndim > 1 else [np.array(value) for value in found]
    if codec is None and is_list(values.type):
        lists = _lists(values, scalar_type(field.numpy_dtype))
        # Tensors of a fixed shape are stored as lists of all their elements.
        is_flat = isinstance(lists, np.ndarray) and lists.ndim == 2 and len(field.shape) > 1 and None not in field.shape
        return lists.reshape(len(values), *field.shape) if is_flat else lists  # type: ignore[union-attr]
    if codec is None or type(codec) is ScalarCodec:
        return _singles(values, scalar_type(field.numpy_dtype))
    return stacked_values([codec.decode(field, value) for value in python_objects(values)])


def _check_claims(field: UnischemaField, values: pa.Array) -> None:
    """Refuse compressed arrays that claim far more than their field: they would be unpacked before that is seen."""
    most = 2 * math.prod(axis or 1 for axis in field.shape) * np.dtype(field.numpy_dtype).itemsize + (1 << 20)
    for row, claimed in enumerate(each(values, npz_bytes)):
        if claimed > most:
            raise DecodeError(f"an array of {claimed:,} bytes, where {field.shape} is expected", row=row)


def _by_dictionary(field: UnischemaField, values: pa.DictionaryArray) -> Column:
    """Decode each value of the dictionary that occurs, once."""
    words = numbers(values.indices)
    if len(words) and (np.diff(words) == 1).all():
        return _plain(field, values.dictionary.slice(int(words[0]), len(words)))
    used, inverse = np.unique(words, return_inverse=True)
    try:
        found = _plain(field, values.dictionary.take(indices(used)))
    except DecodeError as error:
        if error.row is not None:
            error.row = int(np.flatnonzero(inverse == error.row)[0])
        raise
    if isinstance(found, np.ndarray):
        return found[inverse]
    return [_own(found[at]) for at in inverse.tolist()]


def _own(value: Value) -> Value:
    return value.copy() if isinstance(value, np.ndarray) else value


def _singles(values: pa.Array, kind: NumpyType) -> Column:
    """Return single values in the type of their field."""
    stored = values.type
    if kind is np.object_:
        return python_objects(values)
    if kind is np.datetime64 and (pa.types.is_timestamp(stored) or pa.types.is_date(stored)):
        moments = _moments(values)
        # of which `.item()` is a datetime, whatever unit was stored: Spark's is nanoseconds
        return moments.astype("datetime64[us]") if pa.types.is_timestamp(stored) else moments
    if kind is np.timedelta64 and pa.types.is_duration(stored):
        return _moments(values)
    if issubclass(kind, np.number | np.bool_) and is_number(stored):
        return _cast(numbers(values), np.dtype(kind))
    objects = python_objects(values)
    if kind is Decimal:
        return objects if pa.types.is_decimal(stored) else [Decimal(value) for value in objects]
    if kind is np.str_ and is_text(stored):
        return list(map(np.str_, objects))
    found = [single(kind, value) for value in objects]
    return np.array(found, dtype=kind) if issubclass(kind, np.number | np.bool_) else found


def _cast(found: Array, wanted: DType) -> Array:
    """Return numbers in another type; own memory.

    Raises:
        ValueError: If a whole number does not fit.
    """
    with np.errstate(over="ignore"):
        out = found.astype(wanted)
    if wanted.kind in "iu" and found.dtype.kind in "iu" and not np.can_cast(found.dtype, wanted):
        wrong = np.flatnonzero(out != found)
        if len(wrong):
            raise ValueError(f"{found[wrong[0]]} is no {wanted}")
    return out


def _moments(values: pa.Array) -> Array:
    """Return dates, timestamps or durations, none null, as datetime64 or timedelta64 in the stored unit."""
    kind = values.type
    if pa.types.is_date32(kind):
        return numbers(values).astype("datetime64[D]")
    whole = numbers(values).copy()
    if pa.types.is_date64(kind):
        return whole.view("datetime64[ms]").astype("datetime64[D]")
    name = "timedelta64" if pa.types.is_duration(kind) else "datetime64"
    return whole.view(f"{name}[{kind.unit}]")


def _lists(values: pa.Array, kind: NumpyType) -> Column:
    """Return lists, none null, as arrays of the field's type; a null within them is NaN, NaT or None."""
    found = _list_values(values)
    if kind in (np.object_, Decimal):
        return found
    wanted = np.dtype(kind)

    def typed(part: Array) -> Array:
        if part.dtype == object and kind is np.str_ and None not in part:
            return part.astype(np.str_)
        if part.dtype.kind in "biuf" and wanted.kind in "biuf" and not (part.dtype.kind == "f" and wanted.kind != "f"):
            return _cast(part, wanted) if part.dtype != wanted else part
        return part

    return typed(found) if isinstance(found, np.ndarray) else [typed(part) for part in found]


def _list_values(values: pa.Array) -> Column:
    """Return lists, none null: (n, length, ...) if all have one length, else one array each."""
    flat = _storage(values.flatten())
    inner: Value = _list_values(flat) if is_list(flat.type) and not flat.null_count else _native_batch(expanded(flat))
    if pa.types.is_fixed_size_list(values.type):
        lengths = np.full(len(values), values.type.list_size)
    else:
        lengths = numbers(pc.list_value_length(values))
    if isinstance(inner, list):
        inner = _object_array(inner)
    if len(lengths) and (lengths == lengths[0]).all():
        return np.ascontiguousarray(_writable(inner)).reshape(len(lengths), int(lengths[0]), *inner.shape[1:])
    ends = np.cumsum(lengths).tolist()
    return [inner[end - size : end].copy() for end, size in zip(ends, lengths.tolist(), strict=True)]


def _native_batch(values: pa.Array) -> Array:
    """Return values in the type that stands for theirs; see `batch_column`."""
    kind = values.type
    if is_number(kind) and not values.null_count:
        return _writable(numbers(values))
    if is_text(kind):
        return _text_block(values)
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        found = _moments(values)
        if values.null_count:
            found[~validity(values)] = "NaT"
        return found
    if is_number(kind):
        return _object_array(values.to_pylist()) if pa.types.is_boolean(kind) else _with_nan(values)
    if is_list(kind) and not values.null_count:
        lists = _list_values(values)
        return lists if isinstance(lists, np.ndarray) else _object_array(lists)
    if is_list(kind):
        parts = iter(rows_of(_list_values(values.drop_null())))
        return _object_array([next(parts) if valid else None for valid in values.is_valid().to_pylist()])
    return _object_array(python_objects(values))


def _with_nan(values: pa.Array) -> Array:
    """Return numbers with NaN for nulls, whole ones as float64."""
    found = numbers(values)
    found = found.astype(np.float64) if found.dtype.kind in "iu" else found.copy()
    found[~validity(values)] = np.nan
    return found


def _text_block(values: pa.Array) -> Array:
    objects = _object_array(values.to_pylist())
    if values.null_count:
        return objects
    longest = pc.max(pc.utf8_length(_no_view(values))).as_py() or 0
    if 4 * longest * len(values) > max(_MAX_TEXT_BLOCK, 64 * values.nbytes):
        return objects
    return objects.astype(np.str_)


def _no_view(values: pa.Array) -> pa.Array:
    return values.cast(pa.large_string()) if pa.types.is_string_view(values.type) else values


def python_objects(values: pa.Array) -> list[Value]:
    """Return Python values, None for a null: str, bytes, Decimal, date, dict."""
    kind = values.type
    if pa.types.is_map(kind):
        return [None if value is None else dict(value) for value in values.to_pylist()]
    plain: list[Value] = values.to_pylist()
    return plain


def stacked_values(found: list[Value]) -> Column:
    """Return values as one array if they are arrays of one shape and type, else as they are."""
    return stacked(found) if found and all(isinstance(value, np.ndarray) for value in found) else found


def _object_array(found: Iterable[Value]) -> Array:
    """Return (n,) objects, whatever they are."""
    found = list(found)
    out = np.empty(len(found), dtype=object)
    for at, value in enumerate(found):
        out[at] = value
    return out


def _writable(found: Array) -> Array:
    # What Parquet decoded is nobody else's; what Arrow shares cannot be written to.
    return found if found.flags.writeable else found.copy()


def _storage(values: pa.Array) -> pa.Array:
    """Return the values behind an extension type, in one piece."""
    if isinstance(values, pa.ChunkedArray):
        values = one_chunk(values)
    return values.storage if isinstance(values, pa.ExtensionArray) else values
