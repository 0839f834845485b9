"""The order of samples ("lanes", versions 1 and 2): a pure function, specified with golden values in ORDER.md.

Legend: N rows, C lanes, w row groups in a window, t a place in the order of an epoch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from loaders.axes import Ints, Seeds
from loaders.errors import FormatError
from loaders.ordering.strata import Strata

CONTRACT = "petrel-lanes-1"
"""Name of these rules; another order is another name."""

STRATA_CONTRACT = "petrel-lanes-2"
"""Name of the rules for row groups of several strata."""


_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def stream_key(*parts: object) -> int:
    """Return the 64-bit key of a random stream: the first 8 bytes of SHA-256 of `CONTRACT|part|part...`."""
    text = "|".join([CONTRACT, *(str(part) for part in parts)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def random_words(key: int, counters: npt.ArrayLike) -> Seeds:
    """Return the words of stream `key` at some counters: SplitMix64 addressed by number, so order is free."""
    words = np.array(counters, dtype=np.uint64)  # ours: each step writes into it, which is twice as fast as new arrays
    with np.errstate(over="ignore"):
        words += np.uint64(1)
        words *= _GAMMA
        words += np.uint64(key)
        words ^= words >> np.uint64(30)
        words *= _MIX_1
        words ^= words >> np.uint64(27)
        words *= _MIX_2
        words ^= words >> np.uint64(31)
    return words


def permutation(key: int, count: int) -> Ints:
    """Return 0 ... count-1 sorted by the words of the stream, ties by number."""
    numbers = np.arange(count, dtype=np.uint64)
    words = random_words(key, numbers)
    # A sort of numbers is 14 times as fast as a stable argsort of 419,000: each number stands in the low bits of its
    # word. Those whose high bits are equal are put right by the whole words.
    low = (np.uint64(1) << np.uint64(max(1, count - 1).bit_length())) - np.uint64(1)
    packed = (words & ~low) | numbers
    packed.sort()
    has_equals = count > 1 and bool(((packed[1:] ^ packed[:-1]) <= low).any())
    packed &= low
    order: Ints = packed.view(np.int64)
    if has_equals:
        _settle(order, words[order])
    return order


def _settle(order: Ints, words: Seeds) -> None:
    """Sort what is sorted but for a few neighbours."""
    while len(wrong := np.flatnonzero(words[:-1] > words[1:])):
        for at in wrong.tolist():
            if words[at] > words[at + 1]:
                words[[at, at + 1]] = words[[at + 1, at]]
                order[[at, at + 1]] = order[[at + 1, at]]


@dataclass(frozen=True, slots=True)
class Window:
    """Rows of one lane that are read and shuffled together.

    Attributes:
        lane: Its lane.
        index: Its number in the lane, from 0.
        start: Place of its first row in the lane.
        rows: Number of its rows.
        pieces: (row group, first row, one past the last row) in reading order.
    """

    lane: int
    index: int
    start: int
    rows: int
    pieces: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class EpochOrder:
    """The order of one epoch.

    Attributes:
        rows_by_group: Rows in each row group, in the order of the manifest; every value > 0.
        fingerprint: Fingerprint of the split, from its manifest.
        seed: Seed of the run; None: nothing is shuffled.
        epoch: Counted from 0; each has its own order.
        lanes: C.
        window: w.
        strata: Stratum of each row group, numbered from 0; () for a single one. Without a seed they are as one.
    """

    rows_by_group: tuple[int, ...]
    fingerprint: str
    seed: int | None
    epoch: int
    lanes: int
    window: int
    strata: tuple[int, ...] = ()

    @cached_property
    def rows(self) -> int:
        """N."""
        return sum(self.rows_by_group)

    @cached_property
    def _strata(self) -> Strata:
        return Strata(self.rows_by_group, () if self.seed is None else self.strata)

    @cached_property
    def _groups(self) -> tuple[Ints, ...]:
        """Row groups of each stratum, in the order of the epoch."""
        if self.seed is None:
            return (np.arange(len(self.rows_by_group)),)
        found = []
        for stratum, groups in enumerate(self._strata.groups):
            name = ("groups", stratum) if self.strata else ("groups",)
            order = permutation(stream_key(self.fingerprint, self.seed, self.epoch, *name), len(groups))
            found.append(np.asarray(groups, dtype=np.int64)[order])
        return tuple(found)

    @cached_property
    def _ends(self) -> tuple[Ints, ...]:
        """Place among the rows of its stratum at which each permuted row group ends."""
        rows = np.asarray(self.rows_by_group, dtype=np.int64)
        return tuple(np.cumsum(rows[groups]) for groups in self._groups)

    def lane_rows(self, lane: int) -> int:
        """Return the number of rows of a lane: the first N mod C lanes have one more than the others."""
        return self.rows // self.lanes + (1 if lane < self.rows % self.lanes else 0)

    def windows(self, lane: int) -> list[Window]:
        """Return the windows of a lane, in order; they cover its rows once."""
        begin = lane * (self.rows // self.lanes) + min(lane, self.rows % self.lanes)
        end = begin + self.lane_rows(lane)
        found: list[Window] = []
        at = begin
        for stop in self._cuts(begin, end):
            places = zip(self._strata.before(at), self._strata.before(stop), strict=True)
            pieces = tuple(piece for stratum, (a, b) in enumerate(places) for piece in self._pieces(stratum, a, b))
            found.append(Window(lane, len(found), at - begin, stop - at, pieces))
            at = stop
        return found

    def _cuts(self, begin: int, end: int) -> list[int]:
        """Return where the windows of the lane [begin, end) end: behind each w-th piece of the stratum of the pace."""
        if begin == end:
            return []
        pace = self._strata.pace
        ends, first_row, last_row = self._ends[pace], self._strata.before(begin)[pace], self._strata.before(end)[pace]
        first = int(np.searchsorted(ends, first_row, side="right"))
        last = int(np.searchsorted(ends, last_row, side="left"))
        whole = [int(ends[at]) for at in range(first + self.window - 1, last, self.window)]
        return [*(self._strata.place_of(pace, rows, range(begin, end)) for rows in whole), end]

    def _pieces(self, stratum: int, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Yield the parts of permuted row groups that are the rows [begin, end) of a stratum."""
        if begin == end:
            return
        groups, ends = self._groups[stratum], self._ends[stratum]
        first = int(np.searchsorted(ends, begin, side="right"))
        last = int(np.searchsorted(ends, end, side="left"))
        for at in range(first, last + 1):
            group, group_end = int(groups[at]), int(ends[at])
            group_begin = group_end - self.rows_by_group[group]
            yield group, max(begin, group_begin) - group_begin, min(end, group_end) - group_begin

    def within(self, window: Window) -> Ints:
        """Return the order of the rows of a window: indices into its rows as they are read."""
        if self.seed is None:
            return np.arange(window.rows)
        key = stream_key(self.fingerprint, self.seed, self.epoch, "window", window.lane, window.index)
        return permutation(key, window.rows)

    def row_numbers(self, window: Window) -> Ints:
        """Return the rows of a window in delivery order, numbered through the split as the manifest lists them."""
        starts = self._starts
        read = np.concatenate([np.arange(starts[group] + a, starts[group] + b) for group, a, b in window.pieces])
        return read[self.within(window)]

    @cached_property
    def _starts(self) -> Ints:
        return np.concatenate([[0], np.cumsum(np.asarray(self.rows_by_group, dtype=np.int64))])[:-1]

    def sequence(self) -> Ints:
        """Return the whole order: row numbers of places 0 ... N-1. For tests and tools; the reader never needs it."""
        order = np.empty(self.rows, dtype=np.int64)
        for lane in range(self.lanes):
            windows = self.windows(lane)
            if windows:
                order[lane :: self.lanes] = np.concatenate([self.row_numbers(window) for window in windows])
        return order


def sample_seeds(
    fingerprint: str, seed: int | None, epoch: int, row_numbers: npt.ArrayLike
) -> Seeds:
    """Return one seed for each sample, for augmentation: free of lanes, ranks, workers and batch size."""
    name = "none" if seed is None else seed
    return random_words(stream_key(fingerprint, name, epoch, "samples"), row_numbers)


def check_shape(*, lanes: int, world: int, global_batch: int) -> None:
    """Refuse lanes that ranks or batches cannot share equally.

    Raises:
        FormatError: If the number of ranks does not divide the lanes, or the lanes not the global batch.
    """
    if lanes < 1 or lanes % world or global_batch % lanes:
        raise FormatError(
            f"{lanes} lanes cannot be shared by {world} ranks in global batches of {global_batch}: "
            "the number of ranks must divide the lanes, and the lanes the global batch"
        )


def default_lanes(*, world: int, global_batch: int, limit: int) -> int:
    """Return the largest divisor of `global_batch` that `world` divides and that is at most `limit`, or `world`."""
    fitting = [lanes for lanes in range(world, limit + 1, world) if global_batch % lanes == 0]
    return fitting[-1] if fitting else world
