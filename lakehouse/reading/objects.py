"""The bytes of one entity: whole, or as a file that reads what is asked for."""

from __future__ import annotations

import hashlib
import io
import os
import re
from typing import TYPE_CHECKING, cast

from lakehouse.derived.identity import REFERENCES
from lakehouse.derived.places import PLACE, REFERENCED
from lakehouse.derived.reading import read_by
from lakehouse.erasures import erased_entities, expiry_of
from lakehouse.errors import ConfigError, EntityNotFoundError
from lakehouse.home import Root
from lakehouse.lake import Lake
from lakehouse.media.kinds.registry import judges_of
from lakehouse.objects import check_hash, find_size, object_uri, read_range
from lakehouse.query import fetch

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BUFFER_BYTES = 1 << 20
"""What a file reads at once: little for a disk, and what a request to a bucket is worth."""

ENTITY = f"""
select e.object_uri, {PLACE} as place, e.size_bytes, e.parent_id, e.operation
from silver.entities e {REFERENCED} where e.entity_id = $id
"""

_ID = re.compile(r"[0-9a-f]{64}")


def read_object(lake: Lake, entity_id: str) -> bytes:
    """Return all bytes of an entity, compared with its id, which is their SHA-256.

    What the lake holds under the id is found without a table and an engine; where a linked file lies, and why there
    is nothing, tells `silver.entities`. Those of a frame or clip are made of its video's.

    Raises:
        EntityNotFoundError: If there is no such entity, or its bytes are kept nowhere.
        IngestError: If the bytes are missing or others, or can be made no more.
    """
    place, _ = _find(lake, entity_id)
    return read_by(lake.home, place, judges_of(lake.config))


def open_object(lake: Lake, entity_id: str, *, range: tuple[int, int | None] | None = None) -> io.BufferedReader:
    """Return the bytes of an entity as a binary file: it reads, 1 MiB at a time, what is asked of it.

    Who reads it from its first byte to its last gets all of them compared with the id at the last one; parts, and
    what is read after a seek, are compared with nothing. A frame or clip is made whole, whatever is read of it.

        with open_object(lake, entity_id) as file:
            picture = PIL.Image.open(file)

    Args:
        lake: The lake.
        entity_id: The entity, as 64 hex digits.
        range: First byte, and the one after the last (None: to the end): the file holds these alone.

    Raises:
        EntityNotFoundError: As `read_object`.
        ConfigError: If the range is not one of its bytes; the message says how many there are.
        IngestError: As `read_object`; also while the file is read.
    """
    place, stored = _find(lake, entity_id)
    made = b"" if stored is not None else read_by(lake.home, place, judges_of(lake.config))
    size = len(made) if stored is None else stored
    start, stop = (0, size) if range is None else (range[0], size if range[1] is None else range[1])
    if not 0 <= start <= stop <= size:
        raise ConfigError(f"range {range} of {entity_id}: expected 0 <= first <= last <= {size}, its size in bytes")
    if stored is None:
        return io.BufferedReader(cast("io.RawIOBase", io.BytesIO(made[start:stop])), BUFFER_BYTES)
    uri = place.rpartition("#")[0]
    return io.BufferedReader(_Bytes(lake.home, uri, entity_id, start, stop, whole=stop - start == size), BUFFER_BYTES)


class _Bytes(io.RawIOBase):
    """Some bytes of an entity, without a buffer."""

    def __init__(self, root: Root, uri: str, entity_id: str, start: int, stop: int, *, whole: bool) -> None:
        self._root, self._uri, self._id = root, uri, entity_id
        self._start, self._size = start, stop - start
        self._at = 0
        self._hash = hashlib.sha256() if whole else None
        self._hashed = 0

    @property
    def name(self) -> str:
        """Where the bytes lie, for messages of those who read them."""
        return self._uri

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"seek to {base + offset}, before the first byte of {self._uri}")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        data = self._read(len(view))
        view[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        return self._read(self._size)

    def _read(self, most: int) -> bytes:
        if self.closed:
            raise ValueError(f"{self._uri} is closed")
        length = max(0, min(most, self._size - self._at))
        data = read_range(self._root, self._uri, self._start + self._at, length) if length else b""
        if self._hash is not None and self._at == self._hashed:
            self._hash.update(data)
            self._hashed += length
            if self._hashed == self._size:
                check_hash(self._root, self._uri, self._id, self._hash.hexdigest())
                self._hash = None
        self._at += length
        return data


def _find(lake: Lake, entity_id: str) -> tuple[str, int | None]:
    """Return the place of the bytes of an entity, and how many there are; None: they have to be made."""
    if not _ID.fullmatch(entity_id):
        raise ConfigError(f"{entity_id!r} is no entity id: expected 64 hex digits; `petrel show` finds things by name")
    uri = object_uri(entity_id)
    size = find_size(lake.home, uri)
    if size is not None:
        return f"{uri}#{entity_id}", size
    rows = fetch(lake, ENTITY, params={"id": entity_id})
    if not rows and entity_id in erased_entities(lake.home):
        raise EntityNotFoundError(f"entity {entity_id} was erased from the lake {lake.home}, for privacy")
    if not rows:
        raise EntityNotFoundError(f"no entity {entity_id} in the lake {lake.home}; `petrel show` finds things by name")
    row = rows[0]
    expiry = expiry_of(lake.home, entity_id)
    if expiry is not None:
        raise EntityNotFoundError(
            f"the bytes of entity {entity_id} expired at {expiry.erased_at} ({expiry.reason}); its rows are in the "
            f"lake {lake.home}"
        )
    if row["object_uri"] is None and row["operation"] in REFERENCES and row["place"] is not None:
        return str(row["place"]), None
    if row["object_uri"] is None:
        raise EntityNotFoundError(
            f"the bytes of entity {entity_id} are kept nowhere: it is derived from {row['parent_id']} by "
            f"{row['operation']} (lake {lake.home}); read that one and derive it"
        )
    return str(row["place"]), int(row["size_bytes"])
