"""The one committer: data files are written, then one entry of the Delta log names them, put if absent.

Delta's own writers leave page checksums out and say nothing about a file but its size. Here the entry carries the
SHA-256 and size of every file, and of the entry before it, so that the whole log is one chain.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, RemoveAction

from lakehouse.engines.parquet import DataFile, describe, file_name, write_files
from lakehouse.engines.protocol import Commit
from lakehouse.errors import ConcurrentWriteError, TableError, one_line


def append_batches(path: Path, batches: Iterable[pa.RecordBatch], commit: Commit) -> int:
    """Append rows in one commit, right after the version that was read.

    Args:
        path: Folder of the table.
        batches: Rows with at least the columns of `commit.schema`.
        commit: What goes with them.

    Returns:
        The new version.

    Raises:
        ConcurrentWriteError: If the table is no longer at `commit.read_version`; nothing was written.
        TableError: If there is NULL where none may be, or the table cannot be written; nothing was written.
    """
    schema = commit.schema
    written: list[Path] = []
    try:
        rows = (_typed(batch, path, schema) for batch in batches)
        for each in write_files(path, schema, rows):
            written.append(each)
        return _commit(path, [describe(each) for each in written], commit)
    except BaseException:
        _remove(path, written, commit)
        raise


def append_files(path: Path, files: Sequence[Path], commit: Commit) -> int:
    """Append Parquet files that an engine has written, in one commit; they are moved into the table.

    Args:
        path: Folder of the table.
        files: On the file system of the table, with exactly the columns of `commit.schema`.
        commit: What goes with them.

    Raises:
        ConcurrentWriteError: If the table is no longer at `commit.read_version`; nothing was written.
        TableError: If the table cannot be written; nothing was written.
    """
    moved: list[Path] = []
    try:
        for file in files:
            moved.append(path / file_name())
            os.rename(file, moved[-1])
        return _commit(path, [describe(each) for each in moved], commit)
    except BaseException:
        _remove(path, moved, commit)
        raise


def _commit(path: Path, files: Sequence[DataFile], commit: Commit) -> int:
    # A kill before this line leaves files that no entry names: nobody reads them.
    facts = {**commit.facts, "files": [[each.name, each.size, each.sha256] for each in files]}
    properties = CommitProperties(
        custom_metadata={"userMetadata": json.dumps({"petrel": facts}, sort_keys=True)},
        app_transactions=[Transaction(commit.app_id, 1)],
        max_commit_retries=0,
    )
    actions: list[AddAction | RemoveAction] = [
        AddAction(each.name, each.size, {}, int((path / each.name).stat().st_mtime * 1000), True, each.statistics)
        for each in files
    ]
    try:
        # The handle is of the version that was read: a commit made since then is a conflict, not a base.
        table = DeltaTable(path, version=commit.read_version)
        table.create_write_transaction(
            actions, "append", table.schema(), commit_properties=properties,
            post_commithook_properties=PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False),
        )
    except CommitFailedError as error:
        raise ConcurrentWriteError(f"{path.name}: another commit came first: {error}") from error
    except DeltaError as error:
        raise TableError(f"{path.name}: cannot be written: {one_line(error)}; nothing was written") from error
    return commit.read_version + 1


def _typed(batch: pa.RecordBatch, path: Path, schema: pa.Schema) -> pa.RecordBatch:
    try:
        return batch.select(schema.names).cast(schema)
    except (pa.ArrowInvalid, ValueError) as error:
        raise TableError(f"{path.name}: rows refused: {error}; nothing was written") from error


def _remove(path: Path, written: Sequence[Path], commit: Commit) -> None:
    # An entry of that name is another writer's, unless it names our files: then they are in the table.
    entry = path / "_delta_log" / f"{commit.read_version + 1:020}.json"
    text = entry.read_text(encoding="utf-8", errors="replace") if entry.exists() else ""
    for each in written:
        if each.name not in text:
            each.unlink(missing_ok=True)
