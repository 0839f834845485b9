"""Bringing one file from one storage to another, compared with its SHA-256 on the way: right bytes arrive, or none."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from lakehouse.home import Home
from lakehouse.objects import objects_of
from loaders.errors import CorruptionError
from loaders.stores.storage import Storage

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 8
"""Files under way beside one another; each waits for a network or a disk most of the time."""
IN_FLIGHT = 64
CHUNK_BYTES = 8 << 20
"""Larger files are written aside, part by part, and named when they are whole."""


def transfer(source: Storage, at: str, target: Storage, name: str, *, size: int, sha256: str | None) -> str:
    """Write a file of one storage into another; return how it differs from what is expected, "" once it is written.

    Args:
        source: Where it is.
        at: Its name there.
        target: Where it is written, in place of one that is there.
        name: Its name there.
        size: Bytes that it must have.
        sha256: Hash that they must have; None where nobody knows it.

    Raises:
        StorageError: If a storage refuses.
        DeadlineError: If one does not answer in time.
    """
    digest = hashlib.sha256()
    try:
        if size <= CHUNK_BYTES:
            data = source.read_whole(at)
            if len(data) != size:
                return f"{len(data)} bytes"
            digest.update(data)
            if sha256 not in (None, digest.hexdigest()):
                return f"SHA-256 {digest.hexdigest()}"
            target.put(name, data)
            return ""
        found = source.size(at)
        if found != size:
            return f"{found} bytes"
        staged = target.stage()
        try:
            for start in range(0, size, CHUNK_BYTES):
                part = source.read(at, start, min(CHUNK_BYTES, size - start))
                digest.update(part)
                staged.write(part)
            if sha256 not in (None, digest.hexdigest()):
                return f"SHA-256 {digest.hexdigest()}"
            target.publish({name: staged})
        finally:
            staged.discard()
        return ""
    except FileNotFoundError:
        return "no file"
    except CorruptionError as error:
        return f"no whole file ({error})"


def all_at_once(work: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R]]:
    """Yield (item, result) in order, several being worked on; few are held at a time, however many there are."""
    pending: deque[tuple[T, Future[R]]] = deque()
    with ThreadPoolExecutor(AT_ONCE) as threads:
        try:
            for item in items:
                pending.append((item, threads.submit(work, item)))
                if len(pending) >= IN_FLIGHT:
                    first, result = pending.popleft()
                    yield first, result.result()
            while pending:
                first, result = pending.popleft()
                yield first, result.result()
        finally:
            for _, left in pending:
                left.cancel()


def writable(home: Home) -> Storage:
    """Return the files of a lake, to write them: what is large is staged in its `_tmp`, on the same file system."""
    if not home.is_local:
        return home.files
    folder = home.folder / "_tmp"
    folder.mkdir(parents=True, exist_ok=True)
    return objects_of(home, scratch=folder)
