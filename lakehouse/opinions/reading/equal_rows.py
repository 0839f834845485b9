"""Equal anonymous rows as one row with their number."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import pyarrow as pa

from lakehouse.engines import Relation
from lakehouse.errors import RejectedInputError
from lakehouse.lake import Lake
from lakehouse.opinions.formats.common import reject
from lakehouse.opinions.reading.answer_rows import ITEMS, reject_row
from lakehouse.opinions.reading.check import check_votes
from lakehouse.opinions.reading.packed import batch_of, packed, rows_of, unpacked
from lakehouse.query import query

COLUMNS = ", ".join(f"i.{name}" for name in ITEMS.names)

MERGED = f"""
select {COLUMNS}, cast(sum(i.votes) over (
    partition by i.kind, i.actor_id, i.question_id, i.question_version, i.asked, i.slot, i.event_time,
        i.value_hash, case when i.kind = 'answer' and i.identity is null and i.event_time_source <> 'source' then ''
            else cast(i.part as varchar) || ':' || cast(i.line as varchar) end
) as bigint) as all_votes
from items i
"""
"""Items with the votes of all rows that equal theirs in everything and have neither id nor time."""


def merge_votes(lake: Lake, items: Relation) -> Relation:
    """Return the items with the votes of equal rows summed up in the first of them.

    The others stay, as repeats of the first, so that every row of the source is still accounted for.
    """
    merged = lake.engine.map_batches(
        query(lake, MERGED, inputs={"items": items}), recounted, ITEMS, rows_per_task=10_000, label="merge votes"
    )
    return lake.engine.stage(merged)


def recounted(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield items whose votes, value hash and answer hold the sum of their group."""
    for batch in batches:
        rows = []
        for row in rows_of(batch):
            votes = row.pop("all_votes")
            rows.append(_counted(row, votes) if row["kind"] == "answer" and votes != row["votes"] else row)
        yield batch_of(rows, ITEMS)


def _counted(row: Mapping[str, object], votes: int) -> dict[str, object]:
    answer = dataclasses.replace(unpacked(row), votes=votes)
    try:
        check_votes(votes)
    except RejectedInputError as error:
        found = reject(str(row["location"]), error.rule, f"with its equals: {error.reason}", answer.raw_json)
        return reject_row(found) | {"part": row["part"], "line": row["line"]}
    return {**row, "votes": votes, **packed(answer)}
