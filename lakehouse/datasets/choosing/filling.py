"""What would fill the gaps of strata: answers that are missing or undecided, files that nobody has, variants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lakehouse.datasets.choosing.allocation import Allotment, joined, parts_of
from lakehouse.datasets.plan import UNFIT, UNPLACED
from lakehouse.datasets.policies.kind import NO_ANSWER
from lakehouse.datasets.policies.label import NO_LABEL
from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.datasets.recipes.sections.strata import Strata
from lakehouse.datasets.selecting.filters import FILTERED
from lakehouse.engines import Relation
from lakehouse.lake import Lake
from lakehouse.query import fetch

OUT = """
select stratum, reason, count(*) as entities from considered where stratum is not null and reason is not null
group by stratum, reason order by stratum, entities desc, reason
"""

UNANSWERED = """
select rest, count(*) as entities from considered where rest is not null and reason in $reasons group by rest
"""

UNANSWERED_REASONS = (NO_LABEL.name, NO_ANSWER.name)


def filled(lake: Lake, recipe: Recipe, cells: Sequence[Allotment], considered: Relation) -> list[dict[str, Any]]:
    """Return what each cell gets, and what would fill its gap.

    Args:
        lake: The lake.
        recipe: The recipe.
        cells: From `lakehouse.datasets.choosing.members.choose`.
        considered: From `lakehouse.datasets.plan.consider`.

    Returns:
        Of each cell what `Allotment.to_plain` gives; `gap`: members that are lacking to what is wanted, borrowed ones
        aside; `fillers`: reason -> entities of the cell that are out for it; and `fill`, of a gap: `settle`: entities
        in it whose answers are undecided; `label`: entities without an answer that could be in it, as their other
        values are those of the cell; `acquire`: how many more are needed if all of these turned out to be of it;
        `augment`: variants of each of its members that would fill it, where it has any.
    """
    if not any(map(_gap, cells)):
        return [cell.to_plain() | {"gap": 0, "fillers": {}, "fill": {}} for cell in cells]
    out: dict[str, dict[str, int]] = {}
    for row in fetch(lake, OUT, inputs={"considered": considered}):
        out.setdefault(row["stratum"], {})[row["reason"]] = row["entities"]
    rests = fetch(lake, UNANSWERED, inputs={"considered": considered}, params={"reasons": UNANSWERED_REASONS})
    unanswered = {row["rest"]: row["entities"] for row in rests}
    return [_filled(recipe.strata, cell, out.get(cell.stratum, {}), unanswered) for cell in cells]


def _gap(cell: Allotment) -> int:
    return max(0, (cell.least if cell.wanted is None else cell.wanted) - cell.taken)


def _filled(strata: Strata, cell: Allotment, out: dict[str, int], unanswered: dict[str, int]) -> dict[str, Any]:
    gap = _gap(cell)
    if not gap:
        return cell.to_plain() | {"gap": 0, "fillers": {}, "fill": {}}
    # What no answer would bring in, as pictures that are too deep.
    beyond = {*UNANSWERED_REASONS, *FILTERED, *(each.name for each in (*UNFIT, *UNPLACED))}
    settle = sum(count for reason, count in out.items() if reason not in beyond)
    label = unanswered.get(rest_of(strata, cell.stratum), 0)
    fill = {"settle": settle, "label": label, "acquire": max(0, gap - settle - label)}
    if cell.taken:
        fill["augment"] = -(-gap // cell.taken)
    fill = {name: count for name, count in fill.items() if count}
    return cell.to_plain() | {"gap": gap, "fillers": out, "fill": fill}


def rest_of(strata: Strata, cell: str) -> str:
    """Return the values of a cell beside its label, as `plan.consider` joins them in `rest`."""
    parts = parts_of(strata, cell)
    rest = [part for column, part in zip(strata.by, parts, strict=False) if column != "label"]
    return joined(rest)
