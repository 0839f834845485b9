"""Strata: row groups that were written at different times, mixed evenly. ORDER.md, "Strata", is the contract.

Legend: N rows, N_s rows of stratum s, p a place in the row sequence, which interleaves the strata.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate


def strata_read(samples_by_group: Sequence[int], stratum_by_group: Sequence[int]) -> tuple[int, ...]:
    """Return the stratum of each row group that has samples, numbered from 0; () where they are of one stratum."""
    found = [stratum for count, stratum in zip(samples_by_group, stratum_by_group, strict=True) if count]
    numbers = {stratum: at for at, stratum in enumerate(sorted(set(found)))}
    return tuple(numbers[stratum] for stratum in found) if len(numbers) > 1 else ()


@dataclass(frozen=True)
class Strata:
    """The strata of the row groups of an order.

    Attributes:
        rows_by_group: Rows in each row group; every value > 0.
        by_group: Stratum of each row group, numbered from 0 without gaps; () for a single one.
    """

    rows_by_group: tuple[int, ...]
    by_group: tuple[int, ...]

    @cached_property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """Row groups of each stratum, in the order of the manifest."""
        if not self.by_group:
            return (tuple(range(len(self.rows_by_group))),)
        found: list[list[int]] = [[] for _ in range(max(self.by_group) + 1)]
        for group, stratum in enumerate(self.by_group):
            found[stratum].append(group)
        return tuple(map(tuple, found))

    @cached_property
    def rows(self) -> tuple[int, ...]:
        """N_s."""
        return tuple(sum(self.rows_by_group[group] for group in groups) for groups in self.groups)

    @cached_property
    def pace(self) -> int:
        """The stratum that says where windows end: the one with most rows, the first of equals."""
        return self.rows.index(max(self.rows))

    def before(self, place: int) -> tuple[int, ...]:
        """Return how many rows of each stratum are among the first `place` of the row sequence.

        From the last stratum to the first, s has floor(p N_s / (N_0 + ... + N_s)) of the p that are left.
        """
        found, left = [0] * len(self.rows), place
        for stratum in range(len(self.rows) - 1, 0, -1):
            found[stratum] = left * self.rows[stratum] // self._sums[stratum]
            left -= found[stratum]
        found[0] = left
        return tuple(found)

    def place_of(self, stratum: int, rows: int, within: range) -> int:
        """Return the first place, of a range of places, before which there are so many rows of a stratum."""
        if len(self.rows) == 1:
            return rows
        low, high = within.start, within.stop
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self.before(middle)[stratum] >= rows else (middle + 1, high)
        return low

    def open_groups(self, *, lanes: int, window: int, deep: int) -> int:
        """Return how many row groups at most lie in some windows of some lanes, `deep` of each.

        Those of the stratum that sets the pace are `window` in each; of the others as many as may fit beside them.
        """
        found = lanes * deep * window
        for stratum, groups in enumerate(self.groups):
            if stratum == self.pace:
                continue
            most = sum(self._sizes[self.pace][-window:])
            beside = -(-most * self.rows[stratum] // self.rows[self.pace]) + len(self.groups) - 1
            whole = bisect_right(list(accumulate(self._sizes[stratum])), beside)
            found += min(len(groups), lanes * deep * (whole + 2))
        return found

    @cached_property
    def _sizes(self) -> tuple[list[int], ...]:
        """Rows of the row groups of each stratum, ascending."""
        return tuple(sorted(self.rows_by_group[group] for group in groups) for groups in self.groups)

    @cached_property
    def _sums(self) -> tuple[int, ...]:
        return tuple(accumulate(self.rows))
