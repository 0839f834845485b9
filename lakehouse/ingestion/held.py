"""What the lake holds already: whether an object is there with exactly the bytes it is named by, or only looks so."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection, Iterable

from lakehouse.objects import object_path


def is_held(path: bytes, size: int, sha256: str, data: bytes | None = None) -> bool:
    """Say whether an object is there whole; it is read once, and what cannot be read is as good as none.

    Args:
        path: Of the object.
        size: Bytes that it must have.
        sha256: Their hash.
        data: The bytes themselves, where they are at hand: comparing costs less than hashing.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size != size:
            return False
        with open(descriptor, "rb", buffering=0, closefd=False) as file:
            if data is not None:
                return file.readall() == data
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError:
        return False
    finally:
        os.close(descriptor)


def not_whole(root: str, known: Iterable[tuple[str, int]], marked: Collection[str]) -> set[str]:
    """Return those of known objects (SHA-256, bytes) that are missing, of another size, or marked as damaged.

    One `stat` each: nothing is read.
    """
    return {sha256 for sha256, size in known if sha256 in marked or _size(object_path(root, sha256)) != size}


def _size(path: bytes) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return -1
