"""File systems of `pyarrow.fs` or `fsspec`: handed in, or made for the schemes that obstore does not know. Read only.

Their calls block and may hang: each has a thread of its own, which is left to itself when it is given up. How many may
be lost so is bounded.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from urllib.parse import urlsplit

from loaders.errors import CorruptionError, FormatError, StorageError
from loaders.stores.bucket_source import BucketSource
from loaders.stores.remote import RemoteFiles
from loaders.stores.saying import TransientError, without_secrets
from loaders.stores.storage import Stat, StorageOptions

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.fs import FileInfo

T = TypeVar("T")

Filesystem: TypeAlias = Any
"""A file system of `pyarrow.fs` or fsspec, and what they tell of a file: neither has types."""

_FINAL = (PermissionError, ValueError, TypeError, AttributeError, NotImplementedError, ImportError)
_REFUSED = re.compile(
    r"ACCESS_DENIED|INVALID_ACCESS_KEY|SIGNATURE_DOES_NOT_MATCH|NO_SUCH_BUCKET|HTTP status 40[0135]|PERMISSION_DENIED"
)
_MISSING = re.compile(r"NO_SUCH_KEY|RESOURCE_NOT_FOUND|HTTP status 404")
_S3_OF_PYARROW = (
    "pyarrow's client for S3 gives bytes that were never sent when an answer is shorter than its range; give the s3:// "
    "URL without `filesystem`, or hand in obstore.store.S3Store(bucket)"
)
"""Why it is not read from (pyarrow 26: 42,432 of 1,000,000 bytes were wrong, without an error)."""

_ALIVE_PER_PARALLEL = 4
"""Threads, those lost in a storage that never answers included, for each request that runs at once."""

_VERSIONS = ("ETag", "etag", "md5", "generation", "mtime", "LastModified", "updated", "last_modified", "created")
"""What file systems of fsspec call that which differs for another content."""


def open_given(url: str, options: StorageOptions) -> RemoteFiles:
    """Open a path in `options.filesystem`.

    Raises:
        FormatError: If it is no file system.
    """
    made: Filesystem = options.filesystem
    if type(made).__module__.startswith(("obstore", "builtins.obstore")):
        return RemoteFiles(BucketSource(made, urlsplit(url).path.strip("/"), without_secrets(url).rstrip("/")), options)
    if not hasattr(made, "open_input_file") and not hasattr(made, "cat_file"):
        raise FormatError(
            f"filesystem must be one of pyarrow.fs or fsspec, or a store of obstore, found {type(made).__name__}"
        )
    return _over(made, path_in(made, url), url, options)


def open_by_filesystem(url: str, options: StorageOptions) -> RemoteFiles:
    """Open a URL of a scheme that pyarrow's `hdfs` or fsspec knows; raises like `open_filesystem`."""
    made, folder = open_filesystem(url, options)
    return _over(made, folder, url, options)


def open_filesystem(url: str, options: StorageOptions) -> tuple[Filesystem, str]:
    """Return the file system of a URL and the path in it, or `options.filesystem`.

    Raises:
        FormatError: If no file system fits the URL, or its driver is not installed.
        StorageError: If the one that fits cannot be made.
    """
    if options.filesystem is not None:
        return options.filesystem, path_in(options.filesystem, url)
    scheme, rest = url.split("://", 1)
    root = without_secrets(url).rstrip("/")
    if scheme in ("hdfs", "viewfs"):
        from pyarrow.fs import HadoopFileSystem

        try:
            host = rest.split("/", 1)[0] or "default"
            return HadoopFileSystem.from_uri(f"{scheme}://{host}"), path_in(None, url)
        except Exception as error:
            raise StorageError(f"{root}: {without_secrets(str(error))}") from None
    try:
        from fsspec.core import url_to_fs

        made, folder = url_to_fs(url, **options.options)
    except ImportError as error:
        said = without_secrets(str(error))
        raise FormatError(f"{root}: {said}; install fsspec and its driver for {scheme}") from None
    except ValueError as error:
        raise FormatError(f"{root}: {without_secrets(str(error))}") from None
    except Exception as error:
        raise StorageError(f"{root}: {without_secrets(str(error))}") from None
    return made, folder


def path_in(filesystem: Filesystem, url: str) -> str:
    """Return the path of a URL in its file system: without the host where a file system has one host only."""
    scheme, _, rest = url.rpartition("://")
    if scheme.lower() in ("file", "hdfs", "viewfs"):
        return "/" + rest.partition("/")[2]
    return str(filesystem._strip_protocol(url)) if hasattr(filesystem, "_strip_protocol") else rest


def _over(made: Filesystem, folder: str, url: str, options: StorageOptions) -> RemoteFiles:
    kind = _ArrowFiles if hasattr(made, "open_input_file") else _FsspecFiles
    most = options.parallel * _ALIVE_PER_PARALLEL
    return RemoteFiles(FilesystemSource(kind(made, folder), root=without_secrets(url).rstrip("/"), most=most), options)


class FilesystemSource:
    """The files of one folder of a file system."""

    is_read_only = True

    def __init__(self, files: _ArrowFiles | _FsspecFiles, *, root: str, most: int) -> None:
        self.root = root
        self._files = files
        self._threads = asyncio.Semaphore(most)

    def close(self) -> None:
        """Forget open files; whoever made the file system may use it on."""
        self._files.close()

    async def stat(self, name: str) -> Stat:
        """Return size and version of a file."""
        return await self._in_thread(name, lambda: self._files.stat(name))

    async def fetch(self, name: str, start: int, length: int) -> memoryview:
        """Return this range, or what came of it."""
        return await self._in_thread(name, lambda: self._files.fetch(name, start, length))

    async def get(self, name: str, most: int) -> tuple[memoryview | None, Stat]:
        """Return a file and what it is; of one that is larger than `most`, only what it is."""
        told = await self.stat(name)
        return (None if told.size > most else await self.fetch(name, 0, told.size)), told

    async def list(self, folder: str, after: str) -> tuple[Sequence[Stat], bool]:
        """Return all files below a folder, and that there are no more."""
        found = await self._in_thread(folder, lambda: list(self._files.list(folder)))
        return sorted(found, key=lambda each: each.name), False

    async def _in_thread(self, name: str, call: Callable[[], T]) -> T:
        await self._threads.acquire()
        loop, answer = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()

        def end(found: T | None, error: Exception | None) -> None:
            self._threads.release()
            if answer.done():
                return  # given up
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(found)

        def body() -> None:
            found, failed = None, None
            try:
                found = call()
            except Exception as error:
                failed = self._failed(name, error)
            try:
                loop.call_soon_threadsafe(end, found, failed)
            except RuntimeError:
                pass  # the loop was closed

        threading.Thread(target=body, name="petrel-call", daemon=True).start()
        result: T = await answer
        return result

    def _failed(self, name: str, error: Exception) -> Exception:
        """Return what to raise instead, which holds no secret."""
        place, said = f"{self.root}/{name}", without_secrets(str(error) or type(error).__name__)
        if isinstance(error, StorageError | CorruptionError):
            return error
        if isinstance(error, FileNotFoundError) or _MISSING.search(said):
            return FileNotFoundError(f"there is no {place}")
        if isinstance(error, IsADirectoryError):
            return CorruptionError(f"{place} is not a regular file", file=place)
        if isinstance(error, _FINAL) or _REFUSED.search(said):
            return StorageError(f"{place}: {said}")
        return TransientError(said)


class _ArrowFiles:
    """A folder of a file system of pyarrow; handles are kept open."""

    def __init__(self, filesystem: Filesystem, folder: str) -> None:
        self._filesystem, self._folder = filesystem, folder.rstrip("/")
        self._lock = threading.Lock()
        self._handles: dict[str, pa.NativeFile] = {}
        base = getattr(filesystem, "base_fs", filesystem)
        self._is_unsound = type(base).__name__ == "S3FileSystem"

    def stat(self, name: str) -> Stat:
        from pyarrow.fs import FileType

        found = self._filesystem.get_file_info(self._path(name))
        if found.type == FileType.NotFound:
            raise FileNotFoundError(name)
        if found.type != FileType.File:
            raise IsADirectoryError(name)
        return _arrow_stat(name, found)

    def fetch(self, name: str, start: int, length: int) -> memoryview:
        if self._is_unsound:
            raise StorageError(f"{self._path(name)}: {_S3_OF_PYARROW}")
        with self._lock:
            handle = self._handles.get(name)
        if handle is None:
            opened = self._filesystem.open_input_file(self._path(name))
            with self._lock:
                handle = self._handles.setdefault(name, opened)
        return memoryview(handle.read_at(length, start))

    def list(self, folder: str) -> Iterator[Stat]:
        from pyarrow.fs import FileSelector, FileType

        top = self._path(folder).rstrip("/")
        for each in self._filesystem.get_file_info(FileSelector(top, recursive=True, allow_not_found=True)):
            if each.type == FileType.File:
                yield _arrow_stat(_below(self._folder, each.path), each)

    def close(self) -> None:
        with self._lock:
            self._handles.clear()  # each closes when nobody reads from it

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"


class _FsspecFiles:
    """A folder of a file system of fsspec."""

    def __init__(self, filesystem: Filesystem, folder: str) -> None:
        self._filesystem, self._folder = filesystem, folder.rstrip("/")

    def stat(self, name: str) -> Stat:
        found = self._filesystem.info(f"{self._folder}/{name}")
        if found.get("type") == "directory":
            raise IsADirectoryError(name)
        return _fsspec_stat(name, found)

    def fetch(self, name: str, start: int, length: int) -> memoryview:
        return memoryview(self._filesystem.cat_file(f"{self._folder}/{name}", start=start, end=start + length))

    def close(self) -> None:
        """Nothing is open."""

    def list(self, folder: str) -> Iterator[Stat]:
        top = f"{self._folder}/{folder}".rstrip("/")
        self._filesystem.invalidate_cache(top)
        for path, each in self._filesystem.find(top, detail=True).items():
            if path.strip("/") != top.strip("/"):  # of a file it returns that file
                yield _fsspec_stat(_below(self._folder, path), each)


def _arrow_stat(name: str, found: FileInfo) -> Stat:
    return Stat(name, int(found.size), f"{found.size}-{found.mtime_ns or 0}")


def _fsspec_stat(name: str, found: Mapping[str, object]) -> Stat:
    told = [str(found["size"]), *(str(found[each]) for each in _VERSIONS if found.get(each))]
    return Stat(name, int(str(found["size"])), "-".join(told))


def _below(folder: str, path: str) -> str:
    """Return a path relative to a folder, whichever of the two has a slash at its ends."""
    return path.strip("/")[len(folder.strip("/")) :].lstrip("/")
