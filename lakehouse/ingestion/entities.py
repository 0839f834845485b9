"""entities: bronze.landed_files -> silver.entities, silver.entity_sources, silver.rejected."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.engines import Relation
from lakehouse.erasures import erased_entities, expired_entities
from lakehouse.errors import DamagedObjectError, IngestError, RejectedInputError
from lakehouse.home import Root
from lakehouse.lake import Lake
from lakehouse.media.kinds.kind import UNKNOWN, Facts, MediaKind
from lakehouse.media.kinds.registry import Judges, judges_of
from lakehouse.media.sniff import HEAD_BYTES
from lakehouse.objects import HEAL, at_once, is_away, read_bytes
from lakehouse.query import count_rows, fetch, query
from lakehouse.steps.between_erasures import between_erasures
from lakehouse.steps.outputs import insert_outputs, tagged_batch, union_batch, union_schema
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.rejects import RULES, rejected_row
from lakehouse.steps.step import StepRecord, balance, step
from lakehouse.tables.finish import finish_batch, finish_row
from lakehouse.tables.read import head
from loaders.stores.ahead import ahead
from schemas.model import TIMESTAMP
from schemas.tables import ENTITIES, ENTITY_SOURCES, LANDED_FILES, REJECTED, Table

ROWS_PER_TASK = 128
OBSERVED = "observed_at"
OUTPUTS = union_schema(ENTITIES, ENTITY_SOURCES, REJECTED).append(pa.field(OBSERVED, TIMESTAMP))
FIRST_SEEN = {ENTITIES.name: f"{OBSERVED}, landed_id"}
"""An entity is described as by its first observation, however many are looked at together: so silver is what bronze
gives, whenever it is made."""

TODO = """
select b.landed_id, b.source, b.drop_name, b.uri, b.path, b.name, b.size_bytes, b.status, b.sha256,
    b.object_uri, b.captured_at, b.origin, b.group_keys, b.rule, b.reason, b.landed_at
from bronze.landed_files b left join (
    select landed_id from silver.entity_sources
    union all
    select subject as landed_id from silver.rejected
    where step = 'entities' and judged_by in ($land, {judges})
        and not (rule = 'unsupported_media' and judged_by = $judge_0) and not $again
) settled on settled.landed_id = b.landed_id
where settled.landed_id is null
"""
"""Observations that are neither linked to an entity nor rejected by what judges now: an older probe, other limits and
circumstances that may have passed leave a rejection that does not count. `unsupported_media` is how what was no picture
was once rejected: it is an entity now."""

RETRIED = """
select t.landed_id from todo t
where exists (select 1 from silver.rejected r where r.step = 'entities' and r.subject = t.landed_id)
"""

UNKNOWN_FILES = """
select count(*) as n, min(s.path) as example
from outputs e join outputs s on s.entity_id = e.entity_id and s.target_table = 'silver.entity_sources'
where e.target_table = 'silver.entities' and e.media_type = $unknown
"""

CIRCUMSTANCES = ("changed_after_landing", "unreadable_now", "damaged_object")
"""Rules that are no fault of the bytes."""


def entities(lake: Lake, *, retry_rejected: bool = False) -> Receipt:
    """Turn every new observation of bronze into an entity, a further source of one, or a rejection.

    What a file is, its kind of media says (`lakehouse.media.kinds`). One of no kind is an entity too: its bytes, of
    media type `application/octet-stream`.

    What was rejected is looked at again by a probe of another version, under other limits, and each time if it was no
    fault of the bytes.

    Args:
        lake: The lake.
        retry_rejected: Look again at everything that was rejected and is no entity: after an upgrade of a library that
            reads what it could not.

    Returns:
        Receipt with counts seen = stored + duplicate + rejected; `stored` counts new entities, and `retried`, where
        that was asked, those of `seen` that were rejected before. Its notes tell by rule
        what was rejected, and what was taken as bytes of no kind.

    Raises:
        CheckFailedError: If the counts do not balance.
    """
    inputs = {
        LANDED_FILES.name: head(lake.home, LANDED_FILES),
        "media": judges_of(lake.config).facts,
    }
    with step(lake, "entities", inputs=None if retry_rejected else inputs) as record:
        if not record.unchanged:
            _find_entities(lake, record, retry_rejected=retry_rejected)
    return record.finished()


def _find_entities(lake: Lake, record: StepRecord, *, retry_rejected: bool) -> None:
    judges = judges_of(lake.config)
    numbered = _numbered(judges)
    params = {"land": "land", "again": retry_rejected, **numbered}
    names = ", ".join(f"${name}" for name in numbered)
    erased = erased_entities(lake.home)
    before = {REJECTED.name: head(lake.home, REJECTED)}
    todo = lake.engine.stage(query(lake, TODO.format(judges=names), params=params))
    outputs = lake.engine.map_batches(
        todo,
        functools.partial(
            probe_batches, root=lake.home, judges=judges, now=lake.clock(), expired=expired_entities(lake.home)
        ),
        OUTPUTS,
        rows_per_task=ROWS_PER_TASK,
        label="entities",
    )
    with between_erasures(lake, lambda: _ids(lake, outputs), erased):
        written = insert_outputs(
            lake, outputs, (ENTITIES, ENTITY_SOURCES, REJECTED), step="entities", first_by=FIRST_SEEN
        )
    new = written[ENTITIES.name].rows_new
    # Offered, not new: another process may have come first with the same observations.
    linked, rejected = (written[table.name].rows_offered for table in (ENTITY_SOURCES, REJECTED))
    seen = count_rows(lake, todo)
    retried = count_rows(lake, query(lake, RETRIED, inputs={"todo": todo}, pins=before)) if retry_rejected else 0
    record.writes.extend(written.values())
    record.counts = {"seen": seen, "stored": new, "duplicate": linked - new, "rejected": rejected}
    if retry_rejected:
        record.counts["retried"] = retried
    balance("entities", "observations", {"linked": linked, "rejected": rejected}, seen)
    record.counts_again = dict.fromkeys(record.counts, 0)
    circumstances = {*CIRCUMSTANCES, *(rule for kind in judges.kinds for rule in kind.circumstances)}
    for row in fetch(lake, RULES, inputs={"outputs": outputs}) if rejected else ():
        everything = "nothing could be taken; " if rejected == seen and row["n"] == seen else ""
        record.note(row["rule"], f"{everything}{row['reason']} ({row['example']})", count=row["n"])
        record.complete &= row["rule"] not in circumstances
    if linked:
        unknown = fetch(lake, UNKNOWN_FILES, inputs={"outputs": outputs}, params={"unknown": UNKNOWN})[0]
        if unknown["n"]:
            record.note("unknown_media", f"taken as bytes, {UNKNOWN}: no kind of media knows them "
                        f"({unknown['example']})", count=unknown["n"])


def _ids(lake: Lake, outputs: Relation) -> list[str]:
    text = "select distinct entity_id from outputs where entity_id is not null"
    found = fetch(lake, text, inputs={"outputs": outputs})
    return [row["entity_id"] for row in found]


def _numbered(judges: Judges) -> dict[str, str]:
    """Return what rejections may rest on, as parameters; the first is what the first kind's probe alone says."""
    first = judges.kinds[0].judged_by
    rest = [judge for judge in judges.all_judges() if judge != first]
    return {f"judge_{number}": judge for number, judge in enumerate([first, *rest])}


@dataclass(frozen=True, slots=True)
class _Unknown:
    """What is known of a file of no kind."""

    media_type: str = UNKNOWN
    captured_at: datetime | None = None
    pixel_type: str | None = None


def probe_batches(
    batches: Iterator[pa.RecordBatch], *, root: Root, judges: Judges, now: datetime,
    expired: frozenset[str] = frozenset(),
) -> Iterator[pa.RecordBatch]:
    """Look into the bytes of every observation and yield rows for the three tables.

    Args:
        batches: Rows of `TODO`.
        root: The lake.
        judges: Kinds of media and their limits.
        now: Value of the clock columns.
        expired: SHA-256 of bytes that expired.
    """
    for batch in batches:
        known: list[Facts] = []
        rejected: list[tuple[Table, dict[str, object]]] = []
        places: list[int] = []  # of the observations that facts are known of
        many = at_once(root, batch["object_uri"].drop_null().to_pylist())
        look = functools.partial(_facts_or_rejection, root=root, judges=judges, expired=expired)
        for place, found in enumerate(ahead(look, batch.to_pylist(), at_once=many)):
            if isinstance(found, dict):
                rejected.append((REJECTED, finish_row(found, REJECTED, now)))
            else:
                known.append(found)
                places.append(place)
        taken = batch.take(pa.array(places, pa.int64()))
        observed = {OBSERVED: taken["landed_at"], "landed_id": taken["landed_id"]}
        found = finish_batch(_entities_of(taken, known), ENTITIES, now)
        yield tagged_batch(found, ENTITIES, OUTPUTS, beside=observed)
        yield tagged_batch(finish_batch(_sources_of(taken), ENTITY_SOURCES, now), ENTITY_SOURCES, OUTPUTS)
        yield union_batch(rejected, OUTPUTS)


def _bytes_of(seen: dict[str, object], root: Root, *, most: int | None = None) -> bytes:
    uri = str(seen["object_uri"])
    try:
        return read_bytes(root, uri, most=most)
    except DamagedObjectError as error:
        raise RejectedInputError("damaged_object", f"its bytes are not those it is named by; {HEAL}") from error
    except IngestError as error:
        # An object of the lake that is missing stops the run, and so does a folder or bucket that is away.
        if seen["status"] != "linked" or is_away(root, uri):
            raise
        reason = "the linked file cannot be read now; put it back, and it is looked at again"
        raise RejectedInputError("unreadable_now", reason) from error


def _facts_or_rejection(
    seen: dict[str, object], root: Root, judges: Judges, expired: frozenset[str]
) -> Facts | dict[str, object]:
    """Return what is known of the bytes of an observation, or a row of silver.rejected to be finished."""
    kind: MediaKind | None = None
    try:
        if seen["rule"] is not None:
            raise RejectedInputError(str(seen["rule"]), str(seen["reason"]))
        if seen["sha256"] in expired:
            raise RejectedInputError("expired", "its bytes expired before it was looked at")
        size, name = int(str(seen["size_bytes"])), str(seen["name"])
        least = min(limits.max_bytes for limits in judges.limits.values())
        # What every kind takes is read once; of what may be too large for one the first bytes tell which it is.
        data = _bytes_of(seen, root, most=None if size <= least else HEAD_BYTES)
        kind = judges.kind_of(data, name)
        limits = judges.limits[(kind or judges.kinds[0]).name]
        if kind is not None and size > limits.max_bytes:
            raise RejectedInputError("too_large", f"{size} bytes, limit {limits.max_bytes}")
        if size > least and (kind is not None or seen["status"] == "linked"):
            data = _bytes_of(seen, root)
        if seen["status"] == "linked" and (found := hashlib.sha256(data).hexdigest()) != seen["sha256"]:
            reason = f"its SHA-256 is {found} now and was {seen['sha256']} when it was landed; land it again"
            raise RejectedInputError("changed_after_landing", reason)
        return _Unknown() if kind is None else kind.probe(data, name=name, limits=limits)
    except RejectedInputError as error:
        judged_by: str | None = "land"
        if seen["rule"] is None:
            judge = kind or judges.kinds[0]
            judged_by = None if error.rule in CIRCUMSTANCES else judges.judged_by(judge, error.rule)
        return rejected_row("entities", str(seen["landed_id"]), error, source=str(seen["source"]),
                            location=str(seen["uri"]), judged_by=judged_by)


def _entities_of(taken: pa.RecordBatch, known: Sequence[Facts]) -> pa.RecordBatch:
    """Return the columns of silver.entities that observations and what is known of their bytes give."""
    captured_at = pa.array([each.captured_at for each in known], TIMESTAMP)
    return pa.RecordBatch.from_pydict({
        "entity_id": taken["sha256"],
        "media_type": pa.array([each.media_type for each in known], pa.string()),
        "size_bytes": taken["size_bytes"],
        "object_uri": taken["object_uri"],
        "storage": pc.if_else(pc.equal(taken["status"], "stored"), "copy", "link"),
        "group_keys": taken["group_keys"],
        "captured_at": pc.coalesce(taken["captured_at"].cast(TIMESTAMP), captured_at),
        "pixel_type": pa.array([each.pixel_type for each in known], pa.string()),
        "origin": taken["origin"],
    })


def _sources_of(taken: pa.RecordBatch) -> pa.RecordBatch:
    """Return the columns of silver.entity_sources: the observations, and the entity that each of them saw."""
    return taken.append_column("entity_id", taken["sha256"])
