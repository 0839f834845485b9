"""What the lake holds already: whether an object is there with exactly the bytes it is named by, or only looks so."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable

from lakehouse.home import Root
from lakehouse.objects import object_uri, objects_of
from loaders.stores.storage import Storage

CHUNK_BYTES = 1 << 20
"""Bytes of an object that are in memory while it is hashed or copied."""


def is_held(objects: Storage, name: str, size: int, sha256: str, data: bytes | None = None) -> bool:
    """Say whether an object is there whole; it is read once, and what cannot be read is as good as none.

    Args:
        objects: Where the lake keeps its objects.
        name: Of the object.
        size: Bytes that it must have.
        sha256: Their hash.
        data: The bytes themselves, where they are at hand: comparing costs less than hashing.
    """
    try:
        if objects.stat(name).size != size:
            return False
        if data is not None:
            return objects.read_whole(name) == data
        digest, chunk = hashlib.sha256(), bytearray(min(size, CHUNK_BYTES))
        for start in range(0, size, CHUNK_BYTES):
            part = memoryview(chunk)[: min(CHUNK_BYTES, size - start)]
            objects.read_into(name, start, [part])
            digest.update(part)
        return digest.hexdigest() == sha256
    except OSError:
        return False


def not_whole(root: Root, known: Iterable[tuple[str, int]], marked: Collection[str]) -> set[str]:
    """Return those of known objects (SHA-256, bytes) that are missing, of another size, or marked as damaged.

    One `stat` each: nothing is read.
    """
    objects = objects_of(root)
    return {sha256 for sha256, size in known if sha256 in marked or _size(objects, object_uri(sha256)) != size}


def _size(objects: Storage, name: str) -> int:
    try:
        return objects.stat(name).size
    except OSError:
        return -1
