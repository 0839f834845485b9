"""Weights of members, so that classes or cells are drawn as often as a recipe says. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from lakehouse.datasets.recipes.sections.balance import Balance

DIGITS = 12
"""Digits that a weight keeps: powers differ in the last ones from machine to machine."""


def weights_of(balance: Balance, counts: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], float]:
    """Return the weight of a member by split and by class or cell.

    With n members in a cell and N in its split, the weight is N * s / n, where the shares s of the cells add up to 1
    and are in proportion to `weights` * n ** (1 - alpha). So the weights of a split add up to N, unless one is capped.
    Where rows are repeated, the weight is how many there are of a member: N * s / n over the least of its split.

    Args:
        balance: The section.
        counts: (Split, cell) -> members, above 0.
    """
    found: dict[tuple[str, str], float] = {}
    for split in {split for split, _ in counts}:
        if not balance.is_balanced(split):
            found |= dict.fromkeys((key for key in counts if key[0] == split), 1.0)
            continue
        cells = {cell: count for (each, cell), count in counts.items() if each == split}
        wanted = {cell: balance.weights.get(cell, 1.0) * count ** (1 - balance.alpha) for cell, count in cells.items()}
        whole, total = _sum(wanted.values()), sum(cells.values())
        drawn = {cell: float(f"{total * wanted[cell] / (whole * n):.{DIGITS}g}") for cell, n in cells.items()}
        if balance.repeats:
            drawn = {cell: float(round(weight / min(drawn.values()))) for cell, weight in drawn.items()}
        most = math.inf if balance.max_weight is None else balance.max_weight
        most = math.floor(most) if balance.repeats and math.isfinite(most) else most
        found |= {(split, cell): min(weight, float(most)) for cell, weight in drawn.items()}
    return found


def _sum(values: Iterable[float]) -> float:
    # In one order, whatever the order of the cells was.
    return sum(sorted(values))
