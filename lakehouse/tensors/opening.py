"""The bytes of entities of a lake for functions over arrays: objects of the lake, and linked files."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow.dataset as ds
from deltalake import DeltaTable

from lakehouse.errors import TensorError
from lakehouse.home import Root
from lakehouse.media.limits import DEFAULT_ARRAY_LIMITS, DEFAULT_AUDIO_LIMITS, DEFAULT_LIMITS
from lakehouse.objects import find_size, object_uri, read_entity
from lakehouse.verification.places import place_of
from schemas.tables import ENTITIES

MOST_BYTES = max(limits.max_bytes for limits in (DEFAULT_LIMITS, DEFAULT_AUDIO_LIMITS, DEFAULT_ARRAY_LIMITS))
"""Bytes of the largest file that is decoded here; a larger one is not read."""


@dataclass(frozen=True)
class LakeBytes:
    """Reads entities of one lake.

    Attributes:
        root: The lake.
    """

    root: Root

    def __call__(self, entity_id: str) -> bytes:
        """Return all bytes of an entity, compared with its id.

        Raises:
            TensorError: If there is no such entity, its bytes are kept nowhere, or it is larger than whatever has an
                array: a video, say.
            IngestError: If they are missing or others.
        """
        uri = object_uri(entity_id)
        size = find_size(self.root, uri)
        if size is None:
            uri = self._linked(entity_id)
            size = find_size(self.root, uri)
        if size is not None and size > MOST_BYTES:
            raise TensorError(
                f"entity {entity_id} is {size:,} bytes, more than the {MOST_BYTES:,} of any file that has an array"
            )
        return read_entity(self.root, f"{uri}#{entity_id}")

    def _linked(self, entity_id: str) -> str:
        table = DeltaTable(place_of(self.root, ENTITIES).folder)
        wanted = ds.field("entity_id") == entity_id
        rows = table.to_pyarrow_dataset().to_table(columns=["object_uri"], filter=wanted).to_pylist()
        if not rows:
            raise TensorError(f"no entity {entity_id} in the lake, or it was erased")
        if rows[0]["object_uri"] is None:
            raise TensorError(f"the bytes of entity {entity_id} are kept nowhere: it is derived; read its parent")
        return str(rows[0]["object_uri"])
