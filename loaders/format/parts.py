"""Where files and row groups end: pure planning from the size of each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from loaders.axes import Ints
from loaders.errors import FormatError

ROW_GROUP_BYTES = 8 << 20
"""8 MiB: large enough for one sequential read, small enough to hold one for every open lane."""

PART_BYTES = 256 << 20
"""256 MiB: one task writes it in seconds and holds one row group of it in memory."""


@dataclass(frozen=True, slots=True)
class PartPlan:
    """One Parquet file to be written.

    Attributes:
        index: Number of the part, from 0; its file is `part_name(index)`.
        start: First row of the part in write order.
        stop: One past its last row.
        row_groups: Rows in each row group; they add up to `stop - start`.
    """

    index: int
    start: int
    stop: int
    row_groups: tuple[int, ...]

    @property
    def name(self) -> str:
        """File name of the part."""
        return part_name(self.index)


def part_name(index: int) -> str:
    """Return the file name of part `index`."""
    return f"part-{index:05d}.parquet"


def plan_parts(
    sizes_by_row: Sequence[int] | Ints,
    *,
    row_group_bytes: int = ROW_GROUP_BYTES,
    part_bytes: int = PART_BYTES,
    together: Sequence[int] | None = None,
) -> list[PartPlan]:
    """Cut rows, in write order, into files and row groups.

    Pure: the same sizes give the same plan on every engine.

    Args:
        sizes_by_row: Bytes of each row, in write order; 0 counts as 1.
        row_group_bytes: A row group is closed before the row that would make it larger; one row may exceed it.
        part_bytes: A part is closed before the row group that would make it larger; one may exceed it.
        together: Rows of each sequence, in write order: a row group is closed before the sequence that would make
            it larger. Only a sequence that is larger than a row group is cut. None: every row for itself.

    Returns:
        The parts in order, covering every row once; [] for no rows.

    Raises:
        FormatError: If a limit is not positive, a size is negative, or sequences are not as long as the rows.
    """
    if row_group_bytes <= 0 or part_bytes <= 0:
        raise FormatError(f"limits must be positive, found {row_group_bytes} and {part_bytes} bytes")
    sizes = np.asarray(sizes_by_row, dtype=np.int64)
    if sizes.size and int(sizes.min()) < 0:
        raise FormatError(f"row sizes must not be negative, found {int(sizes.min())}")
    if together is not None and (min(together, default=1) < 1 or sum(together) != len(sizes)):
        raise FormatError(f"sequences of at least one row must add up to {len(sizes)} rows, found {sum(together)}")
    borders = None if together is None else np.cumsum(np.asarray(together, dtype=np.int64))
    ends = np.cumsum(np.maximum(sizes, 1))
    row_cuts = _cuts(ends, row_group_bytes, borders)
    # ends of the row groups in bytes, cut again by the larger limit.
    part_cuts = _cuts(ends[[cut - 1 for cut in row_cuts[1:]]], part_bytes)
    return [
        PartPlan(
            index=index,
            start=row_cuts[first],
            stop=row_cuts[last],
            row_groups=tuple(row_cuts[at + 1] - row_cuts[at] for at in range(first, last)),
        )
        for index, (first, last) in enumerate(pairwise(part_cuts))
    ]


def _cuts(ends: Ints, limit: int, borders: Ints | None = None) -> list[int]:
    """Return 0 and one past the last item of each greedy run whose sizes add up to at most `limit`.

    A run ends at one of `borders` (ascending) if one lies in it, else where it is full.
    """
    cuts = [0]
    while cuts[-1] < len(ends):
        base = int(ends[cuts[-1] - 1]) if cuts[-1] else 0
        fitting = max(int(np.searchsorted(ends, base + limit, side="right")), cuts[-1] + 1)
        if borders is not None:
            at = int(np.searchsorted(borders, fitting, side="right"))
            border = int(borders[at - 1]) if at else 0
            fitting = border if border > cuts[-1] else fitting
        cuts.append(fitting)
    return cuts
