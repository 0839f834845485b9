"""Landing archives and shards: those that were not opened before as they are now are, and what is in them is stored."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import pyarrow as pa

from lakehouse.engines import Relation
from lakehouse.ingestion.containers.open import OPENED_SCHEMA, OpenPlan, open_batches
from lakehouse.ingestion.landed import keep_stored, store_plan
from lakehouse.ingestion.sources.delivery import still_there
from lakehouse.ingestion.sources.source import Source
from lakehouse.ingestion.storing.healing import Healing, to_read_again
from lakehouse.ingestion.storing.store import STORED_SCHEMA
from lakehouse.lake import Lake
from lakehouse.query import count_rows, fetch, query
from lakehouse.steps.outputs import TARGET
from lakehouse.steps.step import StepRecord
from lakehouse.tables.insert import insert
from schemas.canonical import content_id
from schemas.tables import CONTAINERS, LANDED_FILES

CONTAINERS_PER_COMMIT = 64

_SAME = """
    c.source = $source and c.drop_name = $drop and c.reading = $reading and c.uri = l.uri
    and c.size_bytes = l.size_bytes and c.mtime_at is not distinct from l.mtime_at
    and (c.etag is null or l.etag is null or c.etag = l.etag)
"""

CHANGED = f"""
select l.* from listed l
where l.rule is not null or not exists (select 1 from bronze.containers c where {_SAME}) {{or_again}}
"""
"""Containers that were not read to their end as they are now, by a source that says what it says now."""

OR_AGAIN = "or exists (select 1 from again a where a.uri = l.uri)"

UNCHANGED = f"""
select count(*) as n, cast(coalesce(sum(kept), 0) as bigint) as kept, cast(coalesce(sum(refused), 0) as bigint)
    as refused
from (
    select l.uri, max(c.num_kept) as kept, max(c.num_refused) as refused from listed l
    join bronze.containers c on {_SAME}
    where l.rule is null and not exists (select 1 from again a where a.uri = l.uri) group by l.uri
) known
"""

KNOWN = f"""
select distinct b.container_uri as uri, b.sha256, b.size_bytes from bronze.landed_files b
join (select l.uri from listed l join bronze.containers c on {_SAME} where l.rule is null) known
    on known.uri = b.container_uri
where b.source = $source and b.drop_name = $drop and b.status = 'stored'
"""
"""Objects of what is in the containers that were opened as they are now."""

OPENED = f"""
select count(*) as n, cast(coalesce(sum(num_left_out), 0) as bigint) as left_out from outputs
where {TARGET} = 'bronze.containers'
"""

NESTED = """
select count(*) as n, min(path) as example from stored
where status = 'stored' and regexp_matches(lower(name), '[.](zip|tgz|tbz2|7z|rar|tar([.](gz|bz2|zst|xz))?)$')
"""

NOT_LISTED = """
select distinct c.uri, c.path from bronze.containers c
where c.source = $source and c.drop_name = $drop and not exists (select 1 from listed l where l.uri = c.uri)
order by c.uri
"""


def land_containers(
    lake: Lake, source: Source, listed: pa.Table, record: StepRecord, healing: Healing
) -> None:
    """Open a portion of the containers of a source, those that are new or changed, and write what is in them.

    Adds to the counts of the receipt; one that could not be read to its end counts as one refused file, is opened again
    the next time, and so is no end of the step.
    """
    said = {"source": source.name, "drop": source.drop, "reading": reading_of(lake, source)}
    inputs = {"listed": lake.engine.from_arrow(listed)}
    again = to_read_again(lake, healing, inputs["listed"], text=KNOWN, params=said)
    inputs["again"] = lake.engine.from_arrow(pa.table({"uri": pa.array(again, pa.string())}))
    changed = lake.engine.stage(query(lake, CHANGED.format(or_again=OR_AGAIN), inputs=inputs, params=said))
    unchanged = fetch(lake, UNCHANGED, inputs=inputs, params=said)[0]
    plan = OpenPlan(
        dataclasses.replace(store_plan(lake, source), at_once=1), source, str(said["reading"]), lake.config.land
    )
    outputs = lake.engine.map_batches(
        changed, functools.partial(open_batches, plan=plan), OPENED_SCHEMA, rows_per_task=1,
        label=f"open {source.name}", reads_here=source.is_local,
    )  # fmt: skip
    columns = ", ".join(STORED_SCHEMA.names)
    stored = _of(lake, outputs, columns, LANDED_FILES.name)
    _note(lake, outputs, stored, record)
    keep_stored(lake, stored, plan.store, record, healing, again=again)
    # Behind its files: one that is killed in between is opened again, and nothing of it is new.
    own = _of(lake, outputs, ", ".join(CONTAINERS.column_names), CONTAINERS.name)
    record.writes.append(insert(lake, CONTAINERS, own, step="land"))
    record.complete &= count_rows(lake, own) == count_rows(lake, changed)
    record.counts["seen"] += count_rows(lake, stored) + unchanged["kept"] + unchanged["refused"]
    record.counts["unchanged"] += unchanged["kept"]
    record.counts["refused"] += unchanged["refused"]
    _tell(record, opened=count_rows(lake, changed), unchanged=unchanged["n"])


def count_gone_containers(
    lake: Lake, source: Source, uris: Sequence[pa.Table], record: StepRecord
) -> dict[str, int]:
    """Note the containers that were opened for this delivery and are there no more; return them as a count, if any."""
    listed = pa.concat_tables(uris) if uris else pa.table({"uri": pa.array([], pa.string())})
    missing = fetch(lake, NOT_LISTED, inputs={"listed": lake.engine.from_arrow(listed)},
                    params={"source": source.name, "drop": source.drop})  # fmt: skip
    there = still_there(lake.home, [row["uri"] for row in missing])
    gone = [row["path"] for row in missing if row["uri"] not in there]
    if not gone:
        return {}
    record.note("gone", f"{gone[0]} was opened and is not there any more; what was in it stays in the lake",
                count=len(gone))
    return {"gone": len(gone)}


def reading_of(lake: Lake, source: Source) -> str:
    """Return the id of all that decides what is made of the bytes of a container."""
    said = {key: value for key, value in dataclasses.asdict(source).items() if key not in ("name", "folder", "drop")}
    limits = {key: value for key, value in dataclasses.asdict(lake.config.land).items() if key.startswith("max_")}
    return content_id([said, limits])


def _of(lake: Lake, outputs: Relation, columns: str, table: str) -> Relation:
    text = f"select {columns} from outputs where {TARGET} = $table"
    return lake.engine.sql(text, {"outputs": outputs}, {"table": table})


def _note(lake: Lake, outputs: Relation, stored: Relation, record: StepRecord) -> None:
    left_out = fetch(lake, OPENED, inputs={"outputs": outputs})[0]["left_out"]
    if left_out:
        record.note("left_out", "files in archives that the patterns of the source leave out, hidden ones too: see "
                    "include and exclude", count=left_out)
    nested = fetch(lake, NESTED, inputs={"stored": stored})[0]
    if nested["n"]:
        record.note("nested_archive", f"{nested['example']}: an archive in an archive is a file as any other and is "
                    "not opened; land it by itself", count=nested["n"])


def _tell(record: StepRecord, *, opened: int, unchanged: int) -> None:
    before = [int(each) for each in record.details.get("containers", "0 0").split() if each.isdigit()]
    record.details["containers"] = f"{before[0] + opened} opened, {before[-1] + unchanged} unchanged"
