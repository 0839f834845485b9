"""Storing bytes under their SHA-256, in whichever storage has the lake. Runs in worker processes of either engine."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.errors import RejectedInputError
from lakehouse.ingestion.sources.prefix import etag_of
from lakehouse.ingestion.storing.held import CHUNK_BYTES
from lakehouse.ingestion.storing.pending import (
    Outcome,
    Pending,
    Read,
    StorePlan,
    Told,
    judged,
    pending_of,
    wants_bytes,
    writing,
)
from lakehouse.ingestion.storing.regular import check_unchanged, opened
from lakehouse.ingestion.storing.remote import store_object
from lakehouse.objects import object_uri
from lakehouse.tables.finish import finish_batch
from loaders.stores.ahead import ahead
from loaders.stores.files import read_open
from schemas.bronze import LANDED_FILES
from schemas.canonical_columns import content_ids
from schemas.model import TIMESTAMP

LISTED_SCHEMA = pa.schema(
    [
        pa.field("uri", pa.string()),
        pa.field("path", pa.string()),
        pa.field("name", pa.string()),
        pa.field("size_bytes", pa.int64()),
        pa.field("mtime_at", TIMESTAMP),
        pa.field("etag", pa.string()),
        pa.field("rule", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("sidecar_json", pa.string()),
        pa.field("captured_at", TIMESTAMP),
        pa.field("group_keys", pa.map_(pa.string(), pa.string())),
        pa.field("container_uri", pa.string()),
        pa.field("stated_sha256", pa.string()),
    ]
)
"""One listed file and what is said about it: by its sidecar, by a manifest that names the hash of its bytes."""

_TOLD = ("uri", "name", "size_bytes", "etag", "sidecar_json", "rule", "reason", "stated_sha256")

STORED_SCHEMA = pa.schema([
    *LANDED_FILES.arrow_schema,
    pa.field("new_bytes", pa.int64(), nullable=False),
    pa.field("is_written", pa.bool_(), nullable=False),
    pa.field("kept_by", pa.string()),
    pa.field("is_sampled", pa.bool_()),
    pa.field("why", pa.string()),
])
"""Rows of bronze.landed_files, the bytes that this row added to the object store, whether it wrote an object, and what
the keep policy says of it, NULL where there is none. Status `dropped` is for bronze.keep_decisions alone."""


def store_batches(batches: Iterator[pa.RecordBatch], *, plan: StorePlan) -> Iterator[pa.RecordBatch]:
    """Store every listed file and yield one row of bronze.landed_files each.

    Objects of a batch are published before its rows are yielded: a row never points at a missing object.

    Args:
        batches: Rows of `LISTED_SCHEMA`.
        plan: See `StorePlan`.
    """
    for batch in batches:
        pending = pending_of(plan)
        try:
            outcomes = _stored(batch, plan, pending)
            with writing():
                pending.objects.publish(pending.staged)
        finally:
            for left in pending.staged.values():
                left.close()
        yield landed_rows(batch, outcomes, plan)


def _stored(batch: pa.RecordBatch, plan: StorePlan, pending: Pending) -> list[Outcome]:
    listed = zip(*(batch[name].to_pylist() for name in _TOLD), strict=True)
    return list(ahead(functools.partial(_store, plan=plan, pending=pending), listed, at_once=plan.at_once))


def _store(
    listed: tuple[str, str, int, str | None, str | None, str | None, str | None, str | None], plan: StorePlan,
    pending: Pending,
) -> Outcome:
    *fields, rule, reason, stated = listed
    if rule is not None:
        return Outcome(rule=rule, reason=reason)
    told = Told(*fields)  # type: ignore[arg-type]
    if not told.uri.startswith("file:"):
        return _checked(store_object(told, plan, pending), stated)
    try:
        return _checked(_read_once_more_if_changed(told, plan, pending).outcome(), stated)
    except RejectedInputError as error:
        return Outcome(rule=error.rule, reason=error.reason)


def _checked(outcome: Outcome, stated: str | None) -> Outcome:
    if stated is None or outcome.sha256 in (None, stated):
        return outcome
    # What was written is an object that nothing points at: `petrel maintain` removes it.
    return Outcome(rule="checksum_mismatch", reason=f"its SHA-256 is {outcome.sha256}, expected {stated}")


def landed_rows(listed: pa.RecordBatch, outcomes: Sequence[Outcome], plan: StorePlan) -> pa.RecordBatch:
    """Return the rows of bronze.landed_files, column by column: one by one they cost more than the files' bytes."""
    copied = plan.mode == "copy"
    sha256s = [each.sha256 for each in outcomes]
    sha256, rule = pa.array(sha256s, pa.string()), pa.array([each.rule for each in outcomes], pa.string())
    decisions = [each.decision for each in outcomes]
    dropped = pa.array([each is not None and not each.is_kept for each in decisions], pa.bool_())
    kept = pc.and_(sha256.is_valid(), pc.invert(dropped))
    if copied:
        object_uris = pc.if_else(kept, pa.array([each and object_uri(each) for each in sha256s], pa.string()),
                                 pa.scalar(None, pa.string()))
    else:
        object_uris = pc.if_else(kept, listed["uri"], pa.scalar(None, pa.string()))
    columns = {name: listed[name] for name in LISTED_SCHEMA.names} | _as_they_were_read(listed, outcomes)
    # What a refused file looked like is not content: the next try must give the same row.
    stated = [*(columns[name] for name in ("sidecar_json", "captured_at", "group_keys")),
              plan.licence, plan.campaign, plan.origin]  # fmt: skip
    stated += [plan.consent, plan.cadence] if plan.consent or plan.cadence else []  # ids are older than these
    # Files have no version tag, and had ids before objects were landed.
    tagged = ("etag",) if columns["etag"].null_count < listed.num_rows else ()
    seen = [columns[name] for name in ("uri", "size_bytes", "mtime_at", *tagged)]
    identity = [plan.source, plan.drop, *seen, sha256, object_uris, rule, *stated]

    def same(value: str | None) -> pa.Array:
        return pa.repeat(pa.scalar(value, pa.string()), listed.num_rows)

    columns |= {
        "landed_id": content_ids(identity),
        "source": same(plan.source),
        "drop_name": same(plan.drop),
        "status": pc.if_else(kept, "stored" if copied else "linked", pc.if_else(dropped, "dropped", "refused")),
        "sha256": sha256,
        "object_uri": object_uris,
        "rule": rule,
        "reason": pa.array([each.reason for each in outcomes], pa.string()),
        "licence": same(plan.licence or None),
        "campaign": same(plan.campaign or None),
        "origin": same(plan.origin),
        "consent": same(plan.consent or None),
        "cadence": same(plan.cadence or None),
    }
    rows = finish_batch(pa.RecordBatch.from_pydict(columns), LANDED_FILES, plan.now)
    written = pa.array([each.written for each in outcomes], pa.int64())
    judgement = (
        pa.array([each and each.rule for each in decisions], pa.string()),
        pa.array([each and each.is_sampled for each in decisions], pa.bool_()),
        pa.array([each and each.reason for each in decisions], pa.string()),
    )
    columns_beside = [written.fill_null(0), written.is_valid(), *judgement]
    return pa.RecordBatch.from_arrays([*rows.columns, *columns_beside], schema=STORED_SCHEMA)


def _as_they_were_read(listed: pa.RecordBatch, outcomes: Sequence[Outcome]) -> dict[str, pa.Array]:
    """Return what the listing told otherwise, where objects were replaced after it."""
    if not any(each.now for each in outcomes):
        return {}
    told = zip(*(listed[name].to_pylist() for name in ("size_bytes", "mtime_at", "etag")), strict=True)
    now = [
        before if each.now is None else (each.now.size, each.now.modified, etag_of(each.now))
        for before, each in zip(told, outcomes, strict=True)
    ]
    sizes, times, etags = zip(*now, strict=True)
    return {
        "size_bytes": pa.array(sizes, pa.int64()), "mtime_at": pa.array(times, TIMESTAMP),
        "etag": pa.array(etags, pa.string()),
    }  # fmt: skip


def _read_once_more_if_changed(told: Told, plan: StorePlan, pending: Pending) -> Read:
    try:
        return _read(told, plan, pending)
    except RejectedInputError as error:
        if error.rule != "changed_while_reading":
            raise
        return _read(told, plan, pending)


def _read(told: Told, plan: StorePlan, pending: Pending) -> Read:
    with opened(told.uri, plan.allowed_roots) as (source, before):
        if before.st_size > plan.max_bytes:
            raise RejectedInputError("too_large", f"{before.st_size} bytes, limit {plan.max_bytes}")
        if (plan.mode == "copy" and before.st_size <= CHUNK_BYTES) or wants_bytes(plan, before.st_size):
            return _copy_small(source, before, told, plan, pending)
        return _copy_large(source, before, told, plan, pending)


def _copy_small(source: int, before: os.stat_result, told: Told, plan: StorePlan, pending: Pending) -> Read:
    data = read_open(source, before.st_size)
    check_unchanged(source, before, len(data))
    sha256 = hashlib.sha256(data).hexdigest()
    read = judged(told, plan, sha256, data)
    is_written = plan.mode == "copy" and not read.is_dropped and pending.keep(object_uri(sha256), sha256, data)
    return read._replace(written=len(data) if is_written else None)


def _copy_large(source: int, before: os.stat_result, told: Told, plan: StorePlan, pending: Pending) -> Read:
    digest, size = hashlib.sha256(), 0
    staged = pending.stage() if plan.mode == "copy" else None
    try:
        while chunk := os.read(source, CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
            if staged is not None:
                with writing():
                    staged.write(chunk)
        check_unchanged(source, before, size)
        sha256 = digest.hexdigest()
        read = judged(told, plan, sha256, None)
        if staged is None or read.is_dropped:
            return read
        whole, staged = staged, None
        is_written = pending.keep_staged(object_uri(sha256), size, sha256, whole)
        return read._replace(written=size if is_written else None)
    finally:
        if staged is not None:
            staged.discard()
