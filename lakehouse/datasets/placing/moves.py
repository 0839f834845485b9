"""Old members stay in their split: a build compares itself with the version before it, and says who would move."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lakehouse.datasets.placing.components import Join, joins
from lakehouse.datasets.placing.groups import LeakGroups, statements
from lakehouse.datasets.recipes.recipe import Recipe, recipe_of
from lakehouse.engines import Relation
from lakehouse.errors import RecipeError
from lakehouse.lake import Lake
from lakehouse.query import Pins, fetch
from lakehouse.steps.step import StepRecord
from schemas.tables import ENTITIES

SHOWN = 5

VERSIONS = """
select dataset_id, recipe_json, pins_json from gold.datasets where name = $name order by first_version desc
"""

MOVED = """
select {anchor} as anchor_id, o.split as was, m.split as split, count(*) as members, min(o.entity_id) as example
from gold.dataset_members o join members m on m.entity_id = o.entity_id {groups}
where o.dataset_id = $id and o.split <> m.split
group by {anchor}, o.split, m.split order by 1, 2, 3
"""


@dataclass(frozen=True, slots=True)
class Version:
    """A version that was built before, and where its inputs are."""

    dataset_id: str
    pins: Pins


def check_moves(
    lake: Lake, recipe: Recipe, members: Relation, groups: LeakGroups | None, pins: Pins, record: StepRecord
) -> None:
    """Compare with the version of this name that was built before it with the same splits.

    A place is fixed when a leak group is first seen (see `components`). So a member moves only where two groups that
    both existed are one now, or where the recipe takes the split from data that says something else now.

    Args:
        lake: The lake.
        recipe: The recipe.
        members: Rows of gold.dataset_members, not written yet.
        groups: Leak groups; None if the recipe has no group key.
        pins: What this build reads.
        record: Gets the note `moved`.

    Raises:
        RecipeError: If members would move and `split.on_join` is `fail`; the message names groups and entities.
    """
    split = recipe.split
    may_move = groups is not None or split.official or split.fixed or split.time
    before = _version_before(lake, recipe) if may_move else None
    if before is None:
        return
    own = "coalesce(o.parent_ids[1], o.entity_id)"
    text = MOVED.format(
        anchor=own if groups is None else f"coalesce(g.anchor_id, {own})",
        groups="" if groups is None else f"left join leak_groups g on g.entity_id = {own}",
    )
    inputs = {"members": members} | ({} if groups is None else {"leak_groups": groups.rows})
    rows = fetch(lake, text, inputs=inputs, params={"id": before.dataset_id})
    if not rows:
        return
    count = sum(row["members"] for row in rows)
    found = {} if groups is None or not before.pins else _joins(lake, recipe, before.pins, pins)
    moved = f"of version {before.dataset_id} {count} members are in another split: {_told(rows)}"
    joined = _joined(found[anchor] for anchor in sorted({row["anchor_id"] for row in rows}) if anchor in found)
    if groups is not None and not before.pins:
        # Nothing here tells which groups there were then.
        joined = "that version was restored from a file, and groups have other oldest entities or other members here"
    if joined and recipe.split.on_join == "fail":
        raise RecipeError(
            f"recipe {recipe.name}: {moved}, because {joined}. One group is in one split, that of its oldest entity; "
            "to accept this, write on_join = \"keep\" under [split]; else leave what was joined out in select.sql"
        )
    record.note("moved", f"{moved}, because {joined or 'their split is stated otherwise now'}", count=count)


def _version_before(lake: Lake, recipe: Recipe) -> Version | None:
    for row in fetch(lake, VERSIONS, params={"name": recipe.name}):
        try:
            old = recipe_of(json.loads(row["recipe_json"]), where=f"dataset {row['dataset_id']}")
        except RecipeError:
            continue  # Of a newer Petrel: nothing to compare with.
        if _places(old) == _places(recipe):
            return Version(row["dataset_id"], json.loads(row["pins_json"]))
    return None


def _places(recipe: Recipe) -> tuple[object, ...]:
    split, near = recipe.split, recipe.duplicates
    return (
        recipe.seed, list(split.shares.items()), split.keys, split.official, dict(split.names), dict(split.fixed),
        split.time, split.edges, near.near, near.within if near.near else 0, near.question, near.actor,
    )  # fmt: skip


def _joins(lake: Lake, recipe: Recipe, before: Pins, now: Pins) -> Mapping[str, Join]:
    return joins(statements(lake, recipe, before), statements(lake, recipe, now), version=before[ENTITIES.name])


def _told(rows: Iterable[Mapping[str, Any]]) -> str:
    ways: dict[tuple[str, str], tuple[int, str]] = {}
    for row in rows:
        way = (row["was"], row["split"])
        number, example = ways.get(way, (0, row["example"]))
        ways[way] = (number + row["members"], example)
    return ", ".join(
        f"{number} from {was} to {split} (for example {example})" for (was, split), (number, example) in ways.items()
    )


def _joined(found: Iterable[Join]) -> str:
    told = []
    for join in found:
        link = "; ".join(f"{entity} is of {' and '.join(values)}" for entity, values in join.links[:SHOWN])
        told.append(f"{' and '.join(join.groups[:SHOWN])} are one group now ({link or 'through new entities'})")
    more = [f"and {len(told) - SHOWN} more"] if len(told) > SHOWN else []
    return ", ".join(told[:SHOWN] + more)
