"""What every form of source has in common once its bytes are stored: rows of bronze.landed_files, counts and notes."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from lakehouse.engines import Relation
from lakehouse.erasures import erased_entities
from lakehouse.home import store_of
from lakehouse.ingestion.retention.keeper import Keeper
from lakehouse.ingestion.retention.ledger import keep_decisions
from lakehouse.ingestion.sources.forms import MANIFEST
from lakehouse.ingestion.sources.source import Source
from lakehouse.ingestion.storing.healing import Healing, count_healed
from lakehouse.ingestion.storing.pending import StorePlan
from lakehouse.lake import Lake
from lakehouse.query import fetch, query
from lakehouse.steps.between_erasures import between_erasures
from lakehouse.steps.step import StepRecord
from lakehouse.tables.insert import insert
from loaders.stores.storage import AT_ONCE
from schemas.tables import LANDED_FILES

OUTCOME = """
select count(*) as seen,
    count(*) filter (where status in ('stored', 'linked')) as kept,
    count(*) filter (where status = 'refused') as refused,
    count(*) filter (where status = 'dropped') as dropped,
    count(distinct case when status in ('stored', 'linked') then sha256 end) as distinct_bytes,
    cast(coalesce(sum(new_bytes), 0) as bigint) as new_bytes
from stored
"""

ALREADY = """
select count(distinct s.sha256) as known from stored s
where exists (select 1 from bronze.landed_files b where b.sha256 = s.sha256 and b.status = s.status)
"""

REFUSED = """
select rule, count(*) as files, min(concat(path, ': ', reason)) as example
from stored where status = 'refused' group by rule order by rule
"""


def keep_stored(
    lake: Lake, stored: Relation, plan: StorePlan, record: StepRecord, healing: Healing, *, again: Mapping[str, str]
) -> None:
    """Write the rows of what was stored, count it, and note what was refused.

    Args:
        lake: The lake.
        stored: Rows of `STORED_SCHEMA`, staged.
        plan: By which they were stored.
        record: Takes counts stored, duplicate, refused and, where there is a keep policy, dropped; and the notes.
        healing: Of this run.
        again: URI -> SHA-256 of what was read to heal its object.
    """
    outcome = fetch(lake, OUTCOME, inputs={"stored": stored})[0]
    if outcome["refused"]:
        for row in fetch(lake, REFUSED, inputs={"stored": stored}):
            record.note(row["rule"], row["example"], count=row["files"])
    already = fetch(lake, ALREADY, inputs={"stored": stored})[0]["known"]
    new = outcome["distinct_bytes"] - already
    count_healed(lake, healing, stored, again, record, known=already)
    with between_erasures(lake, functools.partial(_hashes, lake, stored), plan.erased):
        if plan.keeper is not None:
            keep_decisions(lake, plan.keeper.policy, stored, record, now=plan.now)
        landed = query(lake, "select * from stored where status <> 'dropped'", inputs={"stored": stored})
        record.writes.append(insert(lake, LANDED_FILES, landed, step="land"))
    record.bytes_written += outcome["new_bytes"]
    record.counts["stored"] += new
    record.counts["duplicate"] += outcome["kept"] - new
    record.counts["refused"] += outcome["refused"]
    if plan.keeper is not None:
        record.counts["dropped"] = record.counts.get("dropped", 0) + outcome["dropped"]


def _hashes(lake: Lake, stored: Relation) -> list[str]:
    return [row["sha256"] for row in fetch(lake, "select distinct sha256 from stored", inputs={"stored": stored})]


def store_plan(lake: Lake, source: Source, keeper: Keeper | None = None) -> StorePlan:
    """Return what workers need to know to store what a source has, and what decides which of it is kept."""
    return StorePlan(
        root=lake.home,
        scratch=str(lake.scratch),
        source=source.name,
        drop=source.drop,
        mode=source.mode,
        licence=source.licence,
        campaign=source.campaign,
        origin=source.origin,
        max_bytes=lake.config.land.max_file_bytes,
        now=lake.clock(),
        allowed_roots=source.allowed_roots,
        erased=erased_entities(lake.home),
        at_once=_at_once(lake, source),
        consent=source.consent,
        cadence=source.cadence,
        keeper=keeper,
    )


def _at_once(lake: Lake, source: Source) -> int:
    if source.form == MANIFEST:
        return AT_ONCE  # it names files of any storage
    if not source.is_local:
        return store_of(source.address, lake.home.stores).parallel
    return 1 if lake.home.is_local else lake.home.store.parallel
