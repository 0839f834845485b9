"""Opening a container wherever it lies: a file of this machine, or an object of a bucket that is read by ranges."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

from lakehouse.errors import IngestError, RejectedInputError
from lakehouse.ingestion.sources.prefix import etag_of
from lakehouse.ingestion.storing.pending import StorePlan
from lakehouse.ingestion.storing.regular import check_unchanged, opened
from lakehouse.objects import placed
from loaders.errors import CorruptionError, DeadlineError, ForbiddenError, StorageError
from loaders.stores.storage import Storage

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

AHEAD_BYTES = 4 << 20
"""Bytes of one request to a bucket: it costs tens of milliseconds, as much as these take to come."""

LOCAL_BYTES = 1 << 20


@contextmanager
def open_container(uri: str, size: int, etag: str | None, plan: StorePlan) -> Iterator[tuple[BinaryIO, int]]:
    """Open a container to read and seek; gives it and its bytes. At the end it is checked to be what it was.

    Args:
        uri: As listed.
        size: As listed.
        etag: As listed; None for a file.
        plan: What to do.

    Raises:
        RejectedInputError: If it cannot be opened, or was changed meanwhile.
        IngestError: If a bucket does not answer: no fault of the container.
    """
    if uri.startswith("file:"):
        with opened(uri, plan.allowed_roots) as (source, before):
            with open(source, "rb", buffering=LOCAL_BYTES, closefd=False) as stream:
                yield stream, before.st_size
            check_unchanged(source, before)
        return
    storage, name = placed(plan.root, uri)
    yield cast(BinaryIO, io.BufferedReader(_Ranges(storage, name, size, uri), AHEAD_BYTES)), size
    with _telling(uri):
        now = storage.stat(name)
    if (now.size, etag_of(now)) != (size, etag):
        said = f"{size} bytes of etag {etag} when listed, {now.size} of etag {etag_of(now)} now"
        raise RejectedInputError("changed_while_reading", f"{said}; land it when it is at rest")


class _Ranges(io.RawIOBase):
    """An object of a bucket as a file."""

    def __init__(self, storage: Storage, name: str, size: int, uri: str) -> None:
        super().__init__()
        self._storage, self._name, self._size, self._uri = storage, name, size, uri
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise OSError(f"cannot seek to {start + offset}")
        self._place = start + offset
        return self._place

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        length = max(0, min(len(view), self._size - self._place))
        if length:
            with _telling(self._uri):
                self._storage.read_into(self._name, self._place, [view[:length]])
            self._place += length
        return length


@contextmanager
def _telling(uri: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise RejectedInputError("vanished", "gone since it was listed") from error
    except CorruptionError as error:
        raise RejectedInputError("changed_while_reading", "it has fewer bytes than when it was listed") from error
    except ForbiddenError as error:
        raise RejectedInputError("unreadable", "cannot be read: the bucket denies it to these keys") from error
    except (StorageError, DeadlineError) as error:
        raise IngestError(f"cannot read {uri}: {error}; what was committed stays, run again") from error
