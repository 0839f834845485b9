"""The assignment of rows to columns with the greatest sum: the Hungarian method with potentials, O(n^2 m)."""

from __future__ import annotations

import numpy as np

from lakehouse.consensus.methods.votes import Floats


def assign(gain_NM: Floats) -> list[tuple[int, int]]:
    """Return pairs (row, column), each row and column at most once, as many as the shorter side has, by row.

    Args:
        gain_NM: What a pair is worth, finite; (N, M).
    """
    num_rows, num_columns = gain_NM.shape
    if num_rows > num_columns:
        return sorted((row, column) for column, row in assign(gain_NM.T))
    cost = -gain_NM
    # Rows and columns count from 1; row_of[0] is the row that looks for a column.
    row_potential, column_potential = np.zeros(num_rows + 1), np.zeros(num_columns + 1)
    row_of = np.zeros(num_columns + 1, np.int64)
    for row in range(1, num_rows + 1):
        row_of[0], column = row, 0
        least = np.full(num_columns + 1, np.inf)
        before = np.zeros(num_columns + 1, np.int64)
        used = np.zeros(num_columns + 1, bool)
        while True:
            used[column] = True
            at = row_of[column]
            reduced = cost[at - 1] - row_potential[at] - column_potential[1:]
            better = ~used[1:] & (reduced < least[1:])
            least[1:][better] = reduced[better]
            before[1:][better] = column
            free = np.where(used, np.inf, least)
            free[0] = np.inf
            following = int(free.argmin())
            step = free[following]
            row_potential[row_of[used]] += step
            column_potential[used] -= step
            least[~used] -= step
            column = following
            if row_of[column] == 0:
                break
        while column:
            row_of[column] = row_of[before[column]]
            column = int(before[column])
    return sorted((int(row_of[column]) - 1, column - 1) for column in range(1, num_columns + 1) if row_of[column])
