"""How many of each cell become members: quotas, shares and limits over what there is. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from typing import Any

from lakehouse.datasets.choosing.bins import bin_names
from lakehouse.datasets.recipes.sections.strata import NATURAL, Strata


@dataclass(frozen=True, slots=True)
class Allotment:
    """What one cell gets.

    Attributes:
        stratum: The cell.
        wanted: Members that it is to have: its quota, its share, or its maximum; None: no limit.
        least: Members below which it is short.
        available: Entities in it that could be members.
        taken: How many of these become members for its own sake.
        borrowed: Other cell -> members of that cell that stand in for what this one lacks.
        lent: Members of this cell that stand in for others.
    """

    stratum: str
    wanted: int | None
    least: int
    available: int
    taken: int
    borrowed: Mapping[str, int] = field(default_factory=dict)
    lent: int = 0

    @property
    def short(self) -> int:
        """Members that it has fewer than wanted, borrowed ones aside."""
        return max(0, self.least - self.taken)

    @property
    def most(self) -> int:
        """Rank of the last entity of this cell that becomes a member."""
        return self.taken + self.lent

    def __str__(self) -> str:
        borrowed = "".join(f", {count:,} borrowed from {cell}" for cell, count in self.borrowed.items())
        return f"{self.stratum} wanted {self.least:,}, available {self.available:,}, taken {self.taken:,}{borrowed}"

    def to_plain(self) -> dict[str, Any]:
        """Return the cell as JSON values."""
        return asdict(self) | {"borrowed": dict(self.borrowed), "short": self.short}


def allotment_of(plain: Mapping[str, Any]) -> Allotment:
    """Return what `Allotment.to_plain` gave."""
    return Allotment(**{name: value for name, value in plain.items() if name != "short"})


def allocate(strata: Strata, available: Mapping[str, int]) -> list[Allotment]:
    """Return what every cell gets, sorted by cell.

    Args:
        strata: How many of what.
        available: Cell -> entities that could be members, for every cell that any considered entity falls into.

    Returns:
        One allotment for each of these cells and for each that the strata name.
    """
    found = {cell: available.get(cell, 0) for cell in sorted({*available, *strata.cells, *(strata.named or ())})}
    cells: dict[str, Allotment] = {}
    if strata.quota or strata.proportion:
        for cell, wanted in _exact(strata, found).items():
            cells[cell] = Allotment(cell, wanted, wanted, found[cell], min(wanted, found[cell]))
    else:
        for cell, count in found.items():
            limit = strata.cells.get(cell, strata.max or None)
            # A cell whose own maximum is lower was meant to be small.
            least = min(strata.min, strata.cells.get(cell, strata.min))
            cells[cell] = Allotment(cell, limit, least, count, count if limit is None else min(count, limit))
    return list((_borrowed(strata, cells) if strata.on_short == "borrow" else cells).values())


def _exact(strata: Strata, available: Mapping[str, int]) -> dict[str, int]:
    if isinstance(strata.quota, Mapping):
        if strata.quota:
            return {cell: strata.quota.get(cell, 0) for cell in available}
    elif strata.quota:
        return dict.fromkeys(available, strata.quota)
    if strata.proportion == NATURAL:
        return largest_remainders({cell: Fraction(count) for cell, count in available.items()}, strata.total)
    # As they are written: 0.1 is a tenth.
    stated = strata.proportion if isinstance(strata.proportion, Mapping) else {}
    shares = {cell: Fraction(repr(stated.get(cell, 0.0))) for cell in available}
    whole = sum(shares.values())
    total = strata.total or min(int(available[cell] * whole / share) for cell, share in shares.items() if share)
    return largest_remainders(shares, total)


def largest_remainders(shares: Mapping[str, Fraction], total: int) -> dict[str, int]:
    """Divide a whole number by shares, which need not add up to 1; see `Strata.proportion` for what rounding leaves."""
    whole = sum(shares.values())
    if not whole:
        return dict.fromkeys(shares, 0)
    exact = {cell: total * share / whole for cell, share in shares.items()}
    found = {cell: int(each) for cell, each in exact.items()}
    for cell in sorted(exact, key=lambda cell: (found[cell] - exact[cell], cell))[: total - sum(found.values())]:
        found[cell] += 1
    return found


def _borrowed(strata: Strata, cells: Mapping[str, Allotment]) -> dict[str, Allotment]:
    spare = {
        name: cell.available - cell.taken for name, cell in cells.items() if cell.wanted != 0 and not cell.short
    }
    borrowed: dict[str, dict[str, int]] = {name: {} for name in cells}
    for name, cell in cells.items():
        lacking = cell.short
        while lacking and any(spare.values()):
            lender = min(
                (other for other, count in spare.items() if count),
                key=lambda other: (*distance(strata, name, other), -spare[other], other),
            )
            count = min(lacking, spare[lender])
            borrowed[name][lender] = count
            spare[lender] -= count
            lacking -= count
    lent = {name: sum(each.get(name, 0) for each in borrowed.values()) for name in cells}
    return {
        name: Allotment(name, cell.wanted, cell.least, cell.available, cell.taken, borrowed[name], lent[name])
        for name, cell in cells.items()
    }


def distance(strata: Strata, one: str, other: str) -> tuple[int, int]:
    """Return in how many values without bins two cells differ, and how many bins apart the others are together."""
    differing = apart = 0
    for column, mine, theirs in zip(strata.by, parts_of(strata, one), parts_of(strata, other), strict=True):
        if column in strata.bins:
            names = bin_names(strata.bins[column])
            apart += abs(names.index(mine) - names.index(theirs))
        else:
            differing += mine != theirs
    return differing, apart


def parts_of(strata: Strata, cell: str) -> Sequence[str]:
    """Return the values that a cell joins, one for each of `strata.by` if it is a cell of theirs."""
    if len(strata.by) == 1:
        return [cell]
    parts, escaped = [""], False
    for character in cell:
        if not escaped and character == "|":
            parts.append("")
        elif escaped or character != "\\":
            parts[-1] += character
        escaped = not escaped and character == "\\"
    return parts


def joined(parts: Sequence[str]) -> str:
    """Return the cell of these values; see `parts_of`."""
    if len(parts) == 1:
        return parts[0]
    return "|".join(part.replace("\\", "\\\\").replace("|", "\\|") for part in parts)


def told(short: Sequence[Allotment], most: int = 10) -> str:
    """Return a sentence on cells that are short."""
    more = f" and {len(short) - most} more" if len(short) > most else ""
    return "; ".join(map(str, itertools.islice(short, most))) + more
