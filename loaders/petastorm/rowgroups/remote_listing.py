"""List what lies behind a network: in one call of its file system, and by a deadline."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

from loaders.errors import DeadlineError, FormatError, LoaderError, StorageError
from loaders.petastorm.rowgroups.listing import Entry, Listing, named, sorted_out
from loaders.stores.filesystem_source import open_filesystem, path_in, without_secrets
from loaders.stores.storage import StorageOptions, open_files

T = TypeVar("T")


def list_remote(urls: Sequence[str], options: StorageOptions) -> Listing:
    """List a folder, or look at files that are named one by one; raises like `list_files`."""
    first = urlsplit(urls[0])
    if any((other.scheme, other.netloc) != (first.scheme, first.netloc) for other in map(urlsplit, urls)):
        raise FormatError("The dataset url list must contain url with the same scheme and netloc.")
    shown = without_secrets(urls[0])

    def ask() -> Listing:
        if first.scheme in ("http", "https") and options.filesystem is None:
            return _http(urls, options)
        filesystem, path = open_filesystem(urls[0], options)
        look = _arrow if hasattr(filesystem, "get_file_info") else _fsspec
        if len(urls) == 1 and (found := look(filesystem, path)) is not None:
            return sorted_out(urls[0].rstrip("/"), found)
        return named(list(_files(filesystem, urls)))

    listing = _in_time(ask, options.deadline_s, shown)
    return replace(listing, root=without_secrets(listing.root), location=listing.root)


def _arrow(filesystem: Any, path: str) -> Iterator[Entry] | None:
    """Return what lies in a folder, None if the path is none."""
    from pyarrow.fs import FileSelector, FileType

    if filesystem.get_file_info(path).type != FileType.Directory:
        return None
    found = filesystem.get_file_info(FileSelector(path, recursive=True))
    return (
        Entry(_below(path, each.path), int(each.size), _version(each.size, each.mtime_ns))
        for each in found
        if each.type == FileType.File
    )


def _fsspec(filesystem: Any, path: str) -> Iterator[Entry] | None:
    filesystem.invalidate_cache(path)
    try:
        if filesystem.info(path)["type"] != "directory":
            return None
    except FileNotFoundError:
        return None
    found = filesystem.find(path, detail=True)
    return (Entry(_below(path, name), int(each["size"]), _told_version(each)) for name, each in found.items())


def _below(folder: str, path: str) -> str:
    """Return a path relative to a folder, whichever of the two has a slash at its ends."""
    return path.strip("/")[len(folder.strip("/")) :].lstrip("/")


def _files(filesystem: Any, urls: Sequence[str]) -> Iterator[Entry]:
    if hasattr(filesystem, "get_file_info"):
        from pyarrow.fs import FileType

        for url, each in zip(urls, filesystem.get_file_info([path_in(filesystem, url) for url in urls]), strict=True):
            if each.type != FileType.File:
                raise StorageError(f"Passed non-file path: {without_secrets(url)}")
            yield Entry(url, int(each.size), _version(each.size, each.mtime_ns))
        return
    for url in urls:
        try:
            each = filesystem.info(path_in(filesystem, url))
        except FileNotFoundError:
            each = {"type": "none"}
        if each["type"] != "file":
            raise StorageError(f"Passed non-file path: {without_secrets(url)}")
        yield Entry(url, int(each["size"]), _told_version(each))


def _http(urls: Sequence[str], options: StorageOptions) -> Listing:
    if len(urls) == 1 and not urls[0].lower().endswith((".parquet", ".parq", ".pq")):
        raise FormatError(f"{without_secrets(urls[0])}: a web server does not list folders; pass a list of its files")
    found = []
    for url in urls:
        folder, _, name = url.rpartition("/")
        files = open_files(folder, options)
        try:
            size = files.size(name)
        except FileNotFoundError:
            raise StorageError(f"Passed non-file path: {without_secrets(url)}") from None
        finally:
            files.close()
        found.append(Entry(url, size, str(size)))
    return named(found)


def _version(size: int, mtime_ns: int | None) -> str:
    return f"{size}-{mtime_ns or 0}"


def _told_version(told: Mapping[str, Any]) -> str:
    names = ("ETag", "etag", "md5", "generation", "mtime", "LastModified", "updated", "last_modified", "created")
    return "-".join([str(told["size"]), *(str(told[name]) for name in names if told.get(name))])


def _in_time(work: Callable[[], T], deadline_s: float, shown: str) -> T:
    """Do some work in a thread that is left to itself if it takes too long."""
    done: list[T] = []
    failed: list[BaseException] = []

    def body() -> None:
        try:
            done.append(work())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=body, name="petrel-list", daemon=True)
    thread.start()
    thread.join(deadline_s)
    if thread.is_alive():
        raise DeadlineError(f"{shown} was not listed within {deadline_s:g} s; is the storage reachable?")
    if failed:
        error = failed[0]
        if isinstance(error, LoaderError) or not isinstance(error, Exception):
            raise error
        raise StorageError(f"{shown} cannot be listed: {without_secrets(str(error))}") from None
    return done[0]
