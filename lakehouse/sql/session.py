"""DuckDB over a lake for people: the same view names as in Spark, at head or at pinned versions, without a JVM."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping

import duckdb
from deltalake import DeltaTable

from lakehouse.engines.called import define_all_in_duckdb
from lakehouse.engines.delta import define_arrow_view, define_view, load_extension
from lakehouse.engines.plain import plain
from lakehouse.engines.tree import tables_read
from lakehouse.errors import PetrelError, TableNotFoundError, one_line
from lakehouse.home import Home, Root
from lakehouse.names import nearest
from lakehouse.place import located, require_lake
from lakehouse.tables.read import head, open_table
from lakehouse.verification.places import place_at
from lakehouse.verification.tables import verify_table
from lakehouse.views.registry import VIEW_NAMES, view_text
from lakehouse.views.saved import gated, saved_texts
from loaders.stores.local import local_folder
from schemas.tables import BY_NAME, TABLES

logger = logging.getLogger(__name__)

Connection = duckdb.DuckDBPyConnection

DefineTable = Callable[[Connection, str, DeltaTable], None]
"""Defines a view of this name over an opened table."""

MACROS = (
    "CREATE OR REPLACE MACRO petrel_bucket(identity, seed) AS "
    "CAST(('0x' || substr(md5(identity || '|' || seed), 1, 13)) AS BIGINT)",
)

ALL_NAMES = frozenset([*BY_NAME, *VIEW_NAMES])
"""Every table and view of a lake."""


def connect(
    root: Root,
    *,
    pins: Mapping[str, int] | None = None,
    extension: bool | None = None,
    memory_limit_mb: int = 0,
) -> Connection:
    """Open DuckDB with every table and view of a lake, in this process and without limits of time and result.

    For your own statements, in your own process: it reads and writes what you may, and runs until it is done. SQL
    that somebody else wrote belongs into `user_query`, which is contained.

    Args:
        root: Folder or URL of the lake.
        pins: Table name -> Delta version; a table that is not pinned is read as it is now.
        extension: True insists on DuckDB's Delta extension, False on the fallback through delta-rs; None takes
            the extension where it loads.
        memory_limit_mb: Memory for DuckDB, MB; 0 leaves DuckDB's own default, 80 % of the machine.

    Returns:
        A connection with the tables (`silver.entities`), the views (`entities_wide`) and the functions over arrays
        (`nd_mean`); times are UTC.

    Raises:
        TableNotFoundError: If there is no lake at `root`, or a pin names no table.
        VersionUnavailableError: If a pinned version does not exist.
    """
    connection = duckdb.connect(":memory:")
    try:
        if memory_limit_mb:
            connection.execute(f"SET memory_limit = '{int(memory_limit_mb)}MB'")
        with_extension = extension is not False and load_extension(connection)
        if extension and not with_extension:
            raise RuntimeError(
                "DuckDB's Delta extension did not load; install duckdb-extension-delta of DuckDB's version"
            )
        root = located(root)
        define_table = _by_extension if with_extension else define_arrow_view
        define(connection, root, ALL_NAMES, pins or {}, define_table=define_table)
        define_all_in_duckdb(connection, root)
        _define_saved(connection, located(root), pins or {})
    except BaseException:
        connection.close()
        raise
    return connection


def _define_saved(connection: Connection, home: Home, pins: Mapping[str, int]) -> None:
    texts = saved_texts(home, pins=pins)
    for name in texts:
        try:
            connection.execute(f"CREATE VIEW {name} AS {plain(gated(name, texts))}")
        except (duckdb.Error, PetrelError) as error:
            # Of a commit, a policy or a function that this process has not: `petrel sql` and `fetch` know these.
            logger.warning("saved view %s is not defined in this connection: %s", name, one_line(error, limit=300))


def _by_extension(connection: Connection, name: str, table: DeltaTable) -> None:
    folder = local_folder(table.table_uri)
    assert folder is not None
    define_view(connection, name, folder, table.version(), extension=True)


def define(
    connection: Connection,
    root: Root,
    names: Collection[str],
    pins: Mapping[str, int],
    *,
    define_table: DefineTable,
    asked_by: str | None = None,
) -> None:
    """Define these tables and views, and the tables and views that these views read.

    With `asked_by`, the one query that will be asked, views may lack columns that it does not read.

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
    views = _with_what_they_read(names, asked_by)
    wanted = {*names}.union(*views.values())
    for table in TABLES:
        if table.name not in wanted:
            continue
        version = pins[table.name] if table.name in pins else head(root, table)
        verify_table(*place_at(root, table, version))
        define_table(connection, table.name, open_table(root, table, version))
    _define_views(connection, views, asked_by)


def define_at(
    connection: Connection, root: Root, ours: str, name: str, pins: Mapping[str, int], *, define_table: DefineTable,
    asked_by: str | None = None,
) -> None:  # fmt: skip
    """Define a table or view at pinned versions under a name of ours, beside the others.

    Raises:
        VersionUnavailableError: If a version does not exist, or its files are gone.
    """
    if name in BY_NAME:
        verify_table(*place_at(root, BY_NAME[name], pins[name]))
        define_table(connection, ours, open_table(root, BY_NAME[name], pins[name]))
        return
    from lakehouse.engines.dialect import bind, table_names

    text = view_text(name, asked_by=asked_by)
    read = {each: f"{ours}_{place}" for place, each in enumerate(sorted(table_names(text)))}
    for each, below in read.items():
        define_at(connection, root, below, each, pins, define_table=define_table, asked_by=asked_by)
    connection.execute(f"CREATE VIEW {ours} AS {bind(text, read, {}, dialect='duckdb')}")


def define_views(connection: Connection, names: Collection[str]) -> None:
    """Define our functions, these views, and the views that they read; the tables are there."""
    _define_views(connection, _with_what_they_read(names, None), None)


def _define_views(connection: Connection, views: Mapping[str, frozenset[str]], asked_by: str | None) -> None:
    for macro in MACROS:
        connection.execute(macro)
    waiting = dict(views)
    while waiting:
        # The texts are DuckDB's own SQL, over names that are the tables' own: nothing is left to fill in.
        for name in [name for name, read in waiting.items() if not read & waiting.keys()]:
            connection.execute(f"CREATE VIEW {name} AS {view_text(name, asked_by=asked_by)}")
            del waiting[name]


def _with_what_they_read(names: Collection[str], asked_by: str | None) -> dict[str, frozenset[str]]:
    """Return the views among `names`, and all that these stand on: name -> tables and views that its text reads."""
    found: dict[str, frozenset[str]] = {}
    waiting = sorted(names)
    while waiting:
        name = waiting.pop()
        if name in VIEW_NAMES and name not in found:
            found[name] = tables_read(view_text(name, asked_by=asked_by))
            waiting += found[name]
    return found
