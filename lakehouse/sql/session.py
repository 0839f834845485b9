"""DuckDB over a lake for people: the same view names as in Spark, at head or at pinned versions, without a JVM."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Set
from pathlib import Path

import duckdb

from lakehouse.engines.delta import define_view, load_extension
from lakehouse.errors import TableNotFoundError
from lakehouse.names import nearest
from lakehouse.place import require_lake
from lakehouse.sql.views import ordered_views, view_texts
from lakehouse.tables.read import head, open_table, table_path
from lakehouse.verification.places import place_of
from lakehouse.verification.tables import verify_table
from schemas.tables import BY_NAME, TABLES

Connection = duckdb.DuckDBPyConnection

MACROS = (
    "CREATE OR REPLACE MACRO petrel_bucket(identity, seed) AS "
    "CAST(('0x' || substr(md5(identity || '|' || seed), 1, 13)) AS BIGINT)",
)

ALL_NAMES = frozenset([*BY_NAME, *view_texts()])
"""Every table and view of a lake."""


def connect(
    root: str | Path, *, pins: Mapping[str, int] | None = None, extension: bool | None = None
) -> Connection:
    """Open DuckDB with every table and view of a lake, in this process and without limits.

    For your own statements, in your own process: it reads and writes what you may, and runs until it is done. SQL
    that somebody else wrote belongs into `user_query`, which is contained.

    Args:
        root: Folder of the lake.
        pins: Table name -> Delta version; a table that is not pinned is read as it is now.
        extension: True insists on DuckDB's Delta extension, False on the fallback through delta-rs; None takes
            the extension where it loads.

    Returns:
        A connection with the tables (`silver.entities`) and the views (`entities_wide`); times are UTC.

    Raises:
        TableNotFoundError: If there is no lake at `root`, or a pin names no table.
        VersionUnavailableError: If a pinned version does not exist.
    """
    connection = duckdb.connect(":memory:")
    try:
        with_extension = extension is not False and load_extension(connection)
        if extension and not with_extension:
            raise RuntimeError(
                "DuckDB's Delta extension did not load; install duckdb-extension-delta of DuckDB's version"
            )
        define(connection, Path(root), ALL_NAMES, pins or {}, extension=with_extension)
    except BaseException:
        connection.close()
        raise
    return connection


def define(
    connection: Connection, root: Path, names: Collection[str], pins: Mapping[str, int], *, extension: bool
) -> None:
    """Define these tables and views, and the tables and views that these views read.

    Raises:
        TableNotFoundError: If there is no lake at `root`, or a pin names no table.
        VersionUnavailableError: If a pinned version does not exist.
    """
    require_lake(root)
    unknown = sorted(set(pins) - set(BY_NAME))
    if unknown:
        raise TableNotFoundError(f"no table `{unknown[0]}` to pin{nearest(unknown[0], BY_NAME)}")
    connection.execute("SET TimeZone = 'UTC'")
    for layer in sorted({table.layer for table in TABLES}):
        connection.execute(f"CREATE SCHEMA {layer}")
    wanted = _with_what_they_read(names)
    for table in TABLES:
        if table.name not in wanted:
            continue
        version = pins[table.name] if table.name in pins else head(root, table)
        verify_table(place_of(root, table), version)
        open_table(root, table, version)
        define_view(connection, table.name, table_path(root, table), version, extension=extension)
    define_views(connection, wanted)


def define_views(connection: Connection, wanted: Set[str]) -> None:
    """Define our functions and these views; the tables are there."""
    for macro in MACROS:
        connection.execute(macro)
    if not wanted & view_texts().keys():
        return
    # Here: it costs a tenth of a second, which a query of tables alone needs not pay.
    from lakehouse.engines.dialect import bind, table_names

    for name, text in ordered_views():
        if name in wanted:
            bound = bind(text, {each: each for each in table_names(text)}, {}, dialect="duckdb")
            connection.execute(f"CREATE VIEW {name} AS {bound}")


def _with_what_they_read(names: Collection[str]) -> set[str]:
    texts, found, waiting = view_texts(), set(names), [name for name in names if name in view_texts()]
    if not waiting:
        return found
    from lakehouse.engines.dialect import table_names

    while waiting:
        text = texts.get(waiting.pop())
        read = (table_names(text) if text else frozenset()) - found
        found |= read
        waiting += read
    return found
