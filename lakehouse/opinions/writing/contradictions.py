"""Answers of one source that contradict each other and have no order: each stands, in a slot of its own.

The same bytes in the folders of two classes are two answers of one actor, and neither is the later one. They get the
slots `=cat` and `=dog`, so that both count; one that stands alone keeps its slot, and takes the place of both.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pyarrow as pa

from lakehouse.engines import Relation
from lakehouse.lake import Lake
from lakehouse.opinions.reading.answer_rows import ITEMS, note_texts
from lakehouse.opinions.reading.check import noted
from lakehouse.opinions.reading.packed import batch_of, packed, rows_of, unpacked
from lakehouse.query import fetch, query

ROWS_PER_TASK = 10_000

CONTRADICTING = """
select i.actor_id, i.question_id, i.question_version, m.subject_id, i.base_slot, i.event_time,
    min(i.subject_key) as first_key, max(i.subject_key) as last_key
from items i join matches m on m.asked = i.asked
where i.kind = 'answer' and i.base_slot is not null and i.op = 'assert' and i.value_kind = 'label' and m.candidates = 1
group by i.actor_id, i.question_id, i.question_version, m.subject_id, i.base_slot, i.event_time
having count(distinct i.value_hash) > 1
"""
"""Subjects about which one actor says several things at once."""

APART = f"""
select {", ".join(f"i.{name}" for name in ITEMS.names)}, c.first_key, c.last_key
from items i
left join matches m on m.asked = i.asked and m.candidates = 1
left join contradicting c on c.actor_id = i.actor_id and c.question_id = i.question_id
    and c.question_version = i.question_version and c.subject_id = m.subject_id and c.base_slot = i.base_slot
    and c.event_time is not distinct from i.event_time and i.kind = 'answer'
"""


def set_beside(lake: Lake, items: Relation, matches: Relation) -> Relation:
    """Return the items, with slots of their own for answers that contradict each other and stand side by side."""
    text = "select count(*) as n from items where kind = 'answer' and base_slot is not null"
    if not fetch(lake, text, inputs={"items": items})[0]["n"]:
        return items
    both = {"items": items, "matches": matches}
    contradicting = lake.engine.stage(query(lake, CONTRADICTING, inputs=both))
    if not fetch(lake, "select count(*) as n from found", inputs={"found": contradicting})[0]["n"]:
        return items
    apart = query(lake, APART, inputs=both | {"contradicting": contradicting})
    return lake.engine.stage(
        lake.engine.map_batches(apart, rows_beside, ITEMS, rows_per_task=ROWS_PER_TASK, label="contradictions")
    )


def rows_beside(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield `ITEMS` of rows of `APART`."""
    for batch in batches:
        yield batch_of([_row(row) for row in rows_of(batch)], ITEMS)


def _row(row: dict[str, object]) -> dict[str, object]:
    first, last = row.pop("first_key"), row.pop("last_key")
    if first is None:
        return row
    before = unpacked(row)
    notes = {"contradicting_labels": f"the same bytes are {first!r} and {last!r}: both labels stand, side by side"}
    answer = noted(dataclasses.replace(before, slot=f"{row['base_slot']}={before.value}"), notes)
    told = row["notes"] if isinstance(row["notes"], list) else []
    return row | {
        "slot": answer.slot,
        **packed(answer),
        "notes": [*told, *(note_texts(notes) or ())],
    }
