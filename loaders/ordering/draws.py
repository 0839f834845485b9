"""Draws by weight: which samples are seen, with replacement, where rare ones are to be seen as often as others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from loaders.errors import FormatError


def weighted_draws(
    weights: npt.ArrayLike, count: int, *, seed: int, epoch: int = 0
) -> npt.NDArray[np.int64]:
    """Return `count` samples drawn with replacement, each as often as its weight says.

    Pure: the same arguments give the same draws on every machine and in every process.

    Args:
        weights: Column `weight` of a split, or any other; shape (num_samples,), every value above 0 and finite.
        count: How many to draw, at least 0.
        seed: Constant for a whole run; 0 <= seed < 2**32.
        epoch: Counted from 0; each epoch has its own draws.

    Returns:
        Places of samples; int64, shape (count,).

    Raises:
        FormatError: If a weight is 0, negative, NaN or infinite, or there is none.
    """
    given = np.asarray(weights, dtype=np.float64)
    if given.ndim != 1 or not given.size:
        raise FormatError(f"weights of samples: one for each is needed, found shape {given.shape}")
    wrong = np.flatnonzero(~(np.isfinite(given) & (given > 0)))
    if wrong.size:
        raise FormatError(
            f"weight of sample {wrong[0]} is {given[wrong[0]]}; a weight is a number above 0: leave out what is not to "
            "be drawn"
        )
    borders = np.cumsum(given)
    drawn = np.random.default_rng([seed, epoch]).random(count) * borders[-1]
    places: npt.NDArray[np.int64] = np.searchsorted(borders, drawn, side="right").astype(np.int64)
    # Whatever the rounding: a draw is below the last border.
    return np.minimum(places, given.size - 1)
