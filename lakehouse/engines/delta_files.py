"""The rows of a Delta table for DuckDB: the log is read once for each version, a small file once for each process.

DuckDB's `delta_scan` replays the log for every query, and opens every file of the table in each. A step asks dozens of
queries, and a table that a thousand small imports went into has a thousand files of a few rows: opening one costs
0.6 ms for each query, reading all its columns once 2 ms [measured on silver.opinions]. So small files are read once,
into a table of the database that spills to the scratch folder as every other; large ones are read where they lie.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterable, Mapping
from pathlib import Path

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

from lakehouse.engines.delta import quote
from lakehouse.errors import TableError, one_line

SMALL_BYTES = 128 << 10
"""Files up to this size are read once and kept; of a larger one a query reads the columns it needs."""

KEPT_BYTES = 32 << 20
"""Of one table at most so many bytes of small files are kept, as they are on disk; the others are read in place."""

SQL_TYPES = {
    "string": "VARCHAR", "large_string": "VARCHAR", "string_view": "VARCHAR", "binary": "BLOB",
    "large_binary": "BLOB", "binary_view": "BLOB", "bool": "BOOLEAN", "int8": "TINYINT", "int16": "SMALLINT",
    "int32": "INTEGER", "int64": "BIGINT", "float": "FLOAT", "double": "DOUBLE", "date32[day]": "DATE",
}  # fmt: skip
"""Arrow's name of a type that a table may have -> DuckDB's."""

ROUND = "petrel_round"
"""Column of the kept rows: when their file was read, counted from 0."""


class DeltaFiles:
    """One table in one connection. Versions that were read before are still told apart by what they hold."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path, *, name: str) -> None:
        """Begin with nothing kept.

        Args:
            connection: Where the rows of small files are kept.
            path: Folder of the Delta table.
            name: What the table with these rows is called there.
        """
        self._connection = connection
        self._path = path
        self._name = name
        self._rounds: list[frozenset[str]] = []
        self._bytes = 0

    def query(self, table: DeltaTable) -> str | None:
        """Return a query for the rows of an opened version; None where its files and its schema do not tell them.

        Raises:
            TableError: If a small file cannot be read.
        """
        sizes = files_of(table)
        if not _is_plain(table):
            return None
        if not sizes:
            return _nothing(table)
        columns = ", ".join(f'"{field.name}"' for field in table.schema().fields)
        kept = self._keep(sizes)
        held = frozenset().union(*self._rounds[:kept])
        parts = [f"SELECT {columns} FROM {self._name} WHERE {ROUND} < {kept}"] if kept else []
        if rest := sorted(set(sizes) - held):
            parts.append(f"SELECT {columns} FROM {_in_place(self._path, rest)}")
        return " UNION ALL ".join(parts)

    def _keep(self, sizes: Mapping[str, int]) -> int:
        """Read the small files that are not kept; return how many rounds of kept files are all of this version."""
        known: set[str] = set()
        for number, names in enumerate(self._rounds):
            if not names <= sizes.keys():
                return number  # An older version, or a compacted one: what was read later is not of it.
            known |= names
        fresh = [name for name in sorted(set(sizes) - known) if sizes[name] <= SMALL_BYTES]
        if not fresh or self._bytes + sum(sizes[name] for name in fresh) > KEPT_BYTES:
            return len(self._rounds)
        made = f"INSERT INTO {self._name} BY NAME" if self._rounds else f"CREATE TABLE {self._name} AS"
        # Not through pyarrow: to hand over a table it imports pandas, a third of a second.
        files = _in_place(self._path, fresh)
        _execute(self._connection, f"{made} SELECT *, {len(self._rounds)} AS {ROUND} FROM {files}")
        self._rounds.append(frozenset(fresh))
        self._bytes += sum(sizes[name] for name in fresh)
        return len(self._rounds)


def newer_query(path: Path, table: DeltaTable, before: DeltaTable) -> str | None:
    """Return a query for the rows of files that `before`, an earlier version, does not have; None as `query`."""
    files = files_of(table)
    fresh = sorted(files.keys() - files_of(before).keys())
    if not files or not _is_plain(table):
        return None
    # Without a file there would be no columns.
    return f"SELECT * FROM {_in_place(path, fresh or sorted(files)[:1])}{'' if fresh else ' WHERE false'}"


def _is_plain(table: DeltaTable) -> bool:
    """Say whether the rows of a table are those of its files, with all columns in them."""
    protocol = table.protocol()
    return protocol.min_reader_version == 1 and not table.metadata().partition_columns


def files_of(table: DeltaTable) -> dict[str, int]:
    """Return name -> bytes of the files of an opened version."""
    # Not pa.table: it begins with importing pandas, a third of a second.
    actions = pa.RecordBatchReader.from_stream(table.get_add_actions()).read_all()
    # The log has paths relative to the table, percent-encoded.
    names = map(urllib.parse.unquote, actions.column("path").to_pylist())
    return dict(zip(names, actions.column("size_bytes").to_pylist(), strict=True))


def _execute(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    try:
        connection.execute(text)
    except (duckdb.IOException, duckdb.InvalidInputException, duckdb.ConversionException) as error:
        raise TableError(
            f"the files of a table cannot be read: {one_line(error, limit=400)}; `petrel mend --from COPY` puts them "
            "back from a copy of the lake"
        ) from error


def _nothing(table: DeltaTable) -> str:
    """Return a query without rows that has the columns of a version."""
    fields = pa.schema(table.schema().to_arrow())
    columns = (f'CAST(NULL AS {_sql_type(each.type)}) AS "{each.name}"' for each in fields)
    return f"SELECT {', '.join(columns)} WHERE false"


def _sql_type(kind: pa.DataType) -> str:
    """Return what DuckDB calls an Arrow type."""
    types = pa.types
    if types.is_map(kind):
        return f"MAP({_sql_type(kind.key_type)}, {_sql_type(kind.item_type)})"
    if types.is_list(kind) or types.is_large_list(kind) or types.is_list_view(kind):
        return f"{_sql_type(kind.value_type)}[]"
    if types.is_struct(kind):
        inner = (f'"{each.name}" {_sql_type(each.type)}' for each in kind)
        return f"STRUCT({', '.join(inner)})"
    if types.is_timestamp(kind):
        return "TIMESTAMP" if kind.tz is None else "TIMESTAMPTZ"
    if types.is_decimal(kind):
        return f"DECIMAL({kind.precision}, {kind.scale})"
    return SQL_TYPES[str(kind)]


def _in_place(path: Path, names: Iterable[str]) -> str:
    files = ", ".join(f"'{quote(str(path / name))}'" for name in names)
    return f"read_parquet([{files}])"
