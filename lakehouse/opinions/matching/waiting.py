"""Answers that wait for their subject: which they are, and which of an import's wait already."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator

import pyarrow as pa

from lakehouse.engines import Relation
from lakehouse.lake import Lake
from lakehouse.opinions.matching.subjects import SubjectRule
from lakehouse.opinions.reading.answer import read_record
from lakehouse.opinions.reading.answer_rows import ITEMS, answer_row
from lakehouse.opinions.reading.packed import batch_of
from lakehouse.query import query
from schemas.tables import PARKED_OPINIONS

ROWS_PER_TASK = 5_000

WAITING = f"""
select {", ".join(f"p.{name}" for name in PARKED_OPINIONS.column_names)} from silver.parked_opinions p
where p.status = 'parked' and not exists (
    select 1 from silver.parked_opinions q where q.parked_id = p.parked_id and q.status <> 'parked'
)
"""

_GROUP = ("actor_id", "question_id", "question_version", "asked", "slot")
_SAME = "{0}.event_time is not distinct from {1}.event_time and " + " and ".join(
    f"{{0}}.{name} = {{1}}.{name}" for name in _GROUP
)
_BY = ", ".join((*_GROUP, "event_time"))

NEWS = f"""
with offered as (
    select part, line, identity, value_hash, {_BY},
        row_number() over (partition by {_BY}, value_hash, identity order by part, line) as place
    from settled where fate = 'unmatched'
), others as (
    select {_BY}, max(line) as last_line from waiting w where not exists (
        select 1 from offered o where {_SAME.format("o", "w")} and o.value_hash = w.value_hash
    ) group by {_BY}
), held as (
    select w.*, row_number() over (partition by {", ".join(f"w.{name}" for name in (*_GROUP, "event_time"))},
        w.value_hash, w.identity order by w.line) as place
    from waiting w left join others x on {_SAME.format("x", "w")}
    where x.last_line is null or w.line > x.last_line
)
select s.* from settled s
left join offered o on o.part = s.part and o.line = s.line
left join held h on {_SAME.format("h", "o")} and h.value_hash = o.value_hash
    and h.identity is not distinct from o.identity and h.place = o.place
where h.line is null
"""
"""Without answers that wait already, unless one of the same actor that says otherwise came in between."""


def waiting_items(batches: Iterator[pa.RecordBatch], *, match: str) -> Iterator[pa.RecordBatch]:
    """Yield the `ITEMS` that parked answers are."""
    for batch in batches:
        rows = []
        for parked in batch.to_pylist():
            waiting = json.loads(parked["answer_json"])
            row = answer_row(read_record(waiting["answer"]), identity=waiting["identity"], match=match)
            rows.append(row | {"part": 0, "line": parked["ordinal"]})
        yield batch_of(rows, ITEMS)


def as_items(lake: Lake, parked: Relation, rule: SubjectRule) -> Relation:
    """Return parked answers of one rule as staged `ITEMS`."""
    read = functools.partial(waiting_items, match=rule.match)
    return lake.engine.stage(lake.engine.map_batches(parked, read, ITEMS, rows_per_task=ROWS_PER_TASK, label="parked"))


def without_waiting(lake: Lake, settled: Relation, rule: SubjectRule) -> Relation:
    """Return settled answers without those that wait already: importing them again parks them no second time."""
    parked = query(lake, f"{WAITING} and p.subject_rule_json = $rule", params={"rule": rule.to_json()})
    waiting = as_items(lake, parked, rule)
    return lake.engine.stage(query(lake, NEWS, inputs={"settled": settled, "waiting": waiting}))
