"""Which windows an epoch of one rank has open, and what each batch takes from them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from loaders.errors import CorruptionError
from loaders.order import EpochOrder, Ints, Window
from loaders.source import Split


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a window in delivery order.

    Attributes:
        data: The stored columns.
        numbers: Number of each row in the split.
        broken: {index: why} for rows whose row group could not be read; their values in `data` are another row's.
    """

    data: pa.Table
    numbers: Ints
    broken: dict[int, CorruptionError]


@dataclass(frozen=True, slots=True)
class Take:
    """Rows [first, last) of a window, for the batch rows of `places`; `is_filler` marks padding."""

    window: Future[Rows]
    first: int
    last: int
    places: slice
    is_filler: bool


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """What one batch is made of.

    Attributes:
        epoch: Its epoch.
        step: Its number in the epoch.
        rows: Its rows, filler included.
        takes: Where the rows come from; together they cover every row once.
    """

    epoch: int
    step: int
    rows: int
    takes: tuple[Take, ...]


def load_window(split: Split, order: EpochOrder, window: Window, *, skip: bool) -> Rows:
    """Read the row groups of a window and put their rows in order.

    Args:
        split: Where to read.
        order: The order of the epoch.
        window: What to read.
        skip: Go on without row groups that cannot be read.

    Raises:
        CorruptionError: If a row group cannot be read and `skip` is not set.
    """
    tables: list[pa.Table] = []
    lost: dict[int, tuple[int, CorruptionError]] = {}
    at = 0
    for group, first, last in window.pieces:
        try:
            tables.append(split.read_group(group).slice(first, last - first))
        except CorruptionError as error:
            if not skip:
                raise
            lost[at] = (last - first, error)
        at += last - first
    within = order.within(window)
    numbers = order.row_numbers(window)
    if not lost:
        return Rows(pa.concat_tables(tables).take(within), numbers, {})
    source, errors = np.zeros(window.rows, dtype=np.int64), np.zeros(window.rows, dtype=np.int64)
    is_lost = np.zeros(window.rows, dtype=bool)
    for begin, (count, _) in lost.items():
        is_lost[begin : begin + count] = True
        errors[begin : begin + count] = begin
    source[~is_lost] = np.arange(int((~is_lost).sum()))
    broken = {int(to): lost[int(errors[within[to]])][1] for to in np.flatnonzero(is_lost[within])}
    if not tables:
        return Rows(pa.table({}), numbers, broken)
    return Rows(pa.concat_tables(tables).take(source[within]), numbers, broken)


class EpochRows:
    """The lanes of one rank in one epoch: hands out batch plans and asks for windows ahead of their use."""

    def __init__(
        self, order: EpochOrder, *, lanes: range, rows_per_lane: int, submit: Callable[[Window], Future[Rows]]
    ) -> None:
        self._order = order
        self._lanes = lanes
        self._rows_per_lane = rows_per_lane
        self._submit = submit
        self._windows: dict[int, list[Window]] = {}
        self._open: dict[tuple[int, int], Future[Rows]] = {}

    def plan(self, step: int, *, keep_filler: bool) -> BatchPlan:
        """Return what batch `step` is made of; with `keep_filler` missing rows at the end are filled up.

        Row i * L + l of a batch is row i of its l-th lane, of L: the places of the global order in ascending order.
        """
        count, size = len(self._lanes), self._rows_per_lane
        takes: list[Take] = []
        filled = 0
        for offset, lane in enumerate(self._lanes):
            have = self._order.lane_rows(lane)
            real = max(0, min(have - step * size, size))
            takes += self._takes(lane, step * size, real, 0, offset, is_filler=False)
            filled += real
            donor, limit = (lane, have) if have else (0, 1)  # an empty lane repeats the first row of all
            done = real
            while keep_filler and done < size:
                some = min(limit, size - done)
                takes += self._takes(donor, 0, some, done, offset, is_filler=True)
                done += some
        self._read_ahead((step + 1) * size)
        return BatchPlan(self._order.epoch, step, count * size if keep_filler else filled, tuple(takes))

    def _takes(
        self, lane: int, start: int, count: int, skipped: int, offset: int, *, is_filler: bool
    ) -> list[Take]:
        found = []
        step = len(self._lanes)
        windows = self._windows_of(lane)
        for window in windows[_at(windows, start) :] if count else []:
            first, last = max(start, window.start), min(start + count, window.start + window.rows)
            if first >= last:
                break
            begin = (skipped + first - start) * step + offset
            places = slice(begin, begin + (last - first - 1) * step + 1, step)
            found.append(
                Take(self._load(window), first - window.start, last - window.start, places, is_filler)
            )
        return found

    def _read_ahead(self, position: int) -> None:
        """Let go of windows that are used up; ask for the next one when half of the present one is handed out."""
        for key in list(self._open):
            window = self._windows_of(key[0])[key[1]]
            if window.start + window.rows <= position:
                del self._open[key]
        for lane in self._lanes:
            windows = self._windows_of(lane)
            if position >= self._order.lane_rows(lane):
                continue
            at = _at(windows, position)
            self._load(windows[at])
            if position >= windows[at].start + windows[at].rows // 2 and at + 1 < len(windows):
                self._load(windows[at + 1])

    def _load(self, window: Window) -> Future[Rows]:
        key = (window.lane, window.index)
        if key not in self._open:
            self._open[key] = self._submit(window)
        return self._open[key]

    def _windows_of(self, lane: int) -> list[Window]:
        if lane not in self._windows:
            self._windows[lane] = self._order.windows(lane)
        return self._windows[lane]


def _at(windows: list[Window], position: int) -> int:
    """Return the number of the window that holds a place of its lane."""
    return max(0, bisect_right(windows, position, key=lambda window: window.start) - 1)
