"""The ledger of what a keep policy decided: bronze.keep_decisions."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from datetime import datetime

import pyarrow as pa

from lakehouse.engines import Relation
from lakehouse.ingestion.retention.policy import Keep
from lakehouse.lake import Lake
from lakehouse.query import fetch, query
from lakehouse.steps.step import StepRecord
from lakehouse.tables.finish import finish_batch
from lakehouse.tables.insert import insert
from schemas.canonical_columns import content_ids
from schemas.tables import KEEP_DECISIONS

JUDGED = """
select landed_id, source, drop_name, uri, path, size_bytes, mtime_at, etag, sha256,
    case when status = 'dropped' then 'dropped' else 'kept' end as verdict, kept_by as rule, is_sampled,
    why as reason, group_keys, captured_at, sidecar_json
from stored where kept_by is not null
"""

BY_RULE = "select kept_by as rule, count(*) as files from stored where kept_by is not null group by kept_by"

DROPPED_BEFORE = """
select count(distinct s.sha256) as n, min(s.path) as example from stored s
where s.kept_by is not null and exists (
    select 1 from bronze.keep_decisions k where k.sha256 = s.sha256 and k.verdict = 'dropped'
)
"""

UNJUDGED = "select count(*) as n, min(concat(path, ': ', why)) as example from stored where kept_by = 'unjudged'"


def keep_decisions(lake: Lake, policy: Keep, stored: Relation, record: StepRecord, *, now: datetime) -> None:
    """Write what a policy decided about files, before the rows of those that are kept.

    A run that is killed in between decides about the others again, and its rows are the same.

    Args:
        lake: The lake.
        policy: The policy.
        stored: Rows of `STORED_SCHEMA`.
        record: Takes notes, the count of files by rule, and what was written.
        now: When it was decided.
    """
    again = fetch(lake, DROPPED_BEFORE, inputs={"stored": stored})[0]
    if again["n"]:
        example = f"the bytes of {again['example']} came before, and were dropped"
        record.note("dropped_before", example, count=again["n"])
    unjudged = fetch(lake, UNJUDGED, inputs={"stored": stored})[0]
    if unjudged["n"]:
        record.note("unjudged", f"kept, since the policy cannot judge {unjudged['example']}", count=unjudged["n"])
    by_rule: dict[str, int] = json.loads(record.details.get("kept_by", "{}"))
    for row in fetch(lake, BY_RULE, inputs={"stored": stored}):
        by_rule[row["rule"]] = by_rule.get(row["rule"], 0) + row["files"]
    record.details["kept_by"] = json.dumps(by_rule, sort_keys=True)
    finish = functools.partial(_finished, policy_json=policy.text, now=now)
    rows = pa.Table.from_batches(
        finish(lake.engine.stream(query(lake, JUDGED, inputs={"stored": stored}))), schema=KEEP_DECISIONS.arrow_schema
    )
    record.writes.append(insert(lake, KEEP_DECISIONS, lake.engine.from_arrow(rows), step="land"))


def _finished(batches: Iterator[pa.RecordBatch], *, policy_json: str, now: datetime) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        policies = pa.repeat(pa.scalar(policy_json), batch.num_rows)
        columns = {name: batch[name] for name in batch.schema.names if name != "landed_id"}
        ids = content_ids([batch["landed_id"], policies, batch["verdict"]])
        columns |= {"decision_id": ids, "policy_json": policies}
        yield finish_batch(pa.RecordBatch.from_pydict(columns), KEEP_DECISIONS, now)
