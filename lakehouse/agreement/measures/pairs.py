"""Every pair of raters: on how many units they both answered, how often alike, and Cohen's kappa."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lakehouse.agreement.measures.kappa import cohen


@dataclass(frozen=True, slots=True)
class Pair:
    """Two raters.

    Attributes:
        one: The first, by name.
        other: The second.
        units: Units that both answered, above 0.
        agreed: Share of these on which they said the same.
        kappa: Cohen's; None where it is not defined.
    """

    one: str
    other: str
    units: int
    agreed: float
    kappa: float | None


def pairs(said: Mapping[str, Mapping[int, int]], names: Sequence[str], num_labels: int) -> list[Pair]:
    """Return the pairs of raters that share a unit, in the order of `names`.

    Args:
        said: Rater -> unit -> label.
        names: Raters to compare.
        num_labels: Labels are 0 to num_labels - 1.
    """
    found = []
    for one, other in itertools.combinations(names, 2):
        mine, theirs = said[one], said[other]
        units = sorted(mine.keys() & theirs.keys())
        if not units:
            continue
        a = np.array([mine[unit] for unit in units], np.int64)
        b = np.array([theirs[unit] for unit in units], np.int64)
        found.append(Pair(one, other, len(units), float((a == b).mean()), cohen(a, b, num_labels)))
    return found
