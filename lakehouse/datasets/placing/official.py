"""Official splits: where the data itself says who is train, val and test, in place of ratios."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from lakehouse.datasets.placing.groups import LeakGroups, digest_of_rows, no_such_key, stated
from lakehouse.datasets.placing.split_names import SPLIT, SPLIT_HELP
from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.datasets.recipes.sections.split import official_place
from lakehouse.engines import Relation
from lakehouse.errors import RecipeError
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.query import Pins, query
from lakehouse.steps.step import StepRecord
from lakehouse.views.registry import SHARED_TEXT_KINDS, wide_kinds

PATHS = "select distinct entity_id, path from silver.entity_sources"

SCHEMA = pa.schema([("entity_id", pa.string()), ("split", pa.string()), ("several", pa.bool_())])

SHOWN = 5

Said = tuple[str, str]
"""An entity, and a value that something states as its split."""


@dataclass(frozen=True, slots=True)
class Official:
    """What the lake states about splits, before a selection is known.

    Attributes:
        said: Every statement; None where they come from a column.
        digest: Hash (64 hex) of them: content of the dataset version; None where the tables of the column are.
    """

    said: tuple[Said, ...] | None = None
    digest: str | None = None


def official_splits(lake: Lake, recipe: Recipe, pins: Pins) -> Official | None:
    """Return what folders or group keys state; None if the recipe splits by ratios.

    Raises:
        RecipeError: If no entity has the group key, or no file lies so deep.
    """
    if not recipe.split.official:
        return None
    kind, name = official_place(recipe.split.official)
    if kind == "column":
        return Official()
    if kind == "folder":
        said = _of_folders(lake, int(name), pins)
        problem = f"no file lies in a folder of level {name}; the first level is 0"
    else:
        values = stated(lake, name, pins)
        said = set(zip(values["entity_id"].to_pylist(), values["value"].to_pylist(), strict=True))
        problem = "" if said else no_such_key(lake, name, pins)
    if not said:
        raise RecipeError(f"recipe {recipe.name}: split.official = {recipe.split.official!r}: {problem}")
    rows = tuple(sorted(said))
    return Official(rows, digest_of_rows(rows))


def assigned(
    lake: Lake,
    recipe: Recipe,
    official: Official,
    selection: pa.Table,
    groups: LeakGroups | None,
    pins: Pins,
    record: StepRecord,
) -> Relation:
    """Return entity_id, split (NULL if it has several) and several, a row for each selected entity that has any.

    Args:
        lake: The lake.
        recipe: The recipe.
        official: From `official_splits`.
        selection: What `select.sql` returned.
        groups: Leak groups: a group in two splits is as bad as an entity in two.
        pins: What the build reads.
        record: Gets a note about names that nothing has.

    Raises:
        RecipeError: If the column does not exist or has no text, a value is no name of a split, or something is in
            two splits and the recipe does not leave such out.
    """
    where = f"recipe {recipe.name}: split.official = {recipe.split.official!r}"
    chosen = set(selection["entity_id"].cast(pa.string()).to_pylist())
    said = official.said if official.said is not None else _of_column(lake, recipe, selection, pins, where)
    found: dict[str, set[str]] = {}
    seen: set[str] = set()
    for entity, value in said:
        if entity in chosen:
            seen.add(value)
            found.setdefault(entity, set()).add(recipe.split.names.get(value, value))
    names = {split for splits in found.values() for split in splits} - {""}
    strange = sorted(name for name in names if not SPLIT.fullmatch(name))
    if strange:
        raise RecipeError(
            f"{where}: {strange[0]!r} cannot be the name of a split ({SPLIT_HELP}); say under [split] which it "
            f"is: names = {{ {strange[0]!r} = \"train\" }}, or \"\" for none"
        )
    for value in sorted(set(recipe.split.names) - seen):
        record.note("unused_name", f"split.names has {value!r}, which nothing selected has{nearest(value, seen)}")
    splits = {entity: each - {""} for entity, each in found.items() if each - {""}}
    several = {entity for entity, each in splits.items() if len(each) > 1}
    torn = _torn(lake, splits, groups)
    if (several or torn) and recipe.split.on_conflict == "fail":
        raise RecipeError(
            f"{where}: {_conflicts(several, torn, splits)}; correct the data, name what is no split in split.names "
            "(other = \"\"), or leave these out with on_conflict = \"exclude\" under [split]"
        )
    several.update(entity for members in torn.values() for entity in members)
    rows = [
        {"entity_id": entity, "split": None if entity in several else min(each), "several": entity in several}
        for entity, each in sorted(splits.items())
    ]
    return lake.engine.from_arrow(pa.Table.from_pylist(rows, schema=SCHEMA))


def without_column(recipe: Recipe, selection: pa.Table) -> pa.Table:
    """Return the selection without the column that says the split: every sample has its split, it is no own field."""
    name = official_place(recipe.split.official) if recipe.split.official else ("", "")
    return selection.drop_columns([each for each in selection.column_names if ("column", each.lower()) == name])


def _of_folders(lake: Lake, level: int, pins: Pins) -> set[Said]:
    rows = lake.engine.arrow(query(lake, PATHS, pins=pins))
    pairs = zip(rows["entity_id"].to_pylist(), rows["path"].to_pylist(), strict=True)
    folders = ((entity, path.split("/")[:-1]) for entity, path in pairs)
    return {(entity, parts[level]) for entity, parts in folders if level < len(parts)}


def _of_column(lake: Lake, recipe: Recipe, selection: pa.Table, pins: Pins, where: str) -> Iterable[Said]:
    name = official_place(recipe.split.official)[1]
    columns = {each.lower(): each for each in selection.column_names}
    if name not in columns:
        kinds = wide_kinds()
        if name not in kinds:
            known = sorted({*selection.column_names, *kinds} - {"entity_id"})
            raise RecipeError(f"{where}: neither select.sql nor entities_wide has this column{nearest(name, known)}")
        if kinds[name] not in SHARED_TEXT_KINDS:
            raise RecipeError(f"{where}: it is of kind {kinds[name]}; use text, whole numbers or booleans")
        selection = lake.engine.arrow(query(lake, f"select entity_id, {name} from entities_wide", pins=pins))
    said = set()
    values = selection[columns.get(name, name)].to_pylist()
    for entity, value in zip(selection["entity_id"].to_pylist(), values, strict=True):
        if entity is None or value is None:
            continue
        if not isinstance(value, str | int):
            raise RecipeError(f"{where}: {value!r} is no split; use text, whole numbers or booleans")
        said.add((str(entity), str(value).lower() if isinstance(value, bool) else str(value)))
    return said


def _torn(lake: Lake, splits: Mapping[str, set[str]], groups: LeakGroups | None) -> dict[str, list[str]]:
    """Return leak group -> its members, of groups that are in two splits."""
    if groups is None:
        return {}
    rows = lake.engine.arrow(groups.rows)
    members: dict[str, list[str]] = {}
    for entity, group in zip(rows["entity_id"].to_pylist(), rows["group_id"].to_pylist(), strict=True):
        if entity in splits:
            members.setdefault(group, []).append(entity)
    return {
        group: sorted(each)
        for group, each in members.items()
        if len(each) > 1 and len(set().union(*(splits[entity] for entity in each))) > 1
    }


def _conflicts(several: set[str], torn: Mapping[str, list[str]], splits: Mapping[str, set[str]]) -> str:
    told = []
    if torn:
        shown = "; ".join(
            f"{group} ({', '.join(sorted(set().union(*(splits[entity] for entity in members))))}; "
            f"for example {' and '.join(_apart(members, splits))})"
            for group, members in sorted(torn.items())[:SHOWN]
        )
        told.append(f"{len(torn)} leak groups are in several splits: {shown}")
    if several:
        shown = "; ".join(f"{entity} ({', '.join(sorted(splits[entity]))})" for entity in sorted(several)[:SHOWN])
        told.append(f"{len(several)} entities are in several splits: {shown}")
    return ", ".join(told)


def _apart(members: list[str], splits: Mapping[str, set[str]]) -> list[str]:
    first = members[0]
    return [first, next((each for each in members if splits[each] != splits[first]), members[1])]
