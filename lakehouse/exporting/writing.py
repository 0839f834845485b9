"""What all formats share: what they are told, and the bytes of rows, read ahead in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lakehouse.exporting.rows import Row, Selection
from lakehouse.home import Home
from lakehouse.objects import read_entity

AT_ONCE = 8
"""Entities whose bytes are read beside one another; so many are in memory at most."""


@dataclass(frozen=True, slots=True)
class Job:
    """What an export is told.

    Attributes:
        home: Where the lake is.
        scratch: Folder for temporary files, on a local disk.
        selection: What is exported.
        folders: Label -> name of its folder.
        shard_bytes: Bytes of entities in one shard at most, unless one is larger.
        advance: Told how many rows are done.
    """

    home: Home
    scratch: Path
    selection: Selection
    folders: Mapping[str, str]
    shard_bytes: int
    advance: Callable[[int], None]

    def described(self, row: Row) -> dict[str, object]:
        """Return what is known of a row, as JSON has it: the same for the same rows, wherever the lake is."""
        said: dict[str, object] = {
            "entity_id": row.entity_id, "media_type": row.media_type, "size_bytes": row.size_bytes,
        }  # fmt: skip
        for role in self.selection.roles:
            said[role] = getattr(row, role)
        if self.selection.numbers_labels:
            said["label_index"] = None if row.label is None else self.selection.classes.index(row.label)
        if row.answer is not None:
            said["answer"] = row.answer
        if self.selection.fields:
            said["fields"] = row.fields
        return said


def with_bytes(job: Job, rows: Iterable[Row]) -> Iterator[tuple[Row, bytes]]:
    """Yield rows with their bytes, in order, compared with their ids; some are read ahead.

    Raises:
        IngestError: If bytes are missing or others.
    """
    waiting: deque[tuple[Row, Future[bytes]]] = deque()
    threads = ThreadPoolExecutor(AT_ONCE, "petrel-export")
    try:
        for row in rows:
            waiting.append((row, threads.submit(read_entity, job.home, row.place)))
            if len(waiting) == AT_ONCE:
                yield _next(job, waiting)
        while waiting:
            yield _next(job, waiting)
    finally:
        threads.shutdown(cancel_futures=True)


def _next(job: Job, waiting: deque[tuple[Row, Future[bytes]]]) -> tuple[Row, bytes]:
    row, reading = waiting.popleft()
    data = reading.result()
    job.advance(1)
    return row, data
