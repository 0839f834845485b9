"""What all formats share: what they are told, and the bytes of rows, read ahead in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lakehouse.exporting.rows import Row, Selection
from lakehouse.home import Home
from lakehouse.objects import read_entity
from loaders.stores.ahead import ahead


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
    for found in ahead(lambda row: (row, read_entity(job.home, row.place)), rows):
        job.advance(1)
        yield found
