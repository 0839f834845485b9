"""What a query may read are the files of its tables, as they are, and it can say which of them is damaged."""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from lakehouse.engines.delta import define_arrow_view
from lakehouse.errors import TableError
from lakehouse.sql.granted import GrantedFiles
from lakehouse.tables.read import open_table
from schemas.model import Table
from schemas.tables import TABLES


def columns(connection: duckdb.DuckDBPyConnection, view: str) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in connection.execute(f"describe {view}").fetchall()]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_has_the_columns_and_rows_that_arrow_reads(lake_root: Path, table: Table) -> None:
    handle = open_table(lake_root, table)
    with duckdb.connect(":memory:") as connection:
        files = GrantedFiles(connection)
        files.define_table(connection, "granted_view", handle)
        define_arrow_view(connection, "arrow_view", handle)
        files.close_up(connection)
        assert columns(connection, "granted_view") == columns(connection, "arrow_view")
        assert connection.execute("select * from granted_view").fetchall() == (
            connection.execute("select * from arrow_view").fetchall()
        )


def test_a_damaged_file_is_an_error_with_its_path_and_a_mistake_in_a_query_is_none(tmp_path: Path) -> None:
    write_deltalake(tmp_path, pa.table({"a": list(range(1000))}))
    table = DeltaTable(tmp_path)
    with duckdb.connect(":memory:") as connection:
        files = GrantedFiles(connection)
        files.define_table(connection, "numbers", table)
        with pytest.raises(duckdb.ConversionException), files.read():
            connection.execute("select cast('granted' as integer) from numbers").fetchall()
        path = Path(table.file_uris()[0])
        path.write_bytes(path.read_bytes()[:100])
        with pytest.raises(TableError, match=f"the files of a table cannot be read: .*{path.name}"), files.read():
            connection.execute("select sum(a) from numbers").fetchall()
        path.unlink()
        with pytest.raises(TableError, match=f"the files of a table cannot be read: .*{path.name}"), files.read():
            connection.execute("select sum(a) from numbers").fetchall()


def test_the_package_that_duckdb_asks_for_stays_what_it_is() -> None:
    before = sys.modules.get("fsspec")
    with duckdb.connect(":memory:") as connection:
        GrantedFiles(connection)
    assert sys.modules.get("fsspec") is before
