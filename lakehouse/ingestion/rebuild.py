"""rebuild: silver as bronze gives it now: everything is read again, compared by row, and put right where it differs."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.dimensions.extract import OUTPUTS as MEASURED
from lakehouse.dimensions.extract import UNREADABLE, extract_batches
from lakehouse.dimensions.step import wanted_of
from lakehouse.engines import Relation
from lakehouse.erasures import erased_entities
from lakehouse.errors import ConfigError
from lakehouse.extractors.registry import extractors
from lakehouse.ingestion.entities import CIRCUMSTANCES, FIRST_SEEN, OUTPUTS, ROWS_PER_TASK, probe_batches
from lakehouse.lake import Lake
from lakehouse.media.kinds.registry import judges_of
from lakehouse.names import nearest
from lakehouse.query import count_rows, fetch, query
from lakehouse.steps.between_erasures import between_erasures
from lakehouse.steps.expired import expired
from lakehouse.steps.outputs import rows_of
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import StepRecord, balance, step
from lakehouse.tables.insert import insert
from lakehouse.tables.read import digest_at, head
from lakehouse.tables.remove import remove_rows
from schemas.model import Table
from schemas.tables import DIMENSIONS, ENTITIES, ENTITY_SOURCES, REJECTED

STEP = "rebuild"
TABLES = (ENTITIES, ENTITY_SOURCES, DIMENSIONS, REJECTED)

OBSERVED = """
select b.landed_id, b.source, b.drop_name, b.uri, b.path, b.name, b.size_bytes, b.status, b.sha256,
    b.object_uri, b.captured_at, b.origin, b.group_keys, b.rule, b.reason, b.landed_at
from bronze.landed_files b
where not exists (select 1 from expired g where g.entity_id = b.sha256)
  and (b.landed_id in (select landed_id from named) or b.sha256 in (select sha256 from named))
"""
"""What is named, with the other observations of the same bytes: the first of them describes the entity."""

NAMED = """
select landed_id, sha256 from bronze.landed_files
where ($source = '' or source = $source) and landed_at >= $since and landed_at < $until
"""

PAIRS = """
select e.entity_id, e.object_uri, e.media_type, list(distinct w.extractor) as missing
from silver.entities e cross join wanted w
where e.object_uri is not null and starts_with(e.media_type, w.media_type)
  and not exists (select 1 from expired g where g.entity_id = e.entity_id)
  and ($all or e.entity_id in (select sha256 from named))
group by e.entity_id, e.object_uri, e.media_type
"""

COMPARED = """
select count(*) as offered,
    count(*) filter (where h.row_hash is null) as missing,
    count(*) filter (where h.row_hash is not null and h.row_hash <> o.row_hash) as different
from offered o left join held h on {match}
"""

DIFFERENT = "select h.row_hash from offered o join held h on {match} where h.row_hash <> o.row_hash"

UNREAD = """
select count(*) as n, min(concat(coalesce(location, subject), ': ', reason)) as example from outputs
where target_table = 'silver.rejected' and rule in $rules
"""

NOT_FROM_BRONZE = """
select (select count(*) from silver.entities e where e.parent_id is null
        and e.entity_id not in (select sha256 from bronze.landed_files where sha256 is not null))
    + (select count(*) from silver.entity_sources s
       where s.landed_id not in (select landed_id from bronze.landed_files)) as n
"""

ALWAYS = datetime.fromisoformat("0001-01-02T00:00:00+00:00"), datetime.fromisoformat("9999-12-30T00:00:00+00:00")


def rebuild(
    lake: Lake, *, source: str = "", since: datetime | None = None, until: datetime | None = None, dry_run: bool = False
) -> Receipt:
    """Make entities, their sources, dimensions and rejections anew from bronze, and put right what differs.

    Everything is read again, by the probes and extractors of now. Rows that are as they were stay, with their age;
    those that are missing are added, those that differ are replaced; what older extractors measured and older probes
    rejected is history and stays. What cannot be read now, or expired, is left as it is.

    Args:
        lake: The lake.
        source: Only what this source brought; "" for all.
        since: Only what was landed from then on; None for all.
        until: Only what was landed before; None for all.
        dry_run: Only say what differs.

    Returns:
        Receipt with counts of rows, seen = same + missing + different, and unread; details have the digest of each
        table afterwards. What is in silver and not in bronze is noted.

    Raises:
        ConfigError: If there is no such source.
    """
    known = [row["source"] for row in fetch(lake, "select distinct source from bronze.landed_files order by source")]
    if source and source not in known:
        raise ConfigError(f"no source `{source}`{nearest(source, known)}")
    with step(lake, STEP) as record:
        erased = erased_entities(lake.home)
        params = {"source": source, "since": since or ALWAYS[0], "until": until or ALWAYS[1]}
        inputs = {"expired": expired(lake)}
        inputs["named"] = lake.engine.stage(query(lake, NAMED, params=params))
        record.counts = {"seen": 0, "same": 0, "missing": 0, "different": 0, "unread": 0}
        work = functools.partial(_put_right, lake, record, dry_run=dry_run)
        with between_erasures(lake, lambda: _ids(lake, inputs["named"]), erased):
            work(_probed(lake, inputs), (ENTITIES, ENTITY_SOURCES, REJECTED), CIRCUMSTANCES)
            measured = _measured(lake, inputs, everything=not (source or since or until))
            work(measured, (DIMENSIONS, REJECTED), (UNREADABLE,))
        counts = record.counts
        balance(STEP, "rows", {name: counts[name] for name in ("same", "missing", "different")}, counts["seen"])
        for table in TABLES:
            record.details[table.name] = str(digest_at(lake, table, head(lake.home, table)))
        strangers = fetch(lake, NOT_FROM_BRONZE)[0]["n"]
        if strangers:
            record.note("not_from_bronze", "rows of silver that no observation in bronze tells of; they stay",
                        count=strangers)
        if dry_run:
            record.note("dry_run", "nothing was changed; run again without --dry-run")
    return record.finished()


def _ids(lake: Lake, named: Relation) -> list[str]:
    text = "select distinct sha256 from named where sha256 is not null"
    return [row["sha256"] for row in fetch(lake, text, inputs={"named": named})]


def _probed(lake: Lake, inputs: Mapping[str, Relation]) -> Relation:
    return lake.engine.map_batches(
        lake.engine.stage(query(lake, OBSERVED, inputs=inputs)),
        functools.partial(probe_batches, root=lake.home, judges=judges_of(lake.config), now=lake.clock()),
        OUTPUTS, rows_per_task=ROWS_PER_TASK, label="entities",
    )  # fmt: skip


def _measured(lake: Lake, inputs: Mapping[str, Relation], *, everything: bool) -> Relation:
    chosen = extractors()
    inputs = {**inputs, "wanted": lake.engine.from_arrow(wanted_of(chosen))}
    return lake.engine.map_batches(
        lake.engine.stage(query(lake, PAIRS, inputs=inputs, params={"all": everything})),
        functools.partial(
            extract_batches, root=lake.home, extractors=chosen, judges=judges_of(lake.config), now=lake.clock()
        ),
        MEASURED, rows_per_task=ROWS_PER_TASK, label="dimensions",
    )  # fmt: skip


def _is_one_of(rows: pa.RecordBatch, *, hashes: pa.Array) -> pa.BooleanArray:
    return pc.is_in(rows.column("row_hash"), value_set=hashes)


def _put_right(
    lake: Lake, record: StepRecord, outputs: Relation, tables: tuple[Table, ...], circumstances: tuple[str, ...], *,
    dry_run: bool,
) -> None:  # fmt: skip
    """Compare the rows of outputs with those that tables hold, and write what differs."""
    unread = fetch(lake, UNREAD, inputs={"outputs": outputs}, params={"rules": list(circumstances)})[0]
    if unread["n"]:
        record.counts["unread"] += unread["n"]
        record.note("unread", f"left as it is: {unread['example']}", count=unread["n"])
    for table in tables:
        rows = rows_of(lake, outputs, table, first_by=FIRST_SEEN)
        if table is REJECTED:
            text = "select * from found where rule not in $rules"
            rows = lake.engine.sql(text, {"found": rows}, {"rules": list(circumstances)})
        offered = lake.engine.stage(rows)
        if not count_rows(lake, offered):
            continue
        inputs = {"offered": offered, "held": query(lake, f"select * from {table.name}")}
        match = " and ".join(f"h.{name} = o.{name}" for name in table.key)
        found = fetch(lake, COMPARED.format(match=match), inputs=inputs)[0]
        for name in ("missing", "different"):
            record.counts[name] += found[name]
        record.counts["seen"] += found["offered"]
        record.counts["same"] += found["offered"] - found["missing"] - found["different"]
        if found["different"]:
            record.note(f"different {table.name}", f"rows of {table.name} are not what bronze gives"
                        f"{'' if dry_run else ', and were replaced'}", count=found["different"])
        if dry_run or not (found["missing"] or found["different"]):
            continue
        if found["different"]:
            hashes = {row["row_hash"] for row in fetch(lake, DIFFERENT.format(match=match), inputs=inputs)}
            wrong = pa.array(sorted(hashes), pa.string())
            remove_rows(lake, table, functools.partial(_is_one_of, hashes=wrong), step=STEP)
        record.writes.append(insert(lake, table, offered, step=STEP))
