"""Labels made coarser before they are counted: by a recipe's own map, or by the hierarchy of the label set."""

from __future__ import annotations

from collections.abc import Mapping

from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.errors import RecipeError
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.query import Pins, fetch

HELD = """
with aged as (
    select label_set_id, label_id, parent_id, row_number() over (
        partition by label_set_id, label_id order by version desc
    ) as age
    from silver.label_sets where $known_at is null or ingest_time <= $known_at
)
select q.version, a.label_id, a.parent_id from silver.questions q
join aged a on a.label_set_id = q.label_set_id and a.age = 1
where q.question_id = $question order by q.version, a.label_id
"""


def coarser_labels(lake: Lake, recipe: Recipe, pins: Pins) -> dict[tuple[int, str], str]:
    """Return (version of the question, label) -> the label that it counts as, where that is another.

    Raises:
        RecipeError: If `label.map` names a label that no version of the question has; the message names the nearest.
    """
    label = recipe.label
    if not (label.map or label.level):
        return {}
    params = {"question": recipe.question, "known_at": recipe.as_of.known_at}
    versions: dict[int, dict[str, str | None]] = {}
    for row in fetch(lake, HELD, params=params, pins=pins):
        versions.setdefault(row["version"], {})[row["label_id"]] = row["parent_id"]
    known = sorted({name for held in versions.values() for name in held})
    for name in (*label.map, *label.map.values()):
        if name not in known:
            raise RecipeError(f"recipe {recipe.name}: label.map: no label is {name!r}{nearest(name, known)}")
    found = {}
    for version, parents in versions.items():
        for name in parents:
            meant = at_level(parents, label.map.get(name, name), label.level)
            if meant != name:
                found[version, name] = meant
    return found


def at_level(parents: Mapping[str, str | None], label: str, level: int) -> str:
    """Return the ancestor of a label at a level, the top being 1; itself if it is no deeper, or the level is 0."""
    above, at = [label], parents.get(label)
    while at is not None and at not in above:
        above.append(at)
        at = parents.get(at)
    return above[-level] if 0 < level <= len(above) else label
