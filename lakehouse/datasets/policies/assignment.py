"""Pair rows with columns so that the pairs are worth most together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def assigned(worth: npt.NDArray[np.float64]) -> list[tuple[int, int]]:
    """Return pairs (row, column), each row and column once at most, with the greatest sum; by row.

    The Hungarian method by shortest paths (Kuhn 1955, Munkres 1957, Jonker and Volgenant 1987), O(rows² columns).

    Args:
        worth: (rows, columns), finite; as many pairs as the shorter side has come back, those that are worth 0 too.
    """
    if worth.shape[0] > worth.shape[1]:
        return sorted((row, column) for column, row in assigned(worth.T))
    rows, columns = worth.shape
    cost = -np.asarray(worth, dtype=np.float64)
    of_row, of_column = np.zeros(rows + 1), np.zeros(columns + 1)
    # Row that each column has, from 1; column 0 has the row that looks for one.
    taken = np.zeros(columns + 1, dtype=np.int64)
    for row in range(1, rows + 1):
        taken[0], at = row, 0
        least = np.full(columns + 1, np.inf)
        before = np.zeros(columns + 1, dtype=np.int64)
        used = np.zeros(columns + 1, dtype=bool)
        while taken[at]:
            used[at] = True
            mine = taken[at]
            reduced = cost[mine - 1] - of_row[mine] - of_column[1:]
            better = ~used[1:] & (reduced < least[1:])
            least[1:][better], before[1:][better] = reduced[better], at
            nearest = 1 + int(np.argmin(np.where(used[1:], np.inf, least[1:])))
            step = least[nearest]
            of_row[taken[used]] += step
            of_column[used] -= step
            least[~used] -= step
            at = nearest
        while at:
            taken[at] = taken[before[at]]
            at = int(before[at])
    return sorted((int(row) - 1, column - 1) for column, row in enumerate(taken) if column and row)
