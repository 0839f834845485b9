"""Reading a table at a version in Spark, and its types beside Arrow's."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from deltalake import DeltaTable

from lakehouse.engines.delta import guard
from lakehouse.engines.delta_files import files_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

DIRECT_FILES = 64
"""A table of at most so many files is read as these files. Spark's own replay of the log takes 1 to 3 s for each new
version of a small table (several jobs), delta-rs 10 ms; with many files Delta's statistics are worth the replay."""


def read_table(
    session: SparkSession, path: Path, version: int, *, since: int | None = None, direct_files: int = DIRECT_FILES
) -> DataFrame:
    """Return a Delta table at a version; lazy.

    Args:
        session: A session with Delta.
        path: Folder of the table.
        version: Which version; it must exist.
        since: An earlier version; only files that it did not have are read.
        direct_files: Up to how many files are read without Spark's own replay of the log.

    Raises:
        TableError: If the table needs a reader feature that would be read wrongly.
    """
    table = DeltaTable(path, version=version)
    guard(table)
    known = {} if since is None else files_of(DeltaTable(path, version=since))
    files = [location(path / name) for name in files_of(table) if name not in known]
    if (since is None and len(files) > direct_files) or table.metadata().partition_columns:
        return session.read.format("delta").option("versionAsOf", version).load(location(path, pattern=False))
    from pyspark.sql.types import StructType

    # Delta writes its schema as Spark does: the same text, with the same types.
    schema = StructType.fromJson(json.loads(table.schema().to_json()))
    if not files:
        # A relation that is known to be empty: the optimiser drops whole branches of a query.
        return session.createDataFrame(arrow_schema(schema).empty_table(), schema)
    return session.read.schema(schema).parquet(*files)


def location(path: Path, *, pattern: bool = True) -> str:
    """Return a path for Spark, with its scheme: on a cluster a bare path may mean HDFS.

    Args:
        path: Absolute path.
        pattern: Whether Spark will take it for a pattern, as readers of files do.
    """
    text = re.sub(r"([\\\[\]{}*?])", r"\\\1", str(path)) if pattern else str(path)
    return f"file:{text}"


def schema_of(schema: pa.Schema) -> StructType:
    """Return an Arrow schema as Spark's."""
    from pyspark.sql.pandas.types import from_arrow_schema

    converted: StructType = from_arrow_schema(schema.remove_metadata())
    return converted


def arrow_schema(schema: StructType) -> pa.Schema:
    """Return Spark's schema as Arrow's; times are UTC."""
    from pyspark.sql.pandas.types import to_arrow_schema

    return to_arrow_schema(schema, timezone="UTC")
