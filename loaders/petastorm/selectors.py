"""Which row groups to read, from indexes of the values that each of them holds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence

from loaders.petastorm.etl import RowGroupIndexerBase
from loaders.petastorm.kinds import Value

__all__ = ["IntersectIndexSelector", "RowGroupSelectorBase", "SingleIndexSelector", "UnionIndexSelector"]


class RowGroupSelectorBase(ABC):
    """What `make_reader(rowgroup_selector=...)` takes."""

    @abstractmethod
    def get_index_names(self) -> list[str]:
        """Return the names of the indexes that `select_row_groups` needs."""

    @abstractmethod
    def select_row_groups(self, index_dict: Mapping[str, RowGroupIndexerBase]) -> set[int]:
        """Return the ordinals of the row groups to read."""


class SingleIndexSelector(RowGroupSelectorBase):
    """Row groups that hold at least one of some values.

    Args:
        index_name: Name of the index.
        values_list: The values; those that are in no row group select none.
    """

    def __init__(self, index_name: str, values_list: Iterable[Value]) -> None:
        self._index_name = index_name
        self._values_to_select = list(values_list)

    def get_index_names(self) -> list[str]:
        return [self._index_name]

    def select_row_groups(self, index_dict: Mapping[str, RowGroupIndexerBase]) -> set[int]:
        index = index_dict[self._index_name]
        return set().union(*(index.get_row_group_indexes(value) for value in self._values_to_select))


class _SeveralSelectors(RowGroupSelectorBase):
    def __init__(self, single_index_selectors: Sequence[RowGroupSelectorBase]) -> None:
        selectors = list(single_index_selectors)
        if not selectors or not all(isinstance(each, RowGroupSelectorBase) for each in selectors):
            raise ValueError("single_index_selectors must be a list of at least one selector")
        self._selectors = selectors

    def get_index_names(self) -> list[str]:
        return [name for each in self._selectors for name in each.get_index_names()]


class IntersectIndexSelector(_SeveralSelectors):
    """Row groups that every one of some selectors selects.

    Args:
        single_index_selectors: The selectors, at least one; of any kind.
    """

    def select_row_groups(self, index_dict: Mapping[str, RowGroupIndexerBase]) -> set[int]:
        return set.intersection(*(set(each.select_row_groups(index_dict)) for each in self._selectors))


class UnionIndexSelector(_SeveralSelectors):
    """Row groups that at least one of some selectors selects.

    Args:
        single_index_selectors: The selectors, at least one; of any kind.
    """

    def select_row_groups(self, index_dict: Mapping[str, RowGroupIndexerBase]) -> set[int]:
        return set().union(*(each.select_row_groups(index_dict) for each in self._selectors))
