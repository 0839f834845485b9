"""Ranges of remote files kept on a local disk: bounded, shared by the processes of a host, and never trusted.

An entry is a file named by the SHA-256 of what it holds (manifest, file, range): other data can never be served for it.
It is written under another name first and carries its length and CRC-32; what is torn or damaged is dropped and
fetched again. Locks are byte ranges of one file, which the kernel gives back when their owner dies.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from loaders.errors import StorageError
from loaders.stores.local import fill
from loaders.stores.storage import Files, flat

try:
    from isal.isal_zlib import crc32
except ImportError:  # slower
    from zlib import crc32

logger = logging.getLogger(__name__)

_HEADER = struct.Struct("<8s32sQI12x")
"""Magic, SHA-256 of the key, length, CRC-32 of the bytes: 64 bytes."""

_MAGIC = b"petrel\x00\x01"
_SUFFIX, _TEMPORARY, _LEDGER = ".range", ".tmp-", "_ledger"

_FIRST_KEY_LOCK = 1 << 20
_KEPT_AFTER_EVICTION = 0.9
_LEDGER_PATIENCE_S = 2.0
_FETCH_PATIENCE_S = 10.0
"""How long to wait for another process that fetches the same range, before fetching it too."""

_PAUSE_AFTER_FAILURE_S = 60.0
"""How long nothing is kept after a write failed: a full disk stays full for a while."""


class DiskCache:
    """A folder of ranges, at most `limit_bytes` in all; least recently used ones make room."""

    def __init__(self, folder: str | Path, limit_bytes: int, *, evicts: bool = True) -> None:
        """Open or make the folder.

        Args:
            folder: Where the ranges are kept.
            limit_bytes: Bytes in all.
            evicts: Whether others make room; if not, a full cache stays as it is.

        Raises:
            StorageError: If it cannot be made or written.
        """
        self.folder = Path(folder)
        self._limit = limit_bytes
        self._evicts = evicts
        self._has_warned = False
        self._keeps_from = 0.0
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            os.close(self._open_ledger())
        except OSError as error:
            raise StorageError(f"the cache folder {self.folder} cannot be used: {error.strerror}") from error

    def read(self, key: bytes, buffer: Callable[[int], memoryview]) -> memoryview | None:
        """Return what is kept for a key, whatever its length, in a buffer that is asked for; None if nothing sound is.

        Args:
            key: 32 bytes.
            buffer: Given a number of bytes, returns writable memory.
        """
        try:
            length = os.stat(self._path(key)).st_size - _HEADER.size
        except OSError:
            return None
        area = buffer(max(0, length))
        return area if self.read_into(key, [area]) else None

    def read_into(self, key: bytes, parts: Sequence[memoryview]) -> bool:
        """Fill `parts` with what is kept for a key; False if nothing sound is, and the parts are undefined."""
        path = self._path(key)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            if self._is_sound(fd, key, flat(parts)):
                os.utime(fd)  # used now
                return True
        except OSError as error:
            self._warn("reading", error)
        finally:
            os.close(fd)
        self.forget(key)
        return False

    def keep(self, key: bytes, parts: Sequence[memoryview]) -> None:
        """Keep the bytes of a key; where that is impossible, go on without."""
        areas = flat(parts)
        length = sum(area.nbytes for area in areas)
        if _HEADER.size + length > self._limit or time.monotonic() < self._keeps_from:
            return
        try:
            reserved = self._reserve(_HEADER.size + length)
        except OSError as error:
            self._failed_to_write(error)
            return
        if reserved is None:
            self._keeps_from = time.monotonic() + _PAUSE_AFTER_FAILURE_S
            return
        fd, temporary = reserved
        try:
            _write(fd, [memoryview(_HEADER.pack(_MAGIC, key, length, _checksum(areas))), *areas])
            os.rename(temporary, self._path(key))
        except OSError as error:
            temporary.unlink(missing_ok=True)
            self._failed_to_write(error)
        finally:
            os.close(fd)

    def forget(self, key: bytes) -> None:
        """Drop what is kept for a key."""
        try:
            self._path(key).unlink(missing_ok=True)
        except OSError as error:
            self._warn("deleting", error)

    def remove(self) -> None:
        """Delete all that is kept, and the folder if nothing else is in it."""
        try:
            with os.scandir(self.folder) as entries:
                found = [entry.path for entry in entries if entry.name.startswith(_TEMPORARY) or _is_range(entry.name)]
            for path in [*found, str(self.folder / _LEDGER)]:
                Path(path).unlink(missing_ok=True)
            self.folder.rmdir()
        except FileNotFoundError:
            pass  # another has deleted it
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                self._warn("deleting", error)

    @contextmanager
    def fetching(self, key: bytes) -> Iterator[None]:
        """Hold others, threads and processes, back from fetching the same; best effort, and for a while only."""
        with self._locked(_FIRST_KEY_LOCK + int.from_bytes(key[:7], "little"), _FETCH_PATIENCE_S):
            yield

    def _is_sound(self, fd: int, key: bytes, areas: list[memoryview]) -> bool:
        length = sum(area.nbytes for area in areas)
        header = bytearray(_HEADER.size)
        if os.fstat(fd).st_size != _HEADER.size + length:
            return False
        if fill(fd, 0, [memoryview(header), *areas]) != _HEADER.size + length:
            return False
        return _HEADER.unpack(header) == (_MAGIC, key, length, _checksum(areas))

    def _reserve(self, size: int) -> tuple[int, Path] | None:
        """Make room and return an open file of that size, which counts from now on; None if nothing makes room.

        Its lock is held as long as it is open: one without is what a killed process has left.
        """
        with self._locked(0, _LEDGER_PATIENCE_S) as ledger:
            if ledger is None:
                raise TimeoutError(errno.ETIMEDOUT, "another process holds its lock")
            stated = os.pread(ledger, 8, 0)
            total = int.from_bytes(stated, "little") + size
            if total > self._limit or not stated:
                total = self._evict(int(self._limit * _KEPT_AFTER_EVICTION) - size) + size
                if total > self._limit and not self._evicts:
                    return None
            temporary = self.folder / f"{_TEMPORARY}{os.urandom(8).hex()}"
            fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.truncate(fd, size)
                os.pwrite(ledger, total.to_bytes(8, "little"), 0)
            except OSError:
                os.close(fd)
                temporary.unlink(missing_ok=True)
                raise
            return fd, temporary

    def _evict(self, target: int) -> int:
        """Delete what killed processes left and, to make room, least recently used entries; return the bytes left."""
        found = []
        total = 0
        with os.scandir(self.folder) as entries:
            for entry in entries:
                is_temporary = entry.name.startswith(_TEMPORARY)
                if not is_temporary and not _is_range(entry.name):
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if is_temporary and _is_abandoned(entry.path):
                    os.unlink(entry.path)
                    continue
                total += status.st_size
                if not is_temporary:
                    found.append((status.st_mtime_ns, status.st_size, entry.path))
        for _, size, path in sorted(found) if self._evicts else ():
            if total <= target:
                break
            Path(path).unlink(missing_ok=True)
            total -= size
        return total

    @contextmanager
    def _locked(self, offset: int, patience_s: float) -> Iterator[int | None]:
        """Hold the lock of one byte of the ledger; yields its handle, or None if the lock could not be had in time."""
        try:
            fd = self._open_ledger()
        except OSError:
            yield None
            return
        try:
            yield fd if _lock(fd, offset, patience_s) else None
        finally:
            os.close(fd)  # which gives the lock back

    def _open_ledger(self) -> int:
        return os.open(self.folder / _LEDGER, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _path(self, key: bytes) -> Path:
        return self.folder / f"{key.hex()}{_SUFFIX}"

    def _failed_to_write(self, error: OSError) -> None:
        self._keeps_from = time.monotonic() + _PAUSE_AFTER_FAILURE_S
        self._warn("writing", error)

    def _warn(self, doing: str, error: OSError) -> None:
        if not self._has_warned:
            self._has_warned = True
            logger.warning("cache %s: %s failed: %s; reads go on without it", self.folder, doing, error)


class CachedFiles:
    """Files whose ranges are looked up in a cache first; what says whose they are never is."""

    is_local = False

    def __init__(
        self,
        files: Files,
        cache: DiskCache,
        *,
        manifest: str = "_manifest.json",
        version: Callable[[str], str] | None = None,
    ) -> None:
        """Read through a cache.

        Args:
            files: The files.
            cache: The cache.
            manifest: The file whose content says what the others hold.
            version: Returns for a file a text that differs for another content; None: the manifest speaks for all.
        """
        self.root = files.root
        self._files, self._cache, self._manifest, self._version = files, cache, manifest, version
        self._identity = b""

    def size(self, name: str) -> int:
        return self._files.size(name)

    def read(self, name: str, start: int, length: int) -> bytes:
        data = bytearray(length)
        self.read_into(name, start, [memoryview(data)])
        return bytes(data)

    def read_into(self, name: str, start: int, parts: Sequence[memoryview]) -> None:
        if name.startswith("_"):
            self._files.read_into(name, start, parts)
            return
        key = self._key(name, start, sum(part.nbytes for part in parts))
        if self._cache.read_into(key, parts):
            return
        with self._cache.fetching(key):
            if self._cache.read_into(key, parts):  # another has fetched it meanwhile
                return
            self._files.read_into(name, start, parts)
            self._cache.keep(key, parts)

    def forget(self, name: str, start: int, length: int) -> None:
        """Drop what is kept of a range, because its bytes turned out wrong."""
        self._cache.forget(self._key(name, start, length))

    def close(self) -> None:
        self._files.close()

    def _key(self, name: str, start: int, length: int) -> bytes:
        if self._version is not None:
            of = f"{self._version(name)}\0{start}:{length}:{name}\0{self.root}"
            return hashlib.sha256(of.encode()).digest()
        if not self._identity:
            text = self._files.read(self._manifest, 0, self._files.size(self._manifest))
            self._identity = hashlib.sha256(text).digest()
        return hashlib.sha256(self._identity + f"{start}:{length}:{name}".encode()).digest()


def _is_range(name: str) -> bool:
    return name.endswith(_SUFFIX)


def _checksum(areas: Sequence[memoryview]) -> int:
    value = 0
    for area in areas:
        value = crc32(area, value)
    return value


def _write(fd: int, areas: list[memoryview]) -> None:
    at = 0
    for area in areas:
        done = 0
        while done < area.nbytes:
            done += os.pwrite(fd, area[done:], at + done)
        at += area.nbytes


def _lock(fd: int, offset: int, patience_s: float) -> bool:
    wanted = struct.pack("hhqqi0q", fcntl.F_WRLCK, os.SEEK_SET, offset, 1, 0)
    until, pause = time.monotonic() + patience_s, 0.001
    while True:
        try:
            # Locks of the open file: unlike those of a process, threads hold each other back too.
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, wanted)
            return True
        except OSError:
            if time.monotonic() >= until:
                return False
            time.sleep(pause)
            pause = min(0.05, pause * 2)


def _is_abandoned(path: str) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:
        return False
    finally:
        os.close(fd)
