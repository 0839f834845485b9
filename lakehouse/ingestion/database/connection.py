"""Reading SQLite and PostgreSQL: one consistent view, read only, row by row. Passwords come from the environment."""

from __future__ import annotations

import os
import sqlite3
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from lakehouse.errors import ConfigError, EnvironmentProblemError, IngestError, one_line
from lakehouse.ingestion.sources.forms import DatabaseOptions
from lakehouse.ingestion.sources.source import Source

if TYPE_CHECKING:
    import psycopg

ROWS_AT_ONCE = 16
"""Rows with files that a server sends in one go: each may hold megabytes."""


class Undecoded(bytes):
    """A text of SQLite that is no UTF-8: kept as its bytes, and no file."""


class Database(Protocol):
    """An open database in one consistent view."""

    mark: str
    """What stands for a parameter in its SQL."""

    def columns(self, text: str, table: str) -> dict[str, str]:
        """Return column -> type of a query; "" where the database has none."""

    def rows(self, text: str, params: Sequence[object]) -> Iterator[Sequence[object]]:
        """Yield the rows of a query, as they come."""

    def kinds(self, text: str, column: str) -> list[str]:
        """Return the types that values of a column have, where each may have its own; numbers are of one."""


@contextmanager
def connected(source: Source) -> Iterator[Database]:
    """Open the database of a source.

    Raises:
        IngestError: If it is not there, refuses, or what it is asked is wrong.
        EnvironmentProblemError: If the driver is not installed.
    """
    if source.is_local:
        with _sqlite(source) as database:
            yield database
    else:
        with _postgres(source) as database:
            yield database


class _Sqlite:
    mark = "?"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def columns(self, text: str, table: str) -> dict[str, str]:
        found = self._connection.execute(f"SELECT * FROM ({text}) LIMIT 0").description
        told = "SELECT name, type FROM pragma_table_info(?)"
        types = dict(self._connection.execute(told, [table.rpartition(".")[2]])) if table else {}
        return {name: types.get(name, "") for name, *_ in found}

    def rows(self, text: str, params: Sequence[object]) -> Iterator[Sequence[object]]:
        for row in self._connection.execute(text, list(params)):  # noqa: UP028 - would close a cursor of a closed database
            yield row

    def kinds(self, text: str, column: str) -> list[str]:
        kind = f"CASE typeof({column}) WHEN 'integer' THEN 'real' ELSE typeof({column}) END"
        asked = f"SELECT DISTINCT {kind} FROM ({text}) AS asked WHERE {column} IS NOT NULL ORDER BY 1"
        return [str(name) for name, in self._connection.execute(asked)]


@contextmanager
def _sqlite(source: Source) -> Iterator[Database]:
    if not os.path.isfile(source.folder):
        raise IngestError(f"source {source.name}: no file {source.folder}; give an existing SQLite database")
    place = urllib.parse.quote(os.path.abspath(source.folder))
    try:
        connection = sqlite3.connect(f"file:{place}?mode=ro", uri=True, isolation_level=None)
        try:
            connection.text_factory = _text
            # Files of strangers: no functions of their schema run, and nothing is written.
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            yield _Sqlite(connection)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise IngestError(f"source {source.name}: {source.folder}: {one_line(error)}") from error


def _text(data: bytes) -> str | Undecoded:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return Undecoded(data)


class _Postgres:
    mark = "%s"

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def columns(self, text: str, table: str) -> dict[str, str]:
        with self._connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM ({text}) AS asked LIMIT 0".encode())
            kinds = self._connection.adapters.types
            return {
                each.name: told.name if (told := kinds.get(each.type_code)) else str(each.type_code)
                for each in cursor.description or ()
            }

    def rows(self, text: str, params: Sequence[object]) -> Iterator[Sequence[object]]:
        with self._connection.cursor(name="petrel") as cursor:
            cursor.itersize = ROWS_AT_ONCE
            cursor.execute(text.encode(), list(params) or None)
            yield from cursor

    def kinds(self, text: str, column: str) -> list[str]:
        return []  # a column has one


@contextmanager
def _postgres(source: Source) -> Iterator[Database]:
    try:
        import psycopg
    except ImportError as error:
        raise EnvironmentProblemError(
            "psycopg is not installed, which reads PostgreSQL; run: pip install 'petrel-lakehouse[postgres]'"
        ) from error
    options: DatabaseOptions = source.chosen_options
    secret: Mapping[str, Any] = {}
    if options.password_env:
        if options.password_env not in os.environ:
            raise ConfigError(f"source {source.name}: password_env = {options.password_env!r}: no such variable in the "
                              "environment; set it to the password")
        secret = {"password": os.environ[options.password_env]}
    try:
        with psycopg.connect(source.folder, autocommit=False, **secret) as connection:
            connection.read_only = True
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            yield _Postgres(connection)
    except psycopg.Error as error:
        raise IngestError(f"source {source.name}: {source.address}: {one_line(error)}") from error
