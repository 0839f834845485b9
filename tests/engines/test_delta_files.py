"""Rows of a version are the same, whether a file was read before, is read now, or is read where it lies."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from lakehouse.engines import delta_files
from lakehouse.engines.delta_files import DeltaFiles, newer_query
from lakehouse.errors import TableError
from lakehouse.lake import Lake
from lakehouse.tables.read import head, table_path
from schemas.tables import TABLES
from tests.making import add_entities


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A table whose version `v` has the numbers 0 to v, a file each."""
    for number in range(4):
        rows = pa.table({"number": pa.array([number], pa.int64()), "said": [[f"it's {number}"]]})
        write_deltalake(tmp_path / "a table", rows, mode="append")
    return tmp_path / "a table"


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


def numbers(connection: duckdb.DuckDBPyConnection, query: str | None) -> list[int]:
    assert query is not None
    assert [column[0] for column in connection.execute(query).description or ()] == ["number", "said"]
    return sorted(row[0] for row in connection.execute(query).fetchall())


@pytest.mark.parametrize("small_bytes", [1 << 20, 0])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 0, 2, 1), (1, 3, 1, 0)])
def test_every_version_has_its_rows_in_whatever_order_they_are_read(
    path: Path, connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch, order: tuple[int, ...],
    small_bytes: int,
) -> None:  # fmt: skip
    monkeypatch.setattr(delta_files, "SMALL_BYTES", small_bytes)
    files = DeltaFiles(connection, path, name="kept")
    for version in order:
        query = files.query(DeltaTable(path, version=version))
        assert numbers(connection, query) == list(range(version + 1))


def test_a_small_file_is_read_once_and_what_does_not_fit_is_read_in_place(
    path: Path, connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    names = [each.name for each in path.glob("*.parquet")]
    execute = delta_files._execute

    def watched(connection: duckdb.DuckDBPyConnection, text: str) -> None:
        read.extend(name for name in names if name in text)
        execute(connection, text)

    monkeypatch.setattr(delta_files, "_execute", watched)
    files = DeltaFiles(connection, path, name="kept")
    for version in (1, 2, 2):
        files.query(DeltaTable(path, version=version))
    assert len(read) == len(set(read)) == 3
    monkeypatch.setattr(delta_files, "KEPT_BYTES", 1)
    assert numbers(connection, files.query(DeltaTable(path, version=3))) == [0, 1, 2, 3]
    assert len(read) == 3


def test_a_compaction_changes_no_rows(path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    files = DeltaFiles(connection, path, name="kept")
    files.query(DeltaTable(path))
    DeltaTable(path).optimize.compact()
    assert numbers(connection, files.query(DeltaTable(path))) == [0, 1, 2, 3]
    assert numbers(connection, files.query(DeltaTable(path, version=2))) == [0, 1, 2]


@pytest.mark.parametrize(("since", "expected"), [(0, [1, 2, 3]), (2, [3]), (3, [])])
def test_newer_rows_are_those_of_files_that_came_since(
    path: Path, connection: duckdb.DuckDBPyConnection, since: int, expected: list[int]
) -> None:
    query = newer_query(path, DeltaTable(path), DeltaTable(path, version=since))
    assert numbers(connection, query) == expected


def test_a_small_file_that_is_damaged_is_named(path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    part = next(path.glob("*.parquet"))
    part.write_bytes(b"PAR1")
    with pytest.raises(TableError, match=part.name):
        DeltaFiles(connection, path, name="kept").query(DeltaTable(path))


def test_a_table_with_partitions_is_not_told_by_its_files(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    write_deltalake(tmp_path / "t", pa.table({"number": [1], "said": ["a"]}), partition_by=["said"])
    assert DeltaFiles(connection, tmp_path / "t", name="kept").query(DeltaTable(tmp_path / "t")) is None


def test_a_version_without_rows_has_the_columns_of_one_with_rows(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    rows = pa.table({
        "at": pa.array([datetime(2026, 1, 1, tzinfo=UTC)], pa.timestamp("us", "UTC")), "n": pa.array([1], pa.int32()),
        "keys": pa.array([[("a", "b")]], pa.map_(pa.string(), pa.string())), "blob": [b"x"], "yes": [True],
        "regions": [[{"label": "é", "x": 1.5}]],
    })  # fmt: skip
    DeltaTable.create(tmp_path / "t", schema=rows.schema)
    write_deltalake(tmp_path / "t", rows, mode="append")
    files, types, held = DeltaFiles(connection, tmp_path / "t", name="kept"), [], []
    for version in (0, 1, 0):
        query = files.query(DeltaTable(tmp_path / "t", version=version))
        types.append(connection.execute(f"DESCRIBE {query}").fetchall())
        held.append(len(connection.execute(query or "").fetchall()))
    assert held == [0, 1, 0]
    assert types[0] == types[1] == types[2]


def test_tables_of_a_lake_are_read_without_the_extension_that_takes_long_to_load(lake: Lake) -> None:
    add_entities(lake, ["a"])
    for table in TABLES:
        lake.engine.arrow(lake.engine.scan(table_path(lake.root, table), head(lake.root, table)))
    loaded = "SELECT count(*) FROM duckdb_extensions() WHERE extension_name = 'delta' AND loaded"
    assert lake.engine._connection.execute(loaded).fetchone() == (0,)
