"""What extractors return, checked and made plain."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from datetime import datetime

import numpy as np

from lakehouse.extractors.extractor import Dimension, Extractor, Value

EXACT = 2**53 - 1
"""Integers up to here are exact in the column `number`, which holds doubles."""


def check_values(extractor: Extractor, values: Mapping[str, object]) -> list[Value]:
    """Return one value for each dimension of the extractor, in their order; None where there is none.

    Raises:
        ValueError: If a value is not finite, too large, not Unicode, a time without zone, or of no declared dimension.
        TypeError: If the answer is no mapping, or a value is not of its dimension's kind.
    """
    if not isinstance(values, Mapping):
        raise TypeError(f"returned {type(values).__name__}, expected a mapping from dimension to value")
    checked = [plain(dimension, values.get(dimension.name)) for dimension in extractor.dimensions]
    declared = sum(dimension.name in values for dimension in extractor.dimensions)
    if declared < len(values):
        unknown = sorted(set(map(str, values)) - {dimension.name for dimension in extractor.dimensions})
        raise ValueError(f"returned {', '.join(unknown)}, which it does not declare")
    return checked


def plain(dimension: Dimension, value: object) -> Value:
    """Return a value as Python's own type of the dimension's kind; None stays None.

    Raises:
        ValueError, TypeError: As for `check_values`.
    """
    if value is None:
        return None
    kind, truth = dimension.kind, isinstance(value, bool | np.bool_)
    if kind == "boolean" and truth:
        return bool(value)
    if kind == "integer" and isinstance(value, int | numbers.Integral) and not truth:
        return _exact(dimension, int(value))
    if kind == "number" and isinstance(value, float | int | numbers.Real) and not truth:
        return _finite(dimension, float(value))
    if kind == "text" and isinstance(value, str):
        value.encode()
        return str(value)
    if kind == "timestamp" and isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{dimension.name} is {value.isoformat()}, a time without a zone; give it one")
        return value
    raise TypeError(f"{dimension.name} is a {type(value).__name__}, expected {kind}")


def _exact(dimension: Dimension, value: int) -> int:
    if abs(value) > EXACT:
        raise ValueError(f"{dimension.name} is {value}, beyond 2**53 - 1: give it as text")
    return value


def _finite(dimension: Dimension, value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{dimension.name} is {value}; return None where there is no value")
    return value
