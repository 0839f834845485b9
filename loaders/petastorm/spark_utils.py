"""A dataset's decoded rows as an RDD of Spark."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from loaders.petastorm.etl.dataset_metadata import get_schema_from_dataset_url
from loaders.petastorm.kinds import Item, Value
from loaders.petastorm.unischema import UnischemaField
from loaders.petastorm.utils import decode_row

if TYPE_CHECKING:
    from pyspark import RDD
    from pyspark.sql import SparkSession


def dataset_as_rdd(
    dataset_url: str,
    spark_session: SparkSession,
    schema_fields: Sequence[UnischemaField | str] | None = None,
    hdfs_driver: str = "libhdfs3",
) -> RDD[Item]:
    """Return an RDD of named tuples with decoded values; the executors need this package.

    Args:
        dataset_url: Folder of a dataset with a stored schema, as Spark names it.
        spark_session: The session, not one of Spark Connect, which knows no RDDs.
        schema_fields: Fields, or regular expressions of names, to read; None reads all.
        hdfs_driver: Taken for Petastorm's sake.

    Raises:
        PetastormMetadataError: If the dataset has no stored schema.
        DecodeFieldError: Where the rows are asked for, if a value cannot be decoded.
    """
    schema = get_schema_from_dataset_url(dataset_url, hdfs_driver=hdfs_driver)
    if schema_fields is not None:
        schema = schema.create_schema_view(schema_fields)
    frame = spark_session.read.parquet(dataset_url).select(*[quoted(name) for name in schema.fields])

    def decoded(rows: Iterable[Value]) -> Iterator[Item]:
        return (schema.make_namedtuple(**decode_row(row.asDict(), schema)) for row in rows)

    return frame.rdd.mapPartitions(decoded)


def quoted(name: str) -> str:
    """Return a column's name so that Spark takes a dot in it for a dot."""
    return "`" + name.replace("`", "``") + "`"


