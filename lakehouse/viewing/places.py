"""Where the bytes of entities and of members of datasets are, and what they are; remembered until they are erased."""

from __future__ import annotations

import json
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from lakehouse.derived.identity import CLIP, WINDOW
from lakehouse.derived.members import MADE
from lakehouse.derived.places import PLACED, derived_place
from lakehouse.derived.reading import read_by
from lakehouse.derived.video import CLIP_TYPE, FRAME_TYPE
from lakehouse.erasures import expiry_of
from lakehouse.errors import EntityNotFoundError
from lakehouse.lake import Lake
from lakehouse.media.kinds.kind import UNKNOWN
from lakehouse.media.kinds.registry import judges_of
from lakehouse.query import fetch
from lakehouse.viewing.gone import Gone

REMEMBERED = 200_000
"""Places that are kept in memory."""

_ID = re.compile(r"[0-9a-f]{32,64}")

# Of a frame or clip all bytes of its video are read.
ENTITIES = """
select e.entity_id, e.media_type, coalesce(p.size_bytes, e.size_bytes) as size_bytes, e.operation, {place} as place,
    e.object_uri is not null as is_stored
from silver.entities e {referenced} where e.entity_id in $ids
""".format(**PLACED)

# Samples that are no entities, as crops of a dataset: made of the entity that they come from.
SAMPLES = """
select distinct m.entity_id, coalesce(p.size_bytes, e.size_bytes) as size_bytes, m.operation, m.parameters_json,
    m.parent_ids, {place} as place
from gold.dataset_members m join silver.entities e on e.entity_id = m.parent_ids[1] {referenced}
where m.entity_id in $ids and m.operation is not null
""".format(**PLACED)


@dataclass(frozen=True, slots=True)
class Place:
    """Where one thing is.

    Attributes:
        entity_id: Its id.
        media_type: What its bytes are.
        size_bytes: How many are read for it.
        place: As `read_derived` takes it; None: its bytes are kept nowhere.
        is_stored: Whether these very bytes lie in storage, and parts of them can be read alone.
        operation: What it is made by; "": it was landed.
        parts: Of a window its entities, in order.
    """

    entity_id: str
    media_type: str
    size_bytes: int
    place: str | None
    is_stored: bool
    operation: str = ""
    parts: tuple[str, ...] = ()


class Places:
    """Finds places; several threads may ask, one at a time asks the lake.

    Args:
        lake: The lake.
        lock: Held while the lake is asked.

    Attributes:
        gone: What was erased since.
    """

    def __init__(self, lake: Lake, lock: threading.Lock) -> None:
        self._lake, self._lock, self._judges = lake, lock, judges_of(lake.config)
        self._known: OrderedDict[str, Place] = OrderedDict()
        self._guard = threading.Lock()
        self._waiting: set[str] = set()
        self.gone = Gone(lake.home)
        self.gone.tell(self._forget)

    def find(self, entity_ids: Iterable[str]) -> dict[str, Place]:
        """Return the places of those that the lake knows, by id."""
        erased = self.gone.erased()
        wanted = [each for each in dict.fromkeys(entity_ids) if _ID.fullmatch(each) and each not in erased]
        with self._guard:
            missing = {each for each in wanted if each not in self._known}
            self._waiting |= missing
        if missing:
            with self._lock:
                self._look_up()
        with self._guard:
            return {each: self._known[each] for each in wanted if each in self._known}

    def of(self, entity_id: str) -> Place:
        """Return one place.

        Raises:
            EntityNotFoundError: If there is no such entity or member, or it was erased.
        """
        found = self.find([entity_id]).get(entity_id)
        if found is None and entity_id in self.gone.erased():
            raise EntityNotFoundError(f"entity {entity_id} was erased from this lake, for privacy")
        if found is None:
            raise EntityNotFoundError(f"no entity `{entity_id}` in this lake")
        return found

    def read(self, place: Place) -> bytes:
        """Return the bytes at a place.

        Raises:
            EntityNotFoundError: If its bytes are kept nowhere, or expired.
            IngestError: If they are missing or others.
            DecodeError: If it is made of a picture that is damaged.
        """
        if place.place is None:
            expiry = expiry_of(self._lake.home, place.entity_id)
            if expiry is not None:
                raise EntityNotFoundError(f"its bytes expired at {expiry.erased_at} ({expiry.reason})")
            made = f": it is made by `{place.operation}`" if place.operation else ""
            raise EntityNotFoundError(f"the bytes of {place.entity_id} are kept nowhere{made}")
        return read_by(self._lake.home, place.place, self._judges)

    def _look_up(self) -> None:
        """Ask for all that somebody waits for: a question costs as much for one as for a screen of them."""
        with self._guard:
            wanted, self._waiting = self._waiting.difference(self._known), set()
        missing = sorted(wanted)
        try:
            for text, placed in ((ENTITIES, _place), (SAMPLES, _sample)):
                if missing:
                    found = [placed(row) for row in fetch(self._lake, text, params={"ids": missing})]
                    self._keep(found)
                    missing = sorted({*missing} - {each.entity_id for each in found})
        except BaseException:
            with self._guard:
                self._waiting |= wanted  # for who waits behind us
            raise

    def _forget(self, entity_ids: frozenset[str]) -> None:
        with self._lock, self._guard:
            for each in entity_ids:
                self._known.pop(each, None)

    def _keep(self, places: Iterable[Place]) -> None:
        with self._guard:
            self._known.update((each.entity_id, each) for each in places)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)


def _place(row: dict[str, object]) -> Place:
    where = None if row["place"] is None else str(row["place"])
    return Place(str(row["entity_id"]), str(row["media_type"]), int(str(row["size_bytes"] or 0)), where,
                 bool(row["is_stored"]), str(row["operation"] or ""))  # fmt: skip


def _sample(row: dict[str, object]) -> Place:
    operation, where = str(row["operation"]), None
    if row["place"] is not None and operation in MADE.to_pylist():
        where = derived_place(str(row["place"]), operation, json.loads(str(row["parameters_json"] or "{}")))
    media_type = CLIP_TYPE if operation == CLIP else FRAME_TYPE
    size = int(str(row["size_bytes"] or 0))
    parents = row["parent_ids"]
    parts = tuple(map(str, parents)) if operation == WINDOW and isinstance(parents, list) else ()
    if parts:
        media_type, size = UNKNOWN, 0
    return Place(str(row["entity_id"]), media_type, size, where, is_stored=False, operation=operation, parts=parts)
