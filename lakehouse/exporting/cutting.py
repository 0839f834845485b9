"""Where one shard ends and the next begins: the same whenever the same rows are told in the same order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lakehouse.exporting.rows import Row

MOST_ROWS = 100_000
"""Of a shard; who and what they are is in memory while it is written."""

Shard = tuple[str | None, int, list[Row]]
"""Split, number in it from 0, and its rows."""


class Cutter:
    """Says of each row whether a shard begins with it: one is of one split, and of bounded bytes and rows."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._rows = self._size = 0
        self._split: str | None = None

    def begins(self, row: Row) -> bool:
        """Take one row."""
        is_full = self._size + row.size_bytes > self._most_bytes or self._rows == MOST_ROWS
        found = not self._rows or row.split != self._split or is_full
        if found:
            self._split, self._rows, self._size = row.split, 0, 0
        self._rows += 1
        self._size += row.size_bytes
        return found


def cut(rows: Iterable[Row], most_bytes: int) -> Iterator[Shard]:
    """Yield the shards of rows that come split by split."""
    cutter = Cutter(most_bytes)
    shard: list[Row] = []
    number = 0
    for row in rows:
        if cutter.begins(row) and shard:
            yield shard[0].split, number, shard
            number = 0 if row.split != shard[0].split else number + 1
            shard = []
        shard.append(row)
    if shard:
        yield shard[0].split, number, shard
