"""What is in a folder: regular files to land, and everything that is refused unread."""

from __future__ import annotations

import fnmatch
import os
import stat
import unicodedata
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lakehouse.errors import IngestError
from lakehouse.ingestion.source import PER_FILE, Source, check_folder
from lakehouse.objects import file_uri

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SAFE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


@dataclass(frozen=True, slots=True)
class Listed:
    """One name found under a drop.

    Attributes:
        uri: file:// URI, exact.
        path: Relative path; `%`, control characters and bytes that are not UTF-8 are percent-encoded.
        name: Last part of the path for people.
        size_bytes: Size when listed.
        mtime_at: Modification time, UTC, whole microseconds; None for what is refused unread, and out of range.
        rule: Why it is refused unread; None for a regular file.
        reason: The same for a person.
    """

    uri: str
    path: str
    name: str
    size_bytes: int
    mtime_at: datetime | None
    rule: str | None = None
    reason: str | None = None


def list_folder(source: Source, *, leave_out: Path | None = None) -> Iterator[Listed]:
    """Walk the folder of a source, names sorted by bytes. Links are reported, never followed.

    Args:
        source: The source.
        leave_out: A folder that is not searched: the lake, where it lies inside the source's folder.

    Raises:
        IngestError: If the folder itself cannot be listed.
        ConfigError: If it is part of a lake.
    """
    check_folder(source)
    root = os.path.abspath(os.fsencode(source.folder))
    try:
        skipped = None if leave_out is None else os.stat(leave_out)
    except FileNotFoundError:
        skipped = None
    yield from _walk(root, source, skipped)


def plain_path(relative: bytes) -> str:
    """Return a relative path as text that reads back byte for byte with `urllib.parse.unquote_to_bytes`."""
    try:
        text = relative.decode("utf-8")
    except UnicodeDecodeError:
        return urllib.parse.quote_from_bytes(relative, safe=SAFE)
    return "".join(
        urllib.parse.quote(c, safe="") if c == "%" or unicodedata.category(c) in ("Cc", "Cs") else c for c in text
    )


def _walk(root: bytes, source: Source, skipped: os.stat_result | None) -> Iterator[Listed]:
    try:
        # A stack of our own: folders can be nested deeper than Python calls.
        stack = [iter(_entries(root))]
    except OSError as error:
        raise IngestError(f"source {source.name}: cannot list {source.folder}: {error.strerror}") from error
    while stack:
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
        elif entry.is_dir(follow_symlinks=False):
            if skipped is not None and os.path.samestat(entry.stat(follow_symlinks=False), skipped):
                continue
            try:
                stack.append(iter(_entries(entry.path)))
            except OSError as error:
                yield _refused(root, entry.path, "unreadable", f"folder cannot be listed: {error.strerror}")
        elif _wanted(os.path.relpath(entry.path, root), source):
            yield _listed(root, entry)


def _entries(folder: bytes) -> list[os.DirEntry[bytes]]:
    with os.scandir(folder) as found:
        return sorted((each for each in found if not each.name.startswith(b".")), key=lambda entry: entry.name)


def _listed(root: bytes, entry: os.DirEntry[bytes]) -> Listed:
    try:
        found = entry.stat(follow_symlinks=False)
    except OSError as error:
        return _refused(root, entry.path, "vanished", f"gone while it was listed: {error.strerror}")
    if stat.S_ISLNK(found.st_mode):
        return _refused(root, entry.path, "symlink", "a symbolic link; links are not followed, land its target")
    if not stat.S_ISREG(found.st_mode):
        kind = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}.get(stat.S_IFMT(found.st_mode), "a device")
        return _refused(root, entry.path, "not_a_regular_file", f"{kind}; only regular files are read")
    return Listed(
        uri=file_uri(entry.path),
        path=plain_path(os.path.relpath(entry.path, root)),
        name=_display(entry.path),
        size_bytes=found.st_size,
        mtime_at=_instant(found.st_mtime_ns),
    )


def _refused(root: bytes, path: bytes, rule: str, reason: str) -> Listed:
    return Listed(
        uri=file_uri(path),
        path=plain_path(os.path.relpath(path, root)),
        name=_display(path),
        size_bytes=0,
        mtime_at=None,
        rule=rule,
        reason=reason,
    )


def _instant(nanoseconds: int) -> datetime | None:
    try:
        return EPOCH + timedelta(microseconds=nanoseconds // 1000)
    except OverflowError:
        # Before year 1 or after year 9999: some file systems keep that.
        return None


def _display(path: bytes) -> str:
    return os.path.basename(path).decode("utf-8", errors="replace")


def _wanted(relative: bytes, source: Source) -> bool:
    path = os.fsdecode(relative)
    name = os.path.basename(path)
    if path == os.path.normpath(source.sidecar) or (source.sidecar == PER_FILE and name.endswith(".json")):
        return False

    def matches(patterns: tuple[str, ...]) -> bool:
        return any(fnmatch.fnmatchcase(name, each) or fnmatch.fnmatchcase(path, each) for each in patterns)

    return (not source.include or matches(source.include)) and not matches(source.exclude)
