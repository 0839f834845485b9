"""Indexes of row groups: by the values of a field, or by whether there is a value at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from loaders.petastorm.etl import RowGroupIndexerBase
from loaders.petastorm.kinds import Value

__all__ = ["FieldNotNullIndexer", "SingleFieldIndexer"]


class _FieldIndexer(RowGroupIndexerBase):
    def __init__(self, index_name: str, index_field: str) -> None:
        self._index_name = index_name
        self._column_name = index_field

    @property
    def index_name(self) -> str:
        return self._index_name

    @property
    def column_names(self) -> list[str]:
        return [self._column_name]


class SingleFieldIndexer(_FieldIndexer):
    """Which row groups hold which values of a field; of an array field, which values anywhere in its arrays.

    Args:
        index_name: Name of the index.
        index_field: Name of the field: numbers, text, bytes, Decimal, or one-dimensional arrays of those.
    """

    def __init__(self, index_name: str, index_field: str) -> None:
        super().__init__(index_name, index_field)
        self._index_data: dict[Value, set[int]] = {}

    @classmethod
    def restored(cls, index_name: str, index_field: str, data: Mapping[Value, Iterable[int]]) -> SingleFieldIndexer:
        """Return an indexer that has collected {value: ordinals of row groups}."""
        indexer = cls(index_name, index_field)
        indexer._index_data = {value: set(ordinals) for value, ordinals in data.items()}
        return indexer

    def __add__(self, other: RowGroupIndexerBase) -> SingleFieldIndexer:
        """Take over what `other` has collected, and return self; raises TypeError, ValueError if it does not fit."""
        if not isinstance(other, SingleFieldIndexer):
            raise TypeError("Make sure Spark map function return the same indexer type")
        _check_same_field(self._column_name, other._column_name)
        for value, pieces in other._index_data.items():
            self._index_data.setdefault(value, set()).update(pieces)
        return self

    @property
    def indexed_values(self) -> list[Value]:
        return list(self._index_data)

    def get_row_group_indexes(self, value_key: Value) -> set[int]:
        return set(self._index_data.get(value_key, ()))

    def build_index(self, decoded_rows: Sequence[Mapping[str, Value]], piece_index: int) -> dict[Value, set[int]]:
        """Collect the values of a row group; nulls are left out.

        Raises:
            ValueError: If there is no row.
            TypeError: If a value cannot be looked up: an array in an array.
        """
        for value in _values(decoded_rows, self._column_name):
            for each in value if isinstance(value, np.ndarray) else (value,):
                try:
                    self._index_data.setdefault(each, set()).add(piece_index)
                except TypeError as error:
                    raise TypeError(f"field {self._column_name!r} cannot be indexed: {error}") from error
        return self._index_data


class FieldNotNullIndexer(_FieldIndexer):
    """Which row groups hold a value of a field that is not null.

    Args:
        index_name: Name of the index.
        index_field: Name of the field.
    """

    def __init__(self, index_name: str, index_field: str) -> None:
        super().__init__(index_name, index_field)
        self._index_data: set[int] = set()

    @classmethod
    def restored(cls, index_name: str, index_field: str, data: Iterable[int]) -> FieldNotNullIndexer:
        """Return an indexer that has collected these ordinals of row groups."""
        indexer = cls(index_name, index_field)
        indexer._index_data = set(data)
        return indexer

    def __add__(self, other: RowGroupIndexerBase) -> FieldNotNullIndexer:
        """Take over what `other` has collected, and return self; raises TypeError, ValueError if it does not fit."""
        if not isinstance(other, FieldNotNullIndexer):
            raise TypeError("Make sure Spark map function return the same indexer type")
        _check_same_field(self._column_name, other._column_name)
        self._index_data.update(other._index_data)
        return self

    @property
    def indexed_values(self) -> list[str]:
        return ["Field is Not Null"]

    def get_row_group_indexes(self, value_key: Value = None) -> set[int]:
        """Return the row groups with a value, whatever `value_key` is."""
        return set(self._index_data)

    def build_index(self, decoded_rows: Sequence[Mapping[str, Value]], piece_index: int) -> set[int]:
        """Note whether a row group has a value; raises ValueError if there is no row."""
        if _values(decoded_rows, self._column_name):
            self._index_data.add(piece_index)
        return self._index_data


def _values(rows: Sequence[Mapping[str, Value]], name: str) -> list[Value]:
    if not rows:
        raise ValueError(f"Cannot build index for empty rows, column '{name}'")
    return [row[name] for row in rows if row[name] is not None]


def _check_same_field(mine: str, other: str) -> None:
    if mine != other:
        raise ValueError(f"Make sure indexers in Spark map function index the same fields: {mine!r} and {other!r}")
