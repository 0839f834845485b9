"""Copy a dataset with Spark: some of its fields, and the rows in which some are not null.

    python -m loaders.petastorm.tools.copy_dataset file:///data/all file:///data/small --field-regex 'id' 'image.*'
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from loaders.petastorm import spark_types
from loaders.petastorm.etl._materialize import materialize_dataset
from loaders.petastorm.etl.dataset_metadata import get_schema_from_dataset_url
from loaders.petastorm.spark_utils import quoted
from loaders.petastorm.tools.spark_session_cli import add_configure_spark_arguments, spark_settings
from loaders.petastorm.unischema import match_unischema_fields

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_WHOLE_FILE = str(1 << 30)
"""Row groups of few rows would become as many small tasks, and files, with Spark's 128 MB."""


def copy_dataset(
    spark: SparkSession,
    source_url: str,
    target_url: str,
    field_regex: Sequence[str] | None,
    not_null_fields: Sequence[str] | None,
    overwrite_output: bool,
    partitions_count: int | None,
    row_group_size_mb: int | None,
    hdfs_driver: str = "libhdfs3",
) -> None:
    """Copy a dataset; values are not decoded.

    Args:
        spark: The session.
        source_url: Folder of the dataset.
        target_url: Folder of the copy.
        field_regex: Regular expressions of whole names; fields that match one are copied. None or empty copies all.
        not_null_fields: Rows in which one of these fields is null are left out; they need not be copied themselves.
        overwrite_output: Replace what is there.
        partitions_count: Files of the copy; None leaves it to Spark.
        row_group_size_mb: Size of row groups of the copy; None leaves it to Spark.
        hdfs_driver: Taken for Petastorm's sake.

    Raises:
        ValueError: If no field matches, or there is no such field.
        PetastormMetadataError: If the source has no stored schema.
    """
    schema = get_schema_from_dataset_url(source_url, hdfs_driver=hdfs_driver)
    fields = match_unischema_fields(schema, field_regex) if field_regex else list(schema.fields.values())
    if not fields:
        raise ValueError(f"Regular expressions ({field_regex}) do not match any fields ({list(schema.fields)})")
    if unknown := [name for name in not_null_fields or () if name not in schema.fields]:
        raise ValueError(f"not_null_fields names {', '.join(unknown)}; the fields are {', '.join(schema.fields)}")
    frame = spark.read.parquet(source_url)
    for name in not_null_fields or ():
        frame = frame.filter(frame[quoted(name)].isNotNull())
    frame = frame.select(*[quoted(field.name) for field in fields])
    if partitions_count:
        frame = frame.repartition(partitions_count)
    copied = schema.create_schema_view(fields) if field_regex else schema
    with materialize_dataset(spark, target_url, copied, row_group_size_mb):
        frame.write.mode("overwrite" if overwrite_output else "error").option("compression", "none").parquet(target_url)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source_url", help="folder of the dataset")
    parser.add_argument("target_url", help="folder of the copy")
    parser.add_argument("--overwrite-output", action="store_true", help="replace what is there; else it is an error")
    parser.add_argument("--field-regex", nargs="+", help="copy only fields whose whole name matches one of these")
    parser.add_argument("--not-null-fields", nargs="+", help="leave out rows in which one of these fields is null")
    parser.add_argument("--partition-count", type=int, help="files of the copy")
    parser.add_argument("--row-group-size-mb", type=int, help="size of its row groups")
    parser.add_argument("--hdfs-driver", default="libhdfs3", help="taken for Petastorm's sake")
    add_configure_spark_arguments(parser)
    args = parser.parse_args(argv)
    settings = {"spark.sql.files.maxPartitionBytes": _WHOLE_FILE, **spark_settings(args.spark_session_config)}
    spark = spark_types.open_session("petastorm-copy", master=args.master, settings=settings)
    try:
        copy_dataset(
            spark, args.source_url, args.target_url, args.field_regex, args.not_null_fields, args.overwrite_output,
            args.partition_count, args.row_group_size_mb, hdfs_driver=args.hdfs_driver,
        )  # fmt: skip
    finally:
        spark.stop()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
