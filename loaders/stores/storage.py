"""The files of one split folder, wherever they lie: read whole ranges, exactly or with an error.

`open_files` gives `LocalFiles` for a folder of this machine and `RemoteFiles` for a URL, the latter behind
`CachedFiles` where a cache folder is named.
"""

from __future__ import annotations

import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from loaders.errors import CorruptionError, FormatError, StorageError

_KEPT_OPEN = 128
"""File handles that a `LocalFiles` keeps: with files of 256 MiB, those of 32 GiB of data."""

_MOST_PARTS = 1024
"""IOV_MAX of Linux: memory areas that one `preadv` fills."""

_SECRETS = ("access_key", "secret_key", "session_token", "key", "secret", "password")


@dataclass(frozen=True, slots=True)
class StorageOptions:
    """How to read from a URL; a local folder needs none of these.

    Attributes:
        deadline_s: Seconds in which a read gets its next `part_bytes`, or ends with an error; retries included.
        tries: How often a request is sent before its error is raised; 5xx, 429, timeouts and cut answers are tried
            again, after a growing pause.
        hedge_after_s: A request that takes longer than this, and longer than 4 times the median of the last ones, is
            sent once more on another connection; the first answer counts.
        part_bytes: A longer read is split into requests of this size (2 MiB).
        parallel: Requests under way at once; `parallel * part_bytes` bytes are in flight at most.
        cache_folder: Local folder in which ranges that were read are kept, shared by all processes of the host; None
            keeps nothing.
        cache_bytes: Size of the cache folder at most (32 GiB).
        filesystem: A file system of `pyarrow.fs` or `fsspec` to use instead of one made from the URL; the URL is then
            the path in it.
        options: Arguments for the file system that is made from the URL (`endpoint_override`, `region`, `scheme`,
            `anonymous` ...). Keys and passwords come from the environment only.
    """

    deadline_s: float = 30.0
    tries: int = 8
    hedge_after_s: float = 1.0
    part_bytes: int = 2 << 20
    parallel: int = 8
    cache_folder: Path | None = None
    cache_bytes: int = 32 << 30
    filesystem: object | None = field(default=None, repr=False)
    options: Mapping[str, object] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not self.deadline_s > 0 or not self.hedge_after_s > 0:
            raise FormatError("deadline_s and hedge_after_s must be positive")
        if self.tries < 1 or self.parallel < 1:
            raise FormatError(f"tries and parallel must be at least 1, found {self.tries} and {self.parallel}")
        if self.part_bytes < 1 << 16:
            raise FormatError(f"part_bytes must be at least 64 KiB, found {self.part_bytes}")
        if self.cache_bytes < 1:
            raise FormatError(f"cache_bytes must be positive, found {self.cache_bytes}")
        if secrets := sorted(set(self.options) & set(_SECRETS)):
            raise FormatError(
                f"options of a file system must not hold {', '.join(secrets)}; keys come from the environment "
                "(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY ...), or hand in a ready `filesystem`"
            )


class Files(Protocol):
    """The files of one split folder. Safe to use from several threads."""

    @property
    def root(self) -> str:
        """Where they lie, for messages: a URL without user, password and query."""

    @property
    def is_local(self) -> bool:
        """Whether small reads are cheap; if not, a request costs tens of milliseconds."""

    def size(self, name: str) -> int:
        """Return the bytes of a file.

        Raises:
            FileNotFoundError: If there is none of this name.
            CorruptionError: If it is no regular file.
            StorageError: If the storage refuses.
            DeadlineError: If it does not answer in time.
        """

    def read(self, name: str, start: int, length: int) -> bytes:
        """Return exactly `length` bytes from `start` on; raises like `read_into`."""

    def read_into(self, name: str, start: int, parts: Sequence[memoryview]) -> None:
        """Fill `parts`, one after the other, with the bytes from `start` on.

        Raises:
            CorruptionError: If the file ends before; what the parts hold then is undefined.
            FileNotFoundError, StorageError, DeadlineError: Like `size`.
        """

    def close(self) -> None:
        """Give back handles and threads; a read under way ends with its bytes or with an error."""


def open_files(url: str | Path, options: StorageOptions | None = None) -> Files:
    """Open a split folder: a path, `file://`, `s3://`, `gs://`, `https://` or what else pyarrow and fsspec know.

    Raises:
        FormatError: If no file system knows the URL.
        StorageError: If the file system cannot be made.
    """
    options = options or StorageOptions()
    if options.filesystem is None and (folder := local_folder(url)) is not None:
        return LocalFiles(folder)
    from loaders.stores.remote import open_remote  # not for local folders: it brings pyarrow's file systems or fsspec

    files = open_remote(str(url), options)
    if options.cache_folder is None:
        return files
    from loaders.stores.disk_cache import CachedFiles, DiskCache

    return CachedFiles(files, DiskCache(options.cache_folder, options.cache_bytes))


def forget(files: Files, name: str, start: int, length: int) -> bool:
    """Say that the bytes of a range turned out wrong; True if reading them again may give others.

    A cache drops them, and what came over a network is asked for again; a local file stays what it is.
    """
    if (drop := getattr(files, "forget", None)) is not None:
        drop(name, start, length)
    return not files.is_local


def local_folder(url: str | Path) -> Path | None:
    """Return the local folder that a path or a `file://` URL names, None for any other URL."""
    if isinstance(url, Path) or "://" not in url:
        return Path(url)
    found = urlsplit(url)
    if found.scheme.lower() != "file":
        return None
    if found.netloc not in ("", "localhost"):
        raise FormatError(f"{url} names the host {found.netloc!r}; a local folder is file:///path")
    return Path(unquote(found.path))


class LocalFiles:
    """A folder of this machine, read without mapping: a file that is cut while mapped would kill the process."""

    is_local = True

    def __init__(self, folder: str | Path, *, kept_open: int = _KEPT_OPEN) -> None:
        self.root = str(folder)
        self._folder = Path(folder)
        self._kept_open = kept_open
        self._lock = threading.Lock()
        self._handles: OrderedDict[str, _Handle] = OrderedDict()
        self._is_closed = False

    def size(self, name: str) -> int:
        with self._borrowed(name) as handle:
            return handle.size

    def read(self, name: str, start: int, length: int) -> bytes:
        data = bytearray(length)
        self.read_into(name, start, [memoryview(data)])
        return bytes(data)

    def read_into(self, name: str, start: int, parts: Sequence[memoryview]) -> None:
        length = sum(part.nbytes for part in parts)
        with self._borrowed(name) as handle:
            try:
                count = fill(handle.fd, start, parts)
            except OSError as error:
                raise self._corrupt(name, f"cannot be read: {error.strerror}") from error
            if count < length:
                problem = f"ends at byte {start + count:,}, expected {start + length:,} or more{_change(handle)}"
                raise self._corrupt(name, problem)

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            dropped = [self._handles.popitem()[1] for _ in range(len(self._handles))]
            for handle in dropped:
                handle.drop()

    @contextmanager
    def _borrowed(self, name: str) -> Iterator[_Handle]:
        handle = self._take(name)
        try:
            yield handle
        finally:
            with self._lock:
                handle.give_back()

    def _take(self, name: str) -> _Handle:
        with self._lock:
            self._check_open()
            if (handle := self._handles.get(name)) is not None:
                self._handles.move_to_end(name)
                handle.users += 1
                return handle
        opened = self._open(name)  # without the lock: a network file system may take its time
        with self._lock:
            try:
                self._check_open()
            except RuntimeError:
                opened.drop()
                raise
            handle = self._handles.setdefault(name, opened)
            handle.users += 1
            if handle is not opened:
                opened.drop()
            elif len(self._handles) > self._kept_open:
                self._handles.popitem(last=False)[1].drop()
            return handle

    def _check_open(self) -> None:
        if self._is_closed:
            raise RuntimeError(f"the files of {self.root} are closed")

    def _open(self, name: str) -> _Handle:
        path = self._folder / name
        try:
            # O_NONBLOCK: opening a FIFO would wait for a writer.
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise StorageError(f"{path} cannot be opened: {error.strerror}") from error
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            os.close(fd)
            raise self._corrupt(name, "is not a regular file")
        return _Handle(fd, found.st_size)

    def _corrupt(self, name: str, problem: str) -> CorruptionError:
        path = str(self._folder / name)
        return CorruptionError(f"{path} {problem}; copy the file again or publish the dataset again", file=path)


@dataclass(slots=True)
class _Handle:
    """An open file, closed when it is dropped and nobody reads from it; guarded by the lock of its owner."""

    fd: int
    size: int
    users: int = 0
    is_dropped: bool = False

    def drop(self) -> None:
        self.is_dropped = True
        self._close_unused()

    def give_back(self) -> None:
        self.users -= 1
        self._close_unused()

    def _close_unused(self) -> None:
        if self.is_dropped and not self.users:
            os.close(self.fd)


def fill(fd: int, start: int, parts: Sequence[memoryview]) -> int:
    """Fill `parts` from an open file, one after the other; return how many bytes there were, fewer at its end."""
    left = flat(parts)
    at = start
    while left:
        count = os.preadv(fd, left[:_MOST_PARTS], at)
        if not count:
            break
        at += count
        left = _after(left, count)
    return at - start


def flat(parts: Sequence[memoryview]) -> list[memoryview]:
    """Return the same memory as views over bytes, without the empty ones."""
    return [part if part.format == "B" and part.ndim == 1 else part.cast("B") for part in parts if part.nbytes]


def _after(parts: list[memoryview], count: int) -> list[memoryview]:
    """Return what of `parts` is still to be filled after `count` bytes."""
    for at, part in enumerate(parts):
        if count < part.nbytes:
            return [part[count:], *parts[at + 1 :]]
        count -= part.nbytes
    return []


def _change(handle: _Handle) -> str:
    now = os.fstat(handle.fd).st_size
    return "" if now == handle.size else f" (it had {handle.size:,} bytes when it was opened, now {now:,})"
