"""The one way to take rows out of a table: its files are written anew without them, and the log goes on.

Tables of ours are appended to; Delta is told so (`delta.appendOnly`), and may not be told otherwise by a commit that
removes rows. So the commit also lifts that setting, and the next one sets it again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lakehouse.engines.commit import Replaced, replace_files
from lakehouse.engines.protocol import Commit
from lakehouse.lake import Lake
from lakehouse.tables.fork import writable
from lakehouse.tables.insert import write_checkpoint
from lakehouse.tables.locks import Held, lake_lock
from lakehouse.tables.read import digest_at, head, whole
from lakehouse.verification.copies import complete
from lakehouse.verification.entries import entry_sha256, table_metadata
from lakehouse.verification.facts import commit_facts
from lakehouse.verification.forked import ask_again
from lakehouse.verification.places import Place, place_of
from lakehouse.verification.tables import live_files, note_commit, replaced_files
from schemas.digest import Digest, digest_of
from schemas.model import Table

APPEND_ONLY = "delta.appendOnly"

Chosen = Callable[[pa.RecordBatch], pa.BooleanArray]
"""Says of each row whether it is to be taken out; of NULL, it is not."""


@dataclass(slots=True)
class Removed:
    """What was taken out of a table.

    Attributes:
        rows: How many rows.
        files: Files that were written anew.
        batches: The rows themselves, as tables of those columns that were asked for.
        old_files: Of a dry run: files that have such rows, of older versions and of this one; when the rows are out,
            the files stay until `maintain`.
        old_batches: Of a dry run: those rows in files of older versions, as `batches`.
    """

    rows: int = 0
    files: int = 0
    batches: list[pa.RecordBatch] = field(default_factory=list)
    old_files: list[str] = field(default_factory=list)
    old_batches: list[pa.RecordBatch] = field(default_factory=list)


def remove_rows(
    lake: Lake, table: Table, chosen: Chosen, *, step: str, columns: tuple[str, ...] = (), dry_run: bool = False
) -> Removed:
    """Take rows out of the newest version of a table; older versions have them until their files are removed.

    Args:
        lake: The lake.
        table: Which table.
        chosen: Which rows.
        step: Name of the step, kept in the commit.
        columns: Columns of the removed rows that are returned.
        dry_run: Only find them, in older versions too.

    Raises:
        TableError: If a file is damaged; nothing was changed.
        ConcurrentWriteError: If the table stayed busy.
    """
    with lake_lock(lake, table.name) as held:
        ask_again(lake.home)  # another machine may have made it the branch's own before we had the lock
        place = place_of(lake.home, table)
        before = whole(lake, table, head(lake.home, table))
        removed, gone, files = Removed(), Digest(), {}
        for fact in live_files(place, before):
            rows, digest = _find(place.folder / fact.name, table, chosen, columns, removed)
            if rows:
                files[fact.name], gone = fact.size, gone + digest
                removed.rows, removed.files = removed.rows + rows, removed.files + 1
        if dry_run:
            # With those of now: they are old once these rows have left them.
            removed.old_files = [*_old_files(place, before, table, chosen, columns, removed), *files]
            return removed
        metadata = table_metadata(place, before)
        if files:
            place = writable(lake, table)
            digest = digest_at(lake, table, before) - gone
            kept = _kept([place.folder / name for name in files], table, chosen)
            lifted = Replaced(files, fewer_rows=True, metadata=_appended_only(metadata, yes=False))
            before = _committed(lake, place, table, lifted, kept, digest, held, step, before)
        if place.pinned is None and (files or metadata["configuration"].get(APPEND_ONLY) != "true"):
            again = Replaced({}, metadata=_appended_only(metadata, yes=True))
            digest = digest_at(lake, table, before)
            after = _committed(lake, place, table, again, iter(()), digest, held, step, before)
            write_checkpoint(place, after)
    return removed


def _find(
    path: Path, table: Table, chosen: Chosen, columns: tuple[str, ...], removed: Removed
) -> tuple[int, Digest]:
    rows, digest = 0, Digest()
    for batch in _batches(path, table):
        found = batch.filter(pc.fill_null(chosen(batch), False))
        if found.num_rows:
            rows += found.num_rows
            digest += digest_of(bytes.fromhex(each) for each in found.column("row_hash").to_pylist())
            if columns:
                removed.batches.append(found.select(columns))
    return rows, digest


def _old_files(
    place: Place, version: int, table: Table, chosen: Chosen, columns: tuple[str, ...], removed: Removed
) -> list[str]:
    """Return the files of older versions, of those that are still there, that have rows which are to go."""
    facts = replaced_files(place, version)
    complete(place, facts)
    holding = []
    for fact in facts:
        found = Removed()
        if (place.folder / fact.name).exists() and _find(place.folder / fact.name, table, chosen, columns, found)[0]:
            holding.append(fact.name)
            removed.old_batches += found.batches
    return holding


def _kept(paths: list[Path], table: Table, chosen: Chosen) -> Iterator[pa.RecordBatch]:
    for path in paths:
        for batch in _batches(path, table):
            yield batch.filter(pc.invert(pc.fill_null(chosen(batch), False)))


def _batches(path: Path, table: Table) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        yield from file.iter_batches(columns=table.column_names)


def _appended_only(metadata: Mapping[str, object], *, yes: bool) -> dict[str, object]:
    configuration = metadata["configuration"]
    assert isinstance(configuration, dict)
    return {**metadata, "configuration": {**configuration, APPEND_ONLY: "true" if yes else "false"}}


def _committed(
    lake: Lake, place: Place, table: Table, replaced: Replaced, rows: Iterator[pa.RecordBatch], digest: Digest,
    held: Held, step: str, before: int,
) -> int:  # fmt: skip
    commit = Commit(
        app_id=f"petrel-{step}-" + hashlib.sha256(f"{table.name}|{before}|{digest}".encode()).hexdigest()[:32],
        facts=commit_facts(
            step=step, engine="none", added=0, digest=digest, version=before + 1,
            previous=entry_sha256(place, before), fence=held.fence,
        ),
        schema=table.arrow_schema,
        read_version=before,
        check=held.check,
    )  # fmt: skip
    after = replace_files(place.folder, replaced, rows, commit)
    note_commit(place, after)
    lake.verified.add((table.name, after))
    return after
