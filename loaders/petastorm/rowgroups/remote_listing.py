"""List what lies behind a network, by a deadline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from loaders.errors import CorruptionError, FormatError, StorageError
from loaders.petastorm.rowgroups.entries import Entry, Listing, named, sorted_out
from loaders.stores.saying import without_secrets
from loaders.stores.schemes import open_storage
from loaders.stores.storage import Stat, StorageOptions


def list_remote(urls: Sequence[str], options: StorageOptions) -> Listing:
    """List a folder, or look at files that are named one by one; raises like `list_files`."""
    first = urlsplit(urls[0])
    if any((other.scheme, other.netloc) != (first.scheme, first.netloc) for other in map(urlsplit, urls)):
        raise FormatError("The dataset url list must contain url with the same scheme and netloc.")
    found = _in_folder(urls[0], options) if len(urls) == 1 else None
    listing = named(list(_files(urls, options))) if found is None else sorted_out(urls[0].rstrip("/"), found)
    return replace(listing, root=without_secrets(listing.root), location=listing.root)


def _in_folder(url: str, options: StorageOptions) -> list[Entry] | None:
    """Return what lies in a folder, None if the URL names none."""
    is_web = urlsplit(url).scheme in ("http", "https") and options.filesystem is None
    if is_web and url.lower().endswith((".parquet", ".parq", ".pq")):
        return None
    if is_web:
        raise FormatError(f"{without_secrets(url)}: a web server does not list folders; pass a list of its files")
    storage = open_storage(url, options)
    try:
        return [_entry(each.name, each) for each in storage.list()] or None
    finally:
        storage.close()


def _files(urls: Sequence[str], options: StorageOptions) -> Iterator[Entry]:
    folder, storage = "", None
    try:
        for url in urls:
            above, _, name = url.rpartition("/")
            if storage is None or above != folder:
                if storage is not None:
                    storage.close()
                folder, storage = above, open_storage(above, options)
            try:
                yield _entry(url, storage.stat(name))
            except (FileNotFoundError, CorruptionError):
                raise StorageError(f"Passed non-file path: {without_secrets(url)}") from None
    finally:
        if storage is not None:
            storage.close()


def _entry(name: str, found: Stat) -> Entry:
    return Entry(name, found.size, found.version)
