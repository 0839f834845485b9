"""Fixed splits: members of a version that exists keep their split in every dataset that names it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.datasets.versions.counts import check_members
from lakehouse.datasets.versions.find import find_dataset
from lakehouse.errors import RecipeError
from lakehouse.lake import Lake
from lakehouse.query import query

MEMBERS = "select distinct entity_id from member_entities where dataset_id = $id"


@dataclass(frozen=True, slots=True)
class Fixed:
    """Whose split is fixed.

    Attributes:
        versions: Split -> id of the version whose members are in it: content of the dataset version.
        splits: Entity -> the splits it is fixed to; several are a conflict.
    """

    versions: Mapping[str, str]
    splits: Mapping[str, set[str]]


def fixed_versions(lake: Lake, recipe: Recipe) -> Mapping[str, str]:
    """Return split -> id of the version that `split.fixed` names.

    Raises:
        RecipeError: If there is no such version, or a recipe names its own dataset without saying which version.
    """
    found = {}
    for split, name in sorted(recipe.split.fixed.items()):
        where = f"recipe {recipe.name}: split.fixed.{split} = {name!r}"
        if name == recipe.name:
            raise RecipeError(f"{where}: each version would follow the one before it; name "
                              f"one of them, as {name}@TAG or {name}@ID")
        try:
            found[split] = find_dataset(lake, name).dataset_id
        except RecipeError as error:
            raise RecipeError(f"{where}: {error}") from error
    return found


def fixed_splits(lake: Lake, recipe: Recipe) -> Fixed | None:
    """Return the members of the versions that a recipe names; None if it names none.

    Raises:
        RecipeError: As `fixed_versions`.
        TableError: If members of such a version are lost.
    """
    if not recipe.split.fixed:
        return None
    versions = fixed_versions(lake, recipe)
    splits: dict[str, set[str]] = {}
    for split, version in versions.items():
        check_members(lake, version)
        for entity in lake.engine.arrow(query(lake, MEMBERS, params={"id": version}))["entity_id"].to_pylist():
            splits.setdefault(entity, set()).add(split)
    return Fixed(versions, splits)
