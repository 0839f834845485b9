"""The numbers of a plan in one pass, where nobody has to know who is who: no cell has a limit, nothing is varied.

A million rows that are kept, ranked and counted again took as long as all the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lakehouse.datasets.choosing.allocation import Allotment, allocate
from lakehouse.datasets.plan import reasons_of
from lakehouse.datasets.policies.kind import AnswerKind
from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.datasets.recipes.sections.balance import Balance
from lakehouse.datasets.recipes.sections.strata import Strata
from lakehouse.datasets.selecting.filters import FILTERED
from lakehouse.engines import Relation
from lakehouse.lake import Lake
from lakehouse.query import fetch

COUNTED = """
select stratum, label, split, reason, count(*) as entities, cast(sum(size_bytes) as bigint) as bytes,
    min(case reason {details} else problem_detail end) as detail
from considered group by stratum, label, split, reason
"""


@dataclass(frozen=True, slots=True)
class Counted:
    """What a plan tells.

    Attributes:
        cells: split, label, members and bytes, by label and split.
        excluded: reason, entities and example, most first.
        strata: What every cell of strata gets: all that is there; () without strata.
    """

    cells: list[dict[str, Any]]
    excluded: list[dict[str, Any]]
    strata: tuple[Allotment, ...]


def are_all_in(recipe: Recipe) -> bool:
    """Tell whether everything that no reason leaves out is in, as it is."""
    return (
        replace(recipe.strata, by=(), bins={}) == Strata()
        and recipe.balance == Balance()
        and not recipe.variants.copies
        and recipe.image.form is None
        and recipe.audio.form is None
    )


def counted(lake: Lake, recipe: Recipe, kind: AnswerKind | None, considered: Relation) -> Counted:
    """Return the numbers of a recipe for which `are_all_in` holds.

    Args:
        lake: The lake.
        recipe: The recipe.
        kind: Kind of its answers; None if it asks no question.
        considered: From `lakehouse.datasets.plan.consider`; read once.
    """
    # Without a reason there are none, as by a question that everybody answered.
    details = " ".join(f"when '{each.name}' then {each.detail}" for each in reasons_of(recipe, kind))
    params = {} if kind is None else dict(kind.params(recipe.label))
    rows = fetch(lake, COUNTED.format(details=details), inputs={"considered": considered}, params=params)
    cells: Counter[tuple[str, str | None]] = Counter()
    sizes: Counter[tuple[str, str | None]] = Counter()
    excluded: dict[str, dict[str, Any]] = {}
    available: Counter[str] = Counter()
    for row in rows:
        reason, count = row["reason"], int(row["entities"])
        if row["stratum"] is not None and (reason is None or reason not in FILTERED):
            available[row["stratum"]] += count if reason is None else 0
        if reason is None:
            cells[row["split"], row["label"]] += count
            sizes[row["split"], row["label"]] += row["bytes"] or 0
        else:
            _add(excluded.setdefault(reason, {"reason": reason, "entities": 0, "example": None}), count, row["detail"])
    order = sorted(cells, key=lambda cell: (cell[1] is None, cell[1] or "", cell[0]))
    return Counted(
        [{"split": split, "label": label, "members": cells[split, label], "bytes": sizes[split, label]}
         for split, label in order],
        sorted(excluded.values(), key=lambda each: (-each["entities"], each["reason"])),
        tuple(allocate(recipe.strata, dict(sorted(available.items())))) if recipe.strata.by else (),
    )  # fmt: skip


def _add(said: dict[str, Any], count: int, detail: str | None) -> None:
    said["entities"] += count
    said["example"] = min((each for each in (said["example"], detail) if each is not None), default=None)


def members_by(cells: list[dict[str, Any]]) -> Mapping[tuple[str, str | None], int]:
    """Return (split, label) -> members."""
    return {(cell["split"], cell["label"]): cell["members"] for cell in cells}
