"""A file for every entity; imagefolder: `<split>/<label>/<entity id>.<ending>`, as torchvision and people read them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from lakehouse.exporting.names import file_of
from lakehouse.exporting.rows import Row
from lakehouse.exporting.writing import Job, with_bytes
from lakehouse.target import Target
from loaders.stores.staged import Staged

FILES, BYTES = 256, 64 << 20
"""Named at once: 256 files become durable together in the time of a few (loaders/stores/local.py)."""

Beside = Callable[[Row, bytes], Mapping[str, bytes]]


def write_folders(job: Job, rows: Iterable[Row], target: Target) -> None:
    """Write one file for each row."""

    def name(row: Row) -> str:
        folder = job.folders[str(row.label)]
        return "/".join(each for each in (row.split, folder, file_of(row.entity_id, row.media_type)) if each)

    write_files(job, rows, target, name)


def write_files(
    job: Job, rows: Iterable[Row], target: Target, name: Callable[[Row], str], beside: Beside | None = None
) -> None:
    """Write one file for each row that is not there yet, many at a time.

    Args:
        job: What is exported.
        rows: Its rows.
        target: Where they go.
        name: Of the file of a row.
        beside: From a row and its bytes to small files that are written with it; it is asked of every row, in order,
            and so all bytes are read. None: those that are there are not read.
    """
    for group in _groups(rows, FILES // 2 if beside else FILES):
        # What has this name are these bytes: it was written whole, and compared before.
        there = {
            row.entity_id for row in group
            if target.has(name(row), None if row.is_made else row.size_bytes)
        }  # fmt: skip
        wanted = group if beside else [row for row in group if row.entity_id not in there]
        job.advance(len(group) - len(wanted))
        staged: dict[str, Staged] = {}
        sizes: dict[str, int] = {}
        try:
            for row, data in with_bytes(job, wanted):
                files = {} if row.entity_id in there else {name(row): data}
                more = beside(row, data) if beside else {}
                files |= {each: said for each, said in more.items() if not target.has(each, len(said))}
                for each, content in files.items():
                    staged[each] = target.storage.stage()
                    staged[each].write(content)
                    sizes[each] = len(content)
            target.storage.publish(staged)
        finally:
            for open_file in staged.values():
                open_file.discard()
        target.count(sizes)


def _groups(rows: Iterable[Row], most: int) -> Iterator[list[Row]]:
    group: list[Row] = []
    size = 0
    for row in rows:
        if group and (len(group) == most or size + row.size_bytes > BYTES):
            yield group
            group, size = [], 0
        group.append(row)
        size += row.size_bytes
    if group:
        yield group
