"""DuckDB over a lake for people: the same view names as in Spark, at head or at pinned versions, without a JVM."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import duckdb
import pyarrow as pa

from lakehouse.config import nearest
from lakehouse.errors import QueryFailedError, TableError, TableNotFoundError
from lakehouse.place import require_lake
from lakehouse.sql.delta import define_view, load_extension
from lakehouse.sql.dialect import bind, table_names
from lakehouse.sql.gate import check_query
from lakehouse.sql.views import ordered_views, view_texts
from lakehouse.tables import head, open_table, table_path
from schemas.tables import BY_NAME, TABLES

Connection = duckdb.DuckDBPyConnection

MACROS = (
    "CREATE OR REPLACE MACRO petrel_bucket(identity, seed) AS "
    "CAST(('0x' || substr(md5(identity || '|' || seed), 1, 13)) AS BIGINT)",
)


def connect(
    root: str | Path, *, pins: Mapping[str, int] | None = None, extension: bool | None = None
) -> Connection:
    """Open DuckDB with every table and view of a lake.

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
    return _open(Path(root), frozenset([*BY_NAME, *view_texts()]), pins or {}, extension=extension)


def _open(root: Path, names: Collection[str], pins: Mapping[str, int], *, extension: bool | None) -> Connection:
    """Open DuckDB with these tables and views, and the tables and views that these views read."""
    require_lake(root)
    unknown = sorted(set(pins) - set(BY_NAME))
    if unknown:
        raise TableNotFoundError(f"no table `{unknown[0]}` to pin{nearest(unknown[0], BY_NAME)}")
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    with_extension = extension is not False and load_extension(connection)
    if extension and not with_extension:
        connection.close()
        raise RuntimeError("DuckDB's Delta extension did not load; install duckdb-extension-delta of DuckDB's version")
    for layer in sorted({table.layer for table in TABLES}):
        connection.execute(f"CREATE SCHEMA {layer}")
    wanted = _with_what_they_read(names)
    for table in TABLES:
        if table.name not in wanted:
            continue
        version = pins[table.name] if table.name in pins else head(root, table)
        open_table(root, table, version)
        define_view(connection, table.name, table_path(root, table), version, extension=with_extension)
    for macro in MACROS:
        connection.execute(macro)
    for name, text in ordered_views():
        if name not in wanted:
            continue
        bound = bind(text, {each: each for each in table_names(text)}, {}, dialect="duckdb")
        connection.execute(f"CREATE VIEW {name} AS {bound}")
    return connection


def _with_what_they_read(names: Collection[str]) -> set[str]:
    texts, found, waiting = view_texts(), set(names), list(names)
    while waiting:
        read = table_names(texts.get(waiting.pop(), "select 1 as one")) - found
        found |= read
        waiting += read
    return found


def user_query(
    root: str | Path, text: str, *, params: Mapping[str, object] | None = None, pins: Mapping[str, int] | None = None
) -> pa.Table:
    """Run SQL that a person wrote, read-only: gated on its syntax tree, in a database that reaches no file.

    The tables come in as objects, so that the engine needs no file access at all and has none.

    Args:
        root: Folder of the lake.
        text: One SELECT in DuckDB's dialect; `$name` stands for a parameter.
        params: Values of the parameters; they become literals.
        pins: As in `connect`.

    Raises:
        QueryRefusedError: If the gate refuses it; nothing has run then.
        QueryFailedError: If DuckDB cannot run it.
        TableError: If the files of a table are missing or damaged.
    """
    check_query(text, known={*BY_NAME, *view_texts()})
    names = {name: name for name in table_names(text)}
    connection = _open(Path(root), names, pins or {}, extension=False)
    try:
        for setting in ("enable_external_access = false", "autoinstall_known_extensions = false",
                        "autoload_known_extensions = false", "python_enable_replacements = false",
                        "lock_configuration = true"):
            connection.execute(f"SET {setting}")
        return connection.execute(bind(text, names, params or {}, dialect="duckdb")).to_arrow_table()
    except KeyError as error:
        raise QueryFailedError(str(error.args[0])) from error
    except duckdb.Error as error:
        if "arrow_scan:" in str(error):
            # Not the query: the scan of a table's files.
            raise TableError(
                f"the files of a table cannot be read: {' '.join(str(error).partition('. Detail:')[0].split())}; "
                "put them back from a copy of the lake"
            ) from error
        raise QueryFailedError(f"the query cannot run: {error}") from error
    finally:
        connection.close()
