"""A folder of this machine: read in ranges, written whole or not at all."""

from __future__ import annotations

import os
import shutil
import stat
import threading
import uuid
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

from loaders.errors import CorruptionError, FormatError, StorageError
from loaders.stores.files import TEMPORARY_PREFIX, make_folders, read_open, sync_file, sync_folder
from loaders.stores.staged import Staged
from loaders.stores.storage import AT_ONCE, Content, Stat, Storage, StorageOptions, flat

_KEPT_OPEN = 128
"""File handles that a `LocalFiles` keeps: with files of 256 MiB, those of 32 GiB of data."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_MOST_PARTS = 1024
"""IOV_MAX of Linux: memory areas that one `preadv` fills."""


def local_folder(url: str | Path) -> Path | None:
    """Return the local folder that a path or a `file://` URL names, None for any other URL.

    Raises:
        FormatError: If a `file://` URL names another host.
    """
    if isinstance(url, Path) or "://" not in url:
        return Path(url)
    found = urlsplit(url)
    if found.scheme.lower() != "file":
        return None
    if found.netloc not in ("", "localhost"):
        raise FormatError(f"{url} names the host {found.netloc!r}; a local folder is file:///path")
    return Path(unquote(found.path))


def open_local(url: str, options: StorageOptions) -> LocalFiles:
    """Open a folder that a path or a `file://` URL names; raises like `local_folder`."""
    folder = local_folder(url)
    assert folder is not None
    return LocalFiles(folder, kept_open=0)


class LocalFiles(Storage):
    """A folder of this machine, read without mapping: a file that is cut while mapped would kill the process."""

    is_local = True

    def __init__(self, folder: str | Path, *, kept_open: int = _KEPT_OPEN, scratch: str | Path | None = None) -> None:
        """Open a folder.

        Args:
            folder: Where the files are.
            kept_open: Files that stay open after a read; 0 where files are replaced under the same names.
            scratch: Where files are staged, on the same file system; None: in the folder itself.
        """
        self.root = str(folder)
        self._folder, self._scratch = Path(folder), scratch or folder
        self._kept_open = kept_open
        self._lock = threading.Lock()
        self._handles: OrderedDict[str, _Handle] = OrderedDict()
        self._is_closed = False

    def size(self, name: str) -> int:
        with self._borrowed(name) as handle:
            return handle.size

    def stat(self, name: str) -> Stat:
        try:
            found = os.stat(f"{self.root}/{name}")
        except FileNotFoundError:
            raise
        except OSError as error:
            raise StorageError(f"{self._folder / name} cannot be looked at: {error.strerror}") from error
        if not stat.S_ISREG(found.st_mode):
            raise self._corrupt(name, "is not a regular file")
        return _told(name, found)

    def read_whole(self, name: str, *, most: int | None = None) -> bytes:
        handle = self._open(name)
        try:
            return read_open(handle.fd, handle.size) if most is None else os.read(handle.fd, most)
        except OSError as error:
            raise StorageError(f"{self._folder / name} cannot be read: {error.strerror}") from error
        finally:
            handle.drop()

    def read_told(self, name: str) -> tuple[bytes, Stat]:
        handle = self._open(name)
        try:
            with open(handle.fd, "rb", buffering=0) as file:
                told = _told(name, os.fstat(handle.fd))  # files are replaced, never written into
                return file.read(), told
        except OSError as error:
            raise StorageError(f"{self._folder / name} cannot be read: {error.strerror}") from error

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

    def list(self, folder: str = "", *, after: str = "") -> Iterator[Stat]:
        """Yield the files below a folder, sorted by name; links are followed to files, half-written files left out."""
        found = (each for each in self._walked(folder) if not _is_temporary(each.name) and each.name > after)
        yield from sorted(found, key=lambda each: each.name)

    def unfinished(self) -> Iterator[Stat]:
        yield from sorted((each for each in self._walked("") if _is_temporary(each.name)), key=lambda each: each.name)

    def _walked(self, folder: str) -> Iterator[Stat]:
        top = str(self._folder)
        for place, _, names in os.walk(os.path.join(top, folder)):
            for name in names:
                path = os.path.join(place, name)
                try:
                    status = os.stat(path)
                except FileNotFoundError:
                    continue  # gone since, or a link to nothing
                if stat.S_ISREG(status.st_mode):
                    yield _told(os.path.relpath(path, top), status)

    def put(self, name: str, content: Content) -> None:
        with self._written(name, content) as temporary:
            os.replace(temporary, self._folder / name)

    def put_if_absent(self, name: str, content: Content) -> None:
        if (self._folder / name).exists():
            raise _taken(self._folder / name)
        with self._written(name, content) as temporary:
            try:
                os.link(temporary, self._folder / name)  # unlike a rename it replaces nothing
            except FileExistsError:
                raise _taken(self._folder / name) from None

    def stage(self) -> Staged:
        return Staged(self._scratch)

    def publish(self, staged: Mapping[str, Staged]) -> None:
        folders = {os.path.dirname(f"{self.root}/{name}") for name in staged}
        try:
            _sync([each.descriptor for each in staged.values()])
            for folder in [each for each in folders if not os.path.isdir(each)]:
                os.makedirs(folder, exist_ok=True)
                folders |= {os.path.dirname(folder), self.root}  # which hold new names now
            for name, each in staged.items():
                os.rename(each.place, f"{self.root}/{name}")
            with ExitStack() as opened:
                descriptors = [os.open(folder, os.O_RDONLY) for folder in folders]
                for descriptor in descriptors:
                    opened.callback(os.close, descriptor)
                _sync(descriptors)
        finally:
            for each in staged.values():
                each.close()

    def delete(self, name: str) -> None:
        with self._forgetting(name):
            (self._folder / name).unlink(missing_ok=True)

    def copy(self, name: str, to: str) -> None:
        if not (self._folder / name).exists():
            raise FileNotFoundError(f"there is no {self._folder / name}")
        self.put(to, self._folder / name)

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

    @contextmanager
    def _written(self, name: str, content: Content) -> Iterator[Path]:
        """Give the content, durable, a name beside the one it will have; the folder is synced after the block."""
        folder = (self._folder / name).parent
        temporary = folder / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
        with self._forgetting(name):
            make_folders(folder)
            try:
                if isinstance(content, Path):
                    shutil.copyfile(content, temporary)
                else:
                    temporary.write_bytes(content)
                sync_file(temporary)
                yield temporary
                sync_folder(folder)
            finally:
                temporary.unlink(missing_ok=True)

    @contextmanager
    def _forgetting(self, name: str) -> Iterator[None]:
        """Drop the handle of a file that the block changes; raise StorageError for what the disk refuses."""
        try:
            yield
        except (FileExistsError, FileNotFoundError):
            raise
        except OSError as error:
            raise StorageError(f"{self._folder / name} cannot be written: {error.strerror}") from error
        finally:
            with self._lock:
                if (handle := self._handles.pop(name, None)) is not None:
                    handle.drop()

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
        path = f"{self.root}/{name}"  # not a Path: it takes three times as long as opening the file
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


def _sync(descriptors: Sequence[int]) -> None:
    # Together: the journal then writes one commit for many files. 512 files of 110 KB on ext4 took 0.6-0.8 s one
    # after the other, 0.09 s with eight threads.
    # A thread gets its share at once: to hand over one file after the other costs twice what syncing it does.
    shares = [descriptors[number::AT_ONCE] for number in range(min(AT_ONCE, len(descriptors)))]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for _ in threads.map(_sync_each, shares):
            pass


def _sync_each(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.fsync(descriptor)


def _is_temporary(name: str) -> bool:
    return any(step.startswith(TEMPORARY_PREFIX) for step in name.split("/"))


def _told(name: str, status: os.stat_result) -> Stat:
    modified = _EPOCH + timedelta(microseconds=status.st_mtime_ns // 1000)
    return Stat(name, status.st_size, f"{status.st_size}-{status.st_mtime_ns}-{status.st_ino}", modified)


def _taken(path: Path) -> FileExistsError:
    return FileExistsError(f"{path} is there already")
