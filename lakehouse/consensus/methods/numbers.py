"""One number of many: mean, median, trimmed mean, and the mean of angles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lakehouse.consensus.methods.votes import Floats


@dataclass(frozen=True, slots=True)
class Middle:
    """One number of many.

    Attributes:
        value: In the unit of the numbers; None where there is none (angles that cancel one another).
        spread: Standard deviation of the numbers around it; of angles how far they point one way, 0 to 1.
    """

    value: float | None
    spread: float


def mean(numbers: Floats, weights: Floats) -> Middle:
    """Return the weighted mean of numbers (n,) with weights (n,), n > 0."""
    value = float(np.average(numbers, weights=weights))
    return Middle(value, _spread(numbers, weights, value))


def median(numbers: Floats, weights: Floats) -> Middle:
    """Return the number that half of the weight lies below; of two middle ones their mean."""
    order = np.argsort(numbers, kind="stable")
    ordered, below = numbers[order], np.cumsum(weights[order])
    half = below[-1] / 2
    low = int(np.searchsorted(below, half, side="left"))
    high = int(np.searchsorted(below, half, side="right"))
    value = float((ordered[low] + ordered[min(high, len(ordered) - 1)]) / 2)
    return Middle(value, _spread(numbers, weights, value))


def trimmed_mean(numbers: Floats, weights: Floats, *, trim: float) -> Middle:
    """Return the mean of what is left when a share `trim` of the weight is cut off at each end, 0 <= trim < 0.5.

    A number at the cut counts by the part of its weight that is left.
    """
    order = np.argsort(numbers, kind="stable")
    ends = np.cumsum(weights[order])
    total = ends[-1]
    left = np.minimum(ends, total * (1 - trim)) - np.maximum(ends - weights[order], total * trim)
    return mean(numbers[order], np.clip(left, 0, None))


def circular_mean(angles: Floats, weights: Floats, *, period: float = 360.0, least: float = 1e-6) -> Middle:
    """Return the direction of the sum of unit vectors, 0 <= value < period.

    Args:
        angles: In the unit of `period`; (n,).
        weights: (n,), above 0.
        period: A whole turn.
        least: Length of the mean vector, 0 to 1, below which the angles point nowhere: value None.
    """
    turned = angles * (2 * np.pi / period)
    x = float(np.average(np.cos(turned), weights=weights))
    y = float(np.average(np.sin(turned), weights=weights))
    length = float(np.hypot(x, y))
    if length < least:
        return Middle(None, length)
    value = float(np.arctan2(y, x)) * period / (2 * np.pi) % period
    return Middle(0.0 if value >= period else value, length)


def _spread(numbers: Floats, weights: Floats, value: float) -> float:
    return float(np.sqrt(np.average((numbers - value) ** 2, weights=weights)))
