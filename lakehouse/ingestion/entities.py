"""entities: bronze.landed_files -> silver.entities, silver.entity_sources, silver.rejected."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
from collections.abc import Iterator
from datetime import datetime

import pyarrow as pa

from lakehouse.errors import DamagedObjectError, IngestError, RejectedInputError
from lakehouse.lake import Lake
from lakehouse.media.image import PROBE_VERSION, probe_image
from lakehouse.media.limits import ImageLimits
from lakehouse.objects import HEAL, read_bytes, uri_path
from lakehouse.query import count_rows, fetch, query
from lakehouse.steps.outputs import insert_outputs, union_batch, union_schema
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.rejects import rejected_row
from lakehouse.steps.step import StepRecord, balance, step
from lakehouse.tables.finish import finish_row
from lakehouse.tables.read import head
from schemas.tables import ENTITIES, ENTITY_SOURCES, LANDED_FILES, REJECTED, Table

ROWS_PER_TASK = 128
OUTPUTS = union_schema(ENTITIES, ENTITY_SOURCES, REJECTED)

TODO = """
select b.landed_id, b.source, b.drop_name, b.uri, b.path, b.name, b.size_bytes, b.status, b.sha256,
    b.object_uri, b.captured_at, b.origin, b.group_keys, b.rule, b.reason
from bronze.landed_files b
where not exists (select 1 from silver.entity_sources s where s.landed_id = b.landed_id)
  and not exists (
    select 1 from silver.rejected r
    where r.subject = b.landed_id and r.step = 'entities'
      and r.judged_by in ($land, $probe, $too_large, $too_many_pixels, $too_many_frames)
  )
"""
"""Observations that are neither linked to an entity nor rejected by what judges now: an older probe, other limits and
circumstances that may have passed leave a rejection that does not count."""

RULES = """
select rule, count(*) as n, min(location) as example, min_by(reason, location) as reason
from outputs where target_table = 'silver.rejected' group by rule order by rule
"""

_LIMITS = {"too_large": "max_bytes", "too_many_pixels": "max_pixels", "too_many_frames": "max_frames"}
"""Rule -> the limit that it rests on."""
_CIRCUMSTANCES = ("changed_after_landing", "unreadable_now", "damaged_object")
"""Rules that are no fault of the bytes."""


def entities(lake: Lake) -> Receipt:
    """Turn every new observation of bronze into an entity, a further source of one, or a rejection.

    What was rejected is looked at again by a probe of another version, under other limits, and each time if it was no
    fault of the bytes.

    Returns:
        Receipt with counts seen = stored + duplicate + rejected; `stored` counts new entities. Its notes tell by rule
        what was rejected.

    Raises:
        CheckFailedError: If the counts do not balance.
    """
    inputs = {
        LANDED_FILES.name: head(lake.root, LANDED_FILES),
        "images": dataclasses.asdict(lake.config.images),
        "probe": PROBE_VERSION,
    }
    with step(lake, "entities", inputs=inputs) as record:
        if not record.unchanged:
            _find_entities(lake, record)
    return record.finished()


def _find_entities(lake: Lake, record: StepRecord) -> None:
    limits = image_limits(lake)
    todo = lake.engine.stage(query(lake, TODO, params=judges(limits)))
    outputs = lake.engine.map_batches(
        todo,
        functools.partial(probe_batches, root=str(lake.root), limits=limits, now=lake.clock()),
        OUTPUTS,
        rows_per_task=ROWS_PER_TASK,
        label="entities",
    )
    written = insert_outputs(lake, outputs, (ENTITIES, ENTITY_SOURCES, REJECTED), step="entities")
    new = written[ENTITIES.name].rows_new
    # Offered, not new: another process may have come first with the same observations.
    linked, rejected = (written[table.name].rows_offered for table in (ENTITY_SOURCES, REJECTED))
    seen = count_rows(lake, todo)
    record.writes.extend(written.values())
    record.counts = {"seen": seen, "stored": new, "duplicate": linked - new, "rejected": rejected}
    balance("entities", "observations", {"linked": linked, "rejected": rejected}, seen)
    record.counts_again = dict.fromkeys(record.counts, 0)
    for row in fetch(lake, RULES, inputs={"outputs": outputs}) if rejected else ():
        everything = "nothing could be taken; " if rejected == seen and row["n"] == seen else ""
        record.note(row["rule"], f"{everything}{row['reason']} ({row['example']})", count=row["n"])
        record.complete &= row["rule"] not in _CIRCUMSTANCES


def judges(limits: ImageLimits) -> dict[str, str]:
    """Return what rejections rest on now: by whom (`land` and the probe), and for each rule about a limit, by that."""
    probe = f"probe {PROBE_VERSION}"
    about = {rule: f"{probe}, {limit} {getattr(limits, limit)}" for rule, limit in _LIMITS.items()}
    return {"land": "land", "probe": probe, **about}


def image_limits(lake: Lake) -> ImageLimits:
    """The configured limits of an image."""
    images = lake.config.images
    return ImageLimits(max_pixels=images.max_pixels, max_frames=images.max_frames, max_bytes=images.max_bytes)


def probe_batches(
    batches: Iterator[pa.RecordBatch], *, root: str, limits: ImageLimits, now: datetime
) -> Iterator[pa.RecordBatch]:
    """Look into the bytes of every observation and yield rows for the three tables.

    Args:
        batches: Rows of `TODO`.
        root: Folder of the lake.
        limits: What an image may be.
        now: Value of the clock columns.
    """
    for batch in batches:
        rows: list[tuple[Table, dict[str, object]]] = []
        for seen in batch.to_pylist():
            rows.extend(_outcome(seen, root, limits, now))
        yield union_batch(rows, OUTPUTS)


def _bytes_of(seen: dict[str, object], root: str) -> bytes:
    uri = str(seen["object_uri"])
    try:
        return read_bytes(root, uri)
    except DamagedObjectError as error:
        raise RejectedInputError("damaged_object", f"its bytes are not those it is named by; {HEAL}") from error
    except IngestError as error:
        # An object of the lake that is missing stops the run, and so does a folder that is away, with all it holds.
        if seen["status"] != "linked" or not os.path.isdir(os.path.dirname(uri_path(uri))):
            raise
        reason = "the linked file cannot be read now; put it back, and it is looked at again"
        raise RejectedInputError("unreadable_now", reason) from error


def _outcome(
    seen: dict[str, object], root: str, limits: ImageLimits, now: datetime
) -> Iterator[tuple[Table, dict[str, object]]]:
    try:
        if seen["rule"] is not None:
            raise RejectedInputError(str(seen["rule"]), str(seen["reason"]))
        if int(str(seen["size_bytes"])) > limits.max_bytes:
            raise RejectedInputError("too_large", f"{seen['size_bytes']} bytes, limit {limits.max_bytes}")
        data = _bytes_of(seen, root)
        if seen["status"] == "linked" and hashlib.sha256(data).hexdigest() != seen["sha256"]:
            raise RejectedInputError("changed_after_landing", "the linked file has other bytes now; land it again")
        facts = probe_image(data, name=str(seen["name"]), limits=limits)
    except RejectedInputError as error:
        known = judges(limits)
        judged_by = "land" if seen["rule"] is not None else known.get(error.rule, known["probe"])
        row = rejected_row("entities", str(seen["landed_id"]), error, source=str(seen["source"]),
                           location=str(seen["uri"]),
                           judged_by=None if error.rule in _CIRCUMSTANCES else judged_by)
        yield REJECTED, finish_row(row, REJECTED, now)
        return
    entity = {
        "entity_id": seen["sha256"],
        "media_type": facts.media_type,
        "size_bytes": seen["size_bytes"],
        "object_uri": seen["object_uri"],
        "storage": "copy" if seen["status"] == "stored" else "link",
        "group_keys": seen["group_keys"],
        "captured_at": seen["captured_at"] or facts.captured_at,
        "pixel_type": facts.pixel_type,
        "origin": seen["origin"],
    }
    yield ENTITIES, finish_row(entity, ENTITIES, now)
    provenance = {name: seen.get(name) for name in ENTITY_SOURCES.column_names} | {"entity_id": seen["sha256"]}
    yield ENTITY_SOURCES, finish_row(provenance, ENTITY_SOURCES, now)
