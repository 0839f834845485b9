"""Storing bytes under their SHA-256, in whichever storage has the lake. Runs in worker processes of either engine."""

from __future__ import annotations

import errno
import functools
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.errors import RejectedInputError
from lakehouse.ingestion.held import CHUNK_BYTES
from lakehouse.ingestion.pending import Outcome, Pending, StorePlan, check_not_erased, pending_of, writing
from lakehouse.ingestion.prefix import etag_of
from lakehouse.ingestion.remote import store_object
from lakehouse.objects import below, object_uri, uri_path
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
    ]
)
"""One listed file and what its sidecar says."""

_TOLD = ("uri", "size_bytes", "etag", "rule", "reason")

STORED_SCHEMA = LANDED_FILES.arrow_schema.append(pa.field("new_bytes", pa.int64(), nullable=False)).append(
    pa.field("is_written", pa.bool_(), nullable=False)
)
"""Rows of bronze.landed_files, the bytes that this row added to the object store, and whether it wrote an object."""


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
        yield _rows(batch, outcomes, plan)


def _stored(batch: pa.RecordBatch, plan: StorePlan, pending: Pending) -> list[Outcome]:
    listed = zip(*(batch[name].to_pylist() for name in _TOLD), strict=True)
    return list(ahead(functools.partial(_store, plan=plan, pending=pending), listed, at_once=plan.at_once))


def _store(told: tuple[str, int, str | None, str | None, str | None], plan: StorePlan, pending: Pending) -> Outcome:
    uri, size, etag, rule, reason = told
    if rule is not None:
        return Outcome(rule=rule, reason=reason)
    if not uri.startswith("file:"):
        return store_object(uri, size, etag, plan, pending)
    try:
        return Outcome(*_read_once_more_if_changed(uri, plan, pending))
    except RejectedInputError as error:
        return Outcome(rule=error.rule, reason=error.reason)


def _rows(listed: pa.RecordBatch, outcomes: Sequence[Outcome], plan: StorePlan) -> pa.RecordBatch:
    """Return the rows of bronze.landed_files, column by column: one by one they cost more than the files' bytes."""
    copied = plan.mode == "copy"
    sha256s = [each.sha256 for each in outcomes]
    sha256, rule = pa.array(sha256s, pa.string()), pa.array([each.rule for each in outcomes], pa.string())
    kept = sha256.is_valid()
    if copied:
        object_uris = pa.array([each and object_uri(each) for each in sha256s], pa.string())
    else:
        object_uris = pc.if_else(kept, listed["uri"], pa.scalar(None, pa.string()))
    columns = {name: listed[name] for name in LISTED_SCHEMA.names} | _as_they_were_read(listed, outcomes)
    # What a refused file looked like is not content: the next try must give the same row.
    stated = [*(columns[name] for name in ("sidecar_json", "captured_at", "group_keys")),
              plan.licence, plan.campaign, plan.origin]  # fmt: skip
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
        "status": pc.if_else(kept, "stored" if copied else "linked", "refused"),
        "sha256": sha256,
        "object_uri": object_uris,
        "rule": rule,
        "reason": pa.array([each.reason for each in outcomes], pa.string()),
        "licence": same(plan.licence or None),
        "campaign": same(plan.campaign or None),
        "origin": same(plan.origin),
    }
    rows = finish_batch(pa.RecordBatch.from_pydict(columns), LANDED_FILES, plan.now)
    written = pa.array([each.written for each in outcomes], pa.int64())
    return pa.RecordBatch.from_arrays([*rows.columns, written.fill_null(0), written.is_valid()], schema=STORED_SCHEMA)


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


def _read_once_more_if_changed(
    uri: str, plan: StorePlan, pending: Pending
) -> tuple[str, int | None]:
    try:
        return _read(uri, plan, pending)
    except RejectedInputError as error:
        if error.rule != "changed_while_reading":
            raise
        return _read(uri, plan, pending)


def _read(uri: str, plan: StorePlan, pending: Pending) -> tuple[str, int | None]:
    """Return the SHA-256 of a file, and how many bytes are written for it; None if none need be."""
    try:
        # Never through a link, unless links are followed, and never waiting on a FIFO that took the file's place.
        nofollow = 0 if plan.allowed_roots else os.O_NOFOLLOW
        source = os.open(uri_path(uri), os.O_RDONLY | nofollow | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        rule = "symlink" if error.errno == errno.ELOOP else "unreadable"
        raise RejectedInputError(rule, f"cannot be opened: {error.strerror}") from error
    try:
        if plan.allowed_roots:
            _check_place(source, plan.allowed_roots)
        before = os.fstat(source)
        if not stat.S_ISREG(before.st_mode):
            raise RejectedInputError("not_a_regular_file", "only regular files are read")
        if before.st_size > plan.max_bytes:
            raise RejectedInputError("too_large", f"{before.st_size} bytes, limit {plan.max_bytes}")
        if plan.mode == "copy" and before.st_size <= CHUNK_BYTES:
            return _copy_small(source, before, plan, pending)
        return _copy_large(source, before, plan, pending)
    except OSError as error:
        # Writing fails with an error of its own: only the file can be at fault here.
        raise RejectedInputError("unreadable", f"reading failed: {error.strerror}") from error
    finally:
        os.close(source)


def _check_place(source: int, allowed_roots: tuple[bytes, ...]) -> None:
    # What was opened, not what the listing saw: a link may have been turned round in between.
    real = os.readlink(f"/proc/self/fd/{source}".encode())
    if not any(below(real, root) for root in allowed_roots):
        where = os.fsdecode(real)
        raise RejectedInputError("symlink", f"leads to {where!r}, outside the folders that links may lead into")


def _copy_small(
    source: int, before: os.stat_result, plan: StorePlan, pending: Pending
) -> tuple[str, int | None]:
    data = read_open(source, before.st_size)
    _check_unchanged(source, before, len(data))
    sha256 = hashlib.sha256(data).hexdigest()
    check_not_erased(sha256, plan)
    return sha256, len(data) if pending.keep(object_uri(sha256), sha256, data) else None


def _copy_large(
    source: int, before: os.stat_result, plan: StorePlan, pending: Pending
) -> tuple[str, int | None]:
    digest, size = hashlib.sha256(), 0
    staged = pending.stage() if plan.mode == "copy" else None
    try:
        while chunk := os.read(source, CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
            if staged is not None:
                with writing():
                    staged.write(chunk)
        _check_unchanged(source, before, size)
        sha256 = digest.hexdigest()
        check_not_erased(sha256, plan)
        if staged is None:
            return sha256, None
        whole, staged = staged, None
        return sha256, size if pending.keep_staged(object_uri(sha256), size, sha256, whole) else None
    finally:
        if staged is not None:
            staged.discard()


def _check_unchanged(source: int, before: os.stat_result, size: int) -> None:
    after = os.fstat(source)
    same = (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    if not same or size != before.st_size:
        raise RejectedInputError(
            "changed_while_reading", f"{before.st_size} bytes when opened, {size} read; land it when it is at rest"
        )
