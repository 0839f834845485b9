"""A Spark frame as Parquet files in a cache folder, and PyTorch loaders over them.

The folder is `<parent>/<time>-appid-<application>-<uuid>`; it serves every frame that means the same, and is deleted by
`delete()` or when the driver's interpreter ends.
"""

from __future__ import annotations

import atexit
import datetime
import logging
import os
import statistics
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlsplit

from loaders.petastorm import spark_types
from loaders.petastorm.etl import _storing
from loaders.petastorm.kinds import Item, Settings
from loaders.petastorm.reader import make_batch_reader
from loaders.petastorm.rowgroups.folder import open_folder
from loaders.petastorm.spark_utils import quoted

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

logger = logging.getLogger(__name__)

DEFAULT_ROW_GROUP_SIZE_BYTES = 32 * 1024 * 1024

_COMPRESSIONS = ("uncompressed", "bzip2", "gzip", "lz4", "snappy", "deflate", "zstd")
_SMALL_FILE_BYTES = 50 << 20
_FILE_WAIT_S = 30.0
_RANK_VARIABLES = (
    ("HOROVOD_RANK", "HOROVOD_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
)

FloatType = Literal["float32", "float64"]


def make_spark_converter(
    df: DataFrame | str,
    parquet_row_group_size_bytes: int = DEFAULT_ROW_GROUP_SIZE_BYTES,
    compression_codec: str | None = None,
    dtype: FloatType | None = "float32",
) -> SparkDatasetConverter:
    """Write a Spark frame as Parquet below `petastorm.spark.converter.parentCacheDirUrl`, a setting of its session.

    A frame with the same plan over the same files, converted before in this session with the same arguments, is not
    written again.

    Args:
        df: The frame, or the URL of a folder of Parquet files to use as it is; the latter needs no Spark.
        parquet_row_group_size_bytes: Size of row groups, before compression.
        compression_codec: One of "uncompressed", "gzip", "lz4", "snappy", "zstd" ...; None leaves data uncompressed.
        dtype: Type that columns of floats, lists of floats and `pyspark.ml` vectors get; None keeps floats as they are
            and vectors as float64.

    Raises:
        ValueError: If the setting is missing or no URL, or `dtype` is another.
        RuntimeError: If Spark knows no such compression.
    """
    if isinstance(df, str):
        url = _databricks_url(df)
    else:
        url = _written(
            df,
            parent=_parent_folder(df.sparkSession),
            row_group_bytes=parquet_row_group_size_bytes,
            compression=compression_codec or "uncompressed",
            dtype=dtype,
        )
    with open_folder(url) as folder:
        rows = sum(folder.rows(piece) for piece in folder.pieces)
        file_urls = [f"{url.rstrip('/')}/{quote(name)}" for name in folder.names]
    _warn_of_small_files(file_urls)
    return SparkDatasetConverter(url, file_urls, rows)


def register_delete_dir_handler(handler: Callable[[str], object] | None) -> None:
    """Delete cache folders by `handler(url)` from now on; None: as before."""
    global _delete_folder
    _delete_folder = handler or _storing.delete_folder


class SparkDatasetConverter:
    """Rows of a Spark frame in a cache folder. Can be pickled, and used where there is no Spark.

    Attributes:
        cache_dir_url: The folder.
        file_urls: Its Parquet files.
        dataset_size: Rows in them, also `len()` of this.
    """

    PARENT_CACHE_DIR_URL_CONF = "petastorm.spark.converter.parentCacheDirUrl"

    def __init__(self, cache_dir_url: str, file_urls: list[str], dataset_size: int) -> None:
        self.cache_dir_url = cache_dir_url
        self.file_urls = file_urls
        self.dataset_size = dataset_size

    def __len__(self) -> int:
        return self.dataset_size

    def make_torch_dataloader(
        self,
        batch_size: int = 32,
        num_epochs: int | None = None,
        workers_count: int | None = None,
        shuffling_queue_capacity: int = 0,
        data_loader_fn: Callable[..., Any] | None = None,
        **petastorm_reader_kwargs: Any,
    ) -> AbstractContextManager[Any]:
        """Return a context manager: it opens a reader, gives a loader over it, and closes the reader at its end.

        Args:
            batch_size: Rows in a batch.
            num_epochs: Passes over all rows; None never ends, so the loop has to.
            workers_count: Workers that read; None means 4.
            shuffling_queue_capacity: Rows among which the loader draws; 0 keeps the order of the reader.
            data_loader_fn: Called with `reader`, `batch_size` and `shuffling_queue_capacity`; None means
                `loaders.petastorm.pytorch.DataLoader`.
            petastorm_reader_kwargs: Other arguments of `make_batch_reader`.
        """
        if num_epochs is None:
            _warn_of_endless_loader()
        arguments = {
            **petastorm_reader_kwargs,
            "num_epochs": num_epochs,
            "workers_count": 4 if workers_count is None else workers_count,
        }
        _check_rank(arguments)
        make_loader = partial(
            data_loader_fn or _torch_loader, batch_size=batch_size, shuffling_queue_capacity=shuffling_queue_capacity
        )
        return _open_loader(self.file_urls, arguments, make_loader)

    def make_tf_dataset(
        self,
        batch_size: int | None = None,
        prefetch: int | None = None,
        num_epochs: int | None = None,
        workers_count: int | None = None,
        shuffling_queue_capacity: int | None = None,
        **petastorm_reader_kwargs: Any,
    ) -> AbstractContextManager[Any]:
        """Not there.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(
            "make_tf_dataset is not there: TensorFlow is out of scope; use make_torch_dataloader, or "
            "tf.data.Dataset.from_generator over make_batch_reader(converter.file_urls)"
        )

    def delete(self) -> None:
        """Delete the cache folder; the same frame is written again when it is converted again."""
        with _lock:
            _known[:] = [copy for copy in _known if copy.url != self.cache_dir_url]
        _delete_folder(self.cache_dir_url)


# ------------------------------------------------------------------------------------------- copies of frames


@dataclass(frozen=True)
class _Copy:
    """A frame that was written; the frame itself says whether another one means the same."""

    frame: DataFrame
    files: frozenset[str]
    arguments: Mapping[str, object]
    url: str


_known: list[_Copy] = []
_lock = threading.Lock()
_delete_folder: Callable[[str], object] = _storing.delete_folder


def _written(df: DataFrame, **arguments: Any) -> str:
    """Return the folder in which the frame is written, by now or before."""
    with _lock:  # also while writing: the same frame from two threads is written once
        files = frozenset(df.inputFiles())  # a path that was written again is the same plan over other files
        for copy in _known:
            if copy.arguments == arguments and copy.files == files and _means_the_same(copy.frame, df):
                return copy.url
        url = _write(df, **arguments)
        _known.append(_Copy(df, files, arguments, url))
    return url


def _means_the_same(one: DataFrame, other: DataFrame) -> bool:
    return one.sparkSession is other.sparkSession and one.sameSemantics(other)


def _write(
    df: DataFrame, *, parent: str, row_group_bytes: int, compression: str, dtype: FloatType | None
) -> str:
    if compression.lower() not in _COMPRESSIONS:
        known = ", ".join(f"'{name}'" for name in _COMPRESSIONS)
        raise RuntimeError(f"compression_codec should be None or one of the following values: {known}")
    converted = _with_floats(df, dtype)
    url = f"{parent}/{_folder_name(df.sparkSession)}"
    atexit.register(_delete_at_exit, url, os.getpid())
    try:
        converted.write.option("compression", compression).option("parquet.block.size", row_group_bytes).parquet(url)
    except BaseException:
        with suppress(Exception):  # what made the writing fail is what matters
            _delete_folder(url)
        raise
    logger.info("converted url=%s compression=%s dtype=%s", url, compression, dtype)
    return url


def _with_floats(df: DataFrame, dtype: FloatType | None) -> DataFrame:
    """Return the frame with floats, lists of floats and vectors in one precision."""
    if dtype not in (None, "float32", "float64"):
        raise ValueError(f"dtype {dtype} is not supported. Use 'float32' or 'float64', or None to keep what is there")
    other, wanted = ("double", "float") if dtype == "float32" else ("float", "double")
    columns, changed = [], []
    for field in df.schema.fields:
        column, kind = df[quoted(field.name)], field.dataType.simpleString()
        if kind == "vector":
            column = spark_types.vector_to_array(column, dtype or "float64").alias(field.name)
        elif dtype is not None and kind in (other, f"array<{other}>"):
            column = column.cast(kind.replace(other, wanted)).alias(field.name)
            changed.append(field.name)
        columns.append(column)
    if changed:
        logger.warning("Converting floating-point columns to %s: %s", dtype, ", ".join(changed))
    return df.select(*columns)


def _folder_name(session: SparkSession) -> str:
    """A name that lets people find the folders of an application whose interpreter was killed."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d%H%M%S")
    return f"{now}-appid-{session.conf.get('spark.app.id', 'unknown')}-{uuid.uuid4()}"


def _parent_folder(session: SparkSession) -> str:
    key = SparkDatasetConverter.PARENT_CACHE_DIR_URL_CONF
    url = session.conf.get(key, None)
    if url is None:
        raise ValueError(f"Please set the spark config {key}.")
    if not urlsplit(url).scheme:
        raise ValueError(
            f"ERROR! A scheme-less directory url ({url}) is no longer supported. "
            'Please prepend "file://" for local filesystem.'
        )
    return str(url).rstrip("/")


def _databricks_url(url: str) -> str:
    """Return `dbfs:/` as the folder in which Databricks shows it."""
    if "DATABRICKS_RUNTIME_VERSION" not in os.environ:
        return url
    return f"file:///dbfs/{url.removeprefix('dbfs:').lstrip('/')}" if url.startswith("dbfs:/") else url


def _delete_at_exit(url: str, process: int) -> None:
    if os.getpid() != process:
        return  # a forked child, which runs the exit functions of its parent
    try:
        _delete_folder(url)
    except Exception as error:
        logger.warning("Delete cache data %s failed due to %r", url, error)


# ------------------------------------------------------------------------------------------- loaders over them


@contextmanager
def _open_loader(urls: list[str], arguments: Settings, make_loader: Callable[..., Any]) -> Iterator[Item]:
    _wait_for_files(urls)
    reader = make_batch_reader(urls, **arguments)
    try:
        yield make_loader(reader=reader)
    finally:
        reader.stop()
        reader.join()


def _torch_loader(**arguments: Any) -> Any:
    from loaders.petastorm.pytorch import DataLoader  # a converter is also made where there is no torch

    return DataLoader(**arguments)


def _wait_for_files(urls: list[str]) -> None:
    """Wait until all files can be seen: the storage may show them later to another machine."""
    end = time.monotonic() + _FILE_WAIT_S
    missing = urls
    while missing := [url for url, size in zip(missing, _storing.sizes(missing), strict=True) if size is None]:
        if time.monotonic() > end:
            raise RuntimeError(
                f"Timeout while waiting {_FILE_WAIT_S:.0f} s for {len(missing)} files of the frame to appear, "
                f"among them {missing[0]}; were they deleted, or can this machine not see the cache folder?"
            )
        time.sleep(0.1)


def _warn_of_small_files(urls: list[str]) -> None:
    found = [size for size in _storing.sizes(urls) if size is not None]
    if len(found) > 1 and (median := statistics.median_high(found)) < _SMALL_FILE_BYTES:
        logger.warning(
            "small files are slow to read: median %d bytes, together %d bytes in %d files, the first is %s; "
            "df.coalesce(n) before make_spark_converter makes fewer", median, sum(found), len(found), urls[0],
        )  # fmt: skip


_endless_was_said = False


def _warn_of_endless_loader() -> None:
    global _endless_was_said
    if not _endless_was_said:
        _endless_was_said = True
        logger.warning("num_epochs=None: this loader never ends; give num_epochs=1 for one pass over the rows")


def _check_rank(arguments: Settings) -> bool:
    """Warn where the process has a rank of Horovod or MPI and reads other rows than those of that rank."""
    rank, size = _rank_and_size()
    shard, shards = arguments.get("cur_shard"), arguments.get("shard_count")
    if rank is None or (shard, shards) == (rank, size):
        return True
    logger.warning(
        "cur_shard=%s of shard_count=%s, but this process has rank %s of %s (HOROVOD_*, OMPI_COMM_WORLD_*, PMI_*): "
        "all ranks may read the same rows; pass cur_shard=hvd.rank() and shard_count=hvd.size()",
        shard, shards, rank, size,
    )  # fmt: skip
    return False


def _rank_and_size() -> tuple[int | None, int | None]:
    for rank_name, size_name in _RANK_VARIABLES:
        rank, size = os.environ.get(rank_name), os.environ.get(size_name)
        if rank is not None and size is not None:
            return int(rank), int(size)
        if rank is not None or size is not None:
            break
    return None, None
