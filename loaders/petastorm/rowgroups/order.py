"""Which stretches of row groups come in which order: a pure function of seed and epoch, never of workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from loaders.axes import Ints
from loaders.ordering.order import permutation, stream_key


@dataclass(frozen=True, slots=True)
class Unit:
    """What is read in one go: a row group, or a part of its rows.

    Attributes:
        ordinal: The row group, as its folder numbers them.
        part: Which of `parts` parts, counted from 0; the parts are cut after the rows were shuffled.
        parts: Parts that the row group is cut into.
        first: First of its rows, before they are shuffled.
        last: One past the last of them; None: to the end.
    """

    ordinal: int
    part: int = 0
    parts: int = 1
    first: int = 0
    last: int | None = None


def units_in_order(count: int, *, seed: object, epoch: int, is_shuffled: bool) -> Ints:
    """Return 0 ... count-1 in the order in which an epoch reads so many units."""
    if not is_shuffled:
        return np.arange(count, dtype=np.int64)
    return permutation(stream_key("row groups", seed, epoch), count)


@lru_cache(maxsize=4)
def all_rows(count: int) -> Ints:
    """Return 0 ... count-1, the same array each time; it cannot be written to."""
    rows = np.arange(count, dtype=np.int64)
    rows.flags.writeable = False
    return rows


def rows_in_order(unit: Unit, rows: int, *, seed: object, epoch: int, is_shuffled: bool) -> Ints:
    """Return the rows of a unit within its row group of `rows` rows, in the order in which they come.

    The parts of one row group hold each of its rows once; a row group of fewer rows than parts leaves some empty.
    """
    last = rows if unit.last is None else min(unit.last, rows)
    if not is_shuffled and unit.parts == 1 and (unit.first, last) == (0, rows):
        return all_rows(rows)
    chosen = np.arange(unit.first, last, dtype=np.int64)
    if is_shuffled:
        chosen = chosen[permutation(stream_key("rows", seed, epoch, unit.ordinal), len(chosen))]
    if unit.parts == 1:
        return chosen
    parts = max(1, min(unit.parts, len(chosen)))
    # Row i belongs to part floor(i * parts / rows), as in Petastorm (reader workers, `_read_with_shuffle_row_drop`).
    mine: Ints = chosen[np.arange(len(chosen)) * parts // max(1, len(chosen)) == unit.part]
    return mine


def equal_shares(rows_by_group: Sequence[int], *, shard: int, shards: int) -> list[Unit]:
    """Return the units of one of several shards of which each has the same number of rows.

    The rows of all row groups stand one after the other and are cut into equal stretches; up to `shards - 1` rows at
    the end belong to no shard.
    """
    each = sum(rows_by_group) // shards
    begin, end = shard * each, (shard + 1) * each
    units, start = [], 0
    for ordinal, rows in enumerate(rows_by_group):
        first, last = max(begin - start, 0), min(end - start, rows)
        if first < last:
            units.append(Unit(ordinal, first=first, last=last))
        start += rows
    return units
