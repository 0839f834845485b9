"""What is written beside the rows: schema, row groups and their indexes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TypeVar

from loaders.petastorm.kinds import Value

Self = TypeVar("Self", bound="RowGroupIndexerBase")


class RowGroupIndexerBase(ABC):
    """Collects, row group by row group, which of them hold what."""

    @abstractmethod
    def __add__(self: Self, other: Self) -> Self:
        """Take over what another indexer of the same field has collected, and return this one."""

    @property
    @abstractmethod
    def index_name(self) -> str:
        """Name under which the index is stored."""

    @property
    @abstractmethod
    def column_names(self) -> list[str]:
        """Columns that `build_index` needs."""

    @property
    @abstractmethod
    def indexed_values(self) -> list[Value]:
        """Every value that was found."""

    @abstractmethod
    def get_row_group_indexes(self, value_key: Value) -> set[int]:
        """Return the ordinals of the row groups that hold a value, an empty set if none does."""

    @abstractmethod
    def build_index(self, decoded_rows: Sequence[Mapping[str, Value]], piece_index: int) -> object:
        """Collect the values of a row group.

        Args:
            decoded_rows: Its rows, with at least the columns named.
            piece_index: Its ordinal in the dataset.
        """
