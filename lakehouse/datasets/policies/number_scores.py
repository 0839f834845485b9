"""How predicted numbers are scored: errors of regression, over the members that have a prediction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from lakehouse.datasets.policies.kind import Measure, Score, Scored

MEASURES = (
    Measure("mae", is_share=False),
    Measure("rmse", is_share=False),
    Measure("bias", is_share=False),
    # Below 0 for what is worse than the mean of the truth.
    Measure("r2", is_share=False),
)


def score_numbers(rows: Sequence[Scored]) -> Iterator[Score]:
    """Yield `mae` (mean absolute error), `rmse`, `bias` (mean of prediction minus truth) and `r2`.

    `r2` is 1 minus the sum of squared errors over that of the truth about its mean; of a truth that is all equal it is
    not defined. A member without a prediction has no error: `coverage` tells how many have one.

    Args:
        rows: Truth and answer: numbers.
    """
    pairs = np.array([(row.truth, row.answer) for row in rows if row.answer is not None], np.float64).reshape(-1, 2)
    if not len(pairs):
        yield from (Score(each.name, None, None, 0) for each in MEASURES)
        return
    off = pairs[:, 1] - pairs[:, 0]
    spread = float(((pairs[:, 0] - pairs[:, 0].mean()) ** 2).sum())
    yield Score("mae", None, float(np.abs(off).mean()), len(pairs))
    yield Score("rmse", None, float(np.sqrt((off**2).mean())), len(pairs))
    yield Score("bias", None, float(off.mean()), len(pairs))
    yield Score("r2", None, 1 - float((off**2).sum()) / spread if spread else None, len(pairs))
