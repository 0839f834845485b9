"""Krippendorff's alpha: agreement beyond chance, for any number of raters, missing answers, four levels of measurement.

K. Krippendorff: Computing Krippendorff's Alpha-Reliability (2011). The difference of two values is 0 or 1 (nominal),
the values between them in rank (ordinal), their distance (interval), or that over their sum (ratio), squared.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lakehouse.agreement.measures.levels import LEVELS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MAX_RATIO_VALUES = 5_000
"""Distinct values of which every pair is compared; the other levels have closed forms."""


def alpha(unit: Ints, value: Ints, weight: Floats, values: Floats, *, level: str = "nominal") -> float | None:
    """Return alpha, at most 1; 0 is chance, below it people disagree on purpose.

    A unit with one answer says nothing about agreement and is left out, as in the source.

    Args:
        unit: Number of the unit of each answer; (V,).
        value: Place in `values` of each answer; (V,).
        weight: Equal answers behind each; (V,).
        values: What the values are as numbers, ascending; for `nominal` and `ordinal` their order alone counts; (K,).
        level: nominal, ordinal, interval or ratio.

    Returns:
        None where it is not defined: no unit has two answers, or all answers are one value.

    Raises:
        ValueError: If there is no such level, or too many distinct values for `ratio`.
    """
    if level not in LEVELS:
        raise ValueError(f"level = {level!r}, expected one of {', '.join(LEVELS)}")
    num_units = int(unit.max(initial=-1)) + 1
    answers_U = np.bincount(unit, weight, num_units)
    kept = answers_U[unit] > 1
    unit, value, weight = unit[kept], value[kept], weight[kept]
    count_K = np.asarray(np.bincount(value, weight, len(values)), np.float64)
    total = float(count_K.sum())
    if not total:
        return None
    # A pair within a unit of n answers counts 1 / (n - 1), so that each answer counts once.
    scale_U = 1.0 / np.maximum(answers_U - 1.0, 1.0)
    if level == "nominal":
        key, place = np.unique(unit * len(values) + value, return_inverse=True)
        same_U = np.bincount(key // len(values), np.bincount(place, weight) ** 2, num_units)
        observed = float((scale_U * (np.bincount(unit, weight, num_units) ** 2 - same_U)).sum()) / total
        expected = (total**2 - float((count_K**2).sum())) / (total * (total - 1))
    elif level == "ratio":
        observed, expected = _ratio(unit, value, weight, values, count_K, scale_U)
    else:
        # Ranks between two values, ends by half, are a difference of middle ranks: ordinal is interval of these.
        number_K = np.cumsum(count_K) - count_K / 2 if level == "ordinal" else values
        number_K = number_K - np.average(number_K, weights=count_K)
        said = number_K[value]
        first_U = np.bincount(unit, weight * said, num_units)
        second_U = np.bincount(unit, weight * said**2, num_units)
        answers = np.bincount(unit, weight, num_units)
        observed = float((scale_U * 2 * (answers * second_U - first_U**2)).sum()) / total
        expected = 2 * (total * float(count_K @ number_K**2) - float(count_K @ number_K) ** 2) / (total * (total - 1))
    return None if expected <= 0 else 1.0 - observed / expected


def _ratio(
    unit: Ints, value: Ints, weight: Floats, values: Floats, count_K: Floats, scale_U: Floats
) -> tuple[float, float]:
    if len(values) > MAX_RATIO_VALUES:
        raise ValueError(f"{len(values):,} distinct values at level ratio; at most {MAX_RATIO_VALUES:,}")
    total = float(count_K.sum())
    sums = values[:, None] + values[None, :]
    difference_KK = ((values[:, None] - values[None, :]) / np.where(sums == 0, 1.0, sums)) ** 2
    order = np.argsort(unit, kind="stable")
    starts = np.flatnonzero(np.diff(unit[order], prepend=-1))
    observed = 0.0
    for group in np.split(order, starts[1:]):
        w = weight[group]
        within = difference_KK[np.ix_(value[group], value[group])]
        observed += float(scale_U[unit[group[0]]] * (w @ within @ w))
    expected = float(count_K @ difference_KK @ count_K) / (total * (total - 1))
    return observed / total, expected
