"""Conditions of people's over the wide view: which entities meet one."""

from __future__ import annotations

from collections.abc import Mapping

from lakehouse.engines import Relation
from lakehouse.lake import Lake
from lakehouse.sql.contained import user_query


def entities_where(lake: Lake, condition: str, *, pins: Mapping[str, int]) -> Relation:
    """Return the entities that meet a condition, as a relation with the column entity_id.

    Args:
        lake: The lake.
        condition: SQL over `entities_wide`, gated like every query of people's.
        pins: Table name -> Delta version.

    Raises:
        QueryRefusedError: If the gate refuses it; nothing has run then.
        QueryFailedError: If DuckDB cannot run it, or it crosses a limit.
    """
    # On lines of its own: a comment in it must not hide the bracket.
    text = f"select entity_id from entities_wide where (\n{condition}\n)"
    return lake.engine.from_arrow(user_query(lake.home, text, pins=pins, limits=lake.config.sql))
