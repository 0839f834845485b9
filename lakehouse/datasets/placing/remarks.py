"""What a person should know about the splits of a version before training on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from lakehouse.datasets.placing.split_names import is_usual, stated_in
from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.engines import Relation
from lakehouse.errors import RecipeError
from lakehouse.lake import Lake
from lakehouse.query import fetch
from lakehouse.steps.step import StepRecord

FAR = 0.1
"""How far a share may be from its ratio before it is worth a word."""

CELLS = "select split, label, count(*) as n from members group by split, label order by split, label"
GROUPS = "select count(distinct group_id) as n from members"


def remark(
    lake: Lake, recipe: Recipe, members: Relation, record: StepRecord,
    counted: Mapping[tuple[str, str | None], int] | None = None,
) -> None:  # fmt: skip
    """Note splits that look like classes, are empty or far from their ratio, and classes that a split lacks.

    Args:
        lake: The lake.
        recipe: The recipe.
        members: Rows of gold.dataset_members, not written yet.
        record: Gets the notes.
        counted: Members by split and label, where somebody counted them.

    Raises:
        RecipeError: If every official split holds exactly one label, and nothing says that this is meant.
    """
    if counted is None:
        rows = fetch(lake, CELLS, inputs={"members": members})
        cells = {(row["split"], row["label"]): int(row["n"]) for row in rows}
    else:
        cells = dict(counted)
    sizes: Counter[str] = Counter()
    for (split, _), count in cells.items():
        sizes[split] += count
    if recipe.split.official:
        _official(recipe, cells, record)
    else:
        _ratios(lake, recipe, sizes, members, record)
    labels = sorted({label for _, label in cells if label is not None})
    lacking = [f"`{label}` in {split}" for label in labels for split in sorted(sizes) if (split, label) not in cells]
    if lacking:
        record.note("class_without_members", f"classes without a member: {_few(lacking)}", count=len(lacking))


def _official(recipe: Recipe, cells: dict[tuple[str, str | None], int], record: StepRecord) -> None:
    splits = sorted({split for split, _ in cells})
    if any(map(is_usual, splits)) or stated_in(recipe.split.names, splits):
        return
    labels = {label for _, label in cells if label is not None}
    said = f"split.official = {recipe.split.official!r} gives the splits {_few([f'`{each}`' for each in splits])}"
    if len(cells) == len(splits) == len(labels) > 1:
        raise RecipeError(
            f"recipe {recipe.name}: {said}, each of which holds exactly one label: these are classes; leave "
            "split.official out to split by ratios, or name each of them in split.names if they are meant"
        )
    if labels == set(splits):
        record.note("splits_look_like_classes", f"{said}, which are the labels", count=len(splits))
    else:
        record.note("unusual_splits", f"{said}, and none is called train, val or test; classes?", count=len(splits))


def _ratios(lake: Lake, recipe: Recipe, sizes: Counter[str], members: Relation, record: StepRecord) -> None:
    ratios, total = recipe.split.shares, sizes.total()
    empty = [f"`{split}` (ratio {ratio:g})" for split, ratio in ratios.items() if ratio and not sizes[split]]
    if empty:
        record.note("empty_split", f"splits without a member: {', '.join(empty)}, of {total:,} members",
                    count=len(empty))
    far = [
        f"`{split}` has {sizes[split] / total:.0%}, ratio {ratio:.0%}"
        for split, ratio in ratios.items() if abs(sizes[split] / total - ratio) > FAR
    ]  # fmt: skip
    # Where most stand alone, groups are not why: a handful of members is far off by chance, as their number tells.
    chosen_otherwise = recipe.split.fixed or recipe.split.edges
    if far and (recipe.split.keys or recipe.duplicates.near) and not chosen_otherwise:
        groups = fetch(lake, GROUPS, inputs={"members": members})[0]["n"]
        if 2 * groups <= total:
            record.note("far_from_ratio", f"{', '.join(far)}: {total:,} members in {groups:,} groups by "
                        f"{' and '.join(_held_by(recipe))}, which stay whole", count=len(far))


def _held_by(recipe: Recipe) -> list[str]:
    return [*(f"`{key}`" for key in recipe.split.keys), *(["near-duplicates"] if recipe.duplicates.near else [])]


def _few(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
