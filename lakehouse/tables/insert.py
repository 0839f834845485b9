"""The one way to write: append the rows whose key a table does not hold yet."""

from __future__ import annotations

import hashlib
import logging
import random
import time
from collections.abc import Mapping, Sequence

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from lakehouse.engines import Commit, Relation
from lakehouse.errors import ConcurrentWriteError, LockLostError, TableError, one_line
from lakehouse.lake import Lake
from lakehouse.leftovers import sweep_table
from lakehouse.tables.finish import finish_row
from lakehouse.tables.fork import writable
from lakehouse.tables.inserted import Inserted
from lakehouse.tables.locks import Held, lake_lock
from lakehouse.tables.read import check_columns, digest_at, head, whole
from lakehouse.tables.rules import Judged, judge
from lakehouse.verification.copies import publish_checkpoint
from lakehouse.verification.entries import entry_sha256
from lakehouse.verification.facts import commit_facts
from lakehouse.verification.forked import ask_again
from lakehouse.verification.places import Place, place_of
from lakehouse.verification.tables import note_checkpoint, note_commit
from schemas.digest import Digest
from schemas.model import Table

logger = logging.getLogger(__name__)

CHECKPOINT_EVERY = 10
"""Commits from one checkpoint to the next; readers replay at most so many entries."""


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
    offered = engine.stage(engine.sql(_named(table), {"offered": rows}, {}))
    judged = judge(engine, offered, table, keys=True)
    if judged.repeated:
        # Not always: to put a million wide rows in order by their keys takes longer than to count these.
        offered = engine.stage(engine.sql(_first_per_key(table), {"offered": offered}, {}))
        judged = judge(engine, offered, table)
    for attempt in range(1, lake.config.engine.commit_attempts + 1):
        try:
            with lake_lock(lake, table.name) as lock:
                return _insert_held(lake, table, offered, judged, step=step, lock=lock)
        except LockLostError as error:
            # This process was held up for longer than its lease. Nothing was written, and the rows are staged.
            if attempt == lake.config.engine.commit_attempts:
                raise
            logger.warning("lock lost table=%s attempt=%d reason=%s", table.name, attempt, one_line(error))
    raise AssertionError("at least one attempt")


def insert_rows(lake: Lake, table: Table, rows: Sequence[Mapping[str, object]], *, step: str) -> Inserted:
    """`insert` for a few rows made in this process; fills clock columns and `row_hash` where they are missing."""
    now = lake.clock()
    complete = [finish_row(row, table, now) for row in rows]
    data = pa.Table.from_pylist(complete, schema=table.arrow_schema)
    return insert(lake, table, lake.engine.from_arrow(data), step=step)


def _insert_held(
    lake: Lake, table: Table, offered: Relation, judged: Judged, *, step: str, lock: Held
) -> Inserted:
    """Do what `insert` says, under the table's lock."""
    ask_again(lake.home)  # another machine may have made it the branch's own before we had the lock
    engine, place = lake.engine, place_of(lake.home, table)
    for attempt in range(lake.config.engine.commit_attempts):
        before = whole(lake, table, head(lake.home, table))
        held = digest_at(lake, table, before)
        fresh, added, broken = offered, judged.digest, judged.broken
        if held.rows and added.rows:
            known = engine.scan(place.folder, before)
            check_columns(table, known)
            fresh = engine.sql(_not_held(table), {"offered": offered, "held": known}, {"version": before + 1})
            fresh = engine.stage(fresh)
            found = judge(engine, fresh, table)
            added, broken = found.digest, found.broken
        elif table.commit_columns:
            fresh = engine.sql(_stamped(table), {"offered": offered}, {"version": before + 1})
        if broken:
            raise TableError(f"{table.name}: rows refused: {'; '.join(broken)}; nothing was written")
        if added.rows == 0:
            return Inserted(table.name, before, before, judged.digest.rows, 0, str(held))
        total = held + added
        commit = Commit(
            app_id=_transaction_id(table, step, added),
            facts=commit_facts(
                step=step, engine=engine.name, added=added.rows, digest=total, version=before + 1,
                previous=entry_sha256(place, before), fence=lock.fence,
            ),
            schema=table.arrow_schema,
            read_version=before,
            check=lock.check,
        )
        try:
            place = writable(lake, table)
            after = engine.append(place.folder, fresh, commit)
        except LockLostError:
            raise
        except ConcurrentWriteError:
            # Only a writer that bypasses our lock can cause this.
            time.sleep(random.uniform(0.05, 0.2) * 2**attempt)
        else:
            note_commit(place, after)
            lake.verified.add((table.name, after))
            if after % CHECKPOINT_EVERY == 0:
                write_checkpoint(place, after)
            sweep_table(place.folder)
            return Inserted(table.name, before, after, judged.digest.rows, added.rows, str(total))
    raise ConcurrentWriteError(
        f"{table.name}: {lake.config.engine.commit_attempts} attempts met commits of a writer that does not "
        f"take our lock; stop it and run again ({place.folder})"
    )


def write_checkpoint(place: Place, version: int) -> None:
    """Write a checkpoint of the newest version, under the table's lock; without one readers replay more entries."""
    try:
        DeltaTable(place.folder, version=version).create_checkpoint()
        publish_checkpoint(place, version)
        note_checkpoint(place, version)
    except (DeltaError, OSError) as error:
        # The commit stands; readers replay more entries until the next one.
        logger.warning("checkpoint not written table=%s version=%d reason=%s", place.name, version, one_line(error))


def _named(table: Table) -> str:
    return f"select {', '.join(table.column_names)} from offered"


def _first_per_key(table: Table) -> str:
    key = ", ".join(table.key)
    return f"{_named(table)} qualify row_number() over (partition by {key} order by row_hash) = 1"


def _not_held(table: Table) -> str:
    match = " and ".join(f"h.{name} = o.{name}" for name in table.key)
    return f"{_stamped(table)} where not exists (select 1 from held h where {match})"


def _stamped(table: Table) -> str:
    version = "cast($version as bigint) as"
    columns = (f"{version} {name}" if name in table.commit_columns else f"o.{name}" for name in table.column_names)
    return f"select {', '.join(columns)} from offered o"


def _transaction_id(table: Table, step: str, added: Digest) -> str:
    return "petrel-" + hashlib.sha256(f"{table.name}|{step}|{added}".encode()).hexdigest()[:32]
