"""The objects below a prefix of a bucket, as the files of a source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from lakehouse.config import StoreConfig
from lakehouse.errors import ConfigError, IngestError
from lakehouse.home import Home, is_one_bucket
from lakehouse.ingestion.sources.listing import Listed, plain_path
from lakehouse.ingestion.sources.patterns import LeftOut, Wanted
from lakehouse.ingestion.sources.source import Source
from lakehouse.objects import in_bucket
from lakehouse.place import MARKER
from loaders.errors import FormatError, LoaderError, StorageError
from loaders.stores.storage import Stat, Storage

BEHIND_A_LAKE = "~"
"""Sorts behind every name that a lake has in its folder."""


def etag_of(found: Stat) -> str | None:
    """Return the version tag of an object; Azure quotes it in answers, and does not in listings."""
    return found.version.removeprefix("W/").strip('"') or None


def check_prefix(source: Source, stores: Iterable[StoreConfig]) -> None:
    """Check that a prefix has objects, and is no part of a lake.

    Raises:
        IngestError: If nothing is there: a bucket cannot tell a prefix without objects from one that is misspelt.
        ConfigError: If it is a lake, or lies in one; or if no storage fits the address.
    """
    with _telling(source):
        storage, folder = in_bucket(source.folder, stores)
        steps = folder.split("/") if folder else []
        for depth in range(len(steps) + 1):
            above = "/".join(steps[:depth])
            if _is_there(storage, f"{above}/{MARKER}".lstrip("/")):
                lake = f"{storage.root}/{above}".rstrip("/")
                raise ConfigError(f"source {source.name}: {source.folder} is part of the lake {lake}, which keeps what "
                                  "was landed; give the prefix with the files themselves")
        if next(iter(storage.list(folder)), None) is None:
            raise IngestError(f"source {source.name}: there is nothing below {source.folder}/; are bucket and prefix "
                              "right?")


def list_prefix(source: Source, home: Home, *, left_out: LeftOut | None = None) -> Iterator[Listed]:
    """List the objects below the prefix of a source, a page at a time, sorted by their keys.

    Left out are hidden names, as in folders, the lake where it lies below the prefix, and markers of folders: objects
    without bytes whose key ends in a slash. The client tells those without the slash, so each object without bytes is
    looked at once more.

    Args:
        source: The source.
        home: The lake.
        left_out: Gets what was not taken because of its name.

    Raises:
        IngestError: If nothing is below the prefix, or it cannot be listed.
        ConfigError: If it is part of a lake.
    """
    check_prefix(source, home.stores)
    wanted = Wanted(source, LeftOut() if left_out is None else left_out)
    bucket = "/".join(source.folder.split("/", 3)[:3])
    with _telling(source):
        storage, folder = in_bucket(source.folder, home.stores)
        for found in _below(storage, folder, _lake_in(source, home)):
            relative = found.name[len(folder) :].lstrip("/")
            if not relative or any(step.startswith(".") for step in relative.split("/")):
                continue
            if not found.size and not _is_there(storage, found.name):
                continue
            if wanted(relative.encode()):
                yield Listed(
                    uri=f"{bucket}/{found.name}",
                    path=plain_path(relative.encode()),
                    name=relative.rpartition("/")[2],
                    size_bytes=found.size,
                    mtime_at=found.modified,
                    etag=etag_of(found),
                )


def _below(storage: Storage, folder: str, lake: str | None) -> Iterator[Stat]:
    for found in storage.list(folder):
        if lake is not None and found.name.startswith(f"{lake}/"):
            break
        yield found
    else:
        return
    # A lake may have a thousand times the objects of its sources.
    yield from storage.list(folder, after=f"{lake}/{BEHIND_A_LAKE}")


def _lake_in(source: Source, home: Home) -> str | None:
    """Return the prefix of the lake where it lies below the source's, else None."""
    if home.is_local or not is_one_bucket(source.folder, home.address, home.stores):
        return None
    _, lake = in_bucket(home.address, home.stores)
    _, folder = in_bucket(source.folder, home.stores)
    return lake if not folder or lake.startswith(f"{folder}/") else None


def _is_there(storage: Storage, name: str) -> bool:
    try:
        storage.stat(name)
    except (FileNotFoundError, StorageError):  # what may not be looked at is none of ours
        return False
    return True


@contextmanager
def _telling(source: Source) -> Iterator[None]:
    try:
        yield
    except FormatError as error:
        raise ConfigError(f"source {source.name}: {source.folder}: {error}") from error
    except (LoaderError, FileNotFoundError) as error:
        raise IngestError(f"source {source.name}: cannot list {source.folder}: {error}") from error
