"""What is in a folder: regular files to land, and everything that is refused unread."""

from __future__ import annotations

import os
import stat
import unicodedata
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lakehouse.errors import IngestError
from lakehouse.ingestion.sources.patterns import LeftOut, Wanted
from lakehouse.ingestion.sources.source import Source, check_folder
from lakehouse.objects import absolute_file_uri, below

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SAFE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


@dataclass(frozen=True, slots=True)
class Listed:
    """One name found under a drop.

    Attributes:
        uri: file:// URI, exact; in a bucket scheme, bucket and key as they are.
        path: Relative path; `%`, control characters and bytes that are not UTF-8 are percent-encoded.
        name: Last part of the path for people.
        size_bytes: Size when listed.
        mtime_at: Modification time, UTC, whole microseconds; None for what is refused unread, and out of range.
        rule: Why it is refused unread; None for a regular file.
        reason: The same for a person.
        etag: Version tag of an object in a bucket, without quotes; None for a file.
    """

    uri: str
    path: str
    name: str
    size_bytes: int
    mtime_at: datetime | None
    rule: str | None = None
    reason: str | None = None
    etag: str | None = None


def list_folder(
    source: Source, *, leave_out: Path | None = None, left_out: LeftOut | None = None
) -> Iterator[Listed]:
    """Walk the folder of a source, names sorted by bytes; no folder is searched twice.

    Symbolic links are refused with a reason, unless the source follows links and they stay below its allowed roots.

    Args:
        source: The source.
        leave_out: A folder that is not searched: the lake, where it lies inside the source's folder.
        left_out: Gets what was not taken because of its name.

    Raises:
        IngestError: If the folder itself cannot be listed.
        ConfigError: If it is part of a lake.
    """
    check_folder(source)
    yield from _Walk(source, leave_out, Wanted(source, LeftOut() if left_out is None else left_out)).files()


def plain_path(relative: bytes) -> str:
    """Return a relative path as text that reads back byte for byte with `urllib.parse.unquote_to_bytes`."""
    try:
        text = relative.decode("utf-8")
    except UnicodeDecodeError:
        return urllib.parse.quote_from_bytes(relative, safe=SAFE)
    if text.isprintable() and "%" not in text:
        return text  # no character of the kinds below: of most names one look at the whole is enough
    return "".join(
        urllib.parse.quote(c, safe="") if c == "%" or unicodedata.category(c) in ("Cc", "Cs") else c for c in text
    )


class _Walk:
    """One walk through the folder of a source."""

    def __init__(self, source: Source, leave_out: Path | None, wanted: Wanted) -> None:
        self._root = os.path.abspath(os.fsencode(source.folder))
        self._source = source
        self._wanted = wanted
        self._allowed_roots = source.allowed_roots
        self._follow = source.follow_links
        # (device, inode) of folders that are not to be searched, or not again.
        self._searched = {_place(os.stat(self._root))} if self._follow else set()
        if leave_out is not None and leave_out.exists():
            self._searched.add(_place(os.stat(leave_out)))

    def files(self) -> Iterator[Listed]:
        """Yield what is landed and what is refused."""
        try:
            # A stack of our own: folders can be nested deeper than Python calls.
            stack = [iter(_entries(self._root))]
        except OSError as error:
            raise IngestError(
                f"source {self._source.name}: cannot list {self._source.folder}: {error.strerror}"
            ) from error
        while stack:
            entry = next(stack[-1], None)
            if entry is None:
                stack.pop()
                continue
            try:
                refused = self._astray(entry) if self._follow and entry.is_symlink() else None
                if refused is None and entry.is_dir(follow_symlinks=self._follow):
                    refused = self._searched_before(entry)
                    if refused is None and self._is_new(entry):
                        stack.append(iter(_entries(entry.path)))
                    if refused is None:
                        continue
            except OSError as error:
                # For one: a path of more than 4,096 bytes, which no call takes.
                yield self._refused(entry, "unreadable", f"folder cannot be listed: {error.strerror}")
                continue
            if self._wanted(self._relative(entry)):
                yield refused or self._listed(entry)

    def _relative(self, entry: os.DirEntry[bytes]) -> bytes:
        # Not `os.path.relpath`, which asks for the working directory every time.
        return entry.path[len(self._root.rstrip(b"/")) + 1 :]

    def _astray(self, link: os.DirEntry[bytes]) -> Listed | None:
        try:
            real = os.path.realpath(link.path, strict=True)
        except OSError as error:
            return self._refused(link, "symlink", f"a symbolic link that leads nowhere: {error.strerror}")
        if any(below(real, root) for root in self._allowed_roots):
            return None
        return self._refused(link, "symlink", f"a symbolic link to {os.fsdecode(real)!r}, outside the folders that "
                             "links may lead into; name one above it as links root")

    def _searched_before(self, folder: os.DirEntry[bytes]) -> Listed | None:
        if not folder.is_symlink():
            return None
        real = os.path.realpath(folder.path)
        inside = os.path.relpath(real, self._allowed_roots[0]) if below(real, self._allowed_roots[0]) else b".."
        # What is hidden is not searched, unless a link leads there; so are folders elsewhere.
        anyway = not any(part.startswith(b".") and part != b"." for part in inside.split(b"/"))
        if anyway or _place(folder.stat()) in self._searched:
            return self._refused(folder, "symlink", "a symbolic link to a folder that is searched without it")
        return None

    def _is_new(self, folder: os.DirEntry[bytes]) -> bool:
        if not self._searched:
            return True
        place = _place(folder.stat())
        new = place not in self._searched
        if self._follow:
            self._searched.add(place)
        return new

    def _listed(self, entry: os.DirEntry[bytes]) -> Listed:
        try:
            found = entry.stat(follow_symlinks=self._follow)
        except OSError as error:
            return self._refused(entry, "vanished", f"gone while it was listed: {error.strerror}")
        if stat.S_ISLNK(found.st_mode):
            return self._refused(
                entry, "symlink", "a symbolic link; links are not followed without --follow-links (follow_links = true)"
            )
        if not stat.S_ISREG(found.st_mode):
            kind = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}.get(stat.S_IFMT(found.st_mode), "a device")
            return self._refused(entry, "not_a_regular_file", f"{kind}; only regular files are read")
        return Listed(
            uri=absolute_file_uri(entry.path),
            path=plain_path(self._relative(entry)),
            name=_display(entry.path),
            size_bytes=found.st_size,
            mtime_at=instant(found.st_mtime_ns),
        )

    def _refused(self, entry: os.DirEntry[bytes], rule: str, reason: str) -> Listed:
        return Listed(
            uri=absolute_file_uri(entry.path),
            path=plain_path(self._relative(entry)),
            name=_display(entry.path),
            size_bytes=0,
            mtime_at=None,
            rule=rule,
            reason=reason,
        )


def _place(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _entries(folder: bytes) -> list[os.DirEntry[bytes]]:
    with os.scandir(folder) as found:
        return sorted((each for each in found if not each.name.startswith(b".")), key=lambda entry: entry.name)


def instant(nanoseconds: int) -> datetime | None:
    """Return a time of a file as bronze keeps it; None out of the range of years."""
    try:
        return EPOCH + timedelta(microseconds=nanoseconds // 1000)
    except OverflowError:
        # Before year 1 or after year 9999: some file systems keep that.
        return None


def _display(path: bytes) -> str:
    return os.path.basename(path).decode("utf-8", errors="replace")
