"""One request at a time to a bucket or web server, through obstore: what it answers, or an error without secrets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import obstore

from loaders.errors import ChangedFileError, StorageError
from loaders.stores.saying import failure
from loaders.stores.storage import ONE_REQUEST_BYTES, Content, Stat

if TYPE_CHECKING:
    from obstore import ObjectMeta, PutMode
    from obstore.store import ObjectStore

PAGE = 1000
"""Objects of a listing that one request tells of: what S3 tells at most."""

_LISTS_FROM = ("S3Store", "GCSStore")
"""Stores that begin a listing behind a name; of the others obstore reads all pages up to it, again for each page."""


class BucketSource:
    """The objects below a prefix; each call is one request, without tries of its
    own. It raises TransientError for what may pass; FileNotFoundError, CorruptionError, StorageError for what does not.
    """

    def __init__(self, store: ObjectStore, prefix: str, root: str, *, is_web: bool = False) -> None:
        """Args: the bucket; the folder in it, without slashes at its ends; what to call it; whether it is read only."""
        self.root = root
        self._store, self._prefix, self.is_read_only = store, f"{prefix}/" if prefix else "", is_web

    def close(self) -> None:
        """Let go of the connections that nobody uses."""
        del self._store

    async def stat(self, name: str) -> Stat:
        """Return size and version of an object."""
        try:
            return self._told(await obstore.head_async(self._store, self._prefix + name))
        except Exception as error:
            raise self._failed(error, name) from None

    async def fetch(self, name: str, start: int, length: int) -> memoryview:
        """Return this range, or what came of it."""
        try:
            data = await obstore.get_range_async(self._store, self._prefix + name, start=start, length=length)
        except Exception as error:
            raise self._failed(error, name) from None
        return memoryview(data)

    async def get(self, name: str, most: int) -> tuple[memoryview | None, Stat]:
        """Return an object and what it is; of one that is larger than `most`, only what it is."""
        try:
            answer = await obstore.get_async(self._store, self._prefix + name)
            told = self._told(answer.meta)
            return (None if told.size > most else memoryview(await answer.bytes_async())), told
        except Exception as error:
            raise self._failed(error, name) from None

    async def list(self, folder: str, after: str) -> tuple[tuple[Stat, ...], bool]:
        """Return a page of the objects below a folder, in the order of their names, and whether there may be more."""
        if self.is_read_only:
            raise StorageError(f"{self.root}: a web server does not list folders")
        prefix, offset = f"{self._prefix}{folder}" or None, f"{self._prefix}{after}" if after else None
        try:
            if type(self._store).__name__ not in _LISTS_FROM:
                whole = await obstore.list(self._store, prefix).collect_async()
                return tuple(sorted(map(self._told, whole), key=lambda each: each.name)), False
            page: Sequence[ObjectMeta] = ()
            async for found in obstore.list(self._store, prefix, offset=offset, chunk_size=PAGE):
                page = found
                break
        except Exception as error:
            raise self._failed(error, folder) from None
        return tuple(map(self._told, page)), len(page) == PAGE

    async def put(self, name: str, content: Content, *, is_new: bool, storage_class: str = "") -> None:
        """Write an object, in a storage class if one is named; FileExistsError if it must be new and is not."""
        size = content.stat().st_size if hasattr(content, "stat") else memoryview(content).nbytes
        mode: PutMode = "create" if is_new else "overwrite"
        at_once = is_new or size <= ONE_REQUEST_BYTES
        try:
            await obstore.put_async(
                self._store, self._prefix + name, content, mode=mode, use_multipart=False if at_once else None,
                attributes={"Storage-Class": storage_class} if storage_class else None,
            )  # fmt: skip
        except Exception as error:
            if type(error).__name__ in ("AlreadyExistsError", "PreconditionError"):
                raise FileExistsError(f"{self.root}/{name} is there already") from None
            raise self._failed(error, name) from None

    async def put_if_same(self, name: str, content: Content, version: str) -> str:
        """Write an object in place of this version; return the version that it has then."""
        try:
            done = await obstore.put_async(
                self._store, self._prefix + name, content, mode={"e_tag": version}, use_multipart=False
            )
        except Exception as error:
            if type(error).__name__ in ("PreconditionError", "FileNotFoundError", "NotFoundError"):
                raise ChangedFileError(f"{self.root}/{name} is another version by now") from None
            raise self._failed(error, name) from None
        return str(done["e_tag"] or done["version"])

    async def delete(self, name: str) -> None:
        """Delete an object."""
        try:
            await obstore.delete_async(self._store, self._prefix + name)
        except FileNotFoundError:
            pass
        except Exception as error:
            raise self._failed(error, name) from None

    async def copy(self, name: str, to: str) -> None:
        """Copy an object."""
        try:
            await obstore.copy_async(self._store, self._prefix + name, self._prefix + to)
        except Exception as error:
            raise self._failed(error, name) from None

    def _told(self, found: ObjectMeta) -> Stat:
        version = str(found["e_tag"] or found["version"] or found["last_modified"].isoformat())
        return Stat(found["path"].removeprefix(self._prefix), found["size"], version, found["last_modified"])

    def _failed(self, error: Exception, name: str) -> Exception:
        return failure(error, f"{self.root}/{name}")
