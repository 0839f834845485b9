"""What each batch of one rank is made of: row groups and rows, in the order of ORDER.md."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from loaders.order import EpochOrder, Window


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some consecutive batches.

    Attributes:
        groups: int64 (n,): row group of each sample, as the order numbers them.
        samples: int64 (n,): its number in the row group.
        filler: bool (n,): whether it is padding; None if none is.
        ends: Where each batch ends in these arrays.
        needs: The row groups in it.
    """

    groups: Any
    samples: Any
    filler: Any
    ends: tuple[int, ...]
    needs: tuple[int, ...]


class RankRows:
    """The lanes of one rank in one epoch."""

    def __init__(self, order: EpochOrder, *, lanes: range, rows_per_lane: int) -> None:
        self._order = order
        self._lanes = lanes
        self._rows_per_lane = rows_per_lane
        self._windows: dict[int, list[Window]] = {}
        self._rows: dict[tuple[int, int], tuple[Any, Any]] = {}

    def stretch(self, first: int, last: int, *, fill: bool) -> Stretch:
        """Return the batches [first, last); with `fill` missing samples at the end are filled up.

        Row i * L + l of a batch is row i of its l-th lane, of L: the places of the global order in ascending order.
        """
        count, size = len(self._lanes), self._rows_per_lane
        begin, height = first * size, (last - first) * size
        groups = np.empty((height, count), dtype=np.int64)
        samples = np.empty((height, count), dtype=np.int64)
        needs: set[int] = set()
        short = False
        real = np.ones((height, count), dtype=bool)
        for offset, lane in enumerate(self._lanes):
            have = self._order.lane_rows(lane)
            known = max(0, min(have - begin, height))
            self._copy(lane, begin, groups[:known, offset], samples[:known, offset], needs)
            if known == height:
                continue
            short = True
            real[known:, offset] = False
            donor, limit = (lane, have) if have else (0, 1)  # an empty lane repeats the first row of all
            done = known
            while fill and done < height:
                some = min(limit, height - done)
                end = done + some
                self._copy(donor, 0, groups[done:end, offset], samples[done:end, offset], needs)
                done = end
        self._forget(begin)
        if not short:
            ends = tuple(range(size * count, height * count + 1, size * count))
            return Stretch(groups.reshape(-1), samples.reshape(-1), None, ends, tuple(sorted(needs)))
        if fill:
            ends = tuple(range(size * count, height * count + 1, size * count))
            return Stretch(groups.reshape(-1), samples.reshape(-1), ~real.reshape(-1), ends, tuple(sorted(needs)))
        ends = tuple(np.cumsum(real.reshape(last - first, -1).sum(axis=1)).tolist())
        return Stretch(groups[real], samples[real], None, ends, tuple(sorted(needs)))

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

    def _copy(self, lane: int, start: int, groups: Any, samples: Any, needs: set[int]) -> None:
        """Fill the rows of a lane from `start` on."""
        if not len(groups):
            return
        windows = self._windows_of(lane)
        done, at = 0, _at(windows, start)
        while done < len(groups):
            window = windows[at]
            begin = start + done - window.start
            some = min(window.rows - begin, len(groups) - done)
            all_groups, all_samples = self._rows_of(window)
            groups[done : done + some] = all_groups[begin : begin + some]
            samples[done : done + some] = all_samples[begin : begin + some]
            needs.update(_groups_of(window))
            done, at = done + some, at + 1

    def _rows_of(self, window: Window) -> tuple[Any, Any]:
        key = (window.lane, window.index)
        if key not in self._rows:
            order = self._order.within(window)
            counts = [stop - first for _, first, stop in window.pieces]
            groups = np.repeat([group for group, _, _ in window.pieces], counts)[order]
            samples = np.concatenate([np.arange(first, stop) for _, first, stop in window.pieces])[order]
            self._rows[key] = groups, samples
        return self._rows[key]

    def _forget(self, position: int) -> None:
        """Let go of windows that were used up before `position`."""
        for key in list(self._rows):
            window = self._windows_of(key[0])[key[1]]
            if window.start + window.rows <= position:
                del self._rows[key]

    def _windows_of(self, lane: int) -> list[Window]:
        if lane not in self._windows:
            self._windows[lane] = self._order.windows(lane)
        return self._windows[lane]


def _groups_of(window: Window) -> tuple[int, ...]:
    return tuple(group for group, _, _ in window.pieces)


def _at(windows: list[Window], position: int) -> int:
    """Return the number of the window that holds a place of its lane."""
    return max(0, bisect_right(windows, position, key=lambda window: window.start) - 1)
