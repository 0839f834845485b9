"""Which columns a query names of a view that has one for every dimension: only those are worth pivoting.

In doubt it is all of them: a star, a whole row, a pivot or a name that nobody knows leave the view as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from lakehouse.engines.tree import Node, nodes, parse
from lakehouse.errors import QueryRefusedError

UNNAMED = frozenset({"STAR", "PIVOT", "SHOW_REF", "TABLE_FUNCTION", "COLUMN_DATA", "POSITIONAL_REFERENCE"})
"""Kinds of nodes that read columns without naming them."""

PLAIN_TABLE = frozenset({"type", "alias", "query_location", "catalog_name", "schema_name", "table_name"})
"""What a plain reference to a table may say; column aliases, for one, count its columns."""

SOURCES = frozenset({"BASE_TABLE", "SUBQUERY", "JOIN", "EXPRESSION_LIST"})
"""What stands behind FROM and may have an alias, which then means its rows."""

PLAIN_JOINS = frozenset({"REGULAR", "CROSS"})
"""Joins that state their columns; a natural join goes by the names that two tables have."""


def named_columns(text: str, *, known: Collection[str]) -> frozenset[str] | None:
    """Return every name that may be a column in `text`, in lower case; None if it may read columns without naming them.

    Args:
        text: One query in DuckDB's dialect.
        known: Every column that a table or view may have. With a name that is none of these nor defined in the text
            all columns are wanted: an error about it lists the columns that there are.
    """
    try:
        found = list(nodes(parse(text)))
    except QueryRefusedError:
        return None
    if not all(map(_names_what_it_reads, found)):
        return None
    tables = [node for node in found if _kind(node) == "BASE_TABLE"]
    sources = [node for node in found if _kind(node) in SOURCES]
    references = [node["column_names"] for node in found if node.get("class") == "COLUMN_REF"]
    # `e` alone is the whole row of `entities_wide e`.
    rows = _lower(node["table_name"] for node in tables) | _lower(node.get("alias", "") for node in sources)
    defined = _lower(node["alias"] for node in found if node.get("alias") and _kind(node) not in SOURCES)
    last = _lower(names[-1] for names in references)
    if last & rows or not last <= defined | set(known):
        return None
    joined = (name for node in found for name in node.get("using_columns", ()))
    return _lower(name for names in references for name in names) | _lower(joined)


def _names_what_it_reads(node: Node) -> bool:
    kind = _kind(node)
    if kind == "BASE_TABLE":
        return node.keys() <= PLAIN_TABLE
    return kind not in UNNAMED and (kind != "JOIN" or node.get("ref_type", "REGULAR") in PLAIN_JOINS)


def _kind(node: Node) -> str:
    # Of a constant it is the type of its value, which is a node of its own.
    kind = node.get("type")
    return kind if isinstance(kind, str) else ""


def _lower(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.lower() for name in names)
