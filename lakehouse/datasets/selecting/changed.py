"""What a recipe takes of a virtual dataset."""

from __future__ import annotations

from dataclasses import dataclass

from lakehouse.changes.folding import chosen
from lakehouse.changes.reading import changes_of, entities_of
from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.engines import Relation
from lakehouse.errors import RecipeError
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.query import Pins, count_rows, query
from lakehouse.tables.digest import relation_digest

WITHIN = "select p.* from picked p where exists (select 1 from held h where h.entity_id = p.entity_id)"


@dataclass(frozen=True, slots=True)
class Held:
    """What the chosen changes come to.

    Attributes:
        rows: entity_id of what is in.
        digest: Of these ids: content of the version. The numbers of the changes are not.
    """

    rows: Relation
    digest: str


def held_by_changes(lake: Lake, recipe: Recipe, pins: Pins) -> Held | None:
    """Return what the recipe's changes come to; None if it names no virtual dataset.

    Raises:
        ConfigError: If there is no such virtual dataset.
        RecipeError: If it has no change of a number or tag, or the changes come to nothing.
    """
    said = recipe.changes
    if not said.of:
        return None
    where = f"recipe {recipe.name}: changes"
    known = changes_of(lake, said.of, pins)
    for number in (*said.only, *said.without, *filter(None, [said.upto])):
        if number > len(known):
            raise RecipeError(f"{where}: `{said.of}` has no change {number}; it has 1 to {len(known)}")
    tags = sorted({tag for each in known for tag in each.tags})
    for tag in said.tags:
        if tag not in tags:
            like = nearest(tag, tags) if tags else "; none has any"
            raise RecipeError(f"{where}.tags: no change of `{said.of}` has tag `{tag}`{like}")
    found = chosen(known, only=said.only, without=said.without, tags=said.tags, upto=said.upto)
    if not found:
        raise RecipeError(f"{where}: no change of `{said.of}` is left; those that are taken back do not count")
    rows = lake.engine.stage(entities_of(lake, said.of, found, pins))
    ids = query(lake, "select entity_id as row_hash from held", inputs={"held": rows})
    return Held(rows, str(relation_digest(lake.engine, ids)))


def within(lake: Lake, recipe: Recipe, picked: Relation, held: Held | None) -> Relation:
    """Return what of `picked` the changes hold.

    Raises:
        RecipeError: If they hold none of it.
    """
    if held is None:
        return picked
    found = lake.engine.stage(query(lake, WITHIN, inputs={"picked": picked, "held": held.rows}))
    if count_rows(lake, found) == 0:
        raise RecipeError(
            f"recipe {recipe.name}: changes: of what select names, virtual dataset `{recipe.changes.of}` holds nothing"
        )
    return found
