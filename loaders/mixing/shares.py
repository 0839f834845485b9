"""Shares of a mixture, exactly: who gives the n-th unit is a function of n and whole-number weights.

Unit n comes from the dataset whose next turn ends first, among those whose turn has begun: the j-th turn (from 0) of
one with p of P parts lasts from unit floor(j P / p) up to unit ceil((j + 1) P / p). So after any number n of units each
has given less than one unit more or less than n p / P (Baruah, Cohen, Plaxton and Varvel, 1996: "proportionate
progress"; taking the largest deficit each time does not keep that bound for many datasets).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from loaders.axes import Ints
from loaders.errors import FormatError

MOST_PARTS = 100_000
"""Parts of all weights together: the table of one period has an entry for each."""


@dataclass(frozen=True)
class Shares:
    """A mixture.

    Attributes:
        parts: Parts of each dataset, positive and without a common divisor.
    """

    parts: tuple[int, ...]

    @property
    def period(self) -> int:
        """Units after which everything begins again."""
        return sum(self.parts)

    @cached_property
    def table(self) -> Ints:
        """Which dataset gives each unit of a period; shape (period,)."""
        period = self.period
        given = [0] * len(self.parts)
        ends = [-(-period // part) for part in self.parts]
        table = np.empty(period, dtype=np.int64)
        for unit in range(period):
            waiting = [at for at, part in enumerate(self.parts) if given[at] * period < (unit + 1) * part]
            chosen = min(waiting, key=lambda at: ends[at])
            table[unit] = chosen
            given[chosen] += 1
            ends[chosen] = -(-(given[chosen] + 1) * period // self.parts[chosen])
        return table

    def givers(self, first: int, last: int) -> Ints:
        """Return which dataset gives each of the units [first, last)."""
        return self.table[np.arange(first, last) % self.period]

    def given(self, units: int) -> list[int]:
        """Return how many of the first `units` units each dataset gives."""
        whole, rest = divmod(units, self.period)
        of_rest = np.bincount(self.table[:rest], minlength=len(self.parts))
        return [whole * part + int(more) for part, more in zip(self.parts, of_rest, strict=True)]

    def unit_of(self, dataset: int, turn: int) -> int:
        """Return the unit that a dataset gives as its `turn`-th, counted from 0."""
        whole, rest = divmod(turn, self.parts[dataset])
        return whole * self.period + int(np.flatnonzero(self.table == dataset)[rest])


def whole_parts(weights: Mapping[str, float | Fraction], names: Sequence[str]) -> Shares:
    """Bring weights to whole parts: 0.7 and 0.3 are 7 and 3, 1/3 is meant as the fraction.

    Args:
        weights: A positive number for each name; they need not add up to 1.
        names: The datasets, in order.

    Raises:
        FormatError: If names differ, a weight is not positive, or they need more than `MOST_PARTS` parts together.
    """
    if set(weights) != set(names):
        raise FormatError(f"weights are for {sorted(weights)}, the readers are {sorted(names)}")
    fractions = [_fraction(name, weights[name]) for name in names]
    scale = math.lcm(*(each.denominator for each in fractions))
    parts = [int(each * scale) for each in fractions]
    divisor = math.gcd(*parts)
    parts = [part // divisor for part in parts]
    if sum(parts) > MOST_PARTS:
        raise FormatError(
            f"weights {dict(weights)} need {sum(parts)} parts to be exact, at most {MOST_PARTS} are possible; "
            "round them to three decimals, or give whole numbers"
        )
    return Shares(tuple(parts))


def _fraction(name: str, weight: float | Fraction) -> Fraction:
    is_number = isinstance(weight, int | float | Fraction) and not isinstance(weight, bool)
    if not is_number or not 0 < weight < math.inf:
        raise FormatError(f"weight of {name}: a positive number is needed, found {weight!r}; leave the reader out")
    exact = Fraction(weight)
    near = exact.limit_denominator(MOST_PARTS)
    # A float stands for the fraction that was meant: 0.7 for 7/10, 1 - 0.7 for 3/10.
    return near if abs(near - exact) <= exact * Fraction(1, 10**12) else exact
