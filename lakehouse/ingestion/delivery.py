"""What a source delivers, wherever it lies: a folder of this machine, or a prefix in a bucket."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from lakehouse.config import StoreConfig
from lakehouse.home import Home
from lakehouse.ingestion.listing import Listed, list_folder
from lakehouse.ingestion.patterns import LeftOut
from lakehouse.ingestion.prefix import check_prefix, list_prefix
from lakehouse.ingestion.source import Source, check_folder
from lakehouse.objects import find_size, uri_path
from loaders.stores.storage import AT_ONCE


def check_source(source: Source, stores: Iterable[StoreConfig]) -> None:
    """Check that there is something to list, and that it is no part of a lake.

    Raises:
        IngestError: If the folder is missing, or nothing is below the prefix: that must not look like files gone.
        ConfigError: If it is a lake, or lies in one; or if no storage fits the address.
    """
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
    if source.is_local:
        return list_folder(source, leave_out=home.folder, left_out=left_out)
    return list_prefix(source, home, left_out=left_out)


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
