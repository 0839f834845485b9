"""What all formats share: what they are told, and the bytes of rows, read ahead in order."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lakehouse.exporting.facts import Facts
from lakehouse.exporting.rows import Row, Selection
from lakehouse.home import Home
from loaders.stores.ahead import ahead


@dataclass(frozen=True, slots=True)
class Job:
    """What an export is told.

    Attributes:
        home: Where the lake is.
        read: Gives the bytes of a row by its place.
        scratch: Folder for temporary files, on a local disk.
        selection: What is exported.
        folders: Label -> name of its folder.
        shard_bytes: Bytes of entities in one shard at most, unless one is larger.
        advance: Told how many rows are done.
        note: Told, as rule and text, what a person should know of what is written.
        facts: What all rows have in common.
    """

    home: Home
    read: Callable[[str], bytes]
    scratch: Path
    selection: Selection
    folders: Mapping[str, str]
    shard_bytes: int
    advance: Callable[[int], None]
    note: Callable[[str, str], None]
    facts: Facts

    def described(self, row: Row) -> dict[str, object]:
        """Return what is known of a row, as JSON has it: the same for the same rows, wherever the lake is."""
        said: dict[str, object] = {
            "entity_id": row.entity_id, "media_type": row.media_type, "size_bytes": row.size_bytes,
        }  # fmt: skip
        for role in self.selection.roles:
            said[role] = getattr(row, role)
        if self.selection.numbers_labels:
            said["label_index"] = self.selection.number_of(row)
        if row.answer is not None:
            said["answer"] = row.answer
        if self.selection.fields:
            said["fields"] = row.fields
        return said


def with_bytes(job: Job, rows: Iterable[Row]) -> Iterator[tuple[Row, bytes]]:
    """Yield rows with their bytes, in order, compared with their ids; some are read ahead.

    Of one that is made its size is known from here on.

    Raises:
        IngestError: If bytes are missing or others.
    """
    for found in ahead(functools.partial(_read, job), rows):
        job.advance(1)
        yield found


def sized(job: Job, rows: Iterable[Row]) -> Iterator[Row]:
    """Yield rows with the size of their bytes, which those that are made are made for."""
    for row in rows:
        yield _read(job, row)[0] if row.is_made else row


def _read(job: Job, row: Row) -> tuple[Row, bytes]:
    data = job.read(row.place)
    return (replace(row, size_bytes=len(data)) if row.is_made else row), data
