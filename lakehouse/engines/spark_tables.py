"""Reading a table at a version in Spark, and its types beside Arrow's."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from deltalake import DeltaTable

from lakehouse.engines.delta import guard
from lakehouse.engines.delta_files import files_of
from lakehouse.home import table_home
from lakehouse.spark.s3a import reach, s3a_url
from lakehouse.spark.session import has_far_workers

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

DIRECT_FILES = 64
"""A table of at most so many files is read as these files. Spark's own replay of the log takes 1 to 3 s for each new
version of a small table (several jobs), delta-rs 10 ms; with many files Delta's statistics are worth the replay."""


def read_table(
    session: SparkSession,
    path: Path,
    version: int,
    *,
    since: int | None = None,
    direct_files: int = DIRECT_FILES,
    far: str | None = None,
) -> DataFrame:
    """Return a Delta table at a version; lazy.

    Args:
        session: A session with Delta.
        path: Folder of the table.
        version: Which version; it must exist.
        since: An earlier version; only files that it did not have are read.
        direct_files: Up to how many files are read without Spark's own replay of the log.
        far: Address of the folder for executors that do not see `path`, from `far_address`. They compare what they
            read with the checksums of its pages; the log is that in `path`.

    Raises:
        TableError: If the table needs a reader feature that would be read wrongly.
    """
    table = DeltaTable(path, version=version)
    guard(table)
    known = {} if since is None else files_of(DeltaTable(path, version=since))
    at = location(path) if far is None else _as_pattern(far)
    files = [f"{at}/{_as_pattern(name)}" for name in files_of(table) if name not in known]
    reader = session.read
    if far is not None:
        reader = reader.option("parquet.page.verify-checksum.enabled", "true")
    if (since is None and len(files) > direct_files) or table.metadata().partition_columns:
        whole = location(path, pattern=False) if far is None else far
        return reader.format("delta").option("versionAsOf", version).load(whole)
    from pyspark.sql.types import StructType

    # Delta writes its schema as Spark does: the same text, with the same types.
    schema = StructType.fromJson(json.loads(table.schema().to_json()))
    if not files:
        # A relation that is known to be empty: the optimiser drops whole branches of a query.
        return session.createDataFrame(arrow_schema(schema).empty_table(), schema)
    return reader.schema(schema).parquet(*files)


def far_address(session: SparkSession, path: Path) -> str | None:
    """Return the address of a table's folder for executors that do not see this machine's copy; None if they see it.

    Raises:
        ConfigError: If the lake is in a bucket that Spark cannot read.
        EnvironmentProblemError: If the session was started without what that takes.
    """
    home, name = table_home(path)
    if home.is_local or not has_far_workers(session):
        return None
    reach(session, home.address, home.store, os.environ)
    return s3a_url(f"{home.address}/{name}")


def location(path: Path, *, pattern: bool = True) -> str:
    """Return a path for Spark, with its scheme: on a cluster a bare path may mean HDFS.

    Args:
        path: Absolute path.
        pattern: Whether Spark will take it for a pattern, as readers of files do.
    """
    return f"file:{_as_pattern(str(path)) if pattern else path}"


def _as_pattern(text: str) -> str:
    return re.sub(r"([\\\[\]{}*?])", r"\\\1", text)


def schema_of(schema: pa.Schema) -> StructType:
    """Return an Arrow schema as Spark's."""
    from pyspark.sql.pandas.types import from_arrow_schema

    converted: StructType = from_arrow_schema(schema.remove_metadata())
    return converted


def arrow_schema(schema: StructType) -> pa.Schema:
    """Return Spark's schema as Arrow's; times are UTC."""
    from pyspark.sql.pandas.types import to_arrow_schema

    return to_arrow_schema(schema, timezone="UTC")
