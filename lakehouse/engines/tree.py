"""The syntax tree of people's SQL, as DuckDB itself reads it: what is looked at is what will run.

No second parser stands between: one that does not know a clause could let it vanish, and the answer would be another.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import duckdb

from lakehouse.engines.plain import plain
from lakehouse.engines.tokens import tokens
from lakehouse.errors import QueryRefusedError, one_line

Node = dict[str, Any]

SERIALIZE = "select json_serialize_sql({text}, skip_null := true, skip_empty := true, skip_default := true)"


def parse(text: str) -> Node:
    """Return the tree of the one query in `text`.

    Raises:
        QueryRefusedError: If it is no query, or more than one; the message says what it is.
    """
    text = plain(text)
    if "\0" in text:
        raise QueryRefusedError("not a query: it holds the character NUL")
    # As a literal: for a value of Python's DuckDB would import numpy and pandas.
    literal = _literal(text)
    with _parser().cursor() as connection:
        row = connection.execute(SERIALIZE.format(text=literal)).fetchone()
        assert row is not None
        try:
            answer = json.loads(row[0])
        except RecursionError as error:
            raise QueryRefusedError("not a query: it is nested too deeply") from error
        if answer["error"]:
            raise QueryRefusedError(_reason(connection, text, answer))
    statements = answer["statements"]
    if not statements:
        raise QueryRefusedError("expected exactly one SELECT, found nothing")
    if len(statements) > 1:
        raise QueryRefusedError(f"expected exactly one SELECT, found {len(statements)}; ask one question at a time")
    if tokens(text)[0].text.startswith(";"):
        raise QueryRefusedError("expected exactly one SELECT, found an empty statement before a `;`; take it out")
    node: Node = statements[0]["node"]
    return node


def whole_tree(text: str) -> Node:
    """Return the tree of the one query in `text` with all that is in it, so that `written` gives the query back.

    Raises:
        QueryRefusedError: As `parse`.
    """
    text = plain(text)
    parse(text)
    with _parser().cursor() as connection:
        row = connection.execute(f"select json_serialize_sql({_literal(text)})").fetchone()
    assert row is not None
    found: Node = json.loads(row[0])
    return found


def written(tree: Node) -> str:
    """Return the text of a tree, as DuckDB writes it.

    Raises:
        QueryRefusedError: If it cannot: of a number that no double holds, 1e400, say.
    """
    with _parser().cursor() as connection:
        try:
            row = connection.execute(f"select json_deserialize_sql({_literal(json.dumps(tree))})").fetchone()
        except duckdb.Error as error:
            raise QueryRefusedError(f"not a query that can be written back: {one_line(error)}") from error
    assert row is not None
    return str(row[0])


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@lru_cache(maxsize=1)
def _parser() -> duckdb.DuckDBPyConnection:
    # Kept: opening a database costs more than parsing. One thread means none besides the caller's. No files: for IMPORT
    # DATABASE the parser reads the script that it names.
    return duckdb.connect(":memory:", config={"threads": 1, "enable_external_access": "false"})


def nodes(tree: object) -> Iterator[Node]:
    """Return every node of the tree, the root first."""
    waiting = [tree]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield each
            waiting += reversed(each.values())
        elif isinstance(each, list):
            waiting += reversed(each)


@lru_cache(maxsize=256)
def tables_read(text: str) -> frozenset[str]:
    """Return the names of the tables and views that `text` reads, in lower case, without its own CTEs.

    Raises:
        QueryRefusedError: If it is not one query.
    """
    return frozenset(table_name(node) for node in free_tables(parse(text)))


def table_name(node: Node) -> str:
    """Return the name of a table as people write it, in lower case; a dot inside a name is quoted."""
    parts = [node.get("catalog_name", ""), node.get("schema_name", ""), node["table_name"]]
    return ".".join(f'"{part}"' if "." in part else part for part in parts if part).lower()


def free_tables(tree: Node) -> list[Node]:
    """Return every table that no CTE in sight defines."""
    try:
        return list(_free(tree, frozenset()))
    except RecursionError as error:
        raise QueryRefusedError("not a query: it is nested too deeply") from error


def _free(node: object, seen: frozenset[str]) -> Iterator[Node]:
    if isinstance(node, list):
        for each in node:
            yield from _free(each, seen)
    if not isinstance(node, dict):
        return
    if node.get("type") == "BASE_TABLE":
        if node.get("schema_name") or node.get("catalog_name") or node["table_name"].lower() not in seen:
            yield node
    elif node.get("type") == "RECURSIVE_CTE_NODE":
        seen |= {node["cte_name"].lower()}
    for each in (node.get("cte_map") or {}).get("map", ()):
        # A CTE sees those before it; itself only where it is recursive, by the line above.
        yield from _free(each["value"], seen)
        seen |= {each["key"].lower()}
    for key, value in node.items():
        if key != "cte_map":
            yield from _free(value, seen)


def _reason(connection: duckdb.DuckDBPyConnection, text: str, answer: Node) -> str:
    if answer["error_type"] != "not implemented":
        place = f" (character {int(answer['position']) + 1})" if "position" in answer else ""
        return f"not a query: {one_line(answer['error_message'])}{place}"
    try:
        kinds = [statement.type.name for statement in connection.extract_statements(text)]
    except duckdb.PermissionException:
        return "expected exactly one SELECT, found a statement that reads a file"
    except duckdb.Error as error:
        return f"not a query: {one_line(error)}"
    if kinds == ["CREATE", "SELECT"]:
        return (
            "PIVOT without its values is two statements; name them: `pivot t on c in ('a', 'b') using count(*)`, or "
            "`select * from t pivot (count(*) for c in ('a', 'b'))`"
        )
    if set(kinds) == {"SELECT"}:
        return f"not a query: {one_line(answer['error_message'])}"
    return f"expected exactly one SELECT, found {', '.join(kinds)}"
