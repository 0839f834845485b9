"""Content-addressed bytes: written whole or not at all, found by their SHA-256."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import urllib.parse
from pathlib import Path

from lakehouse.errors import IngestError

OBJECTS = "objects"
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
    return "file://" + urllib.parse.quote_from_bytes(os.path.abspath(os.fsencode(path)))


def uri_path(uri: str) -> bytes:
    """Return the path, as bytes, of a file:// URI.

    Raises:
        IngestError: If the URI has another scheme.
    """
    if not uri.startswith("file:///"):
        raise IngestError(f"cannot read {uri}: expected a file:// URI; other storages need a later version")
    return urllib.parse.unquote_to_bytes(uri.removeprefix("file://"))


def below(path: bytes, folder: bytes) -> bool:
    """Say whether a path, both without links, is a folder's or that of something in it."""
    return path == folder or path.startswith(folder.rstrip(b"/") + b"/")


def resolve(root: str | Path, uri: str) -> bytes:
    """Return the path, as bytes, where the bytes of `uri` are.

    Args:
        root: Folder of the lake.
        uri: `objects/<aa>/<sha256>` relative to the lake, or a file:// URI of a linked file.

    Raises:
        IngestError: If a relative URI is not an object's, so that no table row can point out of the lake.
    """
    if "://" in uri:
        return uri_path(uri)
    sha256 = uri.rpartition("/")[2]
    if not _SHA256.fullmatch(sha256) or uri != object_uri(sha256):
        raise IngestError(f"not an object of the lake: {uri!r}; expected objects/<aa>/<sha256>")
    return os.path.join(os.fsencode(root), os.fsencode(uri))


def read_entity(root: str | Path, place: str) -> bytes:
    """Read the bytes of an entity and check that they are still those it is named by.

    Args:
        root: Folder of the lake.
        place: `<object_uri>#<entity_id>`; a URI has no other `#`, names are percent-encoded.

    Raises:
        IngestError: If they are missing, or other bytes: the storage is damaged, or a linked file was changed.
    """
    uri, _, entity_id = place.rpartition("#")
    data = read_bytes(root, uri)
    found = hashlib.sha256(data).hexdigest()
    if found != entity_id:
        raise IngestError(
            f"{uri} (lake {root}): SHA-256 is {found}, expected {entity_id}; the storage is damaged, or a linked file "
            "was changed: put the old bytes back, or leave this entity_id out in the recipe's select.sql"
        )
    return data


def read_bytes(root: str | Path, uri: str, *, limit: int | None = None, most: int | None = None) -> bytes:
    """Read an object whole, or its beginning.

    Args:
        root: Folder of the lake.
        uri: As stored in `object_uri`.
        limit: Refuse to read more bytes than this.
        most: Read the first so many bytes only.

    Raises:
        IngestError: If the object is missing, not a regular file, or larger than `limit`.
    """
    path = resolve(root, uri)
    try:
        # Not waiting on a FIFO that took the place of a linked file.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise IngestError(f"cannot read {uri} (lake {root}): it is not a regular file any more")
        with open(descriptor, "rb") as file:
            size = os.fstat(descriptor).st_size
            if limit is not None and size > limit:
                raise IngestError(f"{uri}: {size} bytes, limit {limit}; raise images.max_bytes to read it")
            return file.read() if most is None else file.read(most)
    except OSError as error:
        raise IngestError(f"cannot read {uri} (lake {root}): {error.strerror}; was it moved or removed?") from error
