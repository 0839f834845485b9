"""Which rows to read, decided from the values of some fields: of a row as dict, or of many as DataFrame.

`make_reader` asks about each row, `make_batch_reader` about a whole row group. Written for rows, every predicate here
answers for a DataFrame as well: with a boolean Series, as if each of its rows had been asked about.
"""

from __future__ import annotations

import functools
import hashlib
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from loaders.petastorm.kinds import Frame, Row, Value

__all__ = [
    "PredicateBase", "in_intersection", "in_lambda", "in_negate", "in_pseudorandom_split", "in_reduce", "in_set",
    "included",
]  # fmt: skip

_WRITTEN_FOR_ROWS = (TypeError, ValueError, AttributeError, LookupError)
"""What a function raises that expects a value and is given a column."""


class PredicateBase(ABC):
    """What `make_reader(predicate=...)` takes; derive from it to write another one."""

    @abstractmethod
    def get_fields(self) -> Collection[str]:
        """Return the names of the fields that `do_include` needs; they need not be among those that are read."""

    @abstractmethod
    def do_include(self, values: Value) -> Value:
        """Return whether to keep a row, given as a dict; for a DataFrame a boolean Series, or one answer per row."""


def included(predicate: PredicateBase, frame: Frame) -> NDArray[np.bool_]:
    """Return which rows of a DataFrame a predicate keeps, whether or not it was written for a DataFrame.

    It is asked about the whole frame; if its answer is no Series of as many values, or an error that a value in place
    of a column would not have brought, about each row.
    """
    names = list(frame.columns)
    return _mask(frame, lambda: predicate.do_include(frame), lambda: map(predicate.do_include, _rows(frame, names)))


class in_set(PredicateBase):
    """Rows in which a field has one of some values.

    Args:
        inclusion_values: The values; None stands for null.
        predicate_field: Name of the field.
    """

    def __init__(self, inclusion_values: Iterable[Value], predicate_field: str) -> None:
        self._inclusion_values = set(inclusion_values)
        self._predicate_field = predicate_field

    def get_fields(self) -> set[str]:
        return {self._predicate_field}

    def do_include(self, values: Value) -> Value:
        kept = self._inclusion_values
        if not _is_frame(values):
            return values[self._predicate_field] in kept
        column = values[self._predicate_field]
        mask = np.fromiter((value in kept for value in column.tolist()), dtype=bool, count=len(column))
        if column.dtype.kind == "M":  # pandas has a type of its own for a moment in time
            mask |= np.fromiter((value in kept for value in column.to_numpy()), dtype=bool, count=len(column))
        if None in kept:
            mask |= column.isna().to_numpy()
        return _series(values, mask)


class in_intersection(PredicateBase):
    """Rows in which the list or array of a field holds at least one of some values.

    Args:
        inclusion_values: The values.
        _predicate_field: Name of the field.
    """

    def __init__(self, inclusion_values: Iterable[Value], _predicate_field: str) -> None:
        self._inclusion_values = list(inclusion_values)
        self._predicate_field = _predicate_field

    def get_fields(self) -> set[str]:
        return {self._predicate_field}

    def do_include(self, values: Value) -> Value:
        """Raises ValueError if the field holds no list."""
        if _is_frame(values):
            return _series(values, [self._has_any(value) for value in values[self._predicate_field]])
        return self._has_any(values[self._predicate_field])

    def _has_any(self, value: Value) -> bool:
        if not hasattr(value, "__iter__"):
            raise ValueError(f"Predicate field should have iterable type, {self._predicate_field!r} holds {value!r}")
        return bool(np.isin(value, self._inclusion_values).any())


class in_lambda(PredicateBase):
    """Rows of which a function returns true, called with the values of some fields.

    With a DataFrame it is called once with columns, and if it cannot take these, for each row with values.

    Args:
        predicate_fields: Names of the fields, a list.
        predicate_func: Takes one positional argument for each field, and `state_arg` after them if there is one.
        state_arg: Anything the function is to remember between calls; None: nothing.

    Raises:
        ValueError: If the fields are no list.
    """

    def __init__(
        self, predicate_fields: list[str], predicate_func: Callable[..., Value], state_arg: Value = None
    ) -> None:
        if not isinstance(predicate_fields, list):
            raise ValueError("Predicate fields should be a list")
        self._predicate_fields = predicate_fields
        self._predicate_func = predicate_func
        self._state = () if state_arg is None else (state_arg,)

    def get_fields(self) -> set[str]:
        return set(self._predicate_fields)

    def do_include(self, values: Value) -> Value:
        if not _is_frame(values):
            return self._call(values)
        rows = _rows(values, self._predicate_fields)
        return _series(values, _mask(values, lambda: self._call(values), lambda: map(self._call, rows)))

    def _call(self, values: Value) -> Value:
        return self._predicate_func(*(values[field] for field in self._predicate_fields), *self._state)


class in_negate(PredicateBase):
    """Rows that another predicate leaves out.

    Args:
        predicate: The other one.

    Raises:
        ValueError: If it is none.
    """

    def __init__(self, predicate: PredicateBase) -> None:
        _check_predicates([predicate])
        self._predicate = predicate

    def get_fields(self) -> Collection[str]:
        return self._predicate.get_fields()

    def do_include(self, values: Value) -> Value:
        if _is_frame(values):
            return _series(values, ~included(self._predicate, values))
        return not self._predicate.do_include(values)


class in_reduce(PredicateBase):
    """Rows of which a function says so, given the answers of several predicates.

    Args:
        predicate_list: The predicates.
        reduce_func: Called with the list of their answers, as `all` and `any` are.

    Raises:
        ValueError: If one of them is no predicate.
    """

    def __init__(self, predicate_list: Sequence[PredicateBase], reduce_func: Callable[[list[Value]], Value]) -> None:
        _check_predicates(predicate_list)
        self._predicate_list = list(predicate_list)
        self._reduce_func = reduce_func

    def get_fields(self) -> set[str]:
        return {name for predicate in self._predicate_list for name in predicate.get_fields()}

    def do_include(self, values: Value) -> Value:
        if not _is_frame(values):
            return self._reduce_func([predicate.do_include(values) for predicate in self._predicate_list])
        masks = [included(predicate, values) for predicate in self._predicate_list]
        if self._reduce_func in (all, any) and masks:
            both = np.logical_and if self._reduce_func is all else np.logical_or
            return _series(values, functools.reduce(both, masks))
        rows = zip(*masks, strict=True) if masks else [()] * len(values)
        whole = [_series(values, mask) for mask in masks]
        reduce_ = self._reduce_func
        return _series(values, _mask(values, lambda: reduce_(whole), lambda: (reduce_(list(row)) for row in rows)))


class in_pseudorandom_split(PredicateBase):
    """Rows of one of several parts of a dataset; a row's part follows from the text of one field alone.

    The same value is in the same part in every dataset, run and version, Petastorm's included.

    Args:
        fraction_list: How large each part is, of 1 in all.
        subset_index: Which part, counted from 0.
        predicate_field: Name of the field.

    Raises:
        ValueError: If there is no such part.
    """

    def __init__(self, fraction_list: Sequence[float], subset_index: int, predicate_field: str) -> None:
        if subset_index >= len(fraction_list):
            raise ValueError(f"subset_index is out of range: {subset_index} of {len(fraction_list)} subsets")
        self._predicate_field = predicate_field
        # Petastorm's own arithmetic, to the last bit: a value at a border must not change sides.
        borders = [sum(fraction_list[: at + 1]) for at in range(len(fraction_list))]
        self._bucket_low = (borders[subset_index - 1] if subset_index else 0) * (sys.maxsize - 1)
        self._bucket_high = borders[subset_index] * (sys.maxsize - 1)

    def get_fields(self) -> set[str]:
        return {self._predicate_field}

    def do_include(self, values: Value) -> Value:
        """Raises ValueError if the field is not there."""
        if self._predicate_field not in values:
            raise ValueError(f"Tested values does not have split key: {self._predicate_field}")
        column = values[self._predicate_field]
        if _is_frame(values):  # numpy's scalars: their texts are those of values in rows
            return _series(values, [self._is_mine(value) for value in column.to_numpy()])
        return self._is_mine(column)

    def _is_mine(self, value: Value) -> bool:
        digest = hashlib.md5(str(value).encode(), usedforsecurity=False).digest()
        return bool(self._bucket_low <= int.from_bytes(digest, "big") % sys.maxsize < self._bucket_high)


def _mask(frame: Frame, of_columns: Callable[[], Value], of_rows: Callable[[], Iterable[Value]]) -> NDArray[np.bool_]:
    """Return an answer given for columns, or where that is none, one for each row."""
    try:
        found = of_columns()
        if _is_series(found) and len(found) == len(frame):
            return np.asarray(found, dtype=bool)
    except _WRITTEN_FOR_ROWS:
        return _answers(frame, of_rows())  # if this fails too, the traceback tells of both
    return _answers(frame, of_rows())


def _answers(frame: Frame, answers: Iterable[Value]) -> NDArray[np.bool_]:
    return np.fromiter((bool(answer) for answer in answers), dtype=bool, count=len(frame))


def _rows(frame: Frame, names: Sequence[str]) -> Iterable[Row]:
    """Yield rows as dicts; numbers are numpy's."""
    columns = [frame[name].to_numpy() for name in names]
    return ({name: column[at] for name, column in zip(names, columns, strict=True)} for at in range(len(frame)))


def _series(frame: Frame, mask: Value) -> Value:
    import pandas  # there is a DataFrame, so it is imported already

    return pandas.Series(np.asarray(mask, dtype=bool), index=frame.index)


def _is_frame(values: Value) -> bool:
    return not isinstance(values, Mapping) and hasattr(values, "columns") and hasattr(values, "iloc")


def _is_series(values: Value) -> bool:
    return hasattr(values, "index") and hasattr(values, "iloc") and not hasattr(values, "columns")


def _check_predicates(predicates: Iterable[Value]) -> None:
    if not all(isinstance(each, PredicateBase) for each in predicates):
        raise ValueError("Predicate is nor derived from PredicateBase")
