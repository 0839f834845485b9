"""Tiers: which objects lie in which storage class of the bucket, by rules that people write; ids and reads stay.

A policy names tiers in order, each with a storage class and a query for its entities; the first that has an entity
counts. `plan_tiers` says what is to move, `apply_tiers` moves exactly that: an object is read, compared with its hash,
and put again under its own name. What lies where is noted in `_tiers/`, since listings do not tell.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lakehouse.errors import ConfigError
from lakehouse.lake import Lake
from lakehouse.objects import object_uri, read_entity
from lakehouse.progress import progress
from lakehouse.query import fetch
from lakehouse.sql.contained import user_query
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import StepRecord, step
from lakehouse.tables.locks import lake_lock
from lakehouse.typed import fill, read_toml

TIERS = "_tiers"
LIES = f"{TIERS}/lies.json"
"""Storage class -> SHA-256 of the objects that were put there; others lie where the bucket puts what is new."""
PLAN = f"{TIERS}/plan.json"
AT_ONCE = 8
NOTED_EVERY = 1000
"""Objects between two notes: what a killed run moves again at most."""
ASLEEP = frozenset({"GLACIER", "DEEP_ARCHIVE", "Archive"})
"""Classes whose objects must be woken for hours before they can be read."""

STORED = "select entity_id, size_bytes from silver.entities where storage = 'copy' and object_uri is not null"


@dataclass(frozen=True, slots=True)
class Tier:
    """One tier of a policy.

    Attributes:
        name: For people: hot, warm, cold.
        storage_class: As the store calls it: STANDARD, STANDARD_IA, GLACIER_IR; NEARLINE; Cool.
        sql: Query for its entities, with a column entity_id; `$now` is the time of the run.
    """

    name: str
    storage_class: str
    sql: str


def tiers_from(path: str | Path) -> list[Tier]:
    """Read the tables `[[tiers]]` of a policy.

    Raises:
        ConfigError: If the file is none, or a class is one whose objects cannot be read at once.
    """
    record = read_toml(path)
    tables = record.get("tiers")
    if set(record) != {"tiers"} or not isinstance(tables, list) or not tables:
        raise ConfigError(f"{path}: expected tables [[tiers]] with name, storage_class and sql, and nothing else")
    tiers = [fill(Tier, each, where=f"{path}: tier {place}") for place, each in enumerate(tables, 1)]
    for each in tiers:
        if each.storage_class in ASLEEP:
            raise ConfigError(
                f"{path}: tier {each.name}: objects of class {each.storage_class} cannot be read without waking them "
                "for hours, and every step reads; take one that answers at once, as GLACIER_IR"
            )
        if not re.fullmatch(r"[A-Za-z_]{3,40}", each.storage_class):
            raise ConfigError(f"{path}: tier {each.name}: {each.storage_class!r} is no storage class")
    return tiers


def plan_tiers(lake: Lake, tiers: list[Tier]) -> Receipt:
    """Say which objects are to move to which tier, and keep it for `apply_tiers`.

    Args:
        lake: A lake in a bucket.
        tiers: In order; the first whose query has an entity counts. What none has stays where it lies.

    Returns:
        Receipt with counts objects, of all that the lake holds, and of each tier `<name>_objects` and `<name>_bytes`
        that are to move.

    Raises:
        ConfigError: If the lake is in a folder, which has no storage classes.
        QueryFailedError, QueryRefusedError: If a query cannot run, or may not.
    """
    _check_bucket(lake)
    with step(lake, "tier plan") as record:
        sizes = {row["entity_id"]: row["size_bytes"] for row in fetch(lake, STORED)}
        lies = {entity: name for name, entities in _lies(lake).items() for entity in entities}
        taken: set[str] = set()
        moves: dict[str, list[str]] = {}
        record.counts = {"objects": len(sizes)}
        for tier in tiers:
            params = {"now": lake.clock()} if "$now" in tier.sql else {}
            found = user_query(lake.home, tier.sql, params=params, limits=lake.config.sql)
            if "entity_id" not in found.column_names:
                raise ConfigError(f"tier {tier.name}: its query has no column entity_id, but {found.column_names}")
            mine = {each for each in found["entity_id"].to_pylist() if each in sizes} - taken
            taken |= mine
            due = sorted(each for each in mine if lies.get(each) != tier.storage_class)
            moves.setdefault(tier.storage_class, []).extend(due)
            record.counts |= {f"{tier.name}_objects": len(due), f"{tier.name}_bytes": sum(sizes[each] for each in due)}
        lake.files.put(PLAN, json.dumps(moves).encode())
    return record.finished()


def apply_tiers(lake: Lake) -> Receipt:
    """Move what the last plan said; a run that was killed is taken up by the next.

    Returns:
        Receipt with counts moved and gone (objects that are in the lake no more), and the bytes that were written.

    Raises:
        ConfigError: If there is no plan, or the lake is in a folder.
        DamagedObjectError: If an object has other bytes than it is named by: it is left where it lies.
        StorageError: If the store refuses a class.
    """
    _check_bucket(lake)
    with step(lake, "tier apply") as record, lake_lock(lake, "tiers"):
        try:
            moves = json.loads(lake.files.read_whole(PLAN))
        except FileNotFoundError:
            raise ConfigError("there is no plan to apply: `petrel tier --policy FILE` makes one") from None
        record.counts = {"moved": 0, "gone": 0}
        with progress("tiers", total=sum(map(len, moves.values())), unit="objects") as advance:
            for storage_class, entities in moves.items():
                for start in range(0, len(entities), NOTED_EVERY):
                    portion = entities[start : start + NOTED_EVERY]
                    _move(lake, storage_class, portion, record)
                    advance(len(portion))
        lake.files.delete(PLAN)
    return record.finished()


def _move(lake: Lake, storage_class: str, entities: list[str], record: StepRecord) -> None:
    lies = _lies(lake)
    due = [each for each in entities if each not in set(lies.get(storage_class, ()))]

    def move(entity: str) -> int | None:
        name = object_uri(entity)
        try:
            lake.files.stat(name)
        except FileNotFoundError:
            return None
        data = read_entity(lake.home, f"{name}#{entity}")
        lake.files.put_in_class(name, data, storage_class)
        return len(data)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        done = dict(zip(due, threads.map(move, due), strict=True))
    moved = {entity for entity, size in done.items() if size is not None}
    noted = {name: sorted(set(held) - moved) for name, held in lies.items()}
    noted[storage_class] = sorted({*noted.get(storage_class, ()), *moved})
    lake.files.put(LIES, json.dumps({name: held for name, held in noted.items() if held}).encode())
    record.counts["moved"] += len(moved)
    record.counts["gone"] += len(done) - len(moved)
    record.bytes_written += sum(size for size in done.values() if size is not None)


def _lies(lake: Lake) -> Mapping[str, list[str]]:
    try:
        found: dict[str, list[str]] = json.loads(lake.files.read_whole(LIES))
        return found
    except FileNotFoundError:
        return {}


def _check_bucket(lake: Lake) -> None:
    if lake.home.is_local:
        raise ConfigError(f"{lake.home}: a folder has no storage classes; tiers are for lakes in buckets")

