"""Columns of one Arrow batch as arguments of functions: which rows have values, which are alike, and these stacked.

An array is a struct of dtype, shape and bytes, a list of numbers, a number, or the id or bytes of a picture, sound or
array file, which is decoded when the row comes up.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.types as types

from lakehouse.errors import TensorError
from lakehouse.tensors.value import Array, check_bytes, dtype_named

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class BadRowError(TensorError):
    """A row that is wrong; `batches` says which function met it."""

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(reason)
        self.row = row
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Weak:
    """Numbers of SQL, one for each row; to NumPy they are like numbers of Python, which have no dtype of their own."""

    values: Array


class Column(Protocol):
    """One argument."""

    @property
    def valid(self) -> Flags:
        """Which rows are not NULL."""

    @property
    def codes(self) -> Ints | None:
        """A number for each row, equal where rows share dtype and shape, or value; None: all that are valid do."""

    def stacked(self, rows: Ints | None) -> Array | Weak | object:
        """Return these rows, all of one code; None: all rows, which are valid. Arrays have shape (rows, *shape)."""


def array_column(column: pa.Array, *, weak: bool) -> Column | None:
    """Return a column of arrays; None: its values are ids or files, for `decoding`.

    Raises:
        TensorError: If it is of a type that is no array.
    """
    kind = column.type
    if types.is_decimal(kind):
        kind = pa.float64()
        column = column.cast(kind)
    if types.is_null(kind):
        return Numbers(pa.nulls(len(column), pa.float64()), weak=weak)
    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind):
        return Numbers(column, weak=weak)
    if types.is_struct(kind):
        if {kind.field(place).name for place in range(kind.num_fields)} != {"dtype", "shape", "bytes"}:
            raise TensorError(f"an array is a struct of dtype, shape and bytes, found {kind}")
        return Structs(column)
    if _is_list(kind):
        inner = kind.value_type
        while _is_list(inner):
            inner = inner.value_type
        is_number = types.is_integer(inner) or types.is_floating(inner) or types.is_boolean(inner)
        if _is_list(kind.value_type) and (is_number or types.is_decimal(inner) or types.is_null(inner)):
            return Nested(column)
        if _is_list(kind.value_type):
            raise TensorError(f"{kind} is no array; lists hold numbers")
        if types.is_null(inner):
            return Lists(column.cast(pa.list_(pa.float64())))
        if types.is_decimal(inner):
            return Lists(column.cast(pa.list_(pa.float64())))
        if is_number:
            return Lists(column)
    if types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind) or types.is_large_binary(kind):
        return None
    raise TensorError(
        f"{kind} is no array; expected a struct of dtype, shape and bytes, a list of numbers, a number, or the id or "
        "the bytes of a picture"
    )


class Numbers:
    """Numbers: arrays without dimensions."""

    codes = None

    def __init__(self, column: pa.Array, *, weak: bool) -> None:
        self.valid = valid_rows(column)
        filled = column if not column.null_count else column.fill_null(False if types.is_boolean(column.type) else 0)
        self._values: Array = filled.to_numpy(zero_copy_only=False)
        self._weak = weak

    def stacked(self, rows: Ints | None) -> Array | Weak:
        """Return the numbers, (rows,)."""
        found = self._values if rows is None else self._values[rows]
        return Weak(found) if self._weak else found


class Structs:
    """Structs of dtype, shape and bytes."""

    def __init__(self, column: pa.StructArray) -> None:
        self.valid = valid_rows(column)
        parts = {name: _plain(column.field(name)) for name in ("dtype", "shape", "bytes")}
        try:
            parts["shape"] = parts["shape"].cast(pa.list_(pa.int64()))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise TensorError(f"a shape is a list of whole numbers, found {parts['shape'].type}") from error
        for name, part in parts.items():
            lacking = self.valid & ~valid_rows(part)
            if lacking.any():
                raise BadRowError(int(lacking.argmax()), f"an array whose {name} is NULL")
        self._bytes = parts["bytes"].cast(pa.large_binary())
        self._kinds: list[tuple[np.dtype[np.generic], tuple[int, ...]]] = []
        self.codes = self._coded(parts["dtype"], parts["shape"])

    def _coded(self, dtypes: pa.Array, shapes: pa.Array) -> Ints | None:
        rows = np.flatnonzero(self.valid)
        if not len(rows):
            return None
        first = int(rows[0])
        names = dtypes if len(rows) == len(self.valid) else dtypes.take(pa.array(rows))
        listed = shapes if len(rows) == len(self.valid) else shapes.take(pa.array(rows))
        lengths = np.diff(listed.offsets.to_numpy())
        flat = listed.flatten()
        if flat.null_count:
            row = next(int(row) for row, each in zip(rows, listed.to_pylist(), strict=True) if None in each)
            raise BadRowError(row, "an array with NULL in its shape")
        alike = len(names.unique()) == 1 and (lengths == lengths[0]).all()
        if alike:
            table = flat.to_numpy().reshape(len(rows), int(lengths[0]))
            alike = bool((table == table[0]).all())
        if alike:
            self._kinds = [self._kind(first, names[0].as_py(), listed[0].as_py())]
            self._check(rows, 0)
            return None
        known: dict[Hashable, int] = {}
        codes = np.zeros(len(self.valid), np.int64)
        for row, name, shape in zip(rows.tolist(), names.to_pylist(), listed.to_pylist(), strict=True):
            key = (name, tuple(shape))
            if key not in known:
                known[key] = len(known)
                self._kinds.append(self._kind(row, name, shape))
            codes[row] = known[key]
        for code in range(len(known)):
            self._check(rows[codes[rows] == code], code)
        self._code_of = codes
        return codes

    def _kind(self, row: int, name: object, shape: Sequence[int]) -> tuple[np.dtype[np.generic], tuple[int, ...]]:
        try:
            return dtype_named(name), tuple(shape)
        except TensorError as error:
            raise BadRowError(row, str(error)) from error

    def _check(self, rows: Ints, code: int) -> None:
        dtype, shape = self._kinds[code]
        sizes = np.diff(_offsets(self._bytes))[rows]
        wanted = dtype.itemsize
        for length in shape:
            wanted *= length
        wrong = np.flatnonzero(sizes != wanted)
        if len(wrong) or min(shape, default=0) < 0:
            row = int(rows[wrong[0]]) if len(wrong) else int(rows[0])
            try:
                check_bytes(dtype, shape, int(np.diff(_offsets(self._bytes))[row]))
            except TensorError as error:
                raise BadRowError(row, str(error)) from error

    def stacked(self, rows: Ints | None) -> Array:
        """Return the arrays, read in place where the rows lie side by side."""
        row = 0 if rows is None else int(rows[0])
        dtype, shape = self._kinds[0 if self.codes is None else int(self.codes[row])]
        count = len(self.valid) if rows is None else len(rows)
        data = self._bytes if rows is None or _side_by_side(rows) else self._bytes.take(pa.array(rows))
        if data is self._bytes and rows is not None:
            data = data.slice(row, count)
        offsets = _offsets(data)
        values = data.buffers()[2]
        if values is None:
            return np.zeros((count, *shape), dtype)
        start, end = int(offsets[0]), int(offsets[-1])
        return np.frombuffer(values, np.uint8, end - start, start).view(dtype).reshape(count, *shape)


class Lists:
    """Lists of numbers: arrays of one dimension, of the dtype of the column."""

    def __init__(self, column: pa.Array) -> None:
        self.valid = valid_rows(column)
        if types.is_fixed_size_list(column.type):
            length = column.type.list_size
            self._starts: Ints = np.arange(len(column), dtype=np.int64) * length
            self._lengths: Ints = np.full(len(column), length, np.int64)
            # Values of NULL rows are there too.
            values = column.values.slice(column.offset * length, len(column) * length)
        else:
            offsets = column.offsets.to_numpy().astype(np.int64)
            self._starts, self._lengths = offsets[:-1] - offsets[0], np.diff(offsets)
            values = column.values.slice(int(offsets[0]), int(offsets[-1] - offsets[0]))
        if values.null_count:
            self._refuse_null(values)
            values = values.fill_null(False if types.is_boolean(values.type) else 0)
        self._values: Array = values.to_numpy(zero_copy_only=False)
        lengths = self._lengths[self.valid]
        self.codes = None if not len(lengths) or (lengths == lengths[0]).all() else self._lengths

    def _refuse_null(self, values: pa.Array) -> None:
        there = np.concatenate([[0], np.cumsum(~valid_rows(values))])
        holds = there[self._starts + self._lengths] > there[self._starts]
        wrong = np.flatnonzero(holds & self.valid)
        if len(wrong):
            raise BadRowError(int(wrong[0]), "a list with NULL in it; an array has none: filter it, or put nan there")

    def stacked(self, rows: Ints | None) -> Array:
        """Return the lists, (rows, length)."""
        if rows is None or (_side_by_side(rows) and self.valid[rows[0] : rows[-1] + 1].all()):
            first, count = (0, len(self.valid)) if rows is None else (int(rows[0]), len(rows))
            length = int(self._lengths[first]) if count else 0
            start = int(self._starts[first]) if count else 0
            return self._values[start : start + count * length].reshape(count, length)
        places = self._starts[rows][:, None] + np.arange(self._lengths[rows[0]])[None, :]
        return self._values[places]


class Ragged:
    """Arrays one by one."""

    def __init__(self, arrays: Sequence[Array | None]) -> None:
        self._arrays = arrays
        self.valid: Flags = np.array([each is not None for each in arrays], bool)
        kinds = [None if each is None else (each.dtype.str, each.shape) for each in arrays]
        known = {kind: place for place, kind in enumerate(dict.fromkeys(kind for kind in kinds if kind is not None))}
        codes = [0 if kind is None else known[kind] for kind in kinds]
        self.codes = None if len(known) < 2 else np.array(codes, np.int64)

    def stacked(self, rows: Ints | None) -> Array:
        """Return them, (rows, *shape)."""
        wanted = range(len(self._arrays)) if rows is None else rows.tolist()
        return np.stack([each for row in wanted if (each := self._arrays[row]) is not None])


class Nested(Ragged):
    """Lists of lists of numbers, as long as each other: arrays of several dimensions."""

    def __init__(self, column: pa.Array) -> None:
        kind = column.type
        while _is_list(kind):
            kind = kind.value_type
        dtype = np.dtype(np.float64) if types.is_decimal(kind) or types.is_null(kind) else kind.to_pandas_dtype()
        super().__init__([self._array(row, each, np.dtype(dtype)) for row, each in enumerate(column.to_pylist())])

    @staticmethod
    def _array(row: int, value: object, dtype: np.dtype[np.generic]) -> Array | None:
        if value is None:
            return None
        if _has_null(value):  # NumPy would take it for nan, or for false
            raise BadRowError(row, "a list with NULL in it; an array has none: filter it, or put nan there")
        try:
            return np.array(value, dtype)
        except (TypeError, ValueError) as error:
            raise BadRowError(row, "lists of lists that are no array: of several lengths") from error


class Values:
    """Plain values: axes, names, bounds."""

    def __init__(self, column: pa.Array) -> None:
        self.valid = valid_rows(column)
        self.codes: Ints | None = None
        self._one: object = None
        self._all: list[object] | None = None
        kinds = column.unique() if _is_simple(column.type) else None
        if kinds is not None and len(kinds) == 1:
            self._one = kinds[0].as_py()
            return
        self._all = column.to_pylist()
        keys = [json.dumps(each, default=str) for each in self._all]
        known = {key: place for place, key in enumerate(dict.fromkeys(keys))}
        if len(known) > 1:
            self.codes = np.array([known[key] for key in keys], np.int64)

    def stacked(self, rows: Ints | None) -> object:
        """Return the one value that these rows have."""
        if self._all is None:
            return self._one
        return self._all[0 if rows is None else int(rows[0])]


def valid_rows(column: pa.Array) -> Flags:
    """Return which rows are not NULL; bool, (rows,)."""
    if not column.null_count:
        return np.ones(len(column), bool)
    found: Flags = column.is_valid().to_numpy(zero_copy_only=False)
    return found


def one_array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return a column in one piece."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()



def _has_null(value: object) -> bool:
    return any(map(_has_null, value)) if isinstance(value, list) else value is None


def _plain(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if types.is_dictionary(column.type) else column


def _is_list(kind: pa.DataType) -> bool:
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _is_simple(kind: pa.DataType) -> bool:
    return bool(types.is_primitive(kind) or types.is_string(kind) or types.is_null(kind) or types.is_boolean(kind))


def _offsets(column: pa.Array) -> Ints:
    buffer = column.buffers()[1]
    if buffer is None:
        return np.zeros(len(column) + 1, np.int64)
    return np.frombuffer(buffer, np.int64, len(column) + 1, column.offset * 8)


def _side_by_side(rows: Ints) -> bool:
    return bool(len(rows) == 1 or rows[-1] - rows[0] == len(rows) - 1)


