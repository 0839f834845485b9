"""Every table reads the same in Spark, in DuckDB with the extension and with the fallback, and in delta-rs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from deltalake import DeltaTable

import lakehouse.sql
from lakehouse.engines.delta import READER_FEATURES
from lakehouse.engines.spark_tables import read_table
from lakehouse.tables.read import head, table_path
from schemas.model import Table
from tests.tables.making import TABLES, arrow_rows, plain_rows, plain_types

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

every_table = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)


def expected(table: Table) -> tuple[object, object]:
    """Rows and types as they were written; a table is made by two commits, the third one has the rows."""
    data = arrow_rows(table)
    for name in table.commit_columns:
        place = data.schema.get_field_index(name)
        data = data.set_column(place, data.schema.field(name), pa.array([2] * data.num_rows))
    return plain_rows(data), plain_types(data.schema)


@every_table
def test_delta_rs_reads_what_was_written(full_lake: Path, table: Table) -> None:
    data = DeltaTable(table_path(full_lake, table)).to_pyarrow_table()
    assert (plain_rows(data), plain_types(data.schema)) == expected(table)


@pytest.mark.parametrize("extension", [True, False], ids=["extension", "fallback"])
def test_duckdb_reads_what_was_written(full_lake: Path, extension: bool) -> None:
    with lakehouse.sql.connect(full_lake, extension=extension) as connection:
        for table in TABLES:
            data = connection.execute(f"select * from {table.name}").to_arrow_table()
            assert (plain_rows(data), plain_types(data.schema)) == expected(table), table.name


@pytest.mark.spark
@pytest.mark.parametrize("direct_files", [64, -1], ids=["as files", "by delta-spark"])
def test_spark_reads_what_was_written(spark: SparkSession, full_lake: Path, direct_files: int) -> None:
    for table in TABLES if direct_files > 0 else TABLES[::4]:
        frame = read_table(
            spark, table_path(full_lake, table), head(full_lake, table), direct_files=direct_files
        )
        data: pa.Table = frame.toArrow()
        assert (plain_rows(data), plain_types(data.schema)) == expected(table), table.name


@every_table
def test_every_reader_of_the_protocol_may_open_it(full_lake: Path, table: Table) -> None:
    protocol = DeltaTable(table_path(full_lake, table)).protocol()
    assert protocol.min_reader_version == 1
    assert set(protocol.reader_features or ()) <= READER_FEATURES


@every_table
def test_a_table_says_what_it_is(full_lake: Path, table: Table) -> None:
    handle = DeltaTable(table_path(full_lake, table))
    metadata = handle.metadata()
    assert (metadata.name, metadata.description) == (table.name, table.doc)
    assert metadata.configuration["delta.appendOnly"] == "true"
    for key in ("delta.logRetentionDuration", "delta.deletedFileRetentionDuration"):
        assert metadata.configuration[key] == "interval 3650 days"
    checks = {key.removeprefix("delta.constraints.") for key in metadata.configuration if "constraints" in key}
    assert checks == set(table.checks)
    fields = {field.name: field for field in handle.schema().fields}
    assert {name: field.nullable for name, field in fields.items()} == {
        column.name: column.null is not None for column in table.columns
    }
    assert all(fields[column.name].metadata.get("comment") == column.comment for column in table.columns)
