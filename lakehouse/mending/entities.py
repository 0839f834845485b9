"""Mending the bytes of an entity: from wherever they still are, if they have the SHA-256 that it is named by."""

from __future__ import annotations

from collections.abc import Iterator

from lakehouse.care.transfer import transfer, writable
from lakehouse.damage import unmark
from lakehouse.erasures import erased_entities
from lakehouse.errors import EntityNotFoundError, PetrelError
from lakehouse.ingestion.storing.held import is_held
from lakehouse.lake import Lake
from lakehouse.mending.mended import Mended
from lakehouse.objects import object_uri, placed
from lakehouse.query import fetch
from loaders.errors import CorruptionError, StorageError
from loaders.stores.storage import Storage

ENTITY = "select object_uri, size_bytes, storage from silver.entities where entity_id = $id and object_uri is not null"

LANDED = """
select object_uri, size_bytes, case when status = 'linked' then 'link' else 'copy' end as storage
from bronze.landed_files where sha256 = $id and status in ('stored', 'linked') order by landed_at limit 1
"""

SEEN = "select distinct uri from bronze.landed_files where sha256 = $id and status in ('stored', 'linked') order by uri"


def mend_entity(lake: Lake, entity_id: str, copy: Lake | None) -> Iterator[Mended]:
    """Put the bytes of an entity back: from the file that was landed, from the lake, or from a copy of the lake.

    A linked file that is missing is written where it was; one that is there with other bytes is left alone.

    Args:
        lake: From `looking`.
        entity_id: Its SHA-256.
        copy: Also from `looking`; None if there is none.

    Raises:
        EntityNotFoundError: If the lake knows no such bytes.
    """
    if entity_id in erased_entities(lake.home):
        yield Mended(entity_id, object_uri(entity_id), False, "not mended: it was erased for privacy")
        return
    params = {"id": entity_id}
    rows = fetch(lake, ENTITY, params=params) or fetch(lake, LANDED, params=params)
    if not rows:
        raise EntityNotFoundError(f"{entity_id}: neither an entity nor a landed file of {lake.home}")
    uri, size = str(rows[0]["object_uri"]), int(rows[0]["size_bytes"])
    storage, name = placed(lake.home, uri)
    if is_held(storage, name, size, entity_id):
        unmark(lake.home, [entity_id])
        yield Mended(entity_id, uri, True, "is whole")
        return
    if "://" in uri:
        if _is_there(storage, name):
            yield Mended(entity_id, uri, False, "not mended: the linked file has other bytes now, which are not ours")
            return
        target: Storage = storage
    else:
        target = writable(lake.home)
    failed = ""
    for source, at, words in _candidates(lake, entity_id, uri, copy):
        try:
            difference = transfer(source, at, target, name, size=size, sha256=entity_id)
        except StorageError as error:
            failed = f" ({error})"  # the next one may be within reach
            continue
        if not difference:
            unmark(lake.home, [entity_id])
            yield Mended(entity_id, uri, True, f"put back from {words}")
            return
    where = "" if copy else "; give a copy of the lake with --from"
    said = f"not mended: these bytes are at none of the places that are known{where}{failed}"
    yield Mended(entity_id, uri, False, said)


def _candidates(lake: Lake, entity_id: str, damaged: str, copy: Lake | None) -> Iterator[tuple[Storage, str, str]]:
    seen = [str(row["uri"]) for row in fetch(lake, SEEN, params={"id": entity_id})]
    for uri in [*seen, object_uri(entity_id)]:
        if uri != damaged:
            try:
                yield *placed(lake.home, uri), uri
            except PetrelError:
                continue  # a place that this machine cannot reach
    if copy is not None:
        yield copy.files, object_uri(entity_id), f"{copy.home}"


def _is_there(storage: Storage, name: str) -> bool:
    try:
        storage.stat(name)
    except FileNotFoundError:
        return False
    except CorruptionError:
        return True  # no regular file
    return True
