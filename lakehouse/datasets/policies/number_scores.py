"""How predicted numbers are scored: errors of regression, over the members that have a prediction."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from lakehouse.datasets.policies.hits import Ints
from lakehouse.datasets.policies.kind import Measure, Score, Scored

MEASURES = (
    Measure("mae", is_share=False),
    Measure("rmse", is_share=False),
    Measure("bias", is_share=False),
    # Below 0 for what is worse than the mean of the truth.
    Measure("r2", is_share=False),
)


def weigh_numbers(rows: Sequence[Scored]) -> Callable[[Ints], Iterator[Score]]:
    """Return what scores numbers, from how often each row counts: `mae` (mean absolute error), `rmse`, `bias` (mean of
    prediction minus truth) and `r2`.

    `r2` is 1 minus the sum of squared errors over that of the truth about its mean; of a truth that is all equal it is
    not defined. A member without a prediction has no error: `coverage` tells how many have one.

    Args:
        rows: Truth and answer: numbers.
    """
    there = np.array([row.answer is not None for row in rows], bool)
    truth = np.array([row.truth for row in rows if row.answer is not None], np.float64)
    off = np.array([row.answer for row in rows if row.answer is not None], np.float64) - truth

    def weigh(counts: Ints) -> Iterator[Score]:
        mine = counts[there]
        total = int(mine.sum())
        if not total:
            yield from (Score(each.name, None, None, 0) for each in MEASURES)
            return
        squares = float(mine @ off**2)
        spread = float(mine @ (truth - (mine @ truth) / total) ** 2)
        yield Score("mae", None, float(mine @ np.abs(off)) / total, total)
        yield Score("rmse", None, math.sqrt(squares / total), total)
        yield Score("bias", None, float(mine @ off) / total, total)
        yield Score("r2", None, 1 - squares / spread if spread else None, total)

    return weigh
