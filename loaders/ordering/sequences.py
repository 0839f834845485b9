"""Sequences: samples of several rows, such as clips of frames and stretches of a time series.

The rows with one value of `by` (all rows without it), in the order of the column `order`, are a *series*; a difference
above `max_gap` between neighbours ends it and begins another. Sequences begin at every `stride`-th row of a series and
hold every `step`-th row from there. They are settled over the whole split, so neighbours are neighbours in the data and
not merely in a row group; those that do not lie in one row group are counted as cut and are not read.
"""

from __future__ import annotations

import collections.abc
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from loaders.axes import Array, Ints, Mask
from loaders.errors import FormatError
from loaders.format.fields import Field, arrow_schema
from loaders.ordering.filters import scalar_field

T = TypeVar("T")
Small = npt.NDArray[np.int32]

_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)


class Spread(Protocol):
    """`map`, or the `map` of an executor: results in order."""

    def __call__(self, function: Callable[[int], T], groups: Iterable[int], /) -> Iterable[T]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """Which rows make a sample together: `Sequence(length=16, by="clip_id", order="frame")`.

    A row whose `by` or `order` is null (or NaN) belongs to no sequence. With a filter, every row of a sequence must
    match it; rows that do not still count as neighbours.

    Attributes:
        length: Rows in one sample.
        order: Column that puts the rows of a series in order: numbers, timestamps or dates, no value twice.
        by: Column that tells series apart; None: the whole split is one.
        stride: Rows of the series from one start to the next.
        step: Rows of the series from one row of the sample to the next.
        max_gap: Largest difference of `order` between neighbours in the series; a timedelta for clocks.
    """

    length: int
    order: str
    by: str | None = None
    stride: int = 1
    step: int = 1
    max_gap: float | timedelta | None = None

    def __post_init__(self) -> None:
        for name in ("length", "stride", "step"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise FormatError(f"Sequence: {name} must be a positive integer, found {value!r}")
        gap = self.max_gap
        if gap is None:
            return
        is_fine = gap >= timedelta(0) if isinstance(gap, timedelta) else _is_number(gap) and 0 <= gap < math.inf
        if not is_fine:
            raise FormatError(f"Sequence: max_gap must be a number or a timedelta, not negative; found {gap!r}")

    @property
    def span(self) -> int:
        """Rows of the series from the first row of a sample to its last, both included."""
        return (self.length - 1) * self.step + 1

    def canonical(self) -> dict[str, object]:
        """Return the sequence as JSON."""
        gap = self.max_gap
        return {
            "length": self.length,
            "order": self.order,
            "by": self.by,
            "stride": self.stride,
            "step": self.step,
            "max_gap": {"microseconds": gap // _MICROSECOND} if isinstance(gap, timedelta) else gap,
        }


@dataclass(frozen=True, slots=True)
class Columns:
    """What tells series and order, for all rows of a split.

    Attributes:
        series: Number of the series of each row, -1 for none; which number is which has no meaning.
        order: Its place in the series: numbers, days or microseconds.
        max_gap: Largest difference of neighbours, in the unit of `order`; None: any.
        ends: Number of rows up to and with each row group.
    """

    series: Ints
    order: Array
    max_gap: float | None
    ends: Ints


@dataclass(frozen=True, slots=True)
class Windows:
    """The sequences of one row group.

    Attributes:
        placed: Rows of the row group, by series and order.
        starts: Index in `placed` of the first row of each sequence, by that row.
        offsets: What is added for the other rows of a sequence; shape (length,).
    """

    placed: Small
    starts: Small
    offsets: Small

    def rows(self) -> Ints:
        """Return the rows of each sequence within the row group; shape (sequences, length)."""
        found: Ints = self.placed[self.starts[:, None] + self.offsets].astype(np.int64)  # (samples, length)
        return found


@dataclass(frozen=True, slots=True)
class Found:
    """The sequences of a split, by row group, and how many do not lie in one."""

    by_group: tuple[Windows, ...]
    cut: int


def check_columns(sequence: Sequence, fields: collections.abc.Sequence[Field]) -> None:
    """Refuse a sequence whose columns are missing or have no order.

    Raises:
        FormatError: Naming the column.
    """
    known = {field.name: field for field in fields}
    order = scalar_field(sequence.order, known, role="Sequence(order=...)")
    if sequence.by is not None:
        scalar_field(sequence.by, known, role="Sequence(by=...)")
    if pa.types.is_string(order.type) or pa.types.is_boolean(order.type):
        raise FormatError(
            f"Sequence(order={order.name!r}): the column holds {order.type}; use numbers, timestamps or dates"
        )
    if sequence.max_gap is not None and isinstance(sequence.max_gap, timedelta) != pa.types.is_temporal(order.type):
        raise FormatError(
            f"Sequence: max_gap={sequence.max_gap!r} does not fit column {order.name}, which holds {order.type}; "
            "a timedelta is for timestamps and dates, a number for numbers"
        )


def read(
    sequence: Sequence,
    fields: collections.abc.Sequence[Field],
    groups: int,
    read_columns: Callable[[int, collections.abc.Sequence[str]], pa.Table],
    spread: Spread,
) -> Columns:
    """Read the columns of a sequence, of all row groups."""
    wanted = [field for field in fields if field.name in (sequence.order, sequence.by)]
    names, schema = [field.name for field in wanted], arrow_schema(wanted)
    # Text may come as a dictionary, another for each row group.
    tables = list(spread(lambda group: read_columns(group, names).cast(schema), range(groups)))
    data = pa.concat_tables(tables)
    order, is_valid = _order_values(data.column(sequence.order).combine_chunks())
    series = np.zeros(len(order), dtype=np.int64)
    if sequence.by is not None:
        codes: pa.Array = data.column(sequence.by).combine_chunks().dictionary_encode().indices
        series = codes.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    ends = np.cumsum([table.num_rows for table in tables])
    gap = sequence.max_gap
    if isinstance(gap, timedelta):
        gap = gap // (_DAY if pa.types.is_date(data.schema.field(sequence.order).type) else _MICROSECOND)
    return Columns(np.where(is_valid, series, -1), order, gap, ends)


def windows(sequence: Sequence, columns: Columns, masks: Mapping[int, Mask]) -> Found:
    """Find the sequences of a split.

    Args:
        sequence: What is looked for.
        columns: Series and order of all rows.
        masks: {row group: which of its rows match the filter}; {} without a filter.

    Raises:
        FormatError: If two rows of a series have the same place.
    """
    numbers = np.flatnonzero(columns.series >= 0)
    numbers = numbers[np.lexsort((columns.order[numbers], columns.series[numbers]))]
    series, order = columns.series[numbers], columns.order[numbers]
    first_of_group = np.concatenate([[0], columns.ends[:-1]]).astype(np.int64)
    group = np.searchsorted(columns.ends, numbers, side="right")
    starts = _starts(sequence, series, order, columns.max_gap)
    if masks:
        matches = np.concatenate([masks[each] for each in range(len(columns.ends))])[numbers]
        for offset in range(0, sequence.span, sequence.step):
            starts = starts[matches[starts + offset]]
    borders = np.cumsum(np.diff(group, prepend=group[:1]) != 0)
    is_whole = borders[starts] == borders[starts + sequence.span - 1]
    cut, starts = int((~is_whole).sum()), starts[is_whole]

    # Now by row group, keeping the order by series inside each.
    by_group = np.argsort(group, kind="stable")
    counts = np.bincount(group, minlength=len(columns.ends))
    begins = np.concatenate([[0], np.cumsum(counts)])
    index_in_group = np.empty_like(by_group)
    index_in_group[by_group] = np.arange(len(by_group)) - begins[group[by_group]]
    starts = starts[np.argsort(numbers[starts], kind="stable")]  # by row group, then by first row
    edges = np.searchsorted(group[starts], np.arange(len(counts) + 1))
    offsets = np.arange(0, sequence.span, sequence.step, dtype=np.int32)
    found = []
    for at in range(len(counts)):
        here = index_in_group[starts[edges[at] : edges[at + 1]]].astype(np.int32)
        placed = numbers[by_group[begins[at] : begins[at + 1]]] - first_of_group[at] if len(here) else np.empty(0)
        found.append(Windows(placed.astype(np.int32), here, offsets))
    return Found(tuple(found), cut)


def _starts(sequence: Sequence, series: Ints, order: Array, max_gap: float | None) -> Ints:
    """Return where sequences begin in the rows sorted by series and order, filter and row groups left aside."""
    count = len(series)
    if not count:
        return np.empty(0, dtype=np.int64)
    is_same = series[1:] == series[:-1]
    twice = np.flatnonzero(is_same & (order[1:] == order[:-1]))
    if twice.size:
        where = f"of one {sequence.by!r} " if sequence.by else ""
        raise FormatError(
            f"Sequence: {twice.size} rows {where}have the same {sequence.order!r} as another, first "
            f"{order[twice[0]]}; name the column that tells series apart in `by`, or order by one without repetitions"
        )
    if max_gap is not None:
        is_same &= _differences(order) <= max_gap
    begins = np.flatnonzero(np.concatenate([[True], ~is_same]))
    lengths = np.diff(begins, append=count)
    place = np.arange(count) - np.repeat(begins, lengths)
    left = np.repeat(begins + lengths, lengths) - np.arange(count)
    return np.flatnonzero((place % sequence.stride == 0) & (left >= sequence.span))


def _order_values(values: pa.Array) -> tuple[Array, Mask]:
    """Return an order column as int64, uint64 or float64 (days or microseconds for clocks), and which rows have one."""
    is_valid: Mask = values.is_valid().to_numpy(zero_copy_only=False)
    kind = values.type
    if pa.types.is_floating(kind):
        plain = values.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
        return plain, is_valid & ~np.isnan(plain)
    if pa.types.is_date(kind):
        values = values.cast(pa.int32())
    target = pa.uint64() if kind.equals(pa.uint64()) else pa.int64()
    return values.cast(target).fill_null(0).to_numpy(zero_copy_only=False), is_valid


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _differences(order: Array) -> Array:
    """Return the differences of neighbours that stand in ascending order."""
    if order.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            return np.diff(order)
    with np.errstate(over="ignore"):
        return np.diff(order.view(np.uint64))  # modulo 2**64: right for any two int64
