"""What the tables and views hold: columns, types and meanings, told without a lake."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from lakehouse.engines.tree import tables_read
from lakehouse.errors import TableNotFoundError
from lakehouse.extractors.registry import all_dimensions
from lakehouse.names import nearest
from lakehouse.sql.session import define_views
from lakehouse.views.registry import VIEW_NAMES, view_docs, view_text
from schemas.tables import BY_NAME, TABLES


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """One column: its name, its type in DuckDB, what its value means."""

    name: str
    type: str
    doc: str


@dataclass(frozen=True, slots=True)
class TableFacts:
    """One table or view: its name, what a row is, its columns in order."""

    name: str
    doc: str
    columns: tuple[ColumnFacts, ...]


def describe(name: str | None = None) -> list[TableFacts]:
    """Return what every table and view holds, or the one of this name.

    Raises:
        TableNotFoundError: If there is none of this name.
    """
    docs = {table.name: table.doc for table in TABLES} | view_docs()
    if name is not None and name not in docs:
        raise TableNotFoundError(f"no table or view `{name}`{nearest(name, docs)}")
    found = []
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        # Empty tables of the same columns: what a view over them has does not depend on rows.
        for layer in sorted({table.layer for table in TABLES}):
            connection.execute(f"CREATE SCHEMA {layer}")
        for table in TABLES:
            connection.register("empty", table.arrow_schema.empty_table())
            connection.execute(f"CREATE TABLE {table.name} AS SELECT * FROM empty")
            connection.unregister("empty")
        define_views(connection, VIEW_NAMES)
        for each in docs if name is None else [name]:
            meanings = _meanings(each)
            rows = connection.execute(f"DESCRIBE {each}").fetchall()
            columns = tuple(ColumnFacts(row[0], row[1], meanings.get(row[0], "")) for row in rows)
            found.append(TableFacts(each, docs[each], columns))
    return found


def _meanings(name: str) -> dict[str, str]:
    """Return column -> what it means; a column of a view means what it does in the tables behind it."""
    if name in BY_NAME:
        return {column.name: column.comment for column in BY_NAME[name].columns}
    found: dict[str, str] = {each.name: each.doc for each in all_dimensions()} if name == "entities_wide" else {}
    # Tables say more than other views do.
    for read in sorted(tables_read(view_text(name)), key=lambda read: (read not in BY_NAME, read)):
        found = _meanings(read) | found
    return found
