"""Rows on disk, read from any place: what a query returned, without the bytes of its entities."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa


class Spool:
    """Rows in an Arrow file that is mapped, so that those that are not looked at take no memory."""

    def __init__(self, path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
        """Write the rows as they come, a batch in memory at a time."""
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
        self._map = pa.memory_map(str(path))
        # Its name goes at once: whatever ends this process, the disk is free again.
        path.unlink()
        self._file = pa.ipc.open_file(self._map)
        self._starts = [0]
        for at in range(self._file.num_record_batches):
            self._starts.append(self._starts[-1] + self._file.get_batch(at).num_rows)

    @property
    def rows(self) -> int:
        """How many there are."""
        return self._starts[-1]

    def table(self, first: int, last: int) -> pa.Table:
        """Return the rows [first, last), as far as there are so many."""
        pieces, at = [], max(0, bisect_right(self._starts, first) - 1)
        while first < min(last, self.rows):
            batch, begin = self._file.get_batch(at), self._starts[at]
            piece = batch.slice(first - begin, last - first)
            pieces.append(piece)
            first, at = first + piece.num_rows, at + 1
        return pa.Table.from_batches(pieces, self._file.schema)

    def column(self, name: str) -> pa.Table:
        """Return one column of all rows."""
        number = self._file.num_record_batches
        pieces = [self._file.get_batch(at).select([name]) for at in range(number)]
        return pa.Table.from_batches(pieces, pa.schema([self._file.schema.field(name)]))

    def close(self) -> None:
        """Let go of the file."""
        self._map.close()
