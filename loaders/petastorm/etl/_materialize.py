"""Make a folder of Parquet files a Petastorm dataset: settings while Spark writes it, metadata afterwards."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from loaders.errors import StorageError
from loaders.petastorm.errors import PetastormMetadataGenerationError
from loaders.petastorm.etl._storing import Place
from loaders.petastorm.etl.stored_schema import unischema_bytes
from loaders.petastorm.rowgroups.listing import list_files
from loaders.petastorm.unischema import Unischema
from loaders.stores.storage import StorageOptions

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

logger = logging.getLogger(__name__)

UNISCHEMA_KEY = b"dataset-toolkit.unischema.v1"
ROW_GROUPS_PER_FILE_KEY = b"dataset-toolkit.num_row_groups_per_file.v1"
ROWGROUPS_INDEX_KEY = b"dataset-toolkit.rowgroups_index.v1"

_COMMON_METADATA, _METADATA = "_common_metadata", "_metadata"
_FOOTER_THREADS = 16


@contextmanager
def materialize_dataset(
    spark: SparkSession | None,
    dataset_url: str,
    schema: Unischema,
    row_group_size_mb: int | None = None,
    use_summary_metadata: bool = False,
    filesystem_factory: Callable[[], object] | None = None,
) -> Iterator[None]:
    """Around code that writes Parquet files with encoded rows: set Spark up, and write the metadata when it is done.

        with materialize_dataset(spark, url, MySchema, row_group_size_mb=32):
            rows = spark.sparkContext.parallelize(range(10)).map(make_row).map(lambda x: dict_to_spark_row(MySchema, x))
            spark.createDataFrame(rows, MySchema.as_spark_schema()).write.parquet(url)

    The settings are put back whatever happens; metadata is written only where the code raised nothing.

    Args:
        spark: The session that writes; None where something else does, as `pyarrow.parquet.write_table`.
        dataset_url: Folder of the dataset.
        schema: How its rows are encoded.
        row_group_size_mb: Size of row groups that Spark writes; None leaves it to Spark.
        use_summary_metadata: Write `_metadata` too, which repeats the footers of all files.
        filesystem_factory: Makes the file system, of `pyarrow.fs` or `fsspec`, in which metadata is written; None makes
            one from the URL.

    Raises:
        PetastormMetadataGenerationError: If there is no Parquet file, or their schemas lack a field.
        ValueError: If a field has a codec or type of one's own, which no reader could name.
    """
    unischema_bytes(schema)  # what cannot be stored is to be known before the rows are written
    with ExitStack() as settings:
        if spark is not None:
            settings.enter_context(_settings(spark, row_group_size_mb, use_summary_metadata))
        yield
    filesystem = filesystem_factory() if filesystem_factory is not None else None
    write_metadata(Place(dataset_url, filesystem=filesystem), schema, use_summary_metadata=use_summary_metadata)


def write_metadata(place: Place, schema: Unischema, *, use_summary_metadata: bool = False) -> None:
    """Write `_common_metadata` of a dataset, from the footers of its files.

    An index of row groups that is there stays as long as the files are those that it was made of.

    Args:
        place: Folder of the dataset.
        schema: How its rows are encoded.
        use_summary_metadata: Write `_metadata` too; one that is there is written anew in any case.

    Raises:
        PetastormMetadataGenerationError: If there is no Parquet file, or a field of the schema is not in them.
    """
    files = _data_files(place)
    footers = _footers(place, files)
    if not files:
        raise PetastormMetadataGenerationError(f"{place.path} holds no Parquet files; write rows there first")
    columns = footers[0].schema.to_arrow_schema()
    _check_fields(schema, {*columns.names, *_partition_names(files[0])}, place.path)
    counts = {name: footer.num_row_groups for name, footer in zip(files, footers, strict=True)}
    kept = _kept(place, counts)
    if use_summary_metadata or place.has(_METADATA):
        place.put(_METADATA, _summary(files, footers, place.path))
    keys = {
        UNISCHEMA_KEY: unischema_bytes(schema),
        ROW_GROUPS_PER_FILE_KEY: json.dumps(counts, sort_keys=True).encode(),
    }
    described = columns.with_metadata({**(columns.metadata or {}), **kept, **keys})
    place.put(_COMMON_METADATA, _common_metadata(described))
    logger.info("materialized path=%s files=%d row_groups=%d", place.path, len(files), sum(counts.values()))


def _data_files(place: Place) -> list[str]:
    """Return the files with rows, as Petastorm takes them, sorted by path."""
    options = StorageOptions(filesystem=None if place.is_local else place.store)
    try:
        return [entry.name for entry in list_files(place.path, options).entries]
    except StorageError as error:
        raise PetastormMetadataGenerationError(f"{place.path} cannot be listed: {error}") from error


def _footers(place: Place, names: Sequence[str]) -> list[pq.FileMetaData]:
    def read(name: str) -> pq.FileMetaData:
        with place.store.open_input_file(f"{place.path}/{name}") as stream:
            try:
                return pq.read_metadata(stream)
            except (pa.ArrowInvalid, OSError) as error:
                raise PetastormMetadataGenerationError(
                    f"{place.path}/{name} is no whole Parquet file ({error}); delete it, or give it a name that begins "
                    "with an underscore"
                ) from error

    with ThreadPoolExecutor(_FOOTER_THREADS, thread_name_prefix="petrel-footers") as pool:
        return list(pool.map(read, names))


def _check_fields(schema: Unischema, columns: Set[str], path: str) -> None:
    if missing := [name for name, field in schema.fields.items() if name not in columns and not field.nullable]:
        raise PetastormMetadataGenerationError(
            f"the files in {path} have no column {', '.join(missing)}, which the schema declares; they have "
            f"{', '.join(sorted(columns))}"
        )


def _partition_names(name: str) -> list[str]:
    return [step.split("=", 1)[0] for step in name.split("/")[:-1] if "=" in step]


def _kept(place: Place, counts: Mapping[str, int]) -> dict[bytes, bytes]:
    """Return what stays of a `_common_metadata` that is there: the index, where it is still right."""
    if not place.has(_COMMON_METADATA):
        return {}
    with place.store.open_input_file(f"{place.path}/{_COMMON_METADATA}") as stream:
        found = pq.read_metadata(stream).metadata or {}
    if ROWGROUPS_INDEX_KEY not in found:
        return {}
    if _counts(found) == counts:
        return {ROWGROUPS_INDEX_KEY: found[ROWGROUPS_INDEX_KEY]}
    warnings.warn(
        f"{place.path} has other files than when its row groups were indexed; call build_rowgroup_index again",
        stacklevel=4,
    )
    return {}


def _counts(found: Mapping[bytes, bytes]) -> object:
    try:
        return json.loads(found.get(ROW_GROUPS_PER_FILE_KEY, b"null"))
    except ValueError:
        return None


def _common_metadata(columns: pa.Schema) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_metadata(columns, sink)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _summary(names: Sequence[str], footers: Sequence[pq.FileMetaData], path: str) -> bytes:
    """Return `_metadata`: the row groups of all files, each with the name of its file."""
    whole = footers[0]
    for name, footer in zip(names, footers, strict=True):
        footer.set_file_path(name)
        if footer is whole:
            continue
        try:
            whole.append_row_groups(footer)
        except RuntimeError as error:
            raise PetastormMetadataGenerationError(
                f"{path}: {name} has other columns than {names[0]}, and `_metadata` can describe one schema alone; "
                "delete `_metadata` and pass use_summary_metadata=False"
            ) from error
    sink = pa.BufferOutputStream()
    whole.write_metadata_file(sink)
    data: bytes = sink.getvalue().to_pybytes()
    return data


@contextmanager
def _settings(spark: SparkSession, row_group_mb: int | None, with_summary: bool) -> Iterator[None]:
    """Set what Parquet's writer in Spark looks at, and put it back."""
    wanted = {
        "parquet.summary.metadata.level": "ALL" if with_summary else "NONE",
        # How soon the writer looks at the size of a row group: 100 rows of megabytes would overrun it.
        "parquet.page.size.row.check.min": "3",
    }
    if row_group_mb:
        wanted["parquet.block.size"] = str(int(row_group_mb * (1 << 20)))
    places = _places(spark)
    before = [(place, key, place.get(key, None)) for place in places for key in wanted]
    try:
        for place in places:
            for key, value in wanted.items():
                place.set(key, value)
        yield
    finally:
        for place, key, value in before:
            if value is None:
                place.unset(key)
            else:
                place.set(key, value)


def _places(spark: SparkSession) -> list[Any]:
    """Where to set it: the session, which is stronger, and Hadoop's own settings for frames of other sessions."""
    places: list[Any] = [spark.conf]
    with suppress(Exception):  # Spark Connect has the session alone
        places.append(spark.sparkContext._jsc.hadoopConfiguration())
    return places
