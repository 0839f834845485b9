"""The gate for SQL that people write: one read-only query over known tables and views, nothing else.

It looks at DuckDB's own tree and lets pass what it knows: kinds of nodes, functions, names of tables.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from lakehouse.engines.allowed import FUNCTIONS, SESSION_VALUES, TABLE_FUNCTIONS
from lakehouse.engines.tree import Node, free_tables, nodes, parse, table_name
from lakehouse.errors import QueryRefusedError
from lakehouse.names import nearest
from lakehouse.tensors import registered

MAX_CHARACTERS = 64 << 10

EXPRESSIONS = frozenset(
    "BETWEEN CASE CAST COLLATE COLUMN_REF COMPARISON CONJUNCTION CONSTANT FUNCTION LAMBDA LAMBDA_REF OPERATOR "
    "PARAMETER POSITIONAL_REFERENCE STAR SUBQUERY TYPE WINDOW".split()
)

OTHERS = re.compile(
    "SELECT_NODE|SET_OPERATION_NODE|RECURSIVE_CTE_NODE|CTE_NODE"
    "|EMPTY|BASE_TABLE|SUBQUERY|JOIN|EXPRESSION_LIST|PIVOT|SHOW_REF|TABLE_FUNCTION|COLUMN_DATA"
    "|(ORDER|LIMIT|LIMIT_PERCENT|DISTINCT)_MODIFIER|ORDER_DEFAULT|ASCENDING|DESCENDING"
    "|[A-Z]+_TYPE_INFO"
)
"""Nodes that are no expressions: queries, what stands behind FROM, modifiers, types."""

SHOWN = {"DESCRIBE": "DESCRIBE", "SUMMARY": "SUMMARIZE"}
"""`show_type` of a SHOW_REF -> what people write; both hold a query, which is looked at like any other."""


def check_query(text: str, *, known: Collection[str]) -> frozenset[str]:
    """Return the names of the tables and views that `text` reads, if it may run.

    Args:
        text: SQL in DuckDB's dialect.
        known: Tables and views that may be read.

    Raises:
        QueryRefusedError: If it is not exactly one query over known names, or calls a function that reads
            files, changes something or is not repeatable. The message names the offending part.
    """
    if len(text) > MAX_CHARACTERS:
        raise QueryRefusedError(f"query of {len(text):,} characters; the limit is {MAX_CHARACTERS:,}")
    tree = parse(text)
    for node in nodes(tree):
        _check_node(node)
    found = set()
    for table in free_tables(tree):
        name = table_name(table)
        if table.get("catalog_name"):
            raise QueryRefusedError(f"catalogs are not allowed: {name[:200]}")
        if name not in known:
            raise QueryRefusedError(f"no table or view `{name[:200]}`{nearest(name, known)}")
        found.add(name)
    return frozenset(found)


def _check_node(node: Node) -> None:
    kind, shape = node.get("type"), node.get("class")
    if not isinstance(kind, str):
        return
    if (shape is None and not OTHERS.fullmatch(kind)) or (shape is not None and shape not in EXPRESSIONS):
        raise QueryRefusedError(f"{(shape or kind).replace('_', ' ')} is not allowed in a query")
    if "sample" in node:
        raise QueryRefusedError(
            "SAMPLE is not allowed in a query, it draws other rows each time; draw with "
            "`where petrel_bucket(entity_id, 7) % 10 = 0`"
        )
    if "at_clause" in node:
        name = table_name(node)
        whose, pin = ("", name) if "." in name else (f"s that {name} reads", "TABLE")
        raise QueryRefusedError(
            f"AT ({node['at_clause']['unit']} => ...) is not allowed in a query; pin the table{whose} instead: "
            f"--pin {pin}=VERSION (in Python: pins)"
        )
    if kind == "SHOW_REF" and node.get("show_type") not in SHOWN:
        raise QueryRefusedError(
            "SHOW is allowed as SHOW TABLES alone, and as DESCRIBE and SUMMARIZE of a table, a view or a query"
        )
    if kind == "TABLE_FUNCTION":
        _check_table_function(node)
    elif shape in ("FUNCTION", "WINDOW"):
        _check_function(node)
    elif shape == "COLUMN_REF" and len(node["column_names"]) == 1:
        name = node["column_names"][0].lower()
        if name in SESSION_VALUES:
            raise QueryRefusedError(
                f"{name} is not allowed in a query, it does not depend on the tables alone; a column that is called "
                f"so needs its table's name: t.{name}"
            )


def _check_function(node: Node) -> None:
    name = node["function_name"].lower()
    if name not in FUNCTIONS | TABLE_FUNCTIONS and name not in registered.names():
        raise QueryRefusedError(f"function {name[:100]} is not allowed in a query{_like(name)}")
    if name == "age" and len(node.get("children", ())) < 2:
        raise QueryRefusedError("age of one time is not allowed in a query, it counts from today; give it two")


def _check_table_function(node: Node) -> None:
    name = node["function"].get("function_name", "").lower()
    if name in ("range", "generate_series"):
        raise QueryRefusedError(
            f"{name} is not allowed as a table in a query; its rows are those of `select unnest({name}(1, 10))`"
        )
    if name not in TABLE_FUNCTIONS:
        raise QueryRefusedError(f"table functions are not allowed: {name[:100]}{nearest(name, TABLE_FUNCTIONS)}")


def _like(name: str) -> str:
    # Without the list of all of them, which is what `nearest` says when none is near.
    close = nearest(name, FUNCTIONS)
    return close if "did you mean" in close else ""
