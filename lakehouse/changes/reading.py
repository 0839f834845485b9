"""The changes of virtual datasets, and the entities that they come to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from lakehouse.changes.folding import Change, standing
from lakehouse.engines import Relation
from lakehouse.errors import ConfigError
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.query import Pins, fetch, query

CHANGES = """
select name, number, op, reverts, entities_id, message, tags, selection_json, statistics_json, author, made_at
from gold.changesets where $name is null or name = $name order by name, number
"""

HELD = """
select entity_id from (
    select e.entity_id, c.op, row_number() over (partition by e.entity_id order by c.number desc) as place
    from gold.changesets c join gold.changeset_entities e on e.entities_id = c.entities_id
    where c.name = $name and c.number in $numbers
) said where place = 1 and op = 'add'
"""
"""The last word about each entity."""


def rows_of(lake: Lake, name: str | None = None, pins: Pins | None = None) -> list[dict[str, Any]]:
    """Return all changes of all virtual datasets, or of one, by name and number.

    Returns:
        Rows with name, number, op, reverts, message, tags, selection (None of a revert), statistics, author, made_at
        (UTC), entities_id and stands: whether it names entities and was not taken back.
    """
    rows = fetch(lake, CHANGES, params={"name": name}, pins=pins)
    by_name: dict[str, list[Change]] = {}
    for row in rows:
        by_name.setdefault(row["name"], []).append(_change(row))
    stand = {(each, change.number) for each, changes in by_name.items() for change in standing(changes)}
    for row in rows:
        selection, statistics = row.pop("selection_json"), row.pop("statistics_json")
        row["selection"] = None if selection is None else json.loads(selection)
        row["statistics"] = json.loads(statistics)
        row["stands"] = (row["name"], row["number"]) in stand
    return rows


def known_changes(lake: Lake, name: str, pins: Pins | None = None) -> list[Change]:
    """Return the changes of a virtual dataset, by number; [] if nobody made any."""
    return [_change(row) for row in fetch(lake, CHANGES, params={"name": name}, pins=pins)]


def _change(row: dict[str, Any]) -> Change:
    return Change(row["number"], row["op"], row["reverts"], row["entities_id"], tuple(row["tags"] or ()))


def changes_of(lake: Lake, name: str, pins: Pins | None = None) -> list[Change]:
    """Return the changes of a virtual dataset.

    Raises:
        ConfigError: If it has none; the message names the nearest that has.
    """
    found = known_changes(lake, name, pins)
    if not found:
        known = [row["name"] for row in fetch(lake, "select distinct name from gold.changesets", pins=pins)]
        like = nearest(name, known) if known else ""
        raise ConfigError(f"no virtual dataset `{name}`{like}; make it with `petrel changes add {name} --source NAME`")
    return found


def entities_of(lake: Lake, name: str, changes: Sequence[Change], pins: Pins | None = None) -> Relation:
    """Return entity_id of what these standing changes of a virtual dataset come to."""
    return query(lake, HELD, params={"name": name, "numbers": [each.number for each in changes]}, pins=pins)
