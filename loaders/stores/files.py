"""The few file operations that storage rests on: whole or not at all, durable, and never over another's work."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
from pathlib import Path

TEMPORARY_PREFIX = ".tmp-"
"""Names of half-written files begin so; readers and Petastorm ignore them, `publish` removes them."""

_CHUNK_BYTES = 1 << 20
_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_UNSUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.EPERM)


def sha256_file(path: Path, *, start: int = 0) -> str:
    """Return the SHA-256 of a file from byte `start` on, 64 hex digits."""
    with path.open("rb") as stream:
        stream.seek(start)
        return hashlib.file_digest(stream, "sha256").hexdigest()


def stamp_of(path: Path) -> list[int]:
    """Return what is another number once somebody has written to a file: size, times of change, and who it is.

    Raises:
        OSError: If there is no such file.
    """
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def read_open(descriptor: int, size: int) -> bytes:
    """Return the bytes of an open regular file from where it stands to its end, wherever that is now.

    Args:
        descriptor: Of the file.
        size: Bytes that it is thought to have; with as many, one call suffices.
    """
    data = os.read(descriptor, size + 1)  # one more: that it did not come says that this is the end
    if len(data) == size:
        return data
    parts = [data]
    while part := os.read(descriptor, _CHUNK_BYTES):
        parts.append(part)
    return b"".join(parts)


def sync_file(path: Path) -> None:
    """Make the content of a file survive a power cut."""
    _sync(path, os.O_RDONLY)


def sync_folder(path: Path) -> None:
    """Make the names in a folder survive a power cut."""
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


def make_folders(path: Path) -> None:
    """Make a folder and those above it that are missing; their names survive a power cut."""
    if path.is_dir():
        return
    make_folders(path.parent)
    path.mkdir(exist_ok=True)
    sync_folder(path.parent)


def write_durably(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{os.getpid()}-{path.name}")
    try:
        temporary.write_bytes(data)
        sync_file(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def rename_folder_no_replace(source: Path, target: Path) -> None:
    """Give a folder its final name in one atomic step.

    Raises:
        FileExistsError: If the target exists; nothing was changed.
        OSError: With `errno.EXDEV` if they are on different file systems.
    """
    library = ctypes.CDLL(None, use_errno=True)
    rename = getattr(library, "renameat2", None)
    if rename is not None:
        done = rename(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE)
        if done == 0:
            return
        code = ctypes.get_errno()
        if code not in _UNSUPPORTED:
            raise OSError(code, os.strerror(code), str(source), None, str(target))
    _rename_by_rule(source, target)


def _rename_by_rule(source: Path, target: Path) -> None:
    # POSIX: a directory cannot be renamed onto one that is not empty, and a published folder never is.
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
        raise


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
