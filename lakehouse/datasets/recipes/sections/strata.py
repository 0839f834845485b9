"""[strata]: how many of what."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lakehouse.datasets.recipes.canonical import CODEC, PARAMETERS
from lakehouse.datasets.recipes.sections.choice import CHOICES, check_choices
from lakehouse.errors import RecipeError

COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
KEY = "key:"
ON_SHORT = ("fail", "take", "borrow")
NATURAL = "natural"
SHARE_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Strata:
    """How many of what.

    Attributes:
        by: `label`, columns of `entities_wide`, or group keys as `key:speaker`; their values together are the cell.
        max: Members per cell at most; 0 means no limit.
        min: Members per cell at least; see `on_short`. Cells are those that any picked entity falls into, and those
            named in `cells`; a cell's own maximum, where lower, is its minimum too.
        cells: Cell (`frog`, or `frog|real` for two; a `|` or `\\` in a value of several has a `\\` before it) -> its
            own maximum.
        bins: Column of numbers in `by` -> the edges of its cells, rising (`[0.2, 0.5]`: `<0.2`, `0.2..0.5`, `>=0.5`),
            or a number of quantiles of the selected values (`4`: `q1` to `q4`).
        quota: Members per cell exactly, of every cell or by cell; what is in a cell that the table lacks is left out
            with reason no_quota. In place of max, min and cells; 0: none is stated.
        proportion: Cell -> share of `total`, or `natural`: as much of each cell as there is of it. Shares add up to 1;
            members are whole, what rounding leaves goes to the largest remainders, of equal ones to the first cells by
            code point. In place of quota; cells that the table lacks are left out with reason no_quota.
        total: Members of all cells that `proportion` divides; 0: as many as no cell's share of them is above what there
            is of it.
        on_short: Where a cell has fewer than wanted: `fail` stops the build and names the cells; `take` takes what
            there is; `borrow` fills up from cells that have more than they need: those that differ in fewest of the
            other values, then in fewest bins, then those with most to spare, then by code point; cells without a quota
            of their own lend nothing. What stays short is recorded with the version.
    """

    by: tuple[str, ...] = ()
    max: int = 0
    min: int = 0
    cells: Mapping[str, int] = field(default_factory=dict)
    bins: Mapping[str, object] = field(default_factory=dict, metadata={CODEC: PARAMETERS})
    quota: int | Mapping[str, int] = 0
    proportion: str | Mapping[str, float] = field(default_factory=dict)
    total: int = 0
    on_short: str = field(default="fail", metadata={CHOICES: ON_SHORT})

    @property
    def named(self) -> Mapping[str, float] | None:
        """Cell -> quota or share, where a table of them says which cells have any; else None."""
        for each in (self.quota, self.proportion):
            if isinstance(each, Mapping) and each:
                return each
        return None


def group_key(column: str) -> str:
    """Return the group key that one of `strata.by` names; "" if it is a column."""
    return column.removeprefix(KEY) if column.startswith(KEY) else ""


def check_strata(strata: Strata, where: str) -> None:
    """Refuse strata that cannot be.

    Raises:
        RecipeError: If a quota is negative or has no strata, the minimum is above the maximum, shares do not add up to
            1, keys do not belong together, or `by` names no column or one twice.
    """
    counts = [strata.max, strata.min, strata.total, *strata.cells.values()]
    counts += strata.quota.values() if isinstance(strata.quota, Mapping) else [strata.quota]
    if any(quota < 0 for quota in counts):
        raise RecipeError(
            f"{where}: strata.max, strata.min, strata.cells, strata.quota and strata.total must not be negative"
        )
    stated = [name for name in ("max", "min", "cells", "quota", "proportion") if getattr(strata, name)]
    if stated and not strata.by:
        raise RecipeError(f"{where}: strata.{stated[0]} needs strata.by, for example by = [\"label\"]")
    if 0 < strata.max < strata.min:
        raise RecipeError(f"{where}: strata.min = {strata.min} is above strata.max = {strata.max}")
    if {"quota", "proportion"}.intersection(stated) and len(stated) > 1:
        others = " and ".join(f"strata.{name}" for name in stated)
        raise RecipeError(f"{where}: {others} both say how many; a quota, or shares, is all that is taken: keep one")
    _check_proportion(strata, where)
    check_choices(strata, "strata", where)
    if strata.on_short != "fail" and not {"min", "quota", "proportion"}.intersection(stated):
        raise RecipeError(f"{where}: strata.on_short is about strata.min, strata.quota or strata.proportion; add one")
    for column in strata.by:
        if not COLUMN.fullmatch(column) and not group_key(column):
            raise RecipeError(f"{where}: strata.by: {column!r} is not the name of a column")
        if strata.by.count(column) > 1:
            raise RecipeError(f"{where}: strata.by has `{column}` twice")


def _check_proportion(strata: Strata, where: str) -> None:
    shares = strata.proportion
    if isinstance(shares, str):
        if shares != NATURAL:
            raise RecipeError(f"{where}: strata.proportion = {shares!r}; give shares by cell, or \"{NATURAL}\"")
        if not strata.total:
            raise RecipeError(f"{where}: strata.proportion = \"{NATURAL}\" needs strata.total: of how many?")
        return
    if strata.total and not shares:
        raise RecipeError(f"{where}: strata.total is what strata.proportion divides; add shares, or \"{NATURAL}\"")
    if any(not 0 <= share <= 1 for share in shares.values()):
        raise RecipeError(f"{where}: strata.proportion must be shares within 0..1, found {dict(shares)}")
    if shares and not math.isclose(sum(shares.values()), 1, abs_tol=SHARE_TOLERANCE):
        raise RecipeError(f"{where}: strata.proportion adds up to {sum(shares.values()):g}, expected 1")
