"""Which row groups a reader reads: those that partitions, indexes and shards leave."""

from __future__ import annotations

from collections.abc import Mapping

from loaders.ordering.filters import Filter
from loaders.petastorm.errors import NoDataAvailableError
from loaders.petastorm.etl.rowgroup_indexing import get_row_group_indexes
from loaders.petastorm.kinds import Value
from loaders.petastorm.predicates import PredicateBase
from loaders.petastorm.rowgroups.folder import ParquetFolder
from loaders.petastorm.rowgroups.order import Unit, equal_shares
from loaders.petastorm.selectors import RowGroupSelectorBase
from loaders.petastorm.unischema import Unischema


def choose_units(
    folder: ParquetFolder,
    stored: Unischema,
    *,
    predicate: PredicateBase | None,
    selector: RowGroupSelectorBase | None,
    cur_shard: int | None,
    shard_count: int | None,
    filters: Filter | None,
    parts: int,
    equal_shards: bool,
    is_batched: bool,
) -> tuple[list[Unit], PredicateBase | None]:
    """Return what one shard reads, and the predicate if it is not settled by the values of partitions.

    Row groups are numbered for the shards before predicate and selector leave any out, as in Petastorm; only those
    that `filters` exclude by their partitions are not counted.

    Raises:
        ValueError: If shard or selector do not fit.
        NoDataAvailableError: If there are fewer row groups than shards.
    """
    pieces = list(folder.pieces)
    if filters is not None:
        pieces = [piece for piece in pieces if folder.may_match_partitions(piece, filters)]
    if cur_shard is not None or shard_count is not None:
        _check_shards(cur_shard, shard_count, len(pieces), equal_shards=equal_shards)
    kept = pieces
    if predicate is not None and _is_of_partitions(predicate, folder, is_batched=is_batched):
        fields = list(predicate.get_fields())
        kept = [
            piece for piece in kept
            if predicate.do_include({name: _partition_value(stored, piece.partitions, name) for name in fields})
        ]  # fmt: skip
        predicate = None
    if selector is not None:
        selected = _selected_by(selector, folder)
        kept = [piece for piece in kept if piece.ordinal in selected]
    if shard_count is not None and cur_shard is not None and not equal_shards:
        places = {piece.ordinal: place for place, piece in enumerate(pieces)}
        kept = [piece for piece in kept if places[piece.ordinal] % shard_count == cur_shard]
    whole = [Unit(piece.ordinal) for piece in kept]
    if shard_count is not None and cur_shard is not None and equal_shards:
        shares = equal_shares([folder.rows(piece) for piece in kept], shard=cur_shard, shards=shard_count)
        whole = [Unit(kept[share.ordinal].ordinal, first=share.first, last=share.last) for share in shares]
    units = [Unit(unit.ordinal, part, parts, unit.first, unit.last) for unit in whole for part in range(parts)]
    return units, predicate


def _check_shards(cur_shard: object, shard_count: object, groups: int, *, equal_shards: bool) -> None:
    if not shard_count or type(cur_shard) is not int or type(shard_count) is not int:
        raise ValueError("partition and num_partitions must be ints and both specified to use partitioning")
    if not 0 <= cur_shard < shard_count:
        raise ValueError(f"cur_shard is counted from 0 and less than shard_count={shard_count}, found {cur_shard}")
    if groups < shard_count and not equal_shards:
        raise NoDataAvailableError(
            "Number of row-groups in the dataset must be greater or equal to the number of requested shards. "
            f"Otherwise, some of the shards will end up being empty. Found {groups} row groups for {shard_count} "
            "shards; equal_shards=True shares rows instead"
        )


def _is_of_partitions(predicate: PredicateBase, folder: ParquetFolder, *, is_batched: bool) -> bool:
    """Whether a predicate asks for nothing but partitions; that of a batch reader otherwise gets a DataFrame."""
    names, fields = set(folder.partition_names), set(predicate.get_fields())
    return bool(fields) and (fields == names if is_batched else fields <= names)


def _partition_value(stored: Unischema, partitions: Mapping[str, Value], name: str) -> Value:
    value = partitions[name]
    return None if value is None else stored.fields[name].numpy_dtype(value)


def _selected_by(selector: RowGroupSelectorBase, folder: ParquetFolder) -> set[int]:
    if not isinstance(selector, RowGroupSelectorBase):
        raise ValueError("rowgroup_selector parameter is expected to be derived from RowGroupSelectorBase")
    indexes = get_row_group_indexes(folder)
    required = selector.get_index_names()
    if not set(required) <= set(indexes):
        raise ValueError(f"Some of required indexes {required} are not available in {list(indexes)}")
    return set(selector.select_row_groups(indexes))
