"""Leak groups: what must be on one side of a split, joined to connected components.

The same bytes may be seen twice under different keys (one X-ray filed for two patients, a key that was corrected
later). Then everything of either key belongs together: with the file on one side and a key's other files on the
other, a model would be tested on what it was trained on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring

import pyarrow as pa

from lakehouse.datasets.components import Statement, components
from lakehouse.datasets.recipe import Recipe
from lakehouse.engines import Relation
from lakehouse.errors import RecipeError
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.query import Pins, fetch, query

STATED = """
select distinct e.entity_id, s.value, e.first_version from (
    select entity_id, group_keys[$group] as value from silver.entities
    union all
    select entity_id, group_keys[$group] as value from silver.entity_sources
) s join silver.entities e on e.entity_id = s.entity_id where s.value is not null
"""
"""Every value of the group key that anything ever stated about an entity, with the entity's age."""

NAMES = """
select distinct name from (
    select unnest(map_keys(group_keys)) as name from silver.entities
    union all
    select unnest(map_keys(group_keys)) as name from silver.entity_sources
) names order by name
"""

SCHEMA = pa.schema([pa.field(name, pa.string()) for name in ("entity_id", "group_id", "anchor_id")])


@dataclass(frozen=True, slots=True)
class LeakGroups:
    """The leak group of every entity that has one.

    Attributes:
        rows: Columns entity_id, group_id (the smallest key value of the component) and anchor_id (its oldest entity,
            which decides its place).
        digest: Hash (64 hex) of these rows: content of the dataset version. Another order of deliveries may give
            other anchors, hence other splits, hence another version.
    """

    rows: Relation
    digest: str


def leak_groups(lake: Lake, recipe: Recipe, pins: Pins) -> LeakGroups | None:
    """Return the leak groups of a recipe; None if it splits entity by entity.

    Raises:
        RecipeError: If no entity has such a key; a misspelt one would let groups leak without a word.
    """
    if not recipe.split.group:
        return None
    found = components(stated(lake, recipe.split.group, pins))
    if not found:
        raise RecipeError(f"recipe {recipe.name}: split.group: {no_such_key(lake, recipe.split.group, pins)}")
    rows = sorted((entity, *component) for entity, component in found.items())
    return LeakGroups(lake.engine.from_arrow(table_of(rows)), digest_of_rows(rows))


def stated(lake: Lake, key: str, pins: Pins) -> list[Statement]:
    """Return everything that was ever stated about a group key."""
    found = lake.engine.arrow(query(lake, STATED, params={"group": key}, pins=pins))
    return [Statement(*each) for each in zip(*(found[name].to_pylist() for name in found.column_names), strict=True)]


def no_such_key(lake: Lake, key: str, pins: Pins) -> str:
    """Say that nothing has this group key, and which there are."""
    known = [row["name"] for row in fetch(lake, NAMES, pins=pins)]
    like = nearest(key, known) if known else "; group_keys of a source makes them"
    return f"no entity has a group key `{key}`{like}"


def table_of(rows: Iterable[Sequence[str]]) -> pa.Table:
    """Return rows of (entity_id, group_id, anchor_id) as Arrow."""
    return pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in rows], schema=SCHEMA)


def digest_of_rows(rows: Iterable[Sequence[str]]) -> str:
    """Return the hash of sorted rows of texts, each a line of JSON."""
    found = hashlib.sha256()
    for row in rows:
        found.update((",".join(map(encode_basestring, row)) + "\n").encode())
    return found.hexdigest()
