"""Splits that no hash decides: fixed by another version, or by time. A leak group goes as a whole."""

from __future__ import annotations

import bisect
import itertools
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from datetime import UTC, datetime

import pyarrow as pa

from lakehouse.datasets.placing.fixed import Fixed
from lakehouse.datasets.placing.groups import LeakGroups
from lakehouse.datasets.placing.official import SCHEMA, SHOWN
from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.engines import Relation
from lakehouse.errors import RecipeError
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.query import Pins, query
from lakehouse.views.registry import wide_kinds


def placed(
    lake: Lake,
    recipe: Recipe,
    fixed: Fixed | None,
    picked: Relation,
    selection: pa.Table,
    groups: LeakGroups | None,
    pins: Pins,
) -> Relation | None:
    """Return entity_id, split (NULL if it has several) and several, of the selected whose split no hash decides.

    Args:
        lake: The lake.
        recipe: The recipe.
        fixed: From `fixed_splits`.
        picked: Entities that are considered.
        selection: What `select.sql` returned: the column of times may be there.
        groups: Leak groups.
        pins: What the build reads.

    Raises:
        RecipeError: If the column of times does not exist or holds none, no selected entity has a time, or something is
            fixed to two splits and the recipe does not leave such out.
    """
    if fixed is None and not recipe.split.time:
        return None
    chosen = sorted(lake.engine.arrow(picked)["entity_id"].to_pylist())
    group_of = _group_of(lake, groups)
    found: dict[str, set[str]] = {}
    if recipe.split.time:
        instants = _instants(lake, recipe, set(chosen), selection, pins)
        found = {entity: {split} for entity, split in by_time(recipe, instants, group_of).items()}
    if fixed is not None:
        held = held_by(fixed.splits, group_of)
        theirs = {entity: held[place] for entity in chosen if (place := group_of.get(entity, entity)) in held}
        _refuse_torn(recipe, theirs, fixed)
        found |= theirs
    rows = [
        {"entity_id": entity, "split": next(iter(each)) if len(each) == 1 else None, "several": len(each) > 1}
        for entity in chosen if (each := found.get(entity))
    ]  # fmt: skip
    return lake.engine.from_arrow(pa.Table.from_pylist(rows, schema=SCHEMA))


def held_by(fixed: Mapping[str, set[str]], group_of: Mapping[str, str]) -> dict[str, set[str]]:
    """Return leak group (or the entity that is in none) -> the splits that its members are fixed to."""
    held: dict[str, set[str]] = {}
    for entity, splits in fixed.items():
        held.setdefault(group_of.get(entity, entity), set()).update(splits)
    return held


def by_time(recipe: Recipe, instants: Mapping[str, datetime], group_of: Mapping[str, str]) -> dict[str, str]:
    """Return the split of every entity that has a time; pure.

    A group is as late as the latest of its members. Without edges, a split ends before the first instant with at least
    its share of the entities before it: equal instants are on one side.
    """
    latest: dict[str, datetime] = {}
    for entity, instant in instants.items():
        group = group_of.get(entity, entity)
        latest[group] = max(latest.get(group, instant), instant)
    names = list(recipe.split.ratios)
    counted = Counter(latest[group_of.get(entity, entity)] for entity in instants)
    if recipe.split.edges:
        place_of = {instant: bisect.bisect_right(recipe.split.edges, instant) for instant in counted}
    else:
        place_of = _places(counted, list(recipe.split.ratios.values()))
    return {entity: names[place_of[latest[group_of.get(entity, entity)]]] for entity in instants}


def _places(counted: Mapping[datetime, int], shares: Iterable[float]) -> dict[datetime, int]:
    total = sum(counted.values())
    # The least number of entities before which each split ends; rounded, as 0.8 + 0.1 is a little less than 0.9.
    ends = [round(end * total, 6) for end in itertools.accumulate(shares)][:-1]
    before, found = 0, {}
    for instant in sorted(counted):
        found[instant] = bisect.bisect_right(ends, before)
        before += counted[instant]
    return found


def _instants(
    lake: Lake, recipe: Recipe, chosen: Container[str], selection: pa.Table, pins: Pins
) -> dict[str, datetime]:
    name = recipe.split.time.lower()
    where = f"recipe {recipe.name}: split.time = {recipe.split.time!r}"
    columns = {each.lower(): each for each in selection.column_names}
    table = selection
    if name not in columns:
        kinds = wide_kinds()
        if name not in kinds:
            known = sorted({*selection.column_names, *(each for each in kinds if kinds[each] == "timestamp")})
            raise RecipeError(f"{where}: neither select.sql nor entities_wide has this column{nearest(name, known)}")
        table = lake.engine.arrow(query(lake, f"select entity_id, {name} from entities_wide", pins=pins))
    column = table[columns.get(name, name)]
    if not pa.types.is_timestamp(column.type) and not pa.types.is_date(column.type):
        raise RecipeError(f"{where}: it holds {column.type}; use a column of times")
    values = column.cast(pa.timestamp("us", tz="UTC")).to_pylist()
    found: dict[str, datetime] = {}
    for entity, value in zip(table["entity_id"].to_pylist(), values, strict=True):
        if value is not None and str(entity) in chosen:
            instant = value.astimezone(UTC)
            found[str(entity)] = max(found.get(str(entity), instant), instant)
    if not found:
        raise RecipeError(f"{where}: no selected entity has a time there")
    return found


def _refuse_torn(recipe: Recipe, splits_of: Mapping[str, set[str]], fixed: Fixed) -> None:
    torn = {entity: splits for entity, splits in splits_of.items() if len(splits) > 1}
    if not torn or recipe.split.on_conflict != "fail":
        return
    shown = "; ".join(f"{entity} ({', '.join(sorted(splits))})" for entity, splits in sorted(torn.items())[:SHOWN])
    versions = ", ".join(f"{split} of {version}" for split, version in fixed.versions.items())
    raise RecipeError(
        f"recipe {recipe.name}: split.fixed: {len(torn)} entities, with their leak groups, are fixed to several splits "
        f'({versions}): {shown}; name other versions, or leave these out with on_conflict = "exclude" under [split]'
    )


def _group_of(lake: Lake, groups: LeakGroups | None) -> dict[str, str]:
    if groups is None:
        return {}
    rows = lake.engine.arrow(groups.rows)
    return dict(zip(rows["entity_id"].to_pylist(), rows["group_id"].to_pylist(), strict=True))
