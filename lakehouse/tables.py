"""Tables: where they are, which version, and the one way to write."""

from __future__ import annotations

import hashlib
import json
import logging
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import DeltaError
from deltalake.exceptions import TableNotFoundError as DeltaTableNotFoundError

from lakehouse.digest import commit_facts, digest_from_metadata, relation_digest
from lakehouse.engines import Commit, Relation
from lakehouse.errors import (
    ConcurrentWriteError,
    TableError,
    TableNotFoundError,
    VersionUnavailableError,
    one_line,
)
from lakehouse.lake import Lake
from lakehouse.leftovers import sweep_table
from lakehouse.locks import writer_lock
from lakehouse.receipts import Inserted
from lakehouse.rules import judge
from lakehouse.verification.entries import commit_metadata, entry_sha256, versions_in
from lakehouse.verification.heads import Head, write_head
from lakehouse.verification.places import Place, place_of
from lakehouse.verification.tables import newest, note_checkpoint, note_commit, verify_table
from schemas.canonical import row_hash
from schemas.digest import Digest
from schemas.model import Table
from schemas.tables import BY_NAME, TABLES

logger = logging.getLogger(__name__)

CHECKPOINT_EVERY = 100
"""Commits from one checkpoint to the next; readers replay at most so many entries."""

PROPERTIES = {
    "delta.appendOnly": "true",
    # Delta 4.1+ refuses time travel past the second; a dataset may pin a version for ten years.
    "delta.logRetentionDuration": "interval 3650 days",
    "delta.deletedFileRetentionDuration": "interval 3650 days",
}


def table_path(root: Path, table: Table) -> Path:
    """Return the folder of a table: `<lake>/tables/<layer>/<name>`."""
    return place_of(root, table).folder


def create_tables(lake: Lake) -> None:
    """Create the tables that are missing, with comments, constraints and retention; for both engines."""
    missing = [table for table in TABLES if not _log_exists(lake.root, table)]
    if not missing:
        return
    with writer_lock(lake.locks, "create_tables", timeout_s=lake.config.engine.lock_timeout_s):
        for table in missing:
            if not _log_exists(lake.root, table):
                _create(place_of(lake.root, table), table)


def check_tables(root: Path) -> None:
    """Check that no table of a lake is gone: made anew it would be empty, and look like one without rows.

    Raises:
        TableError: If one is; the message names it.
    """
    gone = [table.name for table in TABLES if not _log_exists(root, table)]
    if gone:
        raise TableError(
            f"the lake at {root} lost {', '.join(gone)}: the log of each began there and is gone; put the folder "
            f"{table_path(root, BY_NAME[gone[0]])} back from a copy of the lake"
        )


def open_table(root: Path, table: Table, version: int | None = None) -> DeltaTable:
    """Return the handle of a table, at its head or at a version.

    Raises:
        TableNotFoundError: If the lake has no such table.
        VersionUnavailableError: If it has no such version, or its log was cut.
    """
    path = table_path(root, table)
    try:
        return DeltaTable(path, version=version)
    except DeltaTableNotFoundError as error:
        raise TableNotFoundError(f"{table.name}: no table at {path}; put it back from a copy of the lake") from error
    except BaseException as error:
        # delta-rs has no error class of its own for a missing version, and panics where a commit is no JSON.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        why = one_line(error)
        last = max(versions_in(place_of(root, table).log), default=None)
        if version is None or last is None or version <= last:
            raise VersionUnavailableError(
                f"{table.name}: version {last if version is None else version} cannot be read: {why}; "
                f"put {path / '_delta_log'} back from a copy of the lake"
            ) from error
        raise VersionUnavailableError(
            f"{table.name}@{version}: cannot be read; head is {last} ({path})"
        ) from error


def head(root: Path, table: Table) -> int:
    """Return the newest version of a table: the name of its last commit, which costs one listing of the log.

    Raises:
        TableNotFoundError: If the lake has no such table.
    """
    return newest(place_of(root, table))


def whole(lake: Lake, table: Table, version: int) -> int:
    """Return a version that is about to be read, verified once by every opened lake.

    Raises:
        TableNotFoundError: If the lake has no such table.
        TableError: If something is damaged or lost; the message names the file.
    """
    if (table.name, version) not in lake.verified:
        verify_table(place_of(lake.root, table), version)
        lake.verified.add((table.name, version))
    return version


def pin_heads(lake: Lake, names: Iterable[str]) -> dict[str, int]:
    """Return the newest version of every table that is named, verified now: table name -> version, by name.

    Files that this machine has read before, and nobody has touched since, are not read again.

    Raises:
        TableNotFoundError: If the lake lacks one.
        TableError: If something is damaged or lost; the message names the file.
    """
    pins = {name: verify_table(place_of(lake.root, BY_NAME[name])) for name in sorted(set(names))}
    lake.verified.update(pins.items())
    return pins


def version_at(root: Path, table: Table, instant: datetime) -> int:
    """Return the version that was the newest at an instant (by commit time).

    Raises:
        VersionUnavailableError: If the table did not exist then.
    """
    stamp = int(instant.timestamp() * 1000)
    known = [
        entry["version"] for entry in open_table(root, table).history() if int(entry["timestamp"]) <= stamp
    ]
    if not known:
        raise VersionUnavailableError(f"{table.name}: did not exist yet at {instant.isoformat()}")
    return int(max(known))


def digest_at(lake: Lake, table: Table, version: int) -> Digest:
    """Return the digest of a table at a version: from its commit, else by reading the rows."""
    digest = digest_from_metadata(commit_metadata(place_of(lake.root, table), whole(lake, table, version)), version)
    if digest is not None:
        return digest
    if not open_table(lake.root, table, version).file_uris():
        return Digest()
    return relation_digest(lake.engine, lake.engine.scan(table_path(lake.root, table), version))


def insert(lake: Lake, table: Table, rows: Relation, *, step: str) -> Inserted:
    """Append the rows whose key the table does not hold yet. The one way to write.

    Of rows with equal keys the one with the smallest hash is kept, so the outcome does not depend on order.
    No new row, no commit. Runs under the table's lock; the transaction id is derived from the new rows. Commit
    columns get the version that the rows become part of, whatever they held.

    Args:
        lake: The lake.
        table: Definition of the table.
        rows: Must have every column of the table; evaluated once.
        step: Name of the step, kept in the commit.

    Raises:
        ConcurrentWriteError: If the table stayed busy, or every attempt met another commit.
        TableError: If a row breaks a constraint.
    """
    engine = lake.engine
    place = place_of(lake.root, table)
    offered = engine.stage(engine.sql(_first_per_key(table), {"offered": rows}, {}))
    all_offered, all_broken = judge(engine, offered, table)
    with writer_lock(lake.locks, table.name, timeout_s=lake.config.engine.lock_timeout_s):
        for attempt in range(lake.config.engine.commit_attempts):
            before = whole(lake, table, head(lake.root, table))
            held = digest_at(lake, table, before)
            fresh, added, broken = offered, all_offered, all_broken
            if held.rows and added.rows:
                known = engine.scan(place.folder, before)
                check_columns(table, known)
                fresh = engine.sql(_not_held(table), {"offered": offered, "held": known}, {"version": before + 1})
                fresh = engine.stage(fresh)
                added, broken = judge(engine, fresh, table)
            elif table.commit_columns:
                fresh = engine.sql(_stamped(table), {"offered": offered}, {"version": before + 1})
            if broken:
                raise TableError(f"{table.name}: rows refused: {'; '.join(broken)}; nothing was written")
            if added.rows == 0:
                return Inserted(table.name, before, before, all_offered.rows, 0, str(held))
            total = held + added
            commit = Commit(
                app_id=_transaction_id(table, step, added),
                facts=commit_facts(
                    step=step, engine=engine.name, added=added.rows, digest=total, version=before + 1,
                    previous=entry_sha256(place, before),
                ),
                schema=table.arrow_schema,
                read_version=before,
            )
            try:
                after = engine.append(place.folder, fresh, commit)
            except ConcurrentWriteError:
                # Only a writer that bypasses our lock can cause this.
                time.sleep(random.uniform(0.05, 0.2) * 2**attempt)
            else:
                note_commit(place, after)
                lake.verified.add((table.name, after))
                _checkpoint(place, after)
                sweep_table(place.folder)
                return Inserted(table.name, before, after, all_offered.rows, added.rows, str(total))
    raise ConcurrentWriteError(
        f"{table.name}: {lake.config.engine.commit_attempts} attempts met commits of a writer that does not "
        f"take our lock; stop it and run again ({place.folder})"
    )


def check_columns(table: Table, found: Relation) -> None:
    """Check that a table of a lake has the columns of its definition.

    Raises:
        TableError: If some are missing; another version of Petrel made the lake.
    """
    missing = [name for name in table.column_names if name not in found.columns]
    if missing:
        raise TableError(
            f"{table.name}: has no column {', '.join(missing)}: another version of Petrel made this lake; work on it "
            "with that version, or land its sources into a new lake"
        )


def insert_rows(lake: Lake, table: Table, rows: Sequence[Mapping[str, object]], *, step: str) -> Inserted:
    """`insert` for a few rows made in this process; fills clock columns and `row_hash` where they are missing."""
    now = lake.clock()
    complete = [finish_row(row, table, now) for row in rows]
    data = pa.Table.from_pylist(complete, schema=table.arrow_schema)
    return insert(lake, table, lake.engine.from_arrow(data), step=step)


def finish_row(row: Mapping[str, object], table: Table, now: datetime) -> dict[str, object]:
    """Return the row with every column, timestamp clock columns and `row_hash` filled in."""
    complete = {name: row.get(name) for name in table.column_names}
    for column in table.columns:
        if column.clock and complete[column.name] is None and pa.types.is_timestamp(column.type):
            complete[column.name] = now
        if column.commit:
            complete[column.name] = 0  # `insert` knows it, under the table's lock.
    if table.has_row_hash:
        complete["row_hash"] = row_hash(complete, table)
    return complete


def _create(place: Place, table: Table) -> None:
    try:
        created = DeltaTable.create(
            place.folder,
            schema=table.arrow_schema,
            mode="ignore",
            name=table.name,
            description=table.doc,
            configuration=PROPERTIES,
        )
    except (DeltaError, OSError) as error:
        why = one_line(error)
        raise TableError(
            f"{table.name}: cannot be created at {place.folder}: {why}; make room or give permission, or where the "
            f"lake is damaged put {place.log} back from a copy"
        ) from error
    present = created.metadata().configuration
    missing = {name: check for name, check in table.checks.items() if f"delta.constraints.{name}" not in present}
    if missing:
        # All in one commit: with one each, reading a new table's log took Spark seconds.
        facts = commit_facts(step="create", engine="none", added=0, digest=Digest(), version=1,
                             previous=entry_sha256(place, 0))
        metadata = {"userMetadata": json.dumps({"petrel": facts}, sort_keys=True)}
        created.alter.add_constraint(missing, commit_properties=CommitProperties(custom_metadata=metadata))
    made = newest(place)
    write_head(place, Head(made, entry_sha256(place, made)))


def _checkpoint(place: Place, version: int) -> None:
    if version % CHECKPOINT_EVERY:
        return
    try:
        DeltaTable(place.folder, version=version).create_checkpoint()
        note_checkpoint(place, version)
    except (DeltaError, OSError) as error:
        # The commit stands; readers replay more entries until the next one.
        logger.warning("checkpoint not written table=%s version=%d reason=%s", place.name, version, one_line(error))


def _log_exists(root: Path, table: Table) -> bool:
    # The last commit of a creation adds the constraints: a table killed half-way is completed, not trusted.
    return place_of(root, table).entry(1 if table.checks else 0).is_file()


def _first_per_key(table: Table) -> str:
    key = ", ".join(table.key)
    columns = ", ".join(table.column_names)
    return (
        f"select {columns} from offered "
        f"qualify row_number() over (partition by {key} order by row_hash) = 1"
    )


def _not_held(table: Table) -> str:
    match = " and ".join(f"h.{name} = o.{name}" for name in table.key)
    return f"{_stamped(table)} where not exists (select 1 from held h where {match})"


def _stamped(table: Table) -> str:
    version = "cast($version as bigint) as"
    columns = (f"{version} {name}" if name in table.commit_columns else f"o.{name}" for name in table.column_names)
    return f"select {', '.join(columns)} from offered o"


def _transaction_id(table: Table, step: str, added: Digest) -> str:
    return "petrel-" + hashlib.sha256(f"{table.name}|{step}|{added}".encode()).hexdigest()[:32]
