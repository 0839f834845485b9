"""plan: what a build of a recipe would give, told without writing anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lakehouse.datasets.choosing.allocation import Allotment
from lakehouse.datasets.choosing.counted import are_all_in, counted, members_by
from lakehouse.datasets.choosing.filling import filled
from lakehouse.datasets.choosing.members import check_quotas, choose
from lakehouse.datasets.estimating import stored_bytes
from lakehouse.datasets.following import Read, check_selection, considered_by, pinned, read_inputs
from lakehouse.datasets.placing.moves import check_moves
from lakehouse.datasets.placing.remarks import remark
from lakehouse.datasets.plan import check_strata_columns
from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.datasets.sampling.varied import Varied, varied
from lakehouse.datasets.selecting.named_commits import by_ids
from lakehouse.datasets.versions.counts import check_batches
from lakehouse.engines import Relation
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

CELLS = """
select split, label, count(*) as members, cast(sum(size_bytes) as bigint) as bytes from members
group by split, label order by label, split
"""

NOBODY = "recipe {}: no entity becomes a member"

LABELLED = ("label", "split", "members")

GROUPS = "select split, count(distinct group_id) as groups from members group by split"


@dataclass(frozen=True, slots=True)
class DatasetPlan:
    """What a build would give.

    Attributes:
        name: Of the dataset.
        dataset_id: Id that the version would get.
        is_built: Whether this version is there already.
        considered: Entities that the selection gives.
        members: Those that would be in.
        splits: split, members, groups, bytes (of their objects; of crops and variants an estimate) by split; where the
            recipe states what is stored also stored_bytes, an estimate.
        excluded: reason, entities, example.
        labels: label, split, members.
        cells: Of strata: what each cell gets, and what would fill its gap; see
            `lakehouse.datasets.choosing.filling.filled`.
        variants: Members that are variants of others.
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
    variants: int = 0
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
    recipe = by_ids(lake.home, recipe)
    batches, pins = pinned(lake, recipe)
    if OPINIONS.name in pins:
        check_batches(lake, {**pins, **batches})
    read = read_inputs(lake, recipe, pins)
    record = StepRecord()
    if are_all_in(recipe) and recipe.samples.of == "entities" and not _is_placed(read):
        return _in_one_pass(lake, read, record)
    return _row_by_row(lake, read, record)


def _is_placed(read: Read) -> bool:
    """Tell whether places are not those of the entities alone, so that groups are counted, and moves compared."""
    recipe = read.recipe
    return bool(read.groups or read.near or read.official or read.fixed or recipe.split.time or recipe.split.official)


def _in_one_pass(lake: Lake, read: Read, record: StepRecord) -> DatasetPlan:
    recipe = read.recipe
    considered, _ = considered_by(lake, read, record, counting=True, staged=False)
    found = counted(lake, recipe, read.answers, considered)
    count = sum(row["members"] for row in found.cells)
    problems = [] if count else [NOBODY.format(recipe.name)]
    if count:
        remark(lake, recipe, considered, record, members_by(found.cells))
    return _plan(
        lake, read, record, cells=found.cells, groups=None, excluded=found.excluded, strata=found.strata,
        considered=considered, problems=problems, stored=None,
    )  # fmt: skip


def _row_by_row(lake: Lake, read: Read, record: StepRecord) -> DatasetPlan:
    recipe, pins = read.recipe, read.inputs.pins
    considered, _ = considered_by(lake, read, record, counting=True)
    chosen = choose(lake, recipe, read.answers, considered, read.dataset_id, read.classes, record, counting=True)
    problems: list[str] = []
    try:
        both = varied(
            lake, recipe, read.answers, chosen.members, chosen.exclusions, read.dataset_id, record, pins, counting=True
        )
    except RecipeError as error:
        problems, both = [str(error)], Varied(chosen.members, chosen.exclusions)
    members = both.members
    # These are counted, and no more: to keep a row of each would take longer than all the rest.
    inputs = {"members": members, "exclusions": both.exclusions, "considered": considered}

    def rows(text: str) -> list[dict[str, Any]]:
        return fetch(lake, text, inputs={name: each for name, each in inputs.items() if name in text}, pins=pins)

    cells = rows(CELLS)
    count = sum(row["members"] for row in cells)
    # Without leak groups each is one of its own.
    groups = None if read.groups is None else {row["split"]: row["groups"] for row in rows(GROUPS)}
    excluded = rows(EXCLUDED)
    problems += [] if count else [NOBODY.format(recipe.name)]
    checks: list[Callable[[], None]] = [
        lambda: check_quotas(recipe, chosen.short),
        lambda: remark(lake, recipe, chosen.members, record),
        lambda: check_moves(lake, recipe, chosen.members, read.groups, pins, record),
    ]
    problems += [problem for check in (checks if count else []) if (problem := _problem(check))]
    stored = stored_bytes(lake, recipe, members, pins, record) if count else None
    return _plan(
        lake, read, record, cells=cells, groups=groups, excluded=excluded, strata=chosen.cells, considered=considered,
        problems=problems, stored=stored, made=both.made,
    )  # fmt: skip


def _plan(
    lake: Lake, read: Read, record: StepRecord, *, cells: list[dict[str, Any]], groups: Mapping[str, int] | None,
    excluded: list[dict[str, Any]], strata: Sequence[Allotment], considered: Relation, problems: list[str],
    stored: Mapping[str, int] | None, made: int = 0,
) -> DatasetPlan:  # fmt: skip
    count = sum(row["members"] for row in cells)
    return DatasetPlan(
        name=read.recipe.name,
        dataset_id=read.dataset_id,
        is_built=bool(fetch(lake, KNOWN, params={"id": read.dataset_id})),
        considered=count + sum(row["entities"] for row in excluded) - made,
        members=count,
        variants=made,
        splits=_splits(cells, groups, stored),
        excluded=excluded,
        labels=[{name: row[name] for name in LABELLED} for row in cells if row["label"] is not None],
        cells=filled(lake, read.recipe, strata, considered),
        problems=problems,
        notes=tuple(record.notes.values()),
    )


def _splits(
    cells: Sequence[Mapping[str, Any]], groups: Mapping[str, int] | None, stored: Mapping[str, int] | None
) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for row in cells:
        split = found.setdefault(row["split"], {"split": row["split"], "members": 0, "groups": 0, "bytes": 0})
        split["members"] += row["members"]
        split["bytes"] += row["bytes"] or 0
    for name, split in found.items():
        split["groups"] = split["members"] if groups is None else groups[name]
        if stored is not None:
            split["stored_bytes"] = stored[name]
    return [found[name] for name in sorted(found)]


def _problem(check: Callable[[], None]) -> str:
    try:
        check()
    except RecipeError as error:
        return str(error)
    return ""
