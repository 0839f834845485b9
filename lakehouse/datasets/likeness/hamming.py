"""Which 64-bit hashes differ in few bits: every pair within a distance, without comparing all with all.

By the pigeonhole principle: hashes within d bits differ in at most r bits in one of their four bands of 16, where the
radii r, plus one each, add up to d + 1. So only those are compared of which a band is that near (multi-index hashing,
Norouzi, Punjani and Fleet, CVPR 2012).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

BANDS, BAND_BITS = 4, 16
KEYS = 1 << BAND_BITS
BLOCK = 1 << 22
"""Comparisons at once: 32 MiB of differences."""
FEW = 1 << 28
"""Comparisons up to which all are compared with all: about half a second."""
MOST = 1 << 38
"""Comparisons beyond which there is no answer: about ten minutes of one core."""

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]


class CrowdedError(ValueError):
    """Hashes are so much alike that comparing them would take hours."""


def near_pairs(left: Hashes, right: Hashes, distance: int, *, few: int = FEW) -> Iterator[tuple[Places, Places]]:
    """Yield places in `left` and in `right` of hashes that differ in at most `distance` bits, each pair once.

    Memory is bounded by the two arrays, twice, and 100 MiB, however many pairs there are.

    Args:
        left: Hashes, shape (n,).
        right: Hashes, shape (m,).
        distance: 0 to 63.
        few: Comparisons up to which all are compared with all.

    Raises:
        CrowdedError: If more than 2**38 comparisons are needed; nothing was yielded.
    """
    if len(left) * len(right) <= few:
        everything = np.arange(len(right), dtype=np.int64)
        for start in range(0, len(left), max(1, BLOCK // max(1, len(right)))):
            mine = np.arange(start, min(len(left), start + max(1, BLOCK // max(1, len(right)))), dtype=np.int64)
            yield _compared(left, right, mine, everything, distance)
        return
    radii = _radii(distance)
    bands = [_Band(left, right, band, radius) for band, radius in enumerate(radii) if radius >= 0]
    needed = sum(band.comparisons() for band in bands)
    if needed > MOST:
        raise CrowdedError(f"{needed:.1e} comparisons, at most {MOST:.1e}")
    for number, band in enumerate(bands):
        for mine, others in band.candidates():
            ones, twos = _compared(left, right, mine, others, distance)
            # What an earlier band has found was yielded there.
            new = np.ones(len(ones), dtype=bool)
            for before in bands[:number]:
                new &= ~before.holds(left[ones], right[twos])
            yield ones[new], twos[new]


def _radii(distance: int) -> list[int]:
    """Return the radius of each band; -1 for one that is not needed."""
    each, more = divmod(distance + 1, BANDS)
    return [each - 1 + (band < more) for band in range(BANDS)]


def _compared(left: Hashes, right: Hashes, mine: Places, others: Places, distance: int) -> tuple[Places, Places]:
    ones, twos = np.nonzero(np.bitwise_count(left[mine][:, None] ^ right[others][None, :]) <= distance)
    return mine[ones], others[twos]


class _Band:
    """The hashes by the value of one band."""

    def __init__(self, left: Hashes, right: Hashes, band: int, radius: int) -> None:
        self.shift = np.uint64(BAND_BITS * band)
        self.radius = radius
        self.near = np.array(
            [sum(1 << bit for bit in bits) for size in range(radius + 1)
             for bits in itertools.combinations(range(BAND_BITS), size)], dtype=np.int64,
        )  # fmt: skip
        self.mine, self.my_starts = self._by_key(left)
        self.others, self.starts = self._by_key(right)

    def holds(self, ones: Hashes, twos: Hashes) -> npt.NDArray[np.bool_]:
        """Tell which pairs this band finds."""
        found: npt.NDArray[np.bool_] = np.bitwise_count(self._keys(ones ^ twos)) <= self.radius
        return found

    def comparisons(self) -> int:
        """Return how many there will be."""
        mine, others = np.diff(self.my_starts), np.diff(self.starts)
        keys = np.arange(KEYS)
        return sum(int(mine @ others[keys ^ mask]) for mask in self.near)

    def candidates(self) -> Iterator[tuple[Places, Places]]:
        """Yield places in `left` and in `right`, all of the first to be compared with all of the second."""
        for key in np.nonzero(np.diff(self.my_starts))[0]:
            mine = self.mine[self.my_starts[key] : self.my_starts[key + 1]]
            around = key ^ self.near
            others = np.concatenate(
                [self.others[one:two] for one, two in zip(self.starts[around], self.starts[around + 1], strict=True)]
            )
            for first in range(0, len(others), BLOCK):
                some = others[first : first + BLOCK]
                rows = max(1, BLOCK // max(1, len(some)))
                for start in range(0, len(mine) if len(some) else 0, rows):
                    yield mine[start : start + rows], some

    def _keys(self, hashes: Hashes) -> Places:
        return ((hashes >> self.shift) & np.uint64(KEYS - 1)).astype(np.int64)

    def _by_key(self, hashes: Hashes) -> tuple[Places, Places]:
        keys = self._keys(hashes)
        order = np.argsort(keys, kind="stable").astype(np.int64)
        return order, np.searchsorted(keys[order], np.arange(KEYS + 1)).astype(np.int64)
