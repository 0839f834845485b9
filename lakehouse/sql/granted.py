"""The files that a query of a person may read, as a file system of DuckDB's that holds them and nothing else.

DuckDB reads Parquet best by itself: it filters and joins while it reads, and holds less than a scanner of Arrow's. But
a path that it may read is one that it may write. So it gets names of ours instead of paths: what it opens by them are
the files of a list, for reading, whatever it asks for.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BufferedReader, FileIO
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

import duckdb
import pyarrow as pa
from deltalake import DeltaTable
from duckdb import DuckDBPyConnection

from lakehouse.engines.delta import guard, quote
from lakehouse.engines.table_files import data_files
from lakehouse.errors import TableError, one_line

SCHEME = "granted"


class _File(BufferedReader):
    """A file that closes when DuckDB lets go of it, which it does without closing it."""

    def __del__(self) -> None:
        self.close()


class _FileSystem:
    """The files by their names, for reading: what DuckDB calls of a file system, and no more."""

    protocol = SCHEME

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._paths = paths

    def open(self, name: str, mode: str) -> BinaryIO:
        if mode != "rb":
            raise PermissionError(f"{name} is for reading alone, not for {mode!r}")
        return _File(FileIO(self._paths[name]))

    def glob(self, pattern: str) -> list[str]:
        return [pattern] if pattern in self._paths else []

    def isfile(self, name: str) -> bool:
        return name in self._paths

    def unstrip_protocol(self, name: str) -> str:
        return name

    def size(self, name: str) -> int:
        return self._paths[name].stat().st_size

    def modified(self, name: str) -> datetime:
        return datetime.fromtimestamp(self._paths[name].stat().st_mtime, UTC)


class GrantedFiles:
    """Tables for one connection, each a view over files that may be read by their names and not be written.

    Attributes:
        paths: Name, as `granted://silver.opinions/000000.parquet`, to file.
    """

    def __init__(self, connection: DuckDBPyConnection) -> None:
        self.paths: dict[str, Path] = {}
        _register(connection, _FileSystem(self.paths))
        # The system keeps what was read; a second copy would count against the memory of the query.
        connection.execute("SET enable_external_file_cache = false")

    def define_table(self, connection: DuckDBPyConnection, name: str, table: DeltaTable) -> None:
        """Define view `name` over an opened table.

        Raises:
            TableError: If the table needs a reader feature that would be read wrongly.
        """
        guard(table)
        files = {f"{SCHEME}://{name}/{place:06}.parquet": path for place, path in enumerate(data_files(table))}
        if not files:
            none = pa.schema(table.schema().to_arrow()).empty_table()
            connection.register(f"no {name}", none)
            connection.execute(f'CREATE VIEW {name} AS SELECT * FROM "no {name}"')
            return
        self.paths |= files
        columns = ", ".join(f'"{field.name}"' for field in table.schema().fields)
        connection.execute(f"CREATE VIEW {name} AS SELECT {columns} FROM read_parquet([{_listed(files)}])")

    def close_up(self, connection: DuckDBPyConnection) -> None:
        """Leave the connection these files and no other."""
        connection.execute(f"SET allowed_paths = [{_listed(self.paths)}]")
        connection.execute("SET enable_external_access = false")

    @contextmanager
    def read(self) -> Iterator[None]:
        """Tell what files do to a query, which is no mistake in it.

        Raises:
            TableError: Where DuckDB's error is about one of the files.
        """
        try:
            yield
        except duckdb.Error as error:
            message = str(error)
            found = next((each for each in self.paths.items() if any(str(name) in message for name in each)), None)
            if found is None:
                raise
            name, path = found
            reason = one_line(message.replace(name, str(path)), limit=400)
            raise TableError(
                f"the files of a table cannot be read: {reason}; `petrel mend --from COPY` puts them back from a copy "
                "of the lake"
            ) from error


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{quote(name)}'" for name in names)


def _register(connection: DuckDBPyConnection, files: _FileSystem) -> None:
    # DuckDB asks for an `fsspec.AbstractFileSystem`, to know that it is one. The package itself would be one more that
    # every machine needs, and 0.07 s of every query.
    before = sys.modules.get("fsspec")
    stand_in = ModuleType("fsspec")
    stand_in.__dict__["AbstractFileSystem"] = _FileSystem
    sys.modules["fsspec"] = stand_in
    try:
        connection.register_filesystem(files)
    finally:
        del sys.modules["fsspec"]
        if before is not None:
            sys.modules["fsspec"] = before
