"""Values of rows as the numbers that torch has, and as whole columns where readers give them; without torch.

bool becomes uint8, uint16 int32, uint32 int64, and all numbers the byte order of the machine.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import numpy as np

from loaders.axes import Array
from loaders.petastorm.kinds import AnyReader, Row, Value

NUMBERS = "biufc"  # kinds of dtype that tensors have
_PROMOTED = {np.dtype(old): np.dtype(new) for old, new in {"?": "u1", "u2": "i4", "u4": "i8"}.items()}


def stretches(reader: AnyReader, most: int) -> Iterator[tuple[Row, int]]:
    """Yield (columns, rows): row groups of a batch reader, of others as many rows as they have, or `most`.

    Raises:
        NotImplementedError: If the reader gives windows of rows.
    """
    if getattr(reader, "ngram", None) is not None:
        raise NotImplementedError("the windows of an NGram are not columns; read them with DataLoader")
    left_out = structures(reader)
    if hasattr(reader, "next_rows"):
        while True:
            try:
                rows = reader.next_rows()
            except StopIteration:
                return
            if rows.count:
                yield {name: column for name, column in rows.columns.items() if name not in left_out}, rows.count
    elif reader.batched_output:
        for item in reader:
            columns = item._asdict()
            if count := len(next(iter(columns.values()), ())):
                yield columns, count
    else:
        items = iter(reader)
        while some := list(islice(items, most)):
            yield dict(zip(some[0]._fields, map(list, zip(*some, strict=True)), strict=True)), len(some)


def structures(reader: AnyReader) -> tuple[str, ...]:
    """Return the fields that are left out: structures that nobody asked for, which Petastorm does not read at all."""
    found: tuple[str, ...] = getattr(reader, "unasked_structures", ())
    if found:
        warnings.warn(
            f"the columns {', '.join(found)} hold structures, of which tensors cannot be made; they are left out. Name "
            "the columns that you need in schema_fields",
            stacklevel=6,
        )
    return found


def row_dicts(reader: AnyReader, most: int) -> Iterator[list[Value]]:
    """Yield rows as dicts: the row groups of a batch reader, of others `most` rows; {timestep: dict} of an NGram."""
    items, left_out = iter(reader), structures(reader)
    if reader.batched_output:
        for item in items:
            columns = {name: _apart(name, column) for name, column in item._asdict().items() if name not in left_out}
            yield [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    while some := list(islice(items, most)):
        yield [_row_dict(item) for item in some]


def _row_dict(item: Value) -> dict[Value, Value]:
    if isinstance(item, Mapping):
        return {step: row._asdict() for step, row in item.items()}
    row: dict[Value, Value] = item._asdict()
    return row


def _apart(name: str, column: Value) -> list[Value]:
    """Return the values of a batch reader's column; arrays as copies, since a waiting row must not hold its group."""
    values = list(promoted(name, column) if isinstance(column, np.ndarray) else column)
    return [value.copy() if isinstance(value, np.ndarray) else value for value in values]


def for_transform(name: str, values: Value, whole: bool) -> Value:
    """Return a column for transform_fn: a writable array, or a list where there is none."""
    if not isinstance(values, np.ndarray):
        values = [sanitised(name, value) for value in values]
        together = stacked(values)
        return values if together is None else together
    if values.ndim == 1 and values.dtype.kind in "SUO" and not whole:
        return [sanitised(name, value) for value in values]
    return writable(promoted(name, values))


def sanitised(name: str, value: Value) -> Value:
    """Return a value of a row, or a row, with the types that torch has.

    Raises:
        TypeError: If it is null, or an array of strings or objects.
    """
    if value is None:
        raise TypeError(f"Pytorch does not support nullable fields. Found None in {name}")
    if isinstance(value, np.ndarray):
        return promoted(name, value)
    if isinstance(value, np.generic):
        return _PROMOTED[value.dtype].type(value) if value.dtype in _PROMOTED else value
    if isinstance(value, dict):
        return {key: sanitised(str(key), each) for key, each in value.items()}
    return value


def promoted(name: str, array: Array) -> Array:
    """Return the array in a type that torch has, if there is one; no copy where it is that already."""
    if array.dtype.kind in "SUO":
        raise TypeError(f"Pytorch does not support arrays of string or object classes. Found in field {name}.")
    native = array.dtype.newbyteorder("=")
    return array.astype(_PROMOTED.get(native, native), copy=False)


def stacked(values: Sequence[Value]) -> Array | None:
    """Return arrays or numpy's numbers as one array (values, ...), if they are all of one type and shape."""
    first = values[0]
    if not isinstance(first, np.ndarray | np.generic) or first.dtype.kind not in NUMBERS or not first.dtype.isnative:
        return None
    alike = (type(first), first.dtype, first.shape)
    if any((type(value), getattr(value, "dtype", None), value.shape) != alike for value in values):
        return None
    return np.stack(values) if first.shape else np.array(values, first.dtype)


def writable(array: Array) -> Array:
    """Return the array; a copy, if torch could not write to it or not step through it."""
    return array if array.flags.writeable and all(stride >= 0 for stride in array.strides) else array.copy()
