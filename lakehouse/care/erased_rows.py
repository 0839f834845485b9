"""Which rows of which tables tell of what is erased: what each table is asked for."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.engines import Relation
from lakehouse.erasures import Erasure
from lakehouse.lake import Lake
from lakehouse.query import fetch
from lakehouse.tables.remove import Chosen
from schemas.model import Table
from schemas.tables import (
    CHANGESET_ENTITIES,
    CONTAINERS,
    DATASET_EXCLUSIONS,
    DATASET_MEMBERS,
    DERIVATIONS,
    DIMENSIONS,
    EMBEDDINGS,
    ENTITIES,
    ENTITY_SOURCES,
    KEEP_DECISIONS,
    LANDED_FILES,
    MART_ROWS,
    MARTS,
    OBJECT_MEMBERS,
    OPINIONS,
    PARKED_OPINIONS,
    RAW_RECORDS,
    REJECTED,
)

NAMED = """
select landed_id, uri, path, name, sidecar_json from bronze.landed_files
where sha256 in (select entity_id from ids) or source = $source or group_keys[$key] = $value
union all
select decision_id as landed_id, uri, path, path as name, sidecar_json from bronze.keep_decisions
where sha256 in (select entity_id from ids) or source = $source or group_keys[$key] = $value
"""

GONE_CONTAINERS = """
select uri, path from bronze.containers where uri in (
    select container_uri from bronze.landed_files where container_uri is not null group by container_uri
    having bool_or(coalesce(sha256 in (select entity_id from ids), false) or coalesce(group_keys[$key] = $value, false))
        and bool_and(sha256 is null or sha256 in (select entity_id from ids))
)
"""
"""Those in which nothing is that stays: their names may be a person's."""

IN_CONTAINERS = """
select landed_id, uri, path, name, sidecar_json from bronze.landed_files
where uri in (select uri from gone) or container_uri in (select uri from gone)
"""

SERVED = """
select distinct r.record_id from bronze.raw_records r
join bronze.landed_files l on l.source = r.source
    and json_extract_string(r.payload, '$.event_id')
        = regexp_replace(regexp_extract(l.path, '[^/]*$', 0), '[.][^.]*$', '')
where r.kind = 'event' and (l.sha256 in (select entity_id from ids) or l.group_keys[$key] = $value)
"""
"""What was said of an event of which they are the input."""

ANSWERED = """
select p.parked_id from silver.parked_opinions p
where p.opinion_id in (select opinion_id from silver.opinions where subject_id in (select entity_id from ids))
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to go.

    Attributes:
        entities: Ids, with those derived from them.
        source: A source whose every row goes; "" for none.
        landed: Ids of the observations that go.
        names: How sources may name them: paths, names with and without their endings, URIs.
        sidecars: Texts of sidecar records about them.
        parked: Ids of answers that waited for them.
        records: Ids of parts of served events of which they are the input.
        containers: URIs of the archives in which nothing else is.
    """

    entities: frozenset[str]
    source: str
    landed: frozenset[str]
    names: frozenset[str]
    sidecars: frozenset[str]
    parked: frozenset[str]
    records: frozenset[str]
    containers: frozenset[str]


def wanted_of(lake: Lake, erasure: Erasure, ids: Relation) -> Wanted:
    """Ask a line of a lake what tells of some entities.

    Args:
        lake: The lake, as one line has it.
        erasure: What is erased, and by which source or group key it was named.
        ids: `entity_id` of them.
    """
    asked = {name: erasure.pending.get(name, "") for name in ("source", "key", "value")}
    key = {name: asked[name] for name in ("key", "value")}
    containers = fetch(lake, GONE_CONTAINERS, inputs={"ids": ids}, params=key)
    gone = frozenset(row["uri"] for row in containers)
    named = fetch(lake, NAMED, inputs={"ids": ids}, params=asked)
    named += fetch(lake, IN_CONTAINERS, inputs={"gone": lake.engine.from_arrow(texts("uri", gone))})
    told = [name for row in named for name in (row["uri"], row["path"], row["name"])]
    told += [name for row in containers for name in (row["uri"], row["path"])]
    names = {each for name in told for each in (name, name.rpartition(".")[0]) if each}
    return Wanted(
        frozenset(erasure.entities), asked["source"],
        frozenset(row["landed_id"] for row in named), frozenset(names),
        frozenset(row["sidecar_json"] for row in named if row["sidecar_json"]),
        frozenset(row["parked_id"] for row in fetch(lake, ANSWERED, inputs={"ids": ids})),
        frozenset(row["record_id"] for row in fetch(lake, SERVED, inputs={"ids": ids}, params=key)), gone,
    )  # fmt: skip


def together(found: Sequence[Wanted]) -> Wanted:
    """Return what any of the lines asks for."""
    first = found[0]
    return Wanted(first.entities, first.source, **{
        name: frozenset[str]().union(*(getattr(each, name) for each in found))
        for name in ("landed", "names", "sidecars", "parked", "records", "containers")
    })  # fmt: skip


def rules_of(wanted: Wanted) -> Iterator[tuple[Table, Chosen, tuple[str, ...]]]:
    """Yield, for each table that may name an entity, which rows go, and which of their columns are counted."""
    is_entity = functools.partial(_among, names=wanted.entities)
    # Nobody knows which of their rows tell of an entity: all go, and are computed anew.
    yield MART_ROWS, _every, ()
    yield MARTS, _every, ()
    yield DATASET_MEMBERS, lambda rows: is_entity(rows, "entity_id"), ("dataset_id", "row_hash")
    yield DATASET_EXCLUSIONS, lambda rows: is_entity(rows, "entity_id"), ()
    yield CHANGESET_ENTITIES, lambda rows: is_entity(rows, "entity_id"), ()
    # Before the opinions: these say which answers waited for an entity.
    yield PARKED_OPINIONS, lambda rows: pc.or_kleene(
        _among(rows, "subject_key", names=wanted.names | wanted.entities),
        _among(rows, "parked_id", names=wanted.parked),
    ), ()
    yield OPINIONS, lambda rows: is_entity(rows, "subject_id"), ("batch_id",)
    yield DIMENSIONS, lambda rows: is_entity(rows, "entity_id"), ()
    yield DERIVATIONS, lambda rows: pc.or_kleene(is_entity(rows, "entity_id"), is_entity(rows, "parent_id")), ()
    yield EMBEDDINGS, lambda rows: is_entity(rows, "entity_id"), ()
    yield REJECTED, _either(
        lambda rows: _among(rows, "subject", names=wanted.landed | wanted.entities), wanted.source, "source"
    ), ()
    yield ENTITY_SOURCES, _either(lambda rows: is_entity(rows, "entity_id"), wanted.source, "source"), ()
    yield OBJECT_MEMBERS, lambda rows: pc.or_kleene(is_entity(rows, "object_id"), is_entity(rows, "member_id")), ()
    yield ENTITIES, lambda rows: pc.or_kleene(is_entity(rows, "entity_id"), is_entity(rows, "parent_id")), ()
    yield KEEP_DECISIONS, _either(lambda rows: is_entity(rows, "sha256"), wanted.source, "source"), ()
    yield RAW_RECORDS, _either(lambda rows: pc.or_kleene(
        _among(rows, "payload", names=wanted.sidecars), _among(rows, "record_id", names=wanted.records)
    ), wanted.source, "source"), ()  # fmt: skip
    yield CONTAINERS, _either(lambda rows: _among(rows, "uri", names=wanted.containers), wanted.source, "source"), ()
    # Last: it says which observations, paths and records belong to an entity, also to a run that goes on after a kill.
    is_landed = functools.partial(_among, names=wanted.landed)
    yield LANDED_FILES, _either(lambda rows: is_landed(rows, "landed_id"), wanted.source, "source"), ()


def _every(rows: pa.RecordBatch) -> pa.BooleanArray:
    return pc.is_valid(rows.column("name"))


def _either(chosen: Chosen, source: str, column: str) -> Chosen:
    if not source:
        return chosen
    return lambda rows: pc.or_kleene(chosen(rows), pc.equal(rows.column(column), source))


def _among(rows: pa.RecordBatch, column: str, *, names: Collection[str]) -> pa.BooleanArray:
    return pc.is_in(rows.column(column), value_set=pa.array(sorted(names), pa.string()))


def texts(column: str, values: Collection[str]) -> pa.Table:
    """Return a table of one column of texts, in order."""
    return pa.table({column: pa.array(sorted(values), pa.string())})
