"""Reading tables in Spark: one at a version, or all of a lake under the names that DuckDB has too."""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from deltalake import DeltaTable

from lakehouse.sql.delta import guard
from lakehouse.sql.dialect import bind

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

DIRECT_FILES = 64
"""A table of at most so many files is read as these files. Spark's own replay of the log takes 1 to 3 s for each new
version of a small table (several jobs), delta-rs 10 ms; with many files Delta's statistics are worth the replay."""


def read_table(session: SparkSession, path: Path, version: int, *, direct_files: int = DIRECT_FILES) -> DataFrame:
    """Return a Delta table at a version; lazy.

    Args:
        session: A session with Delta.
        path: Folder of the table.
        version: Which version; it must exist.
        direct_files: Up to how many files are read without Spark's own replay of the log.

    Raises:
        TableError: If the table needs a reader feature that would be read wrongly.
    """
    table = DeltaTable(path, version=version)
    guard(table)
    # The log has paths relative to the table, percent-encoded.
    names = pa.table(table.get_add_actions()).column("path").to_pylist()
    files = [location(path / urllib.parse.unquote(name)) for name in names]
    if len(files) > direct_files or table.metadata().partition_columns:
        return session.read.format("delta").option("versionAsOf", version).load(location(path, pattern=False))
    from pyspark.sql.types import StructType

    # Delta writes its schema as Spark does: the same text, with the same types.
    schema = StructType.fromJson(json.loads(table.schema().to_json()))
    if not files:
        # A relation that is known to be empty: the optimiser drops whole branches of a query.
        return session.createDataFrame(arrow_schema(schema).empty_table(), schema)
    return session.read.schema(schema).parquet(*files)


def register_views(session: SparkSession, root: str | Path, *, pins: Mapping[str, int] | None = None) -> dict[str, str]:
    """Define temporary views over a lake: the same names that `lakehouse.sql.connect` gives in DuckDB.

    They show the lake as it is now; call again to see later commits.

    Args:
        session: A session with Delta, for example of `lakehouse.sparkconf.build_session`.
        root: Folder of the lake.
        pins: Table name -> Delta version; a table that is not pinned is read as it is now.

    Returns:
        Name in shared SQL -> name in this session. Views keep theirs (`entities_wide`); a temporary view has no
        schema, so that the table `silver.entities` is called `silver_entities`.

    Raises:
        TableNotFoundError: If there is no lake at `root`.
        VersionUnavailableError: If a pinned version does not exist.
    """
    from lakehouse.sql.views import ordered_views
    from lakehouse.tables import head, open_table, table_path
    from lakehouse.verification.places import place_of
    from lakehouse.verification.tables import verify_table
    from schemas.tables import TABLES

    names: dict[str, str] = {}
    for table in TABLES:
        version = head(Path(root), table) if table.name not in (pins or {}) else (pins or {})[table.name]
        verify_table(place_of(Path(root), table), version)
        open_table(Path(root), table, version)
        names[table.name] = table.name.replace(".", "_")
        read_table(session, table_path(Path(root), table), version).createOrReplaceTempView(names[table.name])
    for name, text in ordered_views():
        session.sql(bind(text, names, {}, dialect="spark")).createOrReplaceTempView(name)
        names[name] = name
    return names


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
