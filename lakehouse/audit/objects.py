"""Comparing the bytes of entities with what the tables say of them: objects of the lake, and linked files."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pyarrow as pa

from lakehouse.audit.damage import Checked, Damage
from lakehouse.damage import mark_damaged
from lakehouse.engines import Relation
from lakehouse.errors import PetrelError, TableError
from lakehouse.home import Root
from lakehouse.lake import Lake
from lakehouse.objects import HEAL, placed
from lakehouse.progress import progress
from lakehouse.query import Pins, count_rows, fetch
from loaders.errors import CorruptionError
from schemas.tables import ENTITY_SOURCES

THREADS = 8
IN_FLIGHT = 4096
"""Files that are handed to the threads before their verdicts are read: bounds the memory."""
CHUNK_BYTES = 1 << 20

SEEN_AS = """
select d.entity_id, count(*) as times,
    min(concat('source ', s.source, ', drop ', s.drop_name, ', path ', s.path)) as seen
from damaged d join silver.entity_sources s on s.entity_id = d.entity_id group by d.entity_id
"""


def object_damages(lake: Lake, entities: Relation, pins: Pins, checked: Checked, *, deep: bool) -> Iterator[Damage]:
    """Yield every entity whose bytes are missing or others.

    Args:
        lake: The lake.
        entities: entity_id, object_uri, size_bytes, storage, of stored entities; where their storage was listed,
            found_bytes, and where some are chosen to be read, is_read.
        pins: Version of silver.entity_sources; without it damage is told without the names of the files.
        checked: Gets the counts.
        deep: Read all bytes and compare their SHA-256, not only the size.
    """
    staged = lake.engine.stage(entities)
    label = "read objects" if deep else "look at objects"
    with progress(label, total=count_rows(lake, staged), unit="files") as advance:
        for batch in lake.engine.stream(staged):
            found: dict[str, tuple[Mapping[str, Any], str]] = {}
            for row, difference in _compared(lake, batch.to_pylist(), deep=deep):
                advance(1)
                linked = row["storage"] == "link"
                checked.counts["linked files" if linked else "objects"] += 1
                checked.counts["bytes"] += int(row["size_bytes"]) if deep or row.get("is_read") else 0
                if difference:
                    found[row["entity_id"]] = row, difference
            seen = _seen_as(lake, list(found), pins)
            for entity_id, (row, difference) in found.items():
                yield _damage(lake, row, difference, seen.get(entity_id, "no source is known"), deep=deep)


def _compared(lake: Lake, rows: Iterable[Mapping[str, Any]], *, deep: bool) -> Iterator[tuple[Mapping[str, Any], str]]:
    root = lake.home
    pending: deque[tuple[Mapping[str, Any], Future[str]]] = deque()
    # Reading and hashing release the interpreter's lock.
    with ThreadPoolExecutor(THREADS) as threads:
        for row in rows:
            pending.append((row, threads.submit(_difference, root, row, deep)))
            if len(pending) >= IN_FLIGHT:
                first, verdict = pending.popleft()
                yield first, verdict.result()
        for row, verdict in pending:
            yield row, verdict.result()


def _difference(root: Root, row: Mapping[str, Any], deep: bool) -> str:
    """Return what is found in place of the bytes of an entity, "" if they are as they should be."""
    try:
        storage, name = placed(root, row["object_uri"])
        # What the listing lacks is asked for: it may have come since, or be no regular file.
        size = row["found_bytes"] if row.get("found_bytes") is not None else storage.stat(name).size
        if size != row["size_bytes"]:
            return f"{size} bytes"
        if not (deep or row.get("is_read")):
            return ""
        digest = hashlib.sha256()
        for start in range(0, size, CHUNK_BYTES):
            digest.update(storage.read(name, start, min(CHUNK_BYTES, size - start)))
        sha256 = digest.hexdigest()
        return "" if sha256 == row["entity_id"] else f"SHA-256 {sha256}"
    except FileNotFoundError:
        return "no file"
    except CorruptionError as error:
        return f"no whole file ({error})"
    except PetrelError as error:
        return f"a place that cannot be read ({error})"


def _seen_as(lake: Lake, entity_ids: list[str], pins: Pins) -> dict[str, str]:
    if not entity_ids or ENTITY_SOURCES.name not in pins:
        return {}
    damaged = lake.engine.from_arrow(pa.table({"entity_id": entity_ids}))
    try:
        rows = fetch(lake, SEEN_AS, inputs={"damaged": damaged}, pins=pins)
    except TableError:
        # Told as damage of that table; the objects are told without it.
        return {}
    return {
        row["entity_id"]: row["seen"] + (f", and {row['times'] - 1} more" if row["times"] > 1 else "") for row in rows
    }


def _damage(lake: Lake, row: Mapping[str, Any], difference: str, seen: str, *, deep: bool) -> Damage:
    entity_id, uri = str(row["entity_id"]), str(row["object_uri"])
    expected = f"{row['size_bytes']} bytes of SHA-256 {entity_id}"
    if row["storage"] == "link":
        return Damage(
            "linked", entity_id,
            f"entity {entity_id}: the linked file {uri} is not what was landed: expected {expected}, found "
            f"{difference}; put the old bytes back there, or leave this entity out in recipes ({seen})",
        )
    mark_damaged(lake.home, entity_id)
    return Damage(
        "object", entity_id,
        f"entity {entity_id}: {lake.home}/{uri} is damaged: expected {expected}, found {difference}; {HEAL} "
        f"({seen})",
    )
