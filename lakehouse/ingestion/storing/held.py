"""What the lake holds already: whether an object is there with exactly the bytes it is named by, or only looks so."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from lakehouse.home import Root
from lakehouse.objects import OBJECTS, object_uri, objects_of
from loaders.stores.storage import AT_ONCE, Storage

CHUNK_BYTES = 1 << 20
"""Bytes of an object that are in memory while it is hashed or copied."""


LISTED_FROM = 1_000
"""So many objects of a bucket, a page of a listing, are compared with its list; fewer are looked at one by one."""

PAGE = 1_000
"""Objects that a request for a list tells of, in S3."""


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

    Nothing is read. In a folder each is looked at. In a bucket, where a look takes 5 to 50 ms, fewer than `LISTED_FROM`
    are looked at, several at once. More are compared with the list of all objects, for as many pages as looking would
    take time; only what those pages do not tell of is looked at, as with a small source of a huge lake.

    Raises:
        StorageError: If a bucket does not answer: nothing is known of its objects then.
    """
    objects = objects_of(root)
    if objects.is_local:
        return {sha256 for sha256, size in known if sha256 in marked or _size(objects, object_uri(sha256)) != size}
    expected = dict(known)
    if len(expected) < LISTED_FROM:
        return {sha256 for sha256 in expected if sha256 in marked} | _looked_at(objects, expected)
    found, told_to = _listed(objects, expected, pages=len(expected) // AT_ONCE)
    untold = {sha256: size for sha256, size in expected.items() if object_uri(sha256) > told_to}
    others = {sha256 for sha256, size in expected.items() if sha256 not in untold and found.get(sha256) != size}
    return others | {sha256 for sha256 in expected if sha256 in marked} | _looked_at(objects, untold)


def _looked_at(objects: Storage, expected: Mapping[str, int]) -> set[str]:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        sizes = threads.map(lambda sha256: _size(objects, object_uri(sha256)), expected)
        return {sha256 for (sha256, size), found in zip(expected.items(), sizes, strict=True) if found != size}


def _listed(objects: Storage, expected: Mapping[str, int], *, pages: int) -> tuple[dict[str, int], str]:
    """Return sizes of expected objects, and the last name that was listed; at the end, what sorts behind all."""
    found: dict[str, int] = {}
    last = ""
    listing = objects.list(OBJECTS)
    for each in itertools.islice(listing, pages * PAGE):
        last = each.name
        sha256 = last.rpartition("/")[2]
        if sha256 in expected and last == object_uri(sha256):
            found[sha256] = each.size
    return found, last if next(listing, None) is not None else f"{OBJECTS}/~"


def _size(objects: Storage, name: str) -> int:
    try:
        return objects.stat(name).size
    except OSError as error:
        if not objects.is_local and not isinstance(error, FileNotFoundError):
            raise  # a network that fails damages nothing
        return -1
