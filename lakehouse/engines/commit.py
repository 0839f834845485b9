"""Appending through delta-rs: rows that one process holds or streams."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from lakehouse.engines.protocol import Commit
from lakehouse.errors import ConcurrentWriteError, TableError


def append_batches(path: Path, batches: Iterable[pa.RecordBatch], commit: Commit) -> int:
    """Append in one commit, right after the version that was read; delta-rs checks NOT NULL and CHECK constraints.

    Args:
        path: Folder of the table.
        batches: Rows with at least the columns of `commit.schema`.
        commit: What goes with them.

    Returns:
        The new version.

    Raises:
        ConcurrentWriteError: If the table is no longer at `commit.read_version`; nothing was written.
        TableError: If a row breaks a constraint; nothing was written.
    """
    schema = commit.schema
    rows = pa.RecordBatchReader.from_batches(schema, (batch.select(schema.names).cast(schema) for batch in batches))
    properties = CommitProperties(
        custom_metadata={"userMetadata": commit.metadata},
        app_transactions=[Transaction(commit.app_id, 1)],
        max_commit_retries=0,
    )
    try:
        # The handle is of the version that was read: a commit made since then is a conflict, not a base.
        table = DeltaTable(path, version=commit.read_version)
        write_deltalake(table, rows, mode="append", commit_properties=properties)
    except CommitFailedError as error:
        raise ConcurrentWriteError(f"{path.name}: another commit came first: {error}") from error
    except (DeltaError, pa.ArrowInvalid) as error:
        raise TableError(f"{path.name}: rows refused: {error}; nothing was written") from error
    return table.version()
