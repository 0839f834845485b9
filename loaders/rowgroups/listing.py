"""Which files a folder of Parquet holds: one pass over it, sizes and versions included, and never again."""

from __future__ import annotations

import os
import posixpath
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from loaders.errors import FormatError, StorageError
from loaders.stores.storage import StorageOptions, local_folder

COMMON_METADATA, METADATA = "_common_metadata", "_metadata"
_MANIFEST, _DATASET, _DELTA = "_manifest.json", "_dataset.json", "_delta_log"
_KEPT = (COMMON_METADATA, METADATA, _MANIFEST, _DATASET, _DELTA)
_MOST_LEVELS = 64

_PARQUET = re.compile(r"\.(parquet|parq|pqt?)(\.[a-z0-9]{1,8})?$", re.IGNORECASE)
_PARTITION = re.compile(r"[^=]+=[^=]*")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file.

    Attributes:
        name: Its path below the root, steps separated by `/`.
        size: Bytes.
        version: Differs for another content of the same name, as far as the storage tells.
    """

    name: str
    size: int
    version: str


@dataclass(frozen=True, slots=True)
class Listing:
    """What was found.

    Attributes:
        root: The folder that names are relative to: an absolute path, or a URL.
        entries: Files that may hold rows, sorted by name; files that were named one by one in the order given.
        sidecars: The files of `_KEPT` that lie in the root, by name.
        is_list: Whether files were named one by one.
    """

    root: str
    entries: tuple[Entry, ...]
    sidecars: Mapping[str, Entry]
    is_list: bool


def list_files(url_or_urls: str | Path | Sequence[str | Path], options: StorageOptions) -> Listing:
    """List a folder, or look at files that are named one by one.

    Raises:
        FormatError: If it is a Delta table or a whole published dataset, or URLs do not belong together.
        StorageError: If there is nothing, or the storage refuses.
    """
    is_list = not isinstance(url_or_urls, str | Path)
    urls = [url_or_urls] if isinstance(url_or_urls, str | Path) else list(url_or_urls)
    if not urls:
        raise FormatError("dataset url list must be non-empty.")
    folders = [local_folder(url) for url in urls]
    if options.filesystem is None and None not in folders:
        paths = [os.path.abspath(folder) for folder in folders if folder is not None]
        if not is_list and os.path.isdir(paths[0]):
            listing = _local_folder(paths[0])
        else:
            listing = _named(paths, [_local_file(path) for path in paths], is_list=is_list)
    else:
        raise NotImplementedError
    _refuse_tables(listing)
    return listing


def _refuse_tables(listing: Listing) -> None:
    root = listing.root
    if _DELTA in listing.sidecars:
        raise FormatError(
            f"{root} is a Delta table: its folder also holds rows that were deleted. Pass the live files: "
            f"make_batch_reader([...DeltaTable({root!r}).file_uris()]), or publish a dataset with materialise"
        )
    if _DATASET in listing.sidecars:
        splits = sorted({entry.name.split("/")[0] for entry in listing.entries if "/" in entry.name})
        raise FormatError(f"{root} holds a whole dataset version; open one of its splits: {', '.join(splits)}")


def _local_folder(root: str) -> Listing:
    sidecars: dict[str, Entry] = {}
    entries = sorted(_walk(root, "", sidecars, ()), key=lambda entry: entry.name)
    return Listing(root, tuple(entries), sidecars, is_list=False)


def _walk(root: str, below: str, sidecars: dict[str, Entry], above: tuple[tuple[int, int], ...]) -> Iterator[Entry]:
    try:
        found = os.stat(os.path.join(root, below))
        here = (found.st_dev, found.st_ino)
        if here in above or len(above) > _MOST_LEVELS:
            raise FormatError(f"{os.path.join(root, below)} is a link to a folder above it")
        with os.scandir(os.path.join(root, below)) as items:
            for item in items:
                name = f"{below}{item.name}"
                if not below and item.name in _KEPT:
                    sidecars[item.name] = _entry(name, item.stat())
                elif item.is_dir():
                    if not is_ignored_folder(item.name):
                        yield from _walk(root, f"{name}/", sidecars, (*above, here))
                elif item.is_file() and not is_ignored_file(item.name):
                    yield _entry(name, item.stat())
    except OSError as error:
        raise StorageError(f"{os.path.join(root, below)} cannot be listed: {error.strerror}") from error


def _local_file(path: str) -> Entry:
    try:
        found = os.stat(path)
    except OSError:
        found = None
    if found is None or not stat.S_ISREG(found.st_mode):
        raise StorageError(f"Passed non-file path: {path}")
    return _entry(path, found)


def _entry(name: str, found: os.stat_result) -> Entry:
    return Entry(name, found.st_size, f"{found.st_size}-{found.st_mtime_ns}")


def _named(paths: Sequence[str], found: Sequence[Entry], *, is_list: bool) -> Listing:
    """Make a listing of files that were named one by one; their common folder is its root."""
    root = posixpath.commonpath([_without_partitions(posixpath.dirname(path)) for path in paths])
    names = [posixpath.relpath(path, root) for path in paths]
    if len(set(names)) < len(names):
        raise FormatError(f"a file is listed twice: {next(name for name in names if names.count(name) > 1)}")
    entries = [Entry(name, entry.size, entry.version) for name, entry in zip(names, found, strict=True)]
    return Listing(root, tuple(entries), {}, is_list=is_list)


def _without_partitions(folder: str) -> str:
    """Return the folder above the steps `name=value` at the end of a path."""
    while _PARTITION.fullmatch(posixpath.basename(folder)):
        folder = posixpath.dirname(folder)
    return folder


def is_ignored_folder(step: str) -> bool:
    """Whether a folder of this name holds no rows by convention, as for Spark and Petastorm."""
    return step.startswith(("_", ".")) and "=" not in step


def is_ignored_file(step: str) -> bool:
    """Whether a file of this name holds no rows by convention."""
    return step.startswith(("_", ".")) or step.endswith((".crc", "_$folder$"))


def is_parquet_name(name: str) -> bool:
    """Whether a file is called a Parquet file."""
    return _PARQUET.search(name) is not None
