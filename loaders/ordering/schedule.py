"""What each batch of one rank is made of: row groups and rows, in the order of ORDER.md."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from loaders.axes import Array, Mask
from loaders.ordering.order import EpochOrder, Window

GROUP_BITS = 32
_SAMPLE_MASK = (1 << GROUP_BITS) - 1


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some consecutive batches.

    Attributes:
        codes: int64 (n,): row group of each sample, as the order numbers them, times 2^32, plus its number in it.
        filler: bool (n,): whether it is padding; None if none is.
        ends: Where each batch ends in these arrays.
    """

    codes: Array
    filler: Mask | None
    ends: tuple[int, ...]

    @property
    def groups(self) -> Array:
        """int64 (n,): row group of each sample, as the order numbers them."""
        return self.codes >> GROUP_BITS

    @property
    def samples(self) -> Array:
        """int64 (n,): number of each sample in its row group."""
        return self.codes & _SAMPLE_MASK


class RankRows:
    """The lanes of one rank in one epoch. `stretch` may be called from several threads."""

    def __init__(self, order: EpochOrder, *, lanes: range, rows_per_lane: int, margin: int) -> None:
        """Begin an epoch.

        Args:
            order: Its order.
            lanes: The lanes of the rank.
            rows_per_lane: Rows that each lane gives to a batch.
            margin: Batches that may be asked for after a later one.
        """
        self._order = order
        self._lanes = lanes
        self._rows_per_lane = rows_per_lane
        self._margin = margin * rows_per_lane
        self._windows: dict[int, list[Window]] = {}
        self._codes: dict[tuple[int, int], Array] = {}
        self._lock = threading.Lock()

    def needs(self, first: int, last: int) -> set[int]:
        """Return the row groups of the batches [first, last), as the order numbers them."""
        size = self._rows_per_lane
        found: set[int] = set()
        for lane in self._lanes:
            windows, have = self._windows_of(lane), self._order.lane_rows(lane)
            if last * size > have:  # filler comes from the beginning of the lane, if it is empty of the first lane
                donor = self._windows_of(lane if have else 0)
                found.update(*(_groups_of(window) for window in donor if window.start < last * size - have))
            if windows and first * size < have:
                begin, end = _at(windows, first * size), _at(windows, min(last * size, have) - 1)
                found.update(*(_groups_of(window) for window in windows[begin : end + 1]))
        return found

    def stretch(self, first: int, last: int, *, fill: bool) -> Stretch:
        """Return the batches [first, last); with `fill` missing samples at the end are filled up.

        Row i * L + l of a batch is row i of its l-th lane, of L: the places of the global order in ascending order.
        """
        count, size = len(self._lanes), self._rows_per_lane
        begin, height = first * size, (last - first) * size
        codes = np.empty((height, count), dtype=np.int64)
        real = None
        for offset, lane in enumerate(self._lanes):
            have = self._order.lane_rows(lane)
            known = max(0, min(have - begin, height))
            self._copy(lane, begin, codes[:known, offset])
            if known == height:
                continue
            real = np.ones((height, count), dtype=bool) if real is None else real
            real[known:, offset] = False
            donor, limit = (lane, have) if have else (0, 1)  # an empty lane repeats the first row of all
            done = known
            while fill and done < height:
                some = min(limit, height - done)
                self._copy(donor, 0, codes[done : done + some, offset])
                done += some
        self._forget(begin - self._margin)
        if real is not None and not fill:
            counts = real.reshape(last - first, -1).sum(axis=1)  # (batches, samples of each)
            return Stretch(codes[real], None, tuple(np.cumsum(counts).tolist()))
        ends = tuple(range(size * count, height * count + 1, size * count))
        return Stretch(codes.reshape(-1), None if real is None else ~real.reshape(-1), ends)

    def ahead(self, step: int) -> Iterator[tuple[tuple[int, int], tuple[int, ...]]]:
        """Yield the windows that should be in memory when batch `step` begins: (name, row groups).

        They are those of that batch, and the next one of each lane from the middle of its window on.
        """
        position = step * self._rows_per_lane
        for lane in self._lanes:
            if position >= self._order.lane_rows(lane):
                continue
            windows = self._windows_of(lane)
            at = _at(windows, position)
            yield (lane, at), _groups_of(windows[at])
            if position >= windows[at].start + windows[at].rows // 2 and at + 1 < len(windows):
                yield (lane, at + 1), _groups_of(windows[at + 1])

    def _copy(self, lane: int, start: int, out: Array) -> None:
        """Fill the rows of a lane from `start` on."""
        windows = self._windows_of(lane)
        done, at = 0, _at(windows, start)
        while done < len(out):
            window = windows[at]
            begin = start + done - window.start
            some = min(window.rows - begin, len(out) - done)
            out[done : done + some] = self._codes_of(window)[begin : begin + some]
            done, at = done + some, at + 1

    def _codes_of(self, window: Window) -> Array:
        key = (window.lane, window.index)
        with self._lock:
            if key not in self._codes:
                pieces = [np.arange(first, stop) + (group << GROUP_BITS) for group, first, stop in window.pieces]
                self._codes[key] = np.concatenate(pieces).take(self._order.within(window))
            return self._codes[key]

    def _forget(self, position: int) -> None:
        """Let go of windows that were used up before `position`."""
        with self._lock:
            for key in list(self._codes):
                window = self._windows_of(key[0])[key[1]]
                if window.start + window.rows <= position:
                    del self._codes[key]

    def _windows_of(self, lane: int) -> list[Window]:
        if lane not in self._windows:
            self._windows[lane] = self._order.windows(lane)
        return self._windows[lane]


def _groups_of(window: Window) -> tuple[int, ...]:
    return tuple(group for group, _, _ in window.pieces)


def _at(windows: list[Window], position: int) -> int:
    """Return the number of the window that holds a place of its lane."""
    return max(0, bisect_right(windows, position, key=lambda window: window.start) - 1)
