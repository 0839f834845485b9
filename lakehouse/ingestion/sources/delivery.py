"""What a source delivers, wherever it lies: a folder of this machine, or a prefix in a bucket."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from lakehouse.config import StoreConfig
from lakehouse.home import Home
from lakehouse.ingestion.sources.forms import CONTAINERS, DATABASE, MANIFEST
from lakehouse.ingestion.sources.listing import Listed, list_folder
from lakehouse.ingestion.sources.patterns import LeftOut
from lakehouse.ingestion.sources.prefix import check_prefix, list_prefix
from lakehouse.ingestion.sources.source import Source, check_folder
from lakehouse.objects import find_size, in_bucket, uri_path
from loaders.errors import LoaderError
from loaders.stores.storage import AT_ONCE


def check_source(source: Source, stores: Iterable[StoreConfig]) -> None:
    """Check that there is something to list, and that it is no part of a lake.

    Raises:
        IngestError: If the folder is missing, or nothing is below the prefix: that must not look like files gone.
        ConfigError: If it is a lake, or lies in one; or if no storage fits the address.
    """
    source = listed_as(source, stores)
    if source.form in (DATABASE, MANIFEST):
        return  # it is opened when it is read
    if source.is_local:
        check_folder(source)
    else:
        check_prefix(source, stores)


def list_source(source: Source, home: Home, *, left_out: LeftOut | None = None) -> Iterator[Listed]:
    """List what a source has, sorted by bytes, without the lake itself; raises like `check_source`.

    Args:
        source: The source.
        home: The lake.
        left_out: Gets what was not taken because of its name.
    """
    source = listed_as(source, home.stores)
    if source.is_local:
        return list_folder(source, leave_out=home.shared.folder, left_out=left_out)
    return list_prefix(source, home, left_out=left_out)


def listed_as(source: Source, stores: Iterable[StoreConfig]) -> Source:
    """Return the source whose folder is listed: of containers patterns name what is in them, and one may be named."""
    if source.form not in CONTAINERS:
        return source
    if source.is_local and not os.path.isdir(source.folder) and os.path.exists(source.folder):
        folder, name = os.path.split(source.folder)
        return replace(source, folder=folder or ".", include=(glob.escape(name),), exclude=())
    if not source.is_local and _is_object(source.folder, stores):
        folder, _, name = source.folder.rpartition("/")
        return replace(source, folder=folder, include=(glob.escape(name),), exclude=())
    return replace(source, include=())


def _is_object(url: str, stores: Iterable[StoreConfig]) -> bool:
    try:
        storage, name = in_bucket(url, stores)
        return bool(name) and storage.stat(name) is not None
    except (LoaderError, OSError):
        return False  # listing it says what is wrong


def still_there(home: Home, uris: Sequence[str]) -> set[str]:
    """Return those of several files that are there; in a bucket one request each, several at once.

    Raises:
        IngestError: If a bucket does not say.
    """
    with ThreadPoolExecutor(AT_ONCE) as threads:
        there = threads.map(lambda uri: _is_there(home, uri), uris)
        return {uri for uri, is_there in zip(uris, there, strict=True) if is_there}


def _is_there(home: Home, uri: str) -> bool:
    if uri.startswith("file:"):
        return os.path.lexists(uri_path(uri))
    return find_size(home, uri) is not None
