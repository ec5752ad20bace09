"""Assignment of rows to columns at the least total cost."""

from __future__ import annotations

import numpy as np


def assign(cost: np.ndarray) -> np.ndarray:
    """Return the column of each row, each column at most once, with the least sum of costs.

    Shortest augmenting paths with potentials, one row after the other (Jonker and Volgenant, 1987).

    Args:
        cost: (rows, columns) finite, with at least as many columns as rows.

    Returns:
        (rows,) int.
    """
    rows, columns = cost.shape
    row_of = np.full(columns + 1, -1)  # the last column is that of the row to place
    row_price, column_price = np.zeros(rows), np.zeros(columns + 1)
    for row in range(rows):
        column, row_of[columns] = columns, row
        least, before, is_done = (
            np.full(columns, np.inf),
            np.full(columns, columns),
            np.zeros(columns + 1, bool),
        )
        while row_of[column] >= 0:
            is_done[column] = True
            reduced = cost[row_of[column]] - row_price[row_of[column]] - column_price[:columns]
            better = ~is_done[:columns] & (reduced < least)
            least[better], before[better] = reduced[better], column
            following = int(np.where(is_done[:columns], np.inf, least).argmin())
            step = least[following]
            row_price[row_of[is_done]] += step
            column_price[is_done] -= step
            least[~is_done[:columns]] -= step
            column = following
        while column != columns:
            row_of[column] = row_of[before[column]]
            column = int(before[column])
    taken = np.flatnonzero(row_of[:columns] >= 0)
    found = np.empty(rows, int)
    found[row_of[taken]] = taken
    return found
