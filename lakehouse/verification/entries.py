"""Reading the log of a table by ourselves, entry by entry, believing nothing that does not fit."""

from __future__ import annotations

import hashlib
import json
import os
import re
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lakehouse.errors import TableError
from lakehouse.verification.facts import ERASE, commit_record
from lakehouse.verification.places import Place

ENTRY_NAME = re.compile(r"(\d{20})\.json")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MEND = "`petrel mend --from COPY` puts it back from a copy of the lake"

Stamp = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class FileFact:
    """A data file as the log describes it; `sha256` is None if its writer is not ours."""

    name: str
    size: int
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Entry:
    """What matters of one log entry.

    Attributes:
        version: The version it makes.
        sha256: Hash of its bytes.
        previous: Hash of the entry before, as it says; None if its writer is not ours, or there is none before.
        added: Files it adds.
        removed: Names of files it removes.
    """

    version: int
    sha256: str
    previous: str | None
    added: tuple[FileFact, ...]
    removed: tuple[str, ...]


def stamp_of(path: Path) -> Stamp | None:
    """Return what changes when a file is touched: size, both times, inode; None if there is no such file."""
    try:
        state = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino


def versions_in(log: Path) -> list[int]:
    """Return the versions that have an entry in a log folder, ascending; none if there is no such folder."""
    try:
        names = os.listdir(log)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(int(found[1]) for name in names if (found := ENTRY_NAME.fullmatch(name)))


def is_entry(content: bytes) -> bool:
    """Tell whether bytes are an entry of a log at all: objects of JSON, one a line."""
    try:
        return bool(content) and all(isinstance(json.loads(line), dict) for line in content.splitlines())
    except ValueError:
        return False


def entry_sha256(place: Place, version: int) -> str:
    """Return the hash of a log entry as it is now.

    Raises:
        TableError: If it cannot be read.
    """
    return hashlib.sha256(_bytes(place, version)).hexdigest()


def commit_metadata(place: Place, version: int) -> str | None:
    """Return what the writer of a version put into its commit; None if nothing. The log was verified before.

    Raises:
        TableError: If the entry cannot be read.
    """
    path = place.entry(version)
    try:
        return _metadata(_actions(_bytes(place, version)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TableError(f"{place.name}: {path} is damaged: it is no log entry ({error}); {MEND}") from error


def table_metadata(place: Place, version: int) -> dict[str, Any]:
    """Return the `metaData` action that holds at a version of a verified table."""
    for number in range(version, -1, -1):
        for action in reversed(_actions(_bytes(place, number))):
            if "metaData" in action:
                return dict(action["metaData"])
    raise TableError(f"{place.name}: no entry of {place.log} says what the table is; {MEND}")


def erasing(place: Place, version: int) -> tuple[str, ...]:
    """Return the files that an erasure replaced by others with fewer rows: what was in them is to be gone.

    A revert or a merge takes rows out as well, and what tags, branches and datasets need of them stays.
    """
    actions = _actions(_bytes(place, version))
    if commit_record(_metadata(actions)).get("step") != ERASE:
        return ()
    return tuple(file_name(each["remove"]) for each in actions if "remove" in each and each["remove"]["dataChange"])


def committed_at(place: Place, version: int) -> datetime:
    """Return when the writer of a verified entry says that it was committed, UTC; 1970 where it says nothing."""
    actions = _actions(_bytes(place, version))
    told = next((each["commitInfo"].get("timestamp") for each in actions if "commitInfo" in each), None)
    return EPOCH if told is None else EPOCH + timedelta(milliseconds=int(told))


def read_entry(place: Place, version: int) -> Entry:
    """Read one log entry.

    Raises:
        TableError: If it is missing, empty, cut, no JSON, or contradicts itself; the message names the file.
    """
    data = _bytes(place, version)
    path = place.entry(version)
    try:
        actions = _actions(data)
        if not all(isinstance(each, dict) and each and all(map(_is_object, each.values())) for each in actions):
            raise ValueError("a line is no action")
        record = commit_record(_metadata(actions))
        added = [each["add"] for each in actions if "add" in each]
        removed = tuple(file_name(each["remove"]) for each in actions if "remove" in each)
        sizes = {file_name(each): int(each["size"]) for each in added}
        facts = _facts(record, sizes)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TableError(f"{place.name}: {path} is damaged: it is no log entry ({error}); {MEND}") from error
    if not actions:
        raise TableError(f"{place.name}: {path} is damaged: expected at least one action, found none; {MEND}")
    if facts is None:
        raise TableError(
            f"{place.name}: {path} is damaged: it says that it adds {len(_listed(record))} files and adds "
            f"{len(sizes)}, or others, or of other sizes; {MEND}"
        )
    previous = record.get("previous")
    if record and version > 0 and not isinstance(previous, str):
        raise TableError(
            f"{place.name}: {path} names no hash of the entry before it: it was written by an earlier version of "
            "Petrel; make a new lake from the same sources"
        )
    return Entry(version, hashlib.sha256(data).hexdigest(), str(previous) if previous else None, facts, removed)


def file_name(action: Mapping[str, object]) -> str:
    """Return the file of an `add` or `remove`: the log has paths relative to the table, percent-encoded."""
    return urllib.parse.unquote(str(action["path"]))


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _bytes(place: Place, version: int) -> bytes:
    path = place.entry(version)
    try:
        return path.read_bytes()
    except OSError as error:
        raise TableError(f"{place.name}: {path} cannot be read: {error.strerror}; {MEND}") from error


def _actions(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.decode("utf-8").splitlines() if line.strip()]


def _metadata(actions: Sequence[Mapping[str, Any]]) -> str | None:
    return next((each["commitInfo"].get("userMetadata") for each in actions if "commitInfo" in each), None)


def _facts(record: Mapping[str, object], sizes: Mapping[str, int]) -> tuple[FileFact, ...] | None:
    """Return the files of an entry, None where our record of them is not what the entry adds."""
    if not record:
        return tuple(FileFact(name, size, None) for name, size in sizes.items())
    listed = [FileFact(str(name), int(size), str(sha256)) for name, size, sha256 in _listed(record)]
    return tuple(listed) if {each.name: each.size for each in listed} == sizes else None


def _listed(record: Mapping[str, object]) -> Sequence[Any]:
    files = record.get("files", [])
    return files if isinstance(files, list) else []
