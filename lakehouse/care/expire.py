"""expire: the bytes of a source that is old enough leave a lake; their rows stay, and a tombstone says why."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

import pyarrow as pa

from lakehouse.care.erase import delete_objects
from lakehouse.commits.refs import branches
from lakehouse.datasets.versions.named import TAGS_NOW
from lakehouse.erasures import EXPIRY, LOCK, Erasure, erased_entities, erasures, keep_erasure
from lakehouse.errors import BytesNeededError, ConfigError
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.query import fetch
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import StepRecord, step
from lakehouse.tables.locks import lake_lock
from lakehouse.verification.places import line_home
from schemas.canonical import content_id

STEP = "expire"
NAMED = 5
"""Dataset versions that an error names."""

DUE = """
select sha256 as entity_id, max(size_bytes) as size_bytes,
    count(*) filter (where source <> $source or landed_at >= $before) as needed
from bronze.landed_files where status = 'stored'
group by sha256 having count(*) filter (where source = $source and landed_at < $before) > 0
"""
"""Bytes that the source brought long enough ago, and how many observations of another source, or newer ones, have them
too."""

SOURCES = "select distinct source from bronze.landed_files order by source"

MEMBERS = """
select d.dataset_id, min(d.name) as name, count(distinct due.entity_id) as members
from due
join silver.entities e on e.entity_id = due.entity_id or e.parent_id = due.entity_id
join member_entities m on m.entity_id = e.entity_id
join gold.datasets d on d.dataset_id = m.dataset_id
group by d.dataset_id order by name, d.dataset_id
"""
"""Dataset versions that have such an entity, or something derived from one."""

PINNED = """
select distinct due.entity_id from due
join silver.entities e on e.entity_id = due.entity_id or e.parent_id = due.entity_id
join member_entities m on m.entity_id = e.entity_id
"""


MADE = """
select distinct d.entity_id, e.operation, e.object_uri
from due join silver.derivations d on d.parent_id = due.entity_id
join silver.entities e on e.entity_id = d.entity_id
"""


def expire(
    lake: Lake, *, source: str, older_than: timedelta, reason: str = "", skip_pinned: bool = False,
    dry_run: bool = False,
) -> Receipt:  # fmt: skip
    """Delete the bytes that a source brought before a time; every row stays, and says what was there.

    The same bytes are refused when they come again. Bytes that another source brought too, or that came again since,
    stay. Linked bytes are not the lake's. An expiry that was killed is taken up by the next.

    Args:
        lake: The lake.
        source: Whose bytes.
        older_than: How long ago they were landed, at least.
        reason: Why; kept in the tombstone.
        skip_pinned: Leave what dataset versions have, and note it.
        dry_run: Only say what would expire.

    Returns:
        Receipt with counts seen = expired + shared + pinned + before (expired already), and bytes. What was made of
        them by transforms keeps its bytes, and is noted.

    Raises:
        BytesNeededError: If a dataset version has some of them; it names the versions and their tags.
        ConfigError: If there is no such source.
    """
    known = [row["source"] for row in fetch(lake, SOURCES)]
    if source not in known:
        raise ConfigError(f"no source `{source}`{nearest(source, known)}")
    if older_than < timedelta(0):
        raise ConfigError(f"older than {older_than}: expected 0 or more days")
    with step(lake, STEP) as record, lake_lock(lake, LOCK):
        for waiting in erasures(lake.home):
            if waiting.kind == EXPIRY and not waiting.is_done and not dry_run:
                record.note("taken_up", f"the expiry {waiting.erasure_id}, which was interrupted, is carried out too")
                _finish(lake, waiting, record)
        now = lake.clock()
        rows = fetch(lake, DUE, params={"source": source, "before": now - older_than})
        gone = erased_entities(lake.home)
        sizes = {row["entity_id"]: row["size_bytes"] for row in rows if not row["needed"]}
        due = set(sizes) - gone
        pinned = _pinned(lake, due, record, skip_pinned=skip_pinned)
        expired = sorted(due - pinned)
        _note_made(lake, expired, gone, record)
        if expired and not dry_run:
            why = reason or f"source {source}: older than {older_than}"
            _finish(lake, _tombstone(expired, why, now), record)
        shared = sum(row["needed"] > 0 and row["entity_id"] not in gone for row in rows)
        record.counts |= {
            "seen": len(rows), "expired": len(expired), "shared": shared, "pinned": len(pinned),
            "before": len(rows) - len(due) - shared, "bytes": sum(sizes[each] for each in expired),
        }
        if dry_run:
            record.note("dry_run", "nothing expired; run again without --dry-run")
    return record.finished()


def _tombstone(expired: list[str], reason: str, now: datetime) -> Erasure:
    return Erasure(
        erasure_id=content_id([EXPIRY, expired, now.isoformat()]), reason=reason, erased_at=now.isoformat(),
        asked_by="age", entities=expired, kind=EXPIRY,
    )  # fmt: skip


def _finish(lake: Lake, tombstone: Erasure, record: StepRecord) -> None:
    keep_erasure(lake.home, tombstone)  # first: killed after this, it is known what was to go
    delete_objects(lake, tombstone.entities, record)
    tombstone.is_done = True
    keep_erasure(lake.home, tombstone)


def _note_made(lake: Lake, expired: list[str], gone: Collection[str], record: StepRecord) -> None:
    """Note what was made of bytes that expire, and of that again: it shows what they show, and stays."""
    seen, latest, kept = {*expired, *gone}, expired, dict[str, str]()
    while latest:
        due = lake.engine.from_arrow(pa.table({"entity_id": pa.array(latest, pa.string())}))
        made = [row for row in fetch(lake, MADE, inputs={"due": due}) if row["entity_id"] not in seen]
        kept |= {row["entity_id"]: row["operation"] for row in made if row["object_uri"] is not None}
        latest = sorted({row["entity_id"] for row in made})
        seen |= set(latest)
    if kept:
        how = ", ".join(sorted({str(operation) for operation in kept.values()}))
        record.note("derived_kept", f"what was made of these bytes keeps its own: {how}; `petrel erase` takes both",
                    count=len(kept))  # fmt: skip


def _pinned(lake: Lake, due: Iterable[str], record: StepRecord, *, skip_pinned: bool) -> set[str]:
    relation = lake.engine.from_arrow(pa.table({"entity_id": pa.array(sorted(due), pa.string())}))
    # Bytes are those of every branch, and so is who needs them.
    lakes = [lake.on(line_home(lake.home, line)) for line in branches(lake.home).values()]
    versions = {row["dataset_id"]: row for each in lakes for row in fetch(each, MEMBERS, inputs={"due": relation})}
    if not versions:
        return set()
    tags: dict[str, list[str]] = {}
    for row in fetch(lake, TAGS_NOW):
        tags.setdefault(row["dataset_id"], []).append(f"@{row['tag']}")
    told = [
        f"{row['name']} ({', '.join([row['dataset_id'], *tags.get(row['dataset_id'], [])])}), {row['members']} of them"
        for row in versions.values()
    ]
    shown = "; ".join(told[:NAMED]) + (f"; and {len(told) - NAMED} more" if len(told) > NAMED else "")
    if not skip_pinned:
        raise BytesNeededError(
            f"nothing expired: dataset versions need these bytes: {shown}; leave what they need with --skip-pinned, or "
            "erase it with `petrel erase`"
        )
    record.note("pinned", f"kept, since dataset versions need them: {shown}", count=len(versions))
    return {row["entity_id"] for each in lakes for row in fetch(each, PINNED, inputs={"due": relation})}
