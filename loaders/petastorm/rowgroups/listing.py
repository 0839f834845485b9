"""Which files a folder of Parquet holds: one pass over it, sizes and versions included, and never again."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

from loaders.errors import FormatError, StorageError
from loaders.petastorm.kinds import FileSystem
from loaders.petastorm.rowgroups.entries import DATASET, DELTA, Entry, Listing, is_ignored_folder, named, sorted_out
from loaders.petastorm.rowgroups.remote_listing import list_remote
from loaders.stores.local import local_folder
from loaders.stores.storage import StorageOptions

_MOST_LEVELS = 64

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
    if DELTA in listing.sidecars:
        raise FormatError(
            f"{root} is a Delta table: its folder also holds rows that were deleted. Pass the live files: "
            f"make_batch_reader([...DeltaTable({root!r}).file_uris()]), or publish a dataset with materialise"
        )
    if DATASET in listing.sidecars:
        splits = sorted({entry.name.split("/")[0] for entry in listing.entries if "/" in entry.name})
        raise FormatError(f"{root} holds a whole dataset version; open one of its splits: {', '.join(splits)}")


def _local_folder(root: str) -> Listing:
    return sorted_out(root, _walk(root, "", ()))


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
                    elif name == DELTA:
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
