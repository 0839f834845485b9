"""`make_reader` and `make_batch_reader`, with Petastorm's arguments."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from loaders.petastorm.arguments import SchemaFields
from loaders.petastorm.cache import CacheBase, NullCache
from loaders.petastorm.etl.dataset_metadata import UNISCHEMA_KEY
from loaders.petastorm.fs_utils import open_dataset
from loaders.petastorm.iterating import DEADLINE_S, Reader
from loaders.petastorm.kinds import FileSystem, Settings
from loaders.petastorm.local_disk_cache import LocalDiskCache
from loaders.petastorm.predicates import PredicateBase
from loaders.petastorm.rowgroups.folder import ParquetFolder
from loaders.petastorm.selectors import RowGroupSelectorBase
from loaders.petastorm.transform import TransformSpec
from loaders.petastorm.workers_pool.dummy_pool import DummyPool
from loaders.petastorm.workers_pool.process_pool import ProcessPool
from loaders.petastorm.workers_pool.thread_pool import ThreadPool

__all__ = ["LOCAL_DISK_CACHE", "NULL_CACHE", "Reader", "make_batch_reader", "make_reader"]

NULL_CACHE = "null"
LOCAL_DISK_CACHE = "local-disk"


def make_reader(
    dataset_url: str | Path | list[str],
    schema_fields: SchemaFields = None,
    reader_pool_type: str = "thread",
    workers_count: int = 10,
    pyarrow_serialize: bool = False,
    results_queue_size: int = 50,
    seed: int | None = None,
    shuffle_rows: bool = False,
    shuffle_row_groups: bool = True,
    shuffle_row_drop_partitions: int = 1,
    predicate: PredicateBase | None = None,
    rowgroup_selector: RowGroupSelectorBase | None = None,
    num_epochs: int | None = 1,
    cur_shard: int | None = None,
    shard_count: int | None = None,
    shard_seed: int | None = None,
    cache_type: str | None = NULL_CACHE,
    cache_location: str | None = None,
    cache_size_limit: int | None = None,
    cache_row_size_estimate: int | None = None,
    cache_extra_settings: Settings | None = None,
    hdfs_driver: str = "libhdfs3",
    transform_spec: TransformSpec | None = None,
    filters: object = None,
    storage_options: Settings | None = None,
    zmq_copy_buffers: bool = True,
    filesystem: FileSystem = None,
    convert_early_to_numpy: bool = False,
    *,
    equal_shards: bool = False,
    deadline_s: float = DEADLINE_S,
) -> Reader:
    """Read a Petastorm dataset row by row, decoded by the codecs of its schema.

    Args:
        dataset_url: A folder as URL or path, or a list of files.
        schema_fields: Fields to read: `UnischemaField`s and regular expressions that match whole names; None: all.
            An `NGram` gives windows of rows.
        reader_pool_type: `thread`, `process` (for transforms that hold the GIL) or `dummy` (the caller does the work).
            The rows and their order are the same.
        workers_count: Threads or processes.
        pyarrow_serialize: Deprecated, without effect.
        results_queue_size: Accepted, without effect: what is made ahead is bounded by its bytes.
        seed: What every order comes from, together with the number of the epoch; 0 is a seed. None: another order in
            every reader.
        shuffle_rows: Shuffle the rows inside each row group.
        shuffle_row_groups: Read row groups in another order in every epoch.
        shuffle_row_drop_partitions: Read each row group in so many parts, at different places of the epoch.
        predicate: Which rows are kept; may name columns that are not read.
        rowgroup_selector: Which row groups are read, by an index of the dataset.
        num_epochs: Epochs in one pass; None: endless.
        cur_shard: Which shard this reader is, from 0.
        shard_count: How many there are: row group i belongs to shard i % shard_count.
        shard_seed: Deprecated; taken as `seed`.
        cache_type: `null` or `local-disk`.
        cache_location: Folder of the cache.
        cache_size_limit: Bytes that it may take.
        cache_row_size_estimate: Bytes of a row, to check that the cache is large enough.
        cache_extra_settings: Further arguments of `LocalDiskCache`.
        hdfs_driver: Accepted; HDFS goes through pyarrow.
        transform_spec: What becomes of each row.
        filters: Conditions on columns as pyarrow writes them, on partition columns and on others.
        storage_options: Arguments of the file system made from the URL.
        zmq_copy_buffers: Accepted, without effect.
        filesystem: A file system of pyarrow or fsspec to use instead.
        convert_early_to_numpy: Accepted, without effect.
        equal_shards: Cut the rows, not the row groups, into shards of equal size; up to shard_count - 1 rows at the
            end are read by none.
        deadline_s: Seconds in which the next rows come; else DeadlineError.

    Returns:
        An iterator of namedtuples, one a row: numpy scalars and arrays, Decimal, None for a null.

    Raises:
        ValueError: If an argument is none of those above.
        RuntimeError: If no field matches, or the folder's metadata is incomplete.
        OSError: If there is no such dataset.
        NoDataAvailableError: If there are fewer row groups than shards.
        UnsafePickleError: If the stored schema names anything but the types of a schema.
    """
    arguments = dict(locals())
    if arguments.pop("pyarrow_serialize"):
        warnings.warn(
            "pyarrow_serializer was deprecated and will be removed in future versions. The argument no longer has any "
            "effect.",
            stacklevel=2,
        )
    return _reader(arguments.pop("dataset_url"), is_batched=False, **arguments)


def make_batch_reader(
    dataset_url_or_urls: str | Path | list[str],
    schema_fields: SchemaFields = None,
    reader_pool_type: str = "thread",
    workers_count: int = 10,
    results_queue_size: int = 50,
    seed: int | None = None,
    shuffle_rows: bool = False,
    shuffle_row_groups: bool = True,
    shuffle_row_drop_partitions: int = 1,
    predicate: PredicateBase | None = None,
    rowgroup_selector: RowGroupSelectorBase | None = None,
    num_epochs: int | None = 1,
    cur_shard: int | None = None,
    shard_count: int | None = None,
    shard_seed: int | None = None,
    cache_type: str | None = NULL_CACHE,
    cache_location: str | None = None,
    cache_size_limit: int | None = None,
    cache_row_size_estimate: int | None = None,
    cache_extra_settings: Settings | None = None,
    hdfs_driver: str = "libhdfs3",
    transform_spec: TransformSpec | None = None,
    filters: object = None,
    storage_options: Settings | None = None,
    zmq_copy_buffers: bool = True,
    filesystem: FileSystem = None,
    convert_early_to_numpy: bool = False,
    *,
    equal_shards: bool = False,
    deadline_s: float = DEADLINE_S,
) -> Reader:
    """Read any Parquet dataset a row group at a time, its columns as numpy arrays; codecs are not applied.

    Args and errors are those of `make_reader`; a predicate and the function of a transform get a pandas DataFrame.

    Returns:
        An iterator of namedtuples, one a row group: an array of shape (rows, ...) for each column.
    """
    arguments = dict(locals())
    return _reader(arguments.pop("dataset_url_or_urls"), is_batched=True, **arguments)


def _reader(
    url: str | Path | list[str], *, is_batched: bool, reader_pool_type: str, workers_count: int,
    results_queue_size: int, cache_type: str | None, cache_location: str | None, cache_size_limit: int | None,
    cache_row_size_estimate: int | None, cache_extra_settings: Settings | None, hdfs_driver: str,
    storage_options: Settings | None, filesystem: FileSystem, zmq_copy_buffers: bool, **arguments: Any,
) -> Reader:  # fmt: skip
    """Open what the arguments of one of the two functions above name."""
    where = (cache_location, cache_size_limit, cache_row_size_estimate)
    cache = _cache(cache_type, where, cache_extra_settings or {})
    pool = _pool(reader_pool_type, workers_count, results_queue_size)
    folder = open_dataset(url, hdfs_driver=hdfs_driver, storage_options=storage_options, filesystem=filesystem)
    try:
        _warn_of_the_other_function(folder, is_batched=is_batched)
        return Reader(None, folder, reader_pool=pool, cache=cache, is_batched_reader=is_batched, **arguments)
    except BaseException:
        folder.close()
        raise


def _warn_of_the_other_function(folder: ParquetFolder, *, is_batched: bool) -> None:
    has_schema = UNISCHEMA_KEY in folder.metadata
    if not has_schema and not is_batched:
        warnings.warn(
            "Currently make_reader supports reading only Petastorm datasets. To read from a non-Petastorm Parquet "
            "store use make_batch_reader",
            stacklevel=4,
        )
    if has_schema and is_batched:
        warnings.warn(
            "Please use make_reader (instead of 'make_batch_dataset' function to read this dataset. You may get "
            "unexpected results. Currently make_batch_reader supports reading only Parquet stores that contain "
            "standard Parquet data types and do not require petastorm decoding.",
            stacklevel=4,
        )


def _cache(kind: str | None, where: tuple[Any, ...], settings: Settings) -> CacheBase:
    if kind is None or kind == NULL_CACHE:
        return NullCache()
    if kind == LOCAL_DISK_CACHE:
        return LocalDiskCache(*where, **settings)  # refuses None by the name of the argument
    raise ValueError(f"Unknown cache_type: {kind}")


def _pool(kind: str, workers: int, queue_size: int) -> ThreadPool | ProcessPool | DummyPool:
    if kind == "thread":
        return ThreadPool(workers, queue_size)
    if kind == "process":
        return ProcessPool(workers)
    if kind == "dummy":
        return DummyPool()
    raise ValueError(f"Unknown reader_pool_type: {kind}")
