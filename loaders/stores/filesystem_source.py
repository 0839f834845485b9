"""Ranges of files of a `pyarrow.fs` or `fsspec` file system. Its calls may hang; then their threads are lost."""

from __future__ import annotations

import re
import threading
from typing import Any

from loaders.errors import CorruptionError, FormatError, StorageError
from loaders.stores.attempts import Attempt, TransientError
from loaders.stores.storage import StorageOptions

_FINAL = (PermissionError, ValueError, TypeError, AttributeError, NotImplementedError, ImportError)
_REFUSED = re.compile(
    r"ACCESS_DENIED|INVALID_ACCESS_KEY|SIGNATURE_DOES_NOT_MATCH|NO_SUCH_BUCKET|HTTP status 40[0135]|PERMISSION_DENIED"
)
_MISSING = re.compile(r"NO_SUCH_KEY|RESOURCE_NOT_FOUND|HTTP status 404")
_USER = re.compile(r"(?<=://)[^/@\s'\"]*@")
_QUERY = re.compile(r"(?<=[^\s])\?[^\s'\"<>]*")
_KEYS = re.compile(r"(?i)\b((?:[\w-]*(?:key|token|secret|signature|password|credential)[\w-]*)\s*[=:]\s*)[^\s,;&]+")


def without_secrets(text: str) -> str:
    """Return a message or URL without users, queries and what is called a key."""
    return _KEYS.sub(r"\1...", _QUERY.sub("", _USER.sub("", text)))


class FilesystemSource:
    """The files of one folder of a file system; handles of pyarrow are kept open."""

    def __init__(self, filesystem: Any, folder: str, *, root: str) -> None:
        self.root = root
        self._filesystem, self._folder = filesystem, folder.rstrip("/")
        self._is_arrow = hasattr(filesystem, "open_input_file")
        self._lock = threading.Lock()
        self._handles: dict[str, Any] = {}

    def size(self, name: str, attempt: Attempt) -> int:
        """Return the bytes of a file."""
        path = f"{self._folder}/{name}"
        try:
            if self._is_arrow:
                return int(self._handle(name).size())
            found = self._filesystem.info(path)
        except Exception as error:
            raise self._failed(name, error) from None
        if found.get("type") == "directory":
            raise CorruptionError(f"{self.root}/{name} is not a regular file", file=f"{self.root}/{name}")
        return int(found["size"])

    def fetch(self, name: str, start: int, length: int, attempt: Attempt) -> memoryview:
        """Return a range."""
        try:
            if self._is_arrow:
                data = self._handle(name).read_at(length, start)
            else:
                data = self._filesystem.cat_file(f"{self._folder}/{name}", start=start, end=start + length)
        except Exception as error:
            raise self._failed(name, error) from None
        if len(data) == length:
            return memoryview(data)
        place, size = f"{self.root}/{name}", self.size(name, attempt)
        if size < start + length:
            raise CorruptionError(
                f"{place} ends at byte {size:,}, expected {start + length:,} or more; publish it again", file=place
            )
        raise TransientError(f"{len(data):,} bytes came instead of {length:,}")

    def close(self) -> None:
        """Forget the handles; they close when nobody reads from them."""
        with self._lock:
            self._handles.clear()

    def _handle(self, name: str) -> Any:
        with self._lock:
            if name in self._handles:
                return self._handles[name]
        opened = self._filesystem.open_input_file(f"{self._folder}/{name}")
        with self._lock:
            return self._handles.setdefault(name, opened)

    def _failed(self, name: str, error: Exception) -> Exception:
        """Return what to raise instead, which holds no secret."""
        place, said = f"{self.root}/{name}", without_secrets(str(error) or type(error).__name__)
        if isinstance(error, (StorageError, CorruptionError, TransientError)):
            return error
        if isinstance(error, FileNotFoundError) or _MISSING.search(said):
            return FileNotFoundError(f"there is no {place}")
        if isinstance(error, IsADirectoryError):
            return CorruptionError(f"{place} is not a regular file", file=place)
        if isinstance(error, _FINAL) or _REFUSED.search(said):
            return StorageError(f"{place}: {said}")
        return TransientError(said)


def filesystem_source(url: str, options: StorageOptions) -> FilesystemSource:
    """Return the files below a URL that pyarrow or fsspec opens, or below a path in `options.filesystem`; raises like
    `open_filesystem`.
    """
    filesystem, folder = open_filesystem(url, options)
    return FilesystemSource(filesystem, folder, root=without_secrets(url).rstrip("/"))


def open_filesystem(url: str, options: StorageOptions) -> tuple[Any, str]:
    """Return the file system of a URL and the path in it, or `options.filesystem`.

    Raises:
        FormatError: If no file system fits the URL.
        StorageError: If the one that fits cannot be made.
    """
    root = without_secrets(url).rstrip("/")
    made: Any = options.filesystem
    if made is not None:
        if hasattr(made, "open_input_file") or hasattr(made, "cat_file"):
            return made, path_in(made, url)
        raise FormatError(f"filesystem must be one of pyarrow.fs or fsspec, found {type(made).__name__}")
    scheme, rest = url.split("://", 1)
    try:
        if scheme == "s3":
            from pyarrow.fs import S3FileSystem

            return S3FileSystem(**options.options), rest
        if scheme in ("gs", "gcs"):
            from pyarrow.fs import GcsFileSystem

            return GcsFileSystem(**options.options), rest
        if scheme in ("hdfs", "viewfs"):
            from pyarrow.fs import HadoopFileSystem

            host = rest.split("/", 1)[0] or "default"
            return HadoopFileSystem.from_uri(f"{scheme}://{host}"), path_in(None, url)
    except ImportError:
        pass  # a pyarrow without it; fsspec has one too
    except Exception as error:
        raise StorageError(f"{root}: {without_secrets(str(error))}") from None
    try:
        from fsspec.core import url_to_fs

        filesystem, folder = url_to_fs(url, **options.options)
    except ImportError as error:
        said = without_secrets(str(error))
        raise FormatError(f"{root}: {said}; install fsspec and its driver for {scheme}") from None
    except ValueError as error:
        raise FormatError(f"{root}: {without_secrets(str(error))}") from None
    except Exception as error:
        raise StorageError(f"{root}: {without_secrets(str(error))}") from None
    return filesystem, folder


def path_in(filesystem: Any, url: str) -> str:
    """Return the path of a URL in its file system: without the host where a file system has one host only."""
    scheme, _, rest = url.rpartition("://")
    if scheme.lower() in ("file", "hdfs", "viewfs"):
        return "/" + rest.partition("/")[2]
    return str(filesystem._strip_protocol(url)) if hasattr(filesystem, "_strip_protocol") else rest
