"""plan: what a build of a recipe would give, told without writing anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lakehouse.datasets.answers import kind_asked
from lakehouse.datasets.counts import check_batches
from lakehouse.datasets.following import check_selection, check_strata, considered_by, pinned, read_inputs, split_counts
from lakehouse.datasets.moves import check_moves
from lakehouse.datasets.plan import check_strata_columns, choose
from lakehouse.datasets.recipe import Recipe
from lakehouse.datasets.remarks import remark
from lakehouse.errors import RecipeError
from lakehouse.lake import Lake
from lakehouse.query import fetch
from lakehouse.steps.receipts import Noted
from lakehouse.steps.step import StepRecord
from schemas.tables import OPINIONS

KNOWN = "select dataset_id from gold.datasets where dataset_id = $id"

EXCLUDED = """
select reason, count(*) as entities, min(detail) as example from exclusions
group by reason order by entities desc, reason
"""

SPLITS = """
select m.split, count(*) as members, count(distinct m.group_id) as groups, sum(e.size_bytes) as bytes
from members m join silver.entities e on e.entity_id = m.entity_id group by m.split order by m.split
"""

LABELS = """
select label, split, count(*) as members from members where label is not null
group by label, split order by label, split
"""

CELLS = """
select c.stratum, count(*) filter (where c.reason is null) as available, count(m.entity_id) as taken
from considered c left join members m on m.entity_id = c.entity_id
where c.stratum is not null group by c.stratum order by c.stratum
"""

FILLERS = """
select stratum, reason, count(*) as entities from considered where stratum is not null and reason is not null
group by stratum, reason order by stratum, entities desc, reason
"""


@dataclass(frozen=True, slots=True)
class DatasetPlan:
    """What a build would give.

    Attributes:
        name: Of the dataset.
        dataset_id: Id that the version would get.
        is_built: Whether this version is there already.
        considered: Entities that the selection gives.
        members: Those that would be in.
        splits: split, members, groups, bytes (of their objects) by split.
        excluded: reason, entities, example.
        labels: label, split, members.
        cells: Of strata: stratum, wanted (None: no limit), least, available, taken, short (members that are lacking to
            what is wanted) and fillers: reason -> entities of the cell that are out for it, and might fill the gap.
        problems: Why the build would stop.
        notes: What the build would note.
    """

    name: str
    dataset_id: str
    is_built: bool
    considered: int
    members: int
    splits: list[dict[str, Any]]
    excluded: list[dict[str, Any]]
    labels: list[dict[str, Any]]
    cells: list[dict[str, Any]]
    problems: list[str] = field(default_factory=list)
    notes: tuple[Noted, ...] = ()


def plan_dataset(lake: Lake, recipe: Recipe) -> DatasetPlan:
    """Follow a recipe over the tables as they are now, as `build` does, and write nothing.

    Args:
        lake: The lake.
        recipe: From `load_recipe`.

    Raises:
        RecipeError: If the recipe cannot be followed at all, as `build` would raise it. What would stop the build after
            that, as a stratum that is short, is one of `problems`.
        QueryRefusedError: If the selection is not one read-only query.
        TableError: If a file of a table that is read is missing or damaged.
    """
    check_selection(recipe)
    check_strata_columns(recipe)
    batches, pins = pinned(lake, recipe)
    kind = kind_asked(lake, recipe, pins)
    if OPINIONS.name in pins:
        check_batches(lake, {**pins, **batches})
    read = read_inputs(lake, recipe, kind, pins)
    record = StepRecord()
    considered, _ = considered_by(lake, read, record)
    chosen = choose(lake, recipe, kind, considered, read.dataset_id)
    members, exclusions = (lake.engine.stage(each) for each in chosen)
    inputs = {"members": members, "exclusions": exclusions, "considered": considered}

    def rows(text: str) -> list[dict[str, Any]]:
        return fetch(lake, text, inputs={name: each for name, each in inputs.items() if name in text}, pins=pins)

    count = sum(split_counts(lake, recipe, members).values())
    excluded = rows(EXCLUDED)
    problems = [] if count else [f"recipe {recipe.name}: no entity becomes a member"]
    checks: list[Callable[[], None]] = [
        lambda: check_strata(lake, recipe, members, considered),
        lambda: remark(lake, recipe, members, record),
        lambda: check_moves(lake, recipe, members, read.groups, pins, record),
    ]
    problems += [problem for check in (checks if count else []) if (problem := _problem(check))]
    return DatasetPlan(
        name=recipe.name,
        dataset_id=read.dataset_id,
        is_built=bool(fetch(lake, KNOWN, params={"id": read.dataset_id})),
        considered=count + sum(row["entities"] for row in excluded),
        members=count,
        splits=rows(SPLITS),
        excluded=excluded,
        labels=rows(LABELS),
        cells=_cells(recipe, rows(CELLS), rows(FILLERS)) if recipe.strata.by else [],
        problems=problems,
        notes=tuple(record.notes.values()),
    )


def _cells(recipe: Recipe, found: list[dict[str, Any]], fillers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    strata, out = recipe.strata, dict[str, dict[str, int]]()
    for row in fillers:
        out.setdefault(row["stratum"], {})[row["reason"]] = row["entities"]
    counts: Mapping[str, dict[str, Any]] = {row["stratum"]: row for row in found}
    cells = []
    for stratum in sorted({*counts, *strata.cells}):
        row = counts.get(stratum, {"available": 0, "taken": 0})
        wanted = strata.cells.get(stratum, strata.max or None)
        least = strata.min if wanted is None else min(strata.min, wanted)
        short = max(0, (least if wanted is None else wanted) - row["taken"])
        cells.append({
            "stratum": stratum, "wanted": wanted, "least": least, "available": row["available"], "taken": row["taken"],
            "short": short, "fillers": out.get(stratum, {}) if short else {},
        })  # fmt: skip
    return cells


def _problem(check: Callable[[], None]) -> str:
    try:
        check()
    except RecipeError as error:
        return str(error)
    return ""
