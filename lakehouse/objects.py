"""Content-addressed bytes: written whole or not at all, found by their SHA-256."""

from __future__ import annotations

import hashlib
import os
import re
import urllib.parse
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from lakehouse.config import StoreConfig
from lakehouse.damage import mark_damaged
from lakehouse.erasures import expiry_of
from lakehouse.errors import DamagedObjectError, IngestError
from lakehouse.home import Root, home_of, storage_at, store_of
from loaders.errors import CorruptionError
from loaders.stores.local import LocalFiles
from loaders.stores.storage import AT_ONCE, Storage

OBJECTS = "objects"
HEAL = "land the same files again, which writes it anew, or run `petrel mend`, with --from COPY if there is a copy"
"""What to do about an object that is missing or damaged."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


def object_uri(sha256: str) -> str:
    """Return the place of an object relative to the lake: `objects/<aa>/<sha256>`.

    Raises:
        ValueError: If `sha256` is not 64 hex digits; a path is only ever made from a hash.
    """
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"not a SHA-256 in 64 hex digits: {sha256!r}")
    return f"{OBJECTS}/{sha256[:2]}/{sha256}"


def file_uri(path: str | bytes | Path) -> str:
    """Return the file:// URI of a path; every byte of the name survives, percent-encoded."""
    return absolute_file_uri(os.path.abspath(os.fsencode(path)))


def absolute_file_uri(path: bytes) -> str:
    """Return what `file_uri` does, of a path that is absolute and has no `.` or `..` in it: nothing is looked up."""
    return "file://" + urllib.parse.quote_from_bytes(path)


def uri_path(uri: str) -> bytes:
    """Return the path, as bytes, of a file:// URI.

    Raises:
        IngestError: If it has another scheme.
    """
    if not uri.startswith("file:///"):
        raise IngestError(f"cannot read {uri}: expected a file:// URI with a path")
    return urllib.parse.unquote_to_bytes(uri.removeprefix("file://"))


def below(path: bytes, folder: bytes) -> bool:
    """Say whether a path, both without links, is a folder's or that of something in it."""
    return path == folder or path.startswith(folder.rstrip(b"/") + b"/")


def absolute_uri(root: Root, uri: str) -> str:
    """Return a URI that says where bytes are to somebody who does not know the lake; raises as `placed`."""
    if "://" in uri:
        return uri
    home, name = home_of(root).shared, _checked(uri)
    return file_uri(os.path.join(home.address, name)) if home.is_local else f"{home.address.rstrip('/')}/{name}"


def objects_of(root: Root, *, scratch: str | Path | None = None) -> Storage:
    """Return the storage in which a lake keeps its objects, by their `object_uri`.

    Args:
        root: The lake.
        scratch: Folder in which objects are staged, on the same file system as a local lake.
    """
    home = home_of(root).shared
    return LocalFiles(home.address, kept_open=0, scratch=scratch) if home.is_local else home.files


_linked = LocalFiles("/", kept_open=0)


def placed(root: Root, uri: str) -> tuple[Storage, str]:
    """Return the storage that holds the bytes of an entity, and their name there.

    Args:
        root: The lake.
        uri: `objects/<aa>/<sha256>` relative to the lake, or the URI of a linked file: `file://`, percent-encoded, or
            that of a bucket or web server as they name it.

    Raises:
        IngestError: If a relative URI is not an object's, so that no table row can point out of the lake.
    """
    home = home_of(root)
    if uri.startswith("file:"):
        return _linked, os.fsdecode(uri_path(uri)).lstrip("/")
    if "://" in uri:
        return in_bucket(uri, home.stores)
    return home.files, _checked(uri)


def in_bucket(url: str, stores: Iterable[StoreConfig]) -> tuple[Storage, str]:
    """Return the whole bucket that a URL is in, reached as the settings for that URL say, and the name there, as it is.

    Keys are no part of a URL's syntax: one may hold `#`, `?` and `%`, which mean nothing here.
    """
    scheme, _, rest = url.partition("://")
    bucket, _, name = rest.partition("/")
    address = f"{scheme}://{bucket}"
    return storage_at(address, (replace(store_of(url, stores), url=address),)), name


def at_once(root: Root, uris: Iterable[str]) -> int:
    """Return how many of these objects and linked files to read at once: several if any is behind a network."""
    far = any(uri.split("://", 1)[0] not in ("file", uri) for uri in uris)
    return AT_ONCE if far or not home_of(root).is_local else 1


def is_away(root: Root, uri: str) -> bool:
    """Say whether the folder or bucket of a linked file is away, with all that it holds: no fault of the file."""
    storage, name = placed(root, uri)
    folder = name.rpartition("/")[0]
    if storage.is_local:
        return not os.path.isdir(f"/{folder}")
    try:
        next(iter(storage.list(folder)), None)
    except OSError:
        return True
    return False


def _checked(uri: str) -> str:
    sha256 = uri.rpartition("/")[2]
    if not _SHA256.fullmatch(sha256) or uri != object_uri(sha256):
        raise IngestError(f"not an object of the lake: {uri!r}; expected objects/<aa>/<sha256>")
    return uri


def read_entity(root: Root, place: str) -> bytes:
    """Read the bytes of an entity and check that they are still those it is named by.

    Args:
        root: The lake.
        place: `<object_uri>#<entity_id>`; a URI has no other `#`, names are percent-encoded.

    Raises:
        IngestError: If they are missing, or other bytes: the storage is damaged, or a linked file was changed.
    """
    uri, _, entity_id = place.rpartition("#")
    data = read_bytes(root, uri)
    if uri != f"{OBJECTS}/{entity_id[:2]}/{entity_id}":  # else `read_bytes` has compared them
        check_hash(root, uri, entity_id, hashlib.sha256(data).hexdigest())
    return data


def check_hash(root: Root, uri: str, entity_id: str, found: str) -> None:
    """Check that the bytes of an entity, which were just read whole, have the SHA-256 that it is named by.

    Raises:
        DamagedObjectError: If an object of the lake has not.
        IngestError: If a linked file has not.
    """
    if found == entity_id:
        return
    if "://" in uri:
        raise IngestError(
            f"{uri} (lake {home_of(root)}): SHA-256 is {found}, expected {entity_id}; a linked file was changed: put "
            "the old bytes back, or leave this entity_id out in the recipe's select.sql"
        )
    mark_damaged(root, entity_id)
    raise DamagedObjectError(
        f"{uri} (lake {home_of(root)}) is damaged: its SHA-256 is {found}, expected the one it is named by; {HEAL}"
    )


def find_size(root: Root, uri: str) -> int | None:
    """Return how many bytes are at `uri`; None where there is nothing.

    Raises:
        IngestError: If it cannot be looked at, or is no regular file.
    """
    storage, name = placed(root, uri)
    try:
        return storage.stat(name).size
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(root, uri, error) from error


def read_range(root: Root, uri: str, start: int, length: int) -> bytes:
    """Return exactly `length` bytes of an object or linked file from `start` on; they are compared with nothing.

    Raises:
        IngestError: If they are not there, or cannot be read.
    """
    storage, name = placed(root, uri)
    try:
        return storage.read(name, start, length)
    except OSError as error:
        cut = f"it ends before byte {start + length:,}, or is not a regular file any more"
        raise _unreadable(root, uri, error, cut=cut) from error


def read_bytes(root: Root, uri: str, *, limit: int | None = None, most: int | None = None) -> bytes:
    """Read an object whole, or its beginning.

    The bytes of an object of the lake that is read whole are compared with the SHA-256 it is named by. One that is
    missing or damaged is marked: landing the same files again heals it.

    Args:
        root: The lake.
        uri: As stored in `object_uri`.
        limit: Refuse to read more bytes than this.
        most: Read the first so many bytes only; they are compared with nothing.

    Raises:
        DamagedObjectError: If an object of the lake has other bytes than it is named by.
        IngestError: If the object is missing, not a regular file, or larger than `limit`.
    """
    storage, name = placed(root, uri)
    sha256 = None if "://" in uri else name.rpartition("/")[2]
    try:
        if limit is not None and (size := storage.stat(name).size) > limit:
            raise IngestError(f"{uri}: {size} bytes, limit {limit}; raise images.max_bytes to read it")
        data = storage.read_whole(name, most=most)
    except OSError as error:
        raise _unreadable(root, uri, error) from error
    if most is None and sha256 is not None:
        check_hash(root, uri, sha256, hashlib.sha256(data).hexdigest())
    return data


def _unreadable(
    root: Root, uri: str, error: OSError, *, cut: str = "it is not a regular file any more"
) -> IngestError:
    """Return what to raise where reading failed; an object of the lake is marked, for it is gone or damaged."""
    storage, name = placed(root, uri)
    what_to_do = "was it moved or removed?"
    if "://" not in uri and isinstance(error, FileNotFoundError) and (gone := expiry_of(root, name.rpartition("/")[2])):
        return IngestError(f"cannot read {uri} (lake {home_of(root)}): its bytes expired at {gone.erased_at} "
                           f"({gone.reason}); leave this entity out")
    if "://" not in uri:
        if storage.is_local or isinstance(error, FileNotFoundError):  # a network that fails damages nothing
            mark_damaged(root, name.rpartition("/")[2])
        what_to_do += f" To mend it, {HEAL}"
    said = cut if isinstance(error, CorruptionError) else error.strerror or error
    return IngestError(f"cannot read {uri} (lake {home_of(root)}): {said}; {what_to_do}")
