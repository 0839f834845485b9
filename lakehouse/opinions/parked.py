"""Parked answers: their subject was unknown when they came."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from datetime import datetime

import pyarrow as pa

from lakehouse.engines import Relation
from lakehouse.lake import Lake
from lakehouse.opinions.matching.outcome import settle
from lakehouse.opinions.matching.subjects import SubjectRule
from lakehouse.opinions.matching.waiting import ROWS_PER_TASK, WAITING, as_items
from lakehouse.opinions.remarks import tell_notes
from lakehouse.opinions.writing.batch import Batch, next_ordinal
from lakehouse.opinions.writing.write import REJECTED_FATES, import_lock, table_outputs
from lakehouse.query import fetch, query
from lakehouse.steps.outputs import insert_outputs
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import StepRecord, balance, step
from lakehouse.tables.finish import finish_row
from lakehouse.tables.insert import insert
from lakehouse.tables.read import head
from schemas.tables import ENTITY_SOURCES, OPINIONS, PARKED_OPINIONS, REJECTED

COUNTS = ("waiting", "new", "same", "rejected", "still_parked")

ENDED = f"""
select {", ".join(f"w.{name}" for name in PARKED_OPINIONS.column_names if name not in ("status", "opinion_id"))},
    case when s.fate in ('new', 'same') then 'resolved' else 'rejected' end as status,
    case when s.fate in ('new', 'same') then s.opinion_id end as opinion_id
from waiting w join settled s on s.line = w.ordinal where s.fate <> 'unmatched'
"""


def resolve_parked(lake: Lake) -> Receipt:
    """Turn parked answers whose subject has landed since into opinions, in the order in which they came.

    Returns:
        Receipt with counts waiting = new + same + rejected + still_parked.

    Raises:
        CheckFailedError: If the counts do not balance.
    """
    inputs = {table.name: head(lake.home, table) for table in (PARKED_OPINIONS, ENTITY_SOURCES)}
    with step(lake, "resolve_parked", inputs=inputs) as record:
        if not record.unchanged:
            _resolve_all(lake, record)
    return record.finished()


def _resolve_all(lake: Lake, record: StepRecord) -> None:
    record.counts = dict.fromkeys(COUNTS, 0)
    with import_lock(lake):
        waiting = lake.engine.stage(query(lake, WAITING))
        # Batch by batch: a correction must meet what it corrects.
        for group in fetch(
            lake,
            "select source, batch_id, subject_rule_json, min(ordinal) as first_one, max(answer_json) as sample "
            "from waiting group by source, batch_id, subject_rule_json order by first_one",
            inputs={"waiting": waiting},
        ):
            _resolve(lake, waiting, group, record)
    counts = record.counts
    balance("resolve_parked", "answers", {name: counts[name] for name in COUNTS[1:]}, counts["waiting"])
    record.counts_again = dict.fromkeys(COUNTS, 0) | {
        "waiting": counts["still_parked"], "still_parked": counts["still_parked"]
    }


def ended_rows(batches: Iterator[pa.RecordBatch], *, now: datetime) -> Iterator[pa.RecordBatch]:
    """Yield the rows of silver.parked_opinions that tell how the waiting ended."""
    for batch in batches:
        rows = [finish_row({**row, "ingest_time": now}, PARKED_OPINIONS, now) for row in batch.to_pylist()]
        yield pa.RecordBatch.from_pylist(rows, schema=PARKED_OPINIONS.arrow_schema)


def _resolve(lake: Lake, waiting: Relation, group: dict[str, object], record: StepRecord) -> None:
    rule = SubjectRule(**json.loads(str(group["subject_rule_json"])))
    repeat = json.loads(str(group["sample"]))["repeat"]
    mine = lake.engine.stage(
        query(
            lake,
            "select * from waiting where batch_id = $batch and subject_rule_json = $rule",
            inputs={"waiting": waiting},
            params={"batch": group["batch_id"], "rule": group["subject_rule_json"]},
        )
    )
    decided = settle(lake, as_items(lake, mine, rule), rule, repeat=repeat, guess=False)
    settled = decided.fates
    counts = {
        row["fate"]: int(row["n"])
        for row in fetch(lake, "select fate, count(*) as n from settled group by fate", inputs={"settled": settled})
    }
    found = lake.engine.stage(
        query(lake, "select * from settled where fate <> 'unmatched'", inputs={"settled": settled})
    )
    if sum(counts.values()) > counts.get("unmatched", 0):
        tell_notes(lake, found, record)
        batch = Batch(str(group["batch_id"]), next_ordinal(lake), known=True)
        outputs = table_outputs(lake, found, decided.items, str(group["source"]), batch, rule, repeat)
        record.writes += insert_outputs(lake, outputs, (REJECTED, OPINIONS), step="resolve_parked").values()
        ended = lake.engine.map_batches(
            query(lake, ENDED, inputs={"waiting": mine, "settled": found}),
            functools.partial(ended_rows, now=lake.clock()),
            PARKED_OPINIONS.arrow_schema,
            rows_per_task=ROWS_PER_TASK,
            label="resolved",
        )
        record.writes.append(insert(lake, PARKED_OPINIONS, ended, step="resolve_parked"))
    total = record.counts
    total["waiting"] += sum(counts.values())
    total["new"] += counts.get("new", 0)
    total["same"] += counts.get("same", 0)
    total["rejected"] += sum(counts.get(fate, 0) for fate in REJECTED_FATES)
    total["still_parked"] += counts.get("unmatched", 0)
