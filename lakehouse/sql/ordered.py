"""One order for the rows of a query: its own first, and where that leaves several rows equal, all of their columns.

A query without `order by`, or with one that has ties, may come in another order from each process and each machine.
Whoever counts rows, deals them out or goes on at one needs the same order always.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lakehouse.engines.tree import whole_tree, written


def in_total_order(text: str, columns: Sequence[str]) -> str:
    """Return a query with the same rows in an order that has no ties, but for rows that are equal in every column.

    A `limit` then takes the first ones in this order: without an `order by` it took any.

    Args:
        text: One SELECT in DuckDB's dialect.
        columns: Names of the columns that it returns, each once.

    Raises:
        QueryRefusedError: If it is not one query.
    """
    tree = whole_tree(text)
    modifiers: list[dict[str, Any]] = tree["statements"][0]["node"]["modifiers"]
    order = next((each for each in modifiers if each["type"] == "ORDER_MODIFIER"), None)
    if order is None:
        at = next((at for at, each in enumerate(modifiers) if each["type"].startswith("LIMIT")), len(modifiers))
        order = {"type": "ORDER_MODIFIER", "orders": []}
        modifiers.insert(at, order)
    stated = order["orders"]
    if len(stated) == 1 and stated[0]["expression"]["class"] == "STAR":
        return text  # `order by all`, which means every column where it stands alone
    order["orders"] = [*stated, *map(_by, columns)]
    return written(tree)


def is_cut(text: str) -> bool:
    """Say whether a query has a `limit` or an `offset` of its own.

    Raises:
        QueryRefusedError: If it is not one query.
    """
    modifiers = whole_tree(text)["statements"][0]["node"]["modifiers"]
    return any(each["type"].startswith("LIMIT") for each in modifiers)


def _by(column: str) -> dict[str, Any]:
    name = {"class": "COLUMN_REF", "type": "COLUMN_REF", "alias": "", "query_location": 0, "column_names": [column]}
    return {"type": "ORDER_DEFAULT", "null_order": "ORDER_DEFAULT", "expression": name}
