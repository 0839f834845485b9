"""Build indexes of row groups, store them beside the rows, and read them again."""

from __future__ import annotations

import copy
import functools
import json
import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pyarrow as pa

from loaders.options import usable_cores
from loaders.petastorm.columns import decode_column, rows_of
from loaders.petastorm.etl import RowGroupIndexerBase
from loaders.petastorm.etl._index_pickle import index_pickle
from loaders.petastorm.etl.dataset_metadata import ROW_GROUPS_PER_FILE_KEY, infer_or_load_unischema
from loaders.petastorm.etl.legacy import StoredIndex, read_indexes
from loaders.petastorm.etl.rowgroup_indexers import FieldNotNullIndexer, SingleFieldIndexer
from loaders.petastorm.fs_utils import open_dataset
from loaders.petastorm.rowgroups.discovery import Known
from loaders.petastorm.rowgroups.folder import ParquetFolder, reopen
from loaders.petastorm.unischema import UnischemaField
from loaders.petastorm.utils import put_metadata

if TYPE_CHECKING:
    from pyspark import SparkContext

__all__ = ["ROWGROUPS_INDEX_KEY", "build_rowgroup_index", "get_row_group_indexes"]

logger = logging.getLogger(__name__)

ROWGROUPS_INDEX_KEY = b"dataset-toolkit.rowgroups_index.v1"

Indexers = list[SingleFieldIndexer | FieldNotNullIndexer]

_TASKS_PER_CORE = 4


def build_rowgroup_index(
    dataset_url: str,
    spark_context: SparkContext | None,
    indexers: Sequence[RowGroupIndexerBase],
    hdfs_driver: str = "libhdfs3",
) -> None:
    """Index the row groups of a dataset, and store the indexes in its `_common_metadata` for `rowgroup_selector`.

    Indexes that were there before are replaced, all else in that file is kept. Petastorm reads them too. Build them
    again after files were added or removed: they number the row groups that are there now.

    Args:
        dataset_url: Of the folder; need not be a Petastorm dataset.
        spark_context: Its workers read the columns; None: threads of this process do.
        indexers: `SingleFieldIndexer` and `FieldNotNullIndexer`; they are not changed.
        hdfs_driver: Accepted; HDFS goes through pyarrow.

    Raises:
        ValueError: If there is no indexer, two have one name, or there is no such field.
        TypeError: If an indexer is of another class, or values are of a kind that is not stored.
        DecodeFieldError: If a value cannot be decoded.
    """
    begin = time.monotonic()
    chosen = _checked(indexers)
    with open_dataset(dataset_url, hdfs_driver=hdfs_driver) as folder:
        task = _Indexing(folder.spec(), _fields(folder, chosen), chosen)
        found = _in_threads(task, folder) if spark_context is None else _in_spark(task, folder, spark_context)
        raw = index_pickle(found)
        counts = {**dict.fromkeys(folder.names, 0), **Counter(piece.file for piece in folder.pieces)}
        keys = {ROWGROUPS_INDEX_KEY: raw, ROW_GROUPS_PER_FILE_KEY: json.dumps(counts, sort_keys=True).encode()}
        put_metadata(folder, keys)
        logger.info(
            "indexed dataset=%s row_groups=%d indexes=%d bytes=%d seconds=%.1f",
            folder.root, len(folder.pieces), len(found), len(raw), time.monotonic() - begin,
        )  # fmt: skip


def get_row_group_indexes(dataset: ParquetFolder) -> dict[str, RowGroupIndexerBase]:
    """Return the indexes that are stored with a dataset, by name. Nothing is unpickled.

    Raises:
        ValueError: If there are none, or they number row groups that the dataset does not have.
        UnsafePickleError: If what is stored names or does what no index does.
    """
    if not dataset.metadata:
        raise ValueError(
            "Could not find _metadata file. Use build_rowgroup_index(..) in loaders.petastorm.etl.rowgroup_indexing"
        )
    if ROWGROUPS_INDEX_KEY not in dataset.metadata:
        raise ValueError(
            "Row groups index is not available in the dataset metadata file. Use build_rowgroup_index(..) in "
            "loaders.petastorm.etl.rowgroup_indexing"
        )
    stored = read_indexes(dataset.metadata[ROWGROUPS_INDEX_KEY])
    for name, index in stored.items():
        last = max((ordinal for each in (index.ordinals, *index.values.values()) for ordinal in each), default=-1)
        if last >= len(dataset.pieces):
            raise ValueError(
                f"index {name!r} numbers row groups up to {last}, {dataset.root} has {len(dataset.pieces)}: its files "
                "were replaced; call build_rowgroup_index again"
            )
    return {name: _restored(index) for name, index in stored.items()}


class _Indexing:
    """Indexes row groups, here or in a worker of Spark's."""

    def __init__(self, folder: Known, fields: Sequence[UnischemaField], indexers: Indexers) -> None:
        self._folder, self._fields, self._indexers = folder, fields, indexers

    def __call__(self, ordinals: Iterable[int]) -> Iterator[Indexers]:
        """Yield one list of indexers for all these row groups."""
        with reopen(self._folder) as folder:
            yield self.index(folder, ordinals)

    def index(self, folder: ParquetFolder, ordinals: Iterable[int]) -> Indexers:
        indexers = copy.deepcopy(self._indexers)
        names = [field.name for field in self._fields]
        for ordinal in ordinals:
            table = folder.read(folder.pieces[ordinal], names)
            columns = (rows_of(decode_column(each, _array(table.column(each.name)))) for each in self._fields)
            rows = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
            for indexer in indexers if rows else ():
                indexer.build_index(rows, ordinal)
        return indexers


def _in_threads(task: _Indexing, folder: ParquetFolder) -> Indexers:
    threads = usable_cores(64)
    shares = [range(first, len(folder.pieces), threads) for first in range(threads)]
    with ThreadPoolExecutor(threads, thread_name_prefix="petrel-index") as pool:
        return functools.reduce(_combined, pool.map(functools.partial(task.index, folder), shares))


def _in_spark(task: _Indexing, folder: ParquetFolder, spark_context: SparkContext) -> Indexers:
    ordinals = range(len(folder.pieces))
    slices = max(1, min(len(ordinals), _TASKS_PER_CORE * spark_context.defaultParallelism))
    found: Indexers = spark_context.parallelize(list(ordinals), slices).mapPartitions(task).reduce(_combined)
    return found


def _combined(left: Indexers, right: Indexers) -> Indexers:
    return [mine + other for mine, other in zip(left, right, strict=True)]


def _checked(indexers: Sequence[RowGroupIndexerBase]) -> Indexers:
    chosen: Indexers = []
    for indexer in indexers:
        if type(indexer) not in (SingleFieldIndexer, FieldNotNullIndexer):
            raise TypeError(
                f"only SingleFieldIndexer and FieldNotNullIndexer are stored, found {type(indexer).__name__}: reading "
                "another class would run code from the dataset"
            )
        chosen.append(indexer)  # type: ignore[arg-type]
    names = [indexer.index_name for indexer in chosen]
    if not chosen or len(set(names)) < len(names):
        raise ValueError(f"indexers must be a list of indexers of different names, found {names}")
    return chosen


def _fields(folder: ParquetFolder, indexers: Indexers) -> list[UnischemaField]:
    schema = infer_or_load_unischema(folder)
    wanted = dict.fromkeys(name for indexer in indexers for name in indexer.column_names)
    if unknown := [name for name in wanted if name not in schema.fields]:
        raise ValueError(f"{folder.root} has no field {', '.join(unknown)}; it has {', '.join(schema.fields)}")
    return [schema.fields[name] for name in wanted]


def _restored(index: StoredIndex) -> RowGroupIndexerBase:
    if index.class_name == "FieldNotNullIndexer":
        return FieldNotNullIndexer.restored(index.index_name, index.column_name, index.ordinals)
    return SingleFieldIndexer.restored(index.index_name, index.column_name, index.values)


def _array(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
