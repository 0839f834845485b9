"""imagefolder: `<split>/<label>/<entity id>.<ending>`, as torchvision, Hugging Face and people read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lakehouse.exporting.names import file_of
from lakehouse.exporting.rows import Row
from lakehouse.exporting.target import Target
from lakehouse.exporting.writing import Job, with_bytes
from loaders.stores.staged import Staged

FILES, BYTES = 256, 64 << 20
"""Named at once: 256 files become durable together in the time of a few (loaders/stores/local.py)."""


def write_folders(job: Job, rows: Iterable[Row], target: Target) -> None:
    """Write one file for each row."""
    for group in _groups(row for row in rows if not _is_there(job, row, target)):
        staged: dict[str, Staged] = {}
        try:
            for row, data in with_bytes(job, group):
                each = staged[_name(job, row)] = target.storage.stage()
                each.write(data)
            target.storage.publish(staged)
        finally:
            for each in staged.values():
                each.discard()
        target.count({_name(job, row): row.size_bytes for row in group})


def _is_there(job: Job, row: Row, target: Target) -> bool:
    # What has this name are these bytes: it was written whole, and compared before.
    found = target.has(_name(job, row), row.size_bytes)
    job.advance(int(found))
    return found


def _name(job: Job, row: Row) -> str:
    folder = job.folders[str(row.label)]
    return "/".join(each for each in (row.split, folder, file_of(row.entity_id, row.media_type)) if each)


def _groups(rows: Iterable[Row]) -> Iterator[list[Row]]:
    group: list[Row] = []
    size = 0
    for row in rows:
        if group and (len(group) == FILES or size + row.size_bytes > BYTES):
            yield group
            group, size = [], 0
        group.append(row)
        size += row.size_bytes
    if group:
        yield group
