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
import pyarrow.compute as pc

from lakehouse.datasets.likeness.duplicates import NearDuplicates, near_duplicates
from lakehouse.datasets.placing import grouping
from lakehouse.datasets.placing.components import Statement
from lakehouse.datasets.placing.grouping import grouped, sha256_of_rows
from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.derived.places import IS_REFERENCE
from lakehouse.engines import Relation
from lakehouse.errors import RecipeError
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.query import Pins, fetch, query
from schemas.tables import DERIVATIONS

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

DERIVED = f"""
select e.entity_id, e.parent_id, e.first_version, p.first_version as parent_version
from silver.entities e left join silver.entities p on p.entity_id = e.parent_id
where e.parent_id is not null and (e.object_uri is not null or {IS_REFERENCE})
"""
"""What was made of another entity: both are one group, whatever a recipe splits by. Objects are no samples."""

MADE_AGAIN = """
select d.entity_id, d.parent_id, e.first_version, p.first_version as parent_version
from silver.derivations d join silver.entities e on e.entity_id = d.entity_id
join silver.entities p on p.entity_id = d.parent_id
where d.entity_id <> d.parent_id and d.parent_id is distinct from e.parent_id
"""
"""And what was there already when it was made of another: an entity knows the first of its parents, or is a file."""

MADE = "made of "
"""What the value of a parent and its children begins with; the id of the parent follows."""

LIKE = "near-duplicates of "
"""What the value of a cluster begins with; the id of its oldest entity follows."""


@dataclass(frozen=True, slots=True)
class LeakGroups:
    """The leak group of every entity that has one.

    Attributes:
        rows: Columns entity_id, group_id (the smallest value of the component) and anchor_id (its oldest entity, which
            decides its place).
        digest: Hash (64 hex) of these rows: content of the dataset version. Another order of deliveries may give
            other anchors, hence other splits, hence another version.
    """

    rows: Relation
    digest: str


def leak_groups(lake: Lake, recipe: Recipe, near: NearDuplicates | None, pins: Pins) -> LeakGroups | None:
    """Return the leak groups of a recipe; None if it splits entity by entity, and nothing was made of another.

    Raises:
        RecipeError: If no entity has such a key; a misspelt one would let groups leak without a word.
    """
    made = _derived(lake, pins)
    if not (made or recipe.split.keys or near is not None):
        return None
    said = _stated_by(lake, recipe, near, pins, made)
    rows = grouped(said)
    return LeakGroups(lake.engine.from_arrow(rows), sha256_of_rows(rows))


def statements(lake: Lake, recipe: Recipe, pins: Pins) -> list[Statement]:
    """Return everything that holds entities together at these pins: group keys, near-duplicates, what was made of what.

    Values are those of the key where there is one alone, else `key=value`, so that equal values of two keys are two.

    Raises:
        RecipeError: As `leak_groups`.
    """
    found = _stated_by(lake, recipe, near_duplicates(lake, recipe, pins), pins, _derived(lake, pins))
    return [Statement(*each) for each in zip(*(column.to_pylist() for column in found.columns), strict=True)]


def _stated_by(
    lake: Lake, recipe: Recipe, near: NearDuplicates | None, pins: Pins, made: list[Statement]
) -> pa.Table:
    keys = recipe.split.keys
    found = [_table(made)]
    alone = len(keys) == 1 and near is None and not found[0].num_rows
    for key in keys:
        said = stated(lake, key, pins)
        if not said.num_rows:
            raise RecipeError(f"recipe {recipe.name}: split.group: {no_such_key(lake, key, pins)}")
        prefix = "" if alone else key.replace("\\", "\\\\").replace("=", "\\=") + "="
        value = pc.binary_join_element_wise(pa.scalar(prefix, pa.string()), said["value"], pa.scalar("", pa.string()))
        found.append(said.set_column(1, grouping.STATED.field("value"), value))
    if near is not None:
        # No value of a key: those have a bare `=`.
        found.append(_table((entity, f"{LIKE}{cluster}", age) for entity, cluster, age in near.rows))
    return pa.concat_tables(found)


def _table(rows: Iterable[tuple[str, str, int]]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    return pa.Table.from_arrays(
        [pa.array(column, kind) for column, kind in zip(columns, grouping.STATED.types, strict=True)],
        schema=grouping.STATED,
    )


def _derived(lake: Lake, pins: Pins) -> list[Statement]:
    rows = fetch(lake, DERIVED, pins=pins)
    if DERIVATIONS.name in pins:
        rows += fetch(lake, MADE_AGAIN, pins=pins)
    found = []
    for row in rows:
        value = MADE + row["parent_id"]
        found.append(Statement(row["entity_id"], value, row["first_version"]))
        if row["parent_version"] is not None:  # it is still there
            found.append(Statement(row["parent_id"], value, row["parent_version"]))
    return found


def stated(lake: Lake, key: str, pins: Pins) -> pa.Table:
    """Return everything that was ever stated about a group key: rows of `grouping.STATED`."""
    return lake.engine.arrow(query(lake, STATED, params={"group": key}, pins=pins)).cast(grouping.STATED)


def no_such_key(lake: Lake, key: str, pins: Pins) -> str:
    """Say that nothing has this group key, and which there are."""
    known = [row["name"] for row in fetch(lake, NAMES, pins=pins)]
    like = nearest(key, known) if known else "; group_keys of a source makes them"
    return f"no entity has a group key `{key}`{like}"


def digest_of_rows(rows: Iterable[Sequence[str]]) -> str:
    """Return the hash of sorted rows of texts, each a line of JSON."""
    found = hashlib.sha256()
    for row in rows:
        found.update((",".join(map(encode_basestring, row)) + "\n").encode())
    return found.hexdigest()
