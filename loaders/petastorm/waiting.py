"""Rows that wait in a shuffling queue, and parts of columns, as tensors; values that fit none, as lists."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import torch

from loaders.axes import Array, Ints
from loaders.petastorm.kinds import Value
from loaders.petastorm.values import NUMBERS

Column: TypeAlias = torch.Tensor | list[Value]
Columns: TypeAlias = dict[Value, Column]
"""Some rows: {field: tensor (rows, ...), or a list of as many values where no tensor can hold them}."""

_TILE_ROWS = 4096


class Waiting:
    """The rows that wait, by slot; numbers of one type lie side by side, so that a row is one place in memory."""

    def __init__(self) -> None:
        self._names: list[Value] = []
        self._parts: list[_Table | _Single] = []

    @property
    def row_bytes(self) -> int | None:
        """Bytes of a row; None if a column is a list."""
        kept = [part.kept for part in self._parts]
        if any(isinstance(each, list) for each in kept):
            return None
        return sum(math.prod(each.shape[1:]) * each.dtype.itemsize for each in kept)

    def put(self, slots: Ints, columns: Columns, room: int) -> None:
        """Copy rows to their slots, all below `room`."""
        arrays = {name: in_numpy(column) for name, column in columns.items()}
        if not self._parts:
            self._names, self._parts = list(arrays), _parts_for(arrays)
        if not all(part.fits(arrays) for part in self._parts):
            self._parts = [single for part in self._parts for single in part.apart()]
        for part in self._parts:
            part.put(slots, arrays, room)

    def take(self, slots: Ints) -> Columns:
        """Return a copy of the rows of some slots."""
        found: Columns = {}
        for part in self._parts:
            found |= part.take(slots)
        return {name: found[name] for name in self._names}


def _parts_for(arrays: Mapping[Value, Value]) -> list[_Table | _Single]:
    alike: dict[Value, list[Value]] = {}
    for name, array in arrays.items():
        is_numbers = isinstance(array, np.ndarray) and array.ndim == 1 and array.dtype.kind in NUMBERS
        alike.setdefault(array.dtype if is_numbers else name, []).append(name)
    return [
        _Single(names[0]) if len(names) == 1 else _Table(names, np.empty((0, len(names)), arrays[names[0]].dtype))
        for names in alike.values()
    ]


class _Table:
    """Columns of numbers of one type."""

    def __init__(self, names: list[Value], kept: Array) -> None:
        self._names, self.kept = names, kept

    def fits(self, arrays: Mapping[Value, Value]) -> bool:
        """Whether the columns are of this type still."""
        columns = [arrays[name] for name in self._names]
        return all(isinstance(c, np.ndarray) and c.ndim == 1 and c.dtype == self.kept.dtype for c in columns)

    def apart(self) -> list[_Table | _Single]:
        """Return the columns one by one."""
        return [_Single(name, self.kept[:, at].copy()) for at, name in enumerate(self._names)]

    def put(self, slots: Ints, arrays: Mapping[Value, Value], room: int) -> None:
        """Copy values to their slots, all below `room`; some at a time, which stay in the processor's cache."""
        self.kept = _grown(self.kept, self.kept.dtype, room)
        columns = [arrays[name] for name in self._names]
        tile = np.empty((min(_TILE_ROWS, len(slots)), len(columns)), self.kept.dtype)
        for start in range(0, len(slots), _TILE_ROWS):
            chosen = slots[start : start + _TILE_ROWS]
            for at, column in enumerate(columns):
                tile[: len(chosen), at] = column[start : start + _TILE_ROWS]
            _whole_rows(self.kept)[chosen] = _whole_rows(tile)[: len(chosen)]

    def take(self, slots: Ints) -> Columns:
        """Return a copy of the values of some slots; each column has its own memory."""
        rows = self.kept.take(slots, axis=0)
        return {name: torch.from_numpy(rows[:, at].copy()) for at, name in enumerate(self._names)}


def _whole_rows(table: Array) -> Array:
    """Return rows (rows, columns) as values (rows,), which numpy copies in one go."""
    return table.view(np.dtype((np.void, table.shape[1] * table.itemsize)))[:, 0]


class _Single:
    """One column: an array (or tensor) as long as all that came fit one, then a list."""

    def __init__(self, name: Value, kept: Value = None) -> None:
        self._name, self.kept = name, kept

    def fits(self, arrays: Mapping[Value, Value]) -> bool:
        """Whatever comes fits."""
        return True

    def apart(self) -> list[_Table | _Single]:
        """Return the column."""
        return [self]

    def put(self, slots: Ints, arrays: Mapping[Value, Value], room: int) -> None:
        """Copy values to their slots, all below `room`."""
        values = arrays[self._name]
        kept = values[:0] if self.kept is None else self.kept
        if isinstance(values, list) or type(kept) is not type(values) or kept.shape[1:] != values.shape[1:]:
            kept = kept if isinstance(kept, list) else _values(kept)
            kept.extend([None] * (room - len(kept)))
            for slot, value in zip(slots.tolist(), _values(values), strict=True):
                kept[slot] = value
        else:
            kept = _grown(kept, values.dtype, room)
            kept[slots if isinstance(kept, np.ndarray) else torch.from_numpy(slots).to(kept.device)] = values
        self.kept = kept

    def take(self, slots: Ints) -> Columns:
        """Return a copy of the values of some slots."""
        return {self._name: gathered(self.kept, slots)}


def in_numpy(column: Value) -> Value:
    """Return an array over a tensor that lies in this machine's memory, if numpy has its type; else what was given.

    numpy gathers, scatters and joins on one thread, with unsigned integers too. torch shares such work with its threads
    and waits for them: milliseconds for microseconds' work, while a reader's threads decode on the same cores.
    """
    if isinstance(column, torch.Tensor) and column.device.type == "cpu" and column.dtype != torch.bfloat16:
        return column.detach().numpy()
    return column


def gathered(column: Value, rows: Ints) -> Column:
    """Return a copy of some rows."""
    if isinstance(column, np.ndarray):
        return torch.from_numpy(column.take(rows, axis=0))
    if isinstance(column, torch.Tensor):
        return column[torch.from_numpy(rows).to(column.device)]
    return [column[row] for row in rows.tolist()]


def _grown(kept: Value, dtype: Value, room: int) -> Value:
    """Return an array or a tensor that has this room and holds this type, too."""
    if kept.dtype != dtype:
        dtype = (torch if isinstance(kept, torch.Tensor) else np).promote_types(kept.dtype, dtype)
    if len(kept) >= room and kept.dtype == dtype:
        return kept
    shape = (max(len(kept) + len(kept) // 4, room), *kept.shape[1:])
    grown = kept.new_empty(shape, dtype=dtype) if isinstance(kept, torch.Tensor) else np.empty(shape, dtype)
    grown[: len(kept)] = kept
    return grown


class Tensors:
    """What shuffling.py does with columns of tensors and lists."""

    def cut(self, column: Column, size: int) -> Sequence[Column]:
        if isinstance(column, torch.Tensor):
            return column.split_with_sizes([size] * (column.size(0) // size))
        return [column[start : start + size] for start in range(0, len(column), size)]

    def join(self, parts: list[Value]) -> Column:
        """Return parts as a tensor if they fit one, else as values."""
        if len(parts) == 1:
            return parts[0]  # type: ignore[no-any-return]
        if any(isinstance(part, list) for part in parts) or len({part.shape[1:] for part in parts}) > 1:
            return [value for part in parts for value in part]
        arrays = [in_numpy(part) for part in parts]
        if {*map(type, arrays)} == {np.ndarray}:
            return torch.from_numpy(np.concatenate(arrays))
        return torch.cat(parts)

    def waiting(self) -> Waiting:
        return Waiting()


def _values(column: Value) -> list[Value]:
    """Return values that hold no more memory than their own."""
    if isinstance(column, torch.Tensor):
        return [value.clone() for value in column]
    return [v.copy() if isinstance(v, np.ndarray) and v.base is not None else v for v in column]
