"""Ids that people name, and that are no entities of the lake."""

from __future__ import annotations

from lakehouse.engines import Relation
from lakehouse.lake import Lake
from lakehouse.query import Pins, fetch

STRANGE = """
select count(*) as n, min(i.entity_id) as example from ids i
where not exists (select 1 from silver.entities e where e.entity_id = i.entity_id)
"""


def strangers(lake: Lake, ids: Relation, pins: Pins | None = None) -> tuple[int, str | None]:
    """Return how many rows name no entity of the lake, and the smallest id of them; (0, None) if all do.

    Args:
        lake: The lake.
        ids: Rows with entity_id.
        pins: Where to read silver.entities; None takes the newest.
    """
    row = fetch(lake, STRANGE, inputs={"ids": ids}, pins=pins)[0]
    return row["n"], row["example"]
