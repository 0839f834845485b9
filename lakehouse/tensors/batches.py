"""A function over arrays called with one Arrow batch: rows that share dtype and shape are computed together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from lakehouse.errors import TensorError, one_line
from lakehouse.tensors.columns import BadRowError, Column, Flags, Ints, Ragged, Values, array_column, one_array
from lakehouse.tensors.function import RESULTS, ArrayFunction
from lakehouse.tensors.value import ragged_column, stacked_column

Decode = Callable[[object], np.ndarray[Any, Any]]
"""From the id of an entity, or the bytes of a file, to its array."""

DECODED_BYTES = 64 << 20
"""Decoded bytes that one batch holds at a time, and one picture more."""


def called(function: ArrayFunction, columns: Sequence[pa.Array | pa.ChunkedArray], decode: Decode) -> pa.Array:
    """Return what a function makes of the rows of a batch; a row with a NULL gives NULL.

    Args:
        function: The function.
        columns: Its arguments, of equal length.
        decode: Opens what is named by its id or given as a file.

    Raises:
        TensorError: If a row has none; it names the function and the row, counted from 0 in its batch.
    """
    pieces = [one_array(each) for each in columns]
    try:
        if not function.takes(len(pieces)):
            raise TensorError(f"{function.name}: takes {function.signature}, found {len(pieces)} arguments")
        return _called(function, pieces, decode)
    except BadRowError as error:
        raise _named(function, error.row, len(pieces[0]), error.reason) from error
    except TensorError as error:
        told = str(error)
        raise error if told.startswith(f"{function.name}: ") else TensorError(f"{function.name}: {told}") from error


def _called(function: ArrayFunction, pieces: Sequence[pa.Array], decode: Decode) -> pa.Array:
    count = len(function.arrays)
    columns: list[Column | None] = [array_column(each, weak=function.weak) for each in pieces[:count]]
    columns += [Values(each) for each in pieces[count:]]
    named = [place for place, each in enumerate(columns) if each is None]
    if not named:
        return _computed(function, [each for each in columns if each is not None])
    known = [each.valid for each in columns if each is not None]
    wanted = np.logical_and.reduce([*known, np.ones(len(pieces[0]), bool)])
    parts: list[pa.Array] = []
    start = 0
    while start < len(pieces[0]) or not parts:
        decoded, stop = _decoded(pieces, named, wanted, start, decode)
        part = [each.slice(start, stop - start) for each in pieces]
        arguments = [
            decoded[place] if place in decoded
            else Values(each) if place >= count
            else array_column(each, weak=function.weak)
            for place, each in enumerate(part)
        ]  # fmt: skip
        parts.append(_computed(function, [each for each in arguments if each is not None], start))
        start = stop
    return pa.concat_arrays(parts)


def _decoded(
    pieces: Sequence[pa.Array], named: Sequence[int], wanted: Flags, start: int, decode: Decode
) -> tuple[dict[int, Column], int]:
    """Return the decoded columns from `start` on, as many rows as are held at a time, and the row after the last."""
    found: dict[int, list[Any]] = {place: [] for place in named}
    held, row = 0, start
    # Rows about parts of one picture often come one after the other.
    last: dict[int, tuple[Any, Any]] = {}
    while row < len(wanted) and held < DECODED_BYTES:
        values = {place: pieces[place][row].as_py() for place in named}
        there = bool(wanted[row]) and all(value is not None for value in values.values())
        for place, value in values.items():
            if there and (place not in last or last[place][0] != value):
                try:
                    last[place] = value, decode(value)
                except TensorError as error:
                    raise BadRowError(row, str(error)) from error
            array = last[place][1] if there else None
            held += 0 if array is None else array.nbytes
            found[place].append(array)
        row += 1
    return {place: Ragged(arrays) for place, arrays in found.items()}, row


def _computed(function: ArrayFunction, columns: Sequence[Column], start: int = 0) -> pa.Array:
    rows = len(columns[0].valid)
    valid = np.logical_and.reduce([each.valid for each in columns])
    kind = RESULTS[function.result][0]
    if not valid.any():
        return pa.nulls(rows, kind)
    groups = _groups(columns, valid)
    made = []
    for each in groups:
        # Where every row is of one kind there is nothing to gather.
        places = None if len(each) == rows else each
        made.append(_made(function, columns, places, np.arange(rows) if places is None else places, start))
    if len(made) == 1 and len(groups[0]) == rows:
        return made[0]
    order = np.full(rows, -1, np.int64)
    order[np.concatenate(groups)] = np.arange(sum(map(len, groups)))
    together = pa.concat_arrays(made)
    return together.take(pa.array(order, mask=order < 0))


def _groups(columns: Sequence[Column], valid: Flags) -> list[Ints]:
    """Return the rows that have values, those together that share dtypes, shapes and plain values."""
    rows = np.flatnonzero(valid)
    coded = [each.codes[rows] for each in columns if each.codes is not None]
    if not coded:
        return [rows]
    _, kinds = np.unique(np.stack(coded), axis=1, return_inverse=True)
    order = np.argsort(kinds.reshape(-1), kind="stable")
    ends = np.flatnonzero(np.diff(kinds.reshape(-1)[order])) + 1
    return [rows[each] for each in np.split(order, ends)]


def _made(
    function: ArrayFunction, columns: Sequence[Column], places: Ints | None, rows: Ints, start: int
) -> pa.Array:
    try:
        arguments = [each.stacked(places) for each in columns]
        with np.errstate(all="ignore"):
            found = function.kernel(*arguments)
        return _column(function, found, len(rows))
    except Exception as error:  # NumPy raises many kinds, and functions of the user's any.
        if len(rows) == 1:
            raise BadRowError(int(rows[0]) + start, _told(error)) from error
        for row in rows:
            _made(function, columns, np.array([row]), np.array([row]), start)
        raise TensorError(f"{_told(error)}, of {len(rows):,} rows together and of none alone") from error


def _column(function: ArrayFunction, found: Any, rows: int) -> pa.Array:
    kind = RESULTS[function.result][0]
    if len(found) != rows:
        raise TensorError(f"gave {len(found):,} results for {rows:,} rows")
    if function.result == "array":
        return ragged_column([np.asarray(each) for each in found]) if isinstance(found, list) else stacked_column(found)
    if isinstance(found, np.ndarray) and found.ndim == 1:
        # Not as numbers of another kind: 2.7 is no whole number, and no truth.
        return pa.array(found.astype(kind.to_pandas_dtype(), copy=False, casting="same_kind"), kind)
    return pa.array(found if isinstance(found, list) else list(found), kind)


def _told(error: Exception) -> str:
    told = str(error) if isinstance(error, TensorError) else f"{type(error).__name__}: {one_line(error)}"
    return told


def _named(function: ArrayFunction, row: int, rows: int, reason: str) -> TensorError:
    return TensorError(f"{function.name}: row {row:,} of a batch of {rows:,}: {reason}")


