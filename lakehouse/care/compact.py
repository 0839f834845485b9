"""Many small files of a table into few large ones: the same rows, digest and history in less to open."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lakehouse.engines.commit import Replaced, replace_files
from lakehouse.engines.parquet import FILE_BYTES
from lakehouse.engines.protocol import Commit
from lakehouse.errors import TableError
from lakehouse.lake import Lake
from lakehouse.tables.insert import write_checkpoint
from lakehouse.tables.locks import lake_lock
from lakehouse.tables.read import digest_at, head, whole
from lakehouse.verification.copies import complete
from lakehouse.verification.entries import entry_sha256
from lakehouse.verification.facts import commit_facts
from lakehouse.verification.places import place_of
from lakehouse.verification.tables import live_files, note_commit
from schemas.model import Table

SMALL_BYTES = FILE_BYTES // 2
"""Smaller files are worth being put together."""
FEW = 4
"""So many small files are left as they are."""


@dataclass(frozen=True, slots=True)
class Compacted:
    """What became of the files of a table.

    Attributes:
        version: The version of now.
        before: Files before.
        after: Files now.
        bytes_read: Of the files that were put together.
    """

    version: int
    before: int
    after: int
    bytes_read: int


def compact(lake: Lake, table: Table, *, few: int = FEW) -> Compacted:
    """Put the small files of a table together, in one commit that changes no row; then write a checkpoint.

    The files of before stay until `vacuum`, for readers that are under way and for versions that are pinned.

    Args:
        lake: The lake.
        table: Which table.
        few: So many small files are left as they are.

    Raises:
        TableError: If a file is damaged, or rows would be lost: nothing was committed then.
        ConcurrentWriteError: If the table stayed busy.
    """
    place = place_of(lake.home, table)
    with lake_lock(lake, table.name) as held:
        before = whole(lake, table, head(lake.home, table))
        alive = live_files(place, before)
        small = {fact.name: fact.size for fact in alive if fact.size < SMALL_BYTES}
        if len(small) <= few:
            return Compacted(before, len(alive), len(alive), 0)
        digest = digest_at(lake, table, before)
        complete(place, [fact for fact in alive if fact.name in small])
        paths = [place.folder / name for name in small]
        rows = sum(pq.read_metadata(path).num_rows for path in paths)
        commit = Commit(
            app_id="petrel-compact-" + hashlib.sha256(f"{table.name}|{before}".encode()).hexdigest()[:32],
            facts=commit_facts(
                step="maintain", engine="none", added=0, digest=digest, version=before + 1,
                previous=entry_sha256(place, before), fence=held.fence,
            ),
            schema=table.arrow_schema,
            read_version=before,
            check=held.check,
        )  # fmt: skip
        after = replace_files(place.folder, Replaced(small), _rows_of(paths, table, rows), commit)
        note_commit(place, after)
        lake.verified.add((table.name, after))
        write_checkpoint(place, after)
        now = live_files(place, after)
    return Compacted(after, len(alive), len(now), sum(small.values()))


def _rows_of(paths: list[Path], table: Table, rows: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of several files, one row group in memory at a time; raises, before a commit, if some are lost."""
    found = 0
    for path in paths:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for batch in file.iter_batches(columns=table.column_names):
                found += batch.num_rows
                yield batch
    if found != rows:
        raise TableError(f"{table.name}: {found} rows were read of {rows}; nothing was changed; please report this")
