"""The one committer: data files are written, then one entry of the Delta log names them, put if absent.

Delta's own writers leave page checksums out and say nothing about a file but its size. Here the entry carries the
SHA-256 and size of every file, and of the entry before it, so that the whole log is one chain. An append is three
kinds of lines (https://github.com/delta-io/delta/blob/master/PROTOCOL.md, "Actions"): who, with which transaction, and
which files. They are put through the storage of the lake, in a folder as in a bucket: of several writers of a version
one wins, and a lost answer is told from a lost race.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from lakehouse.engines.parquet import DataFile, describe, file_name, write_files
from lakehouse.engines.protocol import Commit
from lakehouse.errors import ConcurrentWriteError, TableError, UnknownCommitError, one_line
from lakehouse.files import write_whole
from lakehouse.home import Home, table_home
from lakehouse.verification.entries import is_entry
from loaders.errors import LoaderError

WRITER = "petrel"


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
        UnknownCommitError: If a bucket did not answer when it was to commit.
        StorageError, DeadlineError: If it did not before; nothing was written.
        TableError: If there is NULL where none may be, or the table cannot be written; nothing was written.
    """
    return _write(path, batches, commit, None)


def append_files(path: Path, files: Sequence[Path], commit: Commit) -> int:
    """Append Parquet files that an engine has written, in one commit; they are moved into the table.

    Args:
        path: Folder of the table.
        files: On the file system of the table, with exactly the columns of `commit.schema`.
        commit: What goes with them.

    Raises:
        ConcurrentWriteError: If the table is no longer at `commit.read_version`; nothing was written.
        UnknownCommitError: If a bucket did not answer when it was to commit.
        StorageError, DeadlineError: If it did not before; nothing was written.
        TableError: If the table cannot be written; nothing was written.
    """
    moved: list[Path] = []
    with _removed_if_it_fails(path, moved, commit):
        for file in files:
            moved.append(path / file_name())
            os.rename(file, moved[-1])
        return _commit(path, [describe(each) for each in moved], commit)


def append_stored(path: Path, stored: Sequence[DataFile], commit: Commit) -> int:
    """Append Parquet files that an engine's machines have put into the lake's bucket; the bucket copies them.

    Args:
        path: Folder of the table in this machine's copy.
        stored: What they are; names among the files of the lake. Exactly the columns of `commit.schema`.
        commit: What goes with them.

    Returns:
        The new version. This machine's copy does not have its files yet.

    Raises:
        ConcurrentWriteError: If the table is no longer at `commit.read_version`; nothing was written.
        UnknownCommitError: If the bucket did not answer when it was to commit.
        StorageError, DeadlineError: If it did not before; nothing was written.
        TableError: If a copy is not what was written; nothing was written.
    """
    home, table = table_home(path)
    copied: list[Path] = []
    described = []
    with _removed_if_it_fails(path, copied, commit):
        for each in stored:
            copied.append(path / file_name())
            name = f"{table}/{copied[-1].name}"
            home.files.copy(each.name, name)
            if (size := home.files.size(name)) != each.size:
                said = f"a copy in the bucket has {size} bytes, expected {each.size}"
                raise TableError(f"{path.name}: {said}; nothing was written: run again")
            described.append(replace(each, name=copied[-1].name))
        return _commit(path, described, commit, are_there=True)


@dataclass(frozen=True, slots=True)
class Replaced:
    """Files of a table that others take the place of; they stay on disk.

    Attributes:
        files: Name -> bytes.
        fewer_rows: Whether rows of theirs are gone; else the others have the same rows.
        metadata: The `metaData` of the table from this commit on; None leaves it as it is.
    """

    files: Mapping[str, int]
    fewer_rows: bool = False
    metadata: Mapping[str, object] | None = None


def replace_files(path: Path, replaced: Replaced, batches: Iterable[pa.RecordBatch], commit: Commit) -> int:
    """Write rows in the place of files of a table, in one commit.

    Args:
        path: Folder of the table.
        replaced: The files.
        batches: All rows that stay of these files.
        commit: What goes with them.

    Returns:
        The new version.

    Raises:
        ConcurrentWriteError: If the table is no longer at `commit.read_version`; nothing was written.
        UnknownCommitError: If a bucket did not answer when it was to commit.
        StorageError, DeadlineError: If it did not before; nothing was written.
        TableError: If the table cannot be written; nothing was written.
    """
    return _write(path, batches, commit, replaced)


def _write(path: Path, batches: Iterable[pa.RecordBatch], commit: Commit, replaced: Replaced | None) -> int:
    written: list[Path] = []
    with _removed_if_it_fails(path, written, commit):
        for each in write_files(path, commit.schema, (_typed(batch, path, commit.schema) for batch in batches)):
            written.append(each)
        return _commit(path, [describe(each) for each in written], commit, replaced)


def entry_of(
    files: Sequence[DataFile], commit: Commit, now_ms: int, replaced: Replaced | None = None
) -> bytes:
    """Return the entry of the log that appends files, or puts them in the place of others: one JSON object a line."""
    facts = {**commit.facts, "files": [[each.name, each.size, each.sha256] for each in files]}
    operation: dict[str, object] = {
        "operation": "WRITE", "operationParameters": {"mode": "Append", "partitionBy": "[]"}
    }  # fmt: skip
    if replaced is not None:
        operation = {"operation": "DELETE" if replaced.fewer_rows else "OPTIMIZE", "operationParameters": {}}
    changes = replaced is None or replaced.fewer_rows
    info = {"timestamp": now_ms, **operation, "engineInfo": WRITER,
            "userMetadata": json.dumps({"petrel": facts}, sort_keys=True)}  # fmt: skip
    adds = [
        {"path": each.name, "partitionValues": {}, "size": each.size, "modificationTime": now_ms,
         "dataChange": changes, "stats": each.statistics}
        for each in files
    ]  # fmt: skip
    removes = [
        {"path": name, "deletionTimestamp": now_ms, "dataChange": changes, "extendedFileMetadata": True,
         "partitionValues": {}, "size": size}
        for name, size in (replaced.files if replaced else {}).items()
    ]  # fmt: skip
    transaction = {"appId": commit.app_id, "version": 1, "lastUpdated": now_ms}
    described = [{"metaData": replaced.metadata}] if replaced is not None and replaced.metadata is not None else []
    actions: list[Mapping[str, object]] = [
        {"commitInfo": info}, {"txn": transaction}, *described, *({"remove": each} for each in removes),
        *({"add": each} for each in adds),
    ]  # fmt: skip
    return "".join(f"{json.dumps(action)}\n" for action in actions).encode()


def _commit(
    path: Path, files: Sequence[DataFile], commit: Commit, replaced: Replaced | None = None, *, are_there: bool = False
) -> int:
    home, table = table_home(path)
    version = commit.read_version + 1
    name = f"_delta_log/{version:020}.json"
    entry = entry_of(files, commit, int(time.time() * 1000), replaced)
    # A kill before the entry is put leaves files that no entry names: nobody reads them.
    if not home.is_local and not are_there:
        for each in files:
            home.files.put(f"{table}/{each.name}", path / each.name)
    commit.check()
    try:
        home.files.put_if_absent(f"{table}/{name}", entry)
    except FileExistsError as error:
        raise ConcurrentWriteError(f"{path.name}: another commit came first: {error}") from error
    except LoaderError as error:
        raise UnknownCommitError(
            f"{path.name}: whether version {version} was committed is not known: {error}; run again, rows that are in "
            "the table are not written twice"
        ) from error
    except OSError as error:
        raise TableError(f"{path.name}: cannot be written: {one_line(error)}; nothing was written") from error
    if not home.is_local:
        write_whole(path / name, entry)
    return version


def _typed(batch: pa.RecordBatch, path: Path, schema: pa.Schema) -> pa.RecordBatch:
    try:
        return batch.select(schema.names).cast(schema)
    except (pa.ArrowInvalid, ValueError) as error:
        raise TableError(f"{path.name}: rows refused: {error}; nothing was written") from error


@contextmanager
def _removed_if_it_fails(path: Path, written: Sequence[Path], commit: Commit) -> Iterator[None]:
    """Remove what was written for a commit that did not come about, where that is sure.

    A request of which no answer was waited for may still arrive: the entry must then find its files.
    """
    try:
        yield
    except UnknownCommitError:
        raise
    except BaseException as error:
        if isinstance(error, Exception) or table_home(path)[0].is_local:
            _remove(path, written, commit)
        raise


def _remove(path: Path, written: Sequence[Path], commit: Commit) -> None:
    """Remove files of a commit that failed, unless its entry is there after all, or cannot be asked for."""
    home, table = table_home(path)
    try:
        entry = home.files.read_whole(f"{table}/_delta_log/{commit.read_version + 1:020}.json")
    except FileNotFoundError:
        entry = b""
    except (LoaderError, OSError):
        return
    if entry and not is_entry(entry):
        return  # some box on the way answered in the place of the bucket
    for each in written:
        if each.name.encode() not in entry:  # an entry of that name is another writer's, unless it names our files
            each.unlink(missing_ok=True)
            _remove_there(home, f"{table}/{each.name}")


def _remove_there(home: Home, name: str) -> None:
    if not home.is_local:
        try:
            home.files.delete(name)
        except LoaderError:
            pass  # nobody reads it
