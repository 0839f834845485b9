"""Which files a folder of Parquet holds: one pass over it, sizes and versions included, and never again."""

from __future__ import annotations

import os
import posixpath
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path
from urllib.parse import unquote

from loaders.errors import FormatError, StorageError
from loaders.petastorm.kinds import FileSystem
from loaders.stores.local import local_folder
from loaders.stores.storage import StorageOptions

COMMON_METADATA, METADATA = "_common_metadata", "_metadata"
_MANIFEST, _DATASET, _DELTA = "_manifest.json", "_dataset.json", "_delta_log"
_KEPT = (COMMON_METADATA, METADATA, _MANIFEST, _DATASET, _DELTA)
_MOST_LEVELS = 64

_PARQUET = re.compile(r"\.(parquet|parq|pqt?)(\.[a-z0-9]{1,8})?$", re.IGNORECASE)
_OTHER = re.compile(
    r"\.(json|jsonl|txt|csv|tsv|md|rst|html?|xml|ya?ml|toml|ini|log|py|ipynb|png|jpe?g|gif|svg|pdf|zip|tar|gz|npy|npz|"
    r"pkl|pickle|orc|avro|arrow|feather|tmp|bak|swp|lock|sha256|md5)$",
    re.IGNORECASE,
)
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
        root: The folder that names are relative to: an absolute path, or a URL without user and password.
        entries: Files that may hold rows, sorted by name; files that were named one by one in the order given, as often
            as they were named.
        sidecars: The files of `_KEPT` that lie in the root, by name.
        location: The same, as it is opened.
        is_local: Whether the root is a folder of this machine.
        is_list: Whether a list was given.
        is_named: Whether files were named one by one, in a list or alone.
    """

    root: str
    entries: tuple[Entry, ...]
    sidecars: Mapping[str, Entry]
    location: str = field(default="", repr=False)
    is_local: bool = False
    is_list: bool = False
    is_named: bool = False


def list_files(url_or_urls: str | Path | Sequence[str | Path], options: StorageOptions) -> Listing:
    """List a folder, or look at files that are named one by one.

    Raises:
        FormatError: If it is a Delta table or a whole published dataset, or URLs do not belong together.
        StorageError: If there is nothing, or the storage refuses.
        DeadlineError: If the storage does not answer in time.
    """
    is_list = not isinstance(url_or_urls, str | Path)
    urls = [url_or_urls] if isinstance(url_or_urls, str | Path) else list(url_or_urls)
    if not urls:
        raise FormatError("dataset url list must be non-empty.")
    paths = [path for url in urls if (path := local_path(url, options)) is not None]
    if len(paths) == len(urls):
        is_folder = len(paths) == 1 and os.path.isdir(paths[0])  # also as the one item of a list
        listing = _local_folder(paths[0]) if is_folder else _local_files(paths)
        listing = replace(listing, is_local=True)
    else:
        from loaders.petastorm.rowgroups.remote_listing import list_remote

        listing = list_remote([str(url) for url in urls], options)
    _refuse_tables(listing)
    return replace(listing, is_list=is_list)


def local_path(url: str | Path, options: StorageOptions) -> str | None:
    """Return the absolute path that a path or URL names, None for one of another storage."""
    made: FileSystem = options.filesystem
    if made is not None:  # one of this machine needs no detour
        protocol = getattr(made, "protocol", getattr(made, "type_name", ""))
        if protocol != "local" and "local" not in protocol:
            return None
    if isinstance(url, Path) or "://" not in url:
        return os.path.abspath(url)
    if local_folder(url) is None:
        return None
    # As it stands: Petastorm's users put "file://" before a path, in which "%3A" and "#" are letters of a name.
    plain = "/" + url.split("://", 1)[1].partition("/")[2]
    return os.path.abspath(plain if os.path.exists(plain) else unquote(plain))


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
    return sorted_out(root, _walk(root, "", ()))


def sorted_out(root: str, found: Iterable[Entry]) -> Listing:
    """Make a listing of everything that lies in a folder."""
    entries: list[Entry] = []
    sidecars: dict[str, Entry] = {}
    for entry in found:
        *folders, last = entry.name.split("/")
        if entry.name in _KEPT or (folders and folders[0] == _DELTA):
            sidecars.setdefault(entry.name.split("/", 1)[0], entry)
        elif not any(map(is_ignored_folder, folders)) and not is_ignored_file(last):
            entries.append(entry)
    return Listing(root, tuple(sorted(entries, key=lambda entry: entry.name)), sidecars)


def _walk(root: str, below: str, above: tuple[tuple[int, int], ...]) -> Iterator[Entry]:
    try:
        found = os.stat(os.path.join(root, below))
        here = (found.st_dev, found.st_ino)
        if here in above or len(above) > _MOST_LEVELS:
            raise FormatError(f"{os.path.join(root, below)} is a link to a folder above it")
        with os.scandir(os.path.join(root, below)) as items:
            for item in items:
                name = f"{below}{item.name}"
                if item.is_dir():
                    if not is_ignored_folder(item.name):
                        yield from _walk(root, f"{name}/", (*above, here))
                    elif name == _DELTA:
                        yield _entry(name, item.stat())
                elif item.is_file():
                    yield _entry(name, item.stat())
    except OSError as error:
        raise StorageError(f"{os.path.join(root, below)} cannot be listed: {error.strerror}") from error


def _local_files(paths: Sequence[str]) -> Listing:
    found = []
    for path in paths:
        try:
            status = os.stat(path)
        except OSError:
            status = None
        if status is None or not stat.S_ISREG(status.st_mode):
            raise StorageError(f"Passed non-file path: {path}")
        found.append(_entry(path, status))
    return named(found)


def _entry(name: str, found: os.stat_result) -> Entry:
    return Entry(name, found.st_size, f"{found.st_size}-{found.st_mtime_ns}")


def named(found: Sequence[Entry]) -> Listing:
    """Make a listing of files that were named one by one by paths or URLs; their common folder is its root."""
    steps = [_without_partitions(posixpath.dirname(entry.name)).split("/") for entry in found]
    common = [step[0] for step in takewhile(lambda step: len(set(step)) == 1, zip(*steps, strict=False))]
    root = "/".join(common)
    entries = [Entry(entry.name[len(root) + 1 :], entry.size, entry.version) for entry in found]
    return Listing(root or "/", tuple(entries), {}, is_named=True)


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


def is_called_parquet(name: str) -> bool | None:
    """Whether a file is called a Parquet file (`a.parquet`) or something else (`a.json`); None: neither."""
    if _PARQUET.search(name):
        return True
    return False if _OTHER.search(name) else None
