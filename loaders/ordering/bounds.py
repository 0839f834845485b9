"""What a Parquet footer says about the values of a column in one row group, without reading them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

if TYPE_CHECKING:
    import pyarrow.parquet as pq


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is known of one column in one row group; an unknown thing excludes nothing.

    Attributes:
        rows: Rows of the row group.
        nulls: How many of them are null; None if unknown.
        lower: No value is smaller, NaN left aside; None if unknown. Dates are days, timestamps microseconds.
        upper: No value is larger, NaN left aside; None if unknown.
    """

    rows: int
    nulls: int | None = None
    lower: Any = None
    upper: Any = None


class Typed(Protocol):
    """A column, as far as its type."""

    @property
    def type(self) -> pa.DataType:
        """Its Arrow type."""


def bounds_of(statistics: pq.Statistics, field: Typed, rows: int) -> Bounds:
    """Read the statistics of a scalar column in one row group.

    Args:
        statistics: `pyarrow.parquet.Statistics` from a footer that was checked; None if there are none.
        field: The column.
        rows: Rows of the row group.
    """
    if statistics is None:
        return Bounds(rows)
    nulls = statistics.null_count if statistics.has_null_count else None
    if not statistics.has_min_max:
        return Bounds(rows, nulls)
    # Raw for clocks: `min` of a timestamp after the year 9999 raises.
    raw = pa.types.is_temporal(field.type)
    lower, upper = (statistics.min_raw, statistics.max_raw) if raw else (statistics.min, statistics.max)
    if any(isinstance(value, float) and math.isnan(value) for value in (lower, upper)):
        return Bounds(rows, nulls)
    return Bounds(rows, nulls, lower, upper)
