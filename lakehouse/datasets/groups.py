"""Leak groups: what must be on one side of a split, joined to connected components.

The same bytes may be seen twice under different keys (one X-ray filed for two patients, a key that was corrected
later). Then everything of either key belongs together: with the file on one side and a key's other files on the
other, a model would be tested on what it was trained on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

from lakehouse.config import nearest
from lakehouse.datasets.recipe import Recipe
from lakehouse.engines import Relation
from lakehouse.errors import RecipeError
from lakehouse.lake import Lake
from lakehouse.query import Pins, fetch, query

STATED = """
select distinct entity_id, value from (
    select e.entity_id, e.group_keys[$group] as value from silver.entities e
    union all
    select s.entity_id, s.group_keys[$group] as value from silver.entity_sources s
) stated where value is not null
"""
"""Every value of the group key that anything ever stated about an entity."""

NAMES = """
select distinct name from (
    select unnest(map_keys(group_keys)) as name from silver.entities
    union all
    select unnest(map_keys(group_keys)) as name from silver.entity_sources
) names order by name
"""

SCHEMA = pa.schema([pa.field("entity_id", pa.string()), pa.field("group_id", pa.string())])


@dataclass(frozen=True, slots=True)
class LeakGroups:
    """The leak group of every entity that has one.

    Attributes:
        rows: Columns entity_id and group_id, the smallest key value of the component.
        digest: Hash (64 hex) of these pairs: content of the dataset version.
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
    stated = lake.engine.arrow(query(lake, STATED, params={"group": recipe.split.group}, pins=pins))
    if stated.num_rows == 0:
        known = [row["name"] for row in fetch(lake, NAMES, pins=pins)]
        raise RecipeError(
            f"recipe {recipe.name}: split.group: no entity has a group key `{recipe.split.group}`"
            f"{nearest(recipe.split.group, known) if known else '; group_keys of a source makes them'}"
        )
    pairs = sorted(joined(zip(stated["entity_id"].to_pylist(), stated["value"].to_pylist(), strict=True)).items())
    digest = hashlib.sha256("\n".join(f"{entity}|{group}" for entity, group in pairs).encode()).hexdigest()
    rows = pa.table([[entity for entity, _ in pairs], [group for _, group in pairs]], schema=SCHEMA)
    return LeakGroups(lake.engine.from_arrow(rows), digest)


def joined(stated: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the component of every entity: the smallest value, by code point, that it is connected to.

    Args:
        stated: (entity, value) pairs; two values of one entity connect everything of both.
    """
    parents: dict[str, str] = {}
    value_of: dict[str, str] = {}

    def root(value: str) -> str:
        while parents.setdefault(value, value) != value:
            parents[value] = parents[parents[value]]
            value = parents[value]
        return value

    for entity, value in stated:
        one, other = sorted((root(value), root(value_of.setdefault(entity, value))))
        parents[other] = one
    return {entity: root(value) for entity, value in value_of.items()}
