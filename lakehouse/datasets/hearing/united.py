"""What a recipe hears where its policy unites regions: of all who answered about a thing, one answer."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from lakehouse.engines import Relation
from lakehouse.labels.policy import Policy, Step
from lakehouse.labels.union import union_of
from lakehouse.lake import Lake
from lakehouse.query import query
from schemas.canonical import sha256_text
from schemas.tables import OPINIONS

ROWS_PER_TASK = 2_000

TOGETHER = """
select h.subject_id, b.step, array_agg(struct_pack({fields})) as answers
from heard h join (select distinct subject_id, opinion_id, step from backing) b
    on b.subject_id = h.subject_id and b.opinion_id = h.opinion_id
group by h.subject_id, b.step
"""


def united_opinions(lake: Lake, heard: Relation, backing: Relation, policy: Policy) -> Relation:
    """Return what is heard, with one row for each thing whose regions a step unites.

    That row is the newest of the answers with the united regions; its `row_hash` is made of all of theirs, so that the
    digest of a dataset still tells who said what.

    Args:
        lake: The lake.
        heard: Opinions with `regions`, merged labels as the one that stands for them.
        backing: Which step each is of: `lakehouse.labels.sql.backing_sql`.
        policy: The policy.
    """
    fields = ", ".join(f"{name} := h.{name}" for name in heard.columns)
    rows = query(lake, TOGETHER.format(fields=fields), inputs={"heard": heard, "backing": backing})
    schema = pa.schema([OPINIONS.arrow_schema.field(name) for name in heard.columns])
    make = functools.partial(united_batches, steps=policy.steps, schema=schema)
    return lake.engine.stage(
        lake.engine.map_batches(rows, make, schema, rows_per_task=ROWS_PER_TASK, label="united regions")
    )


def united_batches(
    batches: Iterator[pa.RecordBatch], *, steps: Sequence[Step], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """Yield the opinions of `answers`, united where their step says so."""
    for batch in batches:
        rows = [row for each in batch.to_pylist() for row in _heard(each["answers"], steps[each["step"] - 1])]
        yield pa.RecordBatch.from_pylist(rows, schema=schema)


def _heard(answers: Sequence[Mapping[str, Any]], step: Step) -> Sequence[Mapping[str, Any]]:
    if not step.min_support > 0:
        return answers
    # By actor and opinion: the order in which an engine collects them is no content.
    ordered = sorted(answers, key=lambda each: (each["actor_id"], each["opinion_id"]))
    regions = union_of([each["regions"] or [] for each in ordered], step)
    # What has no time is older than all, as in `latest`.
    newest = max(ordered, key=lambda each: (each["event_time"] is not None, each["event_time"], each["opinion_id"]))
    labels = sorted({each["label"] for each in regions if each["label"] is not None})
    row_hash = sha256_text(" ".join(each["row_hash"] for each in ordered))
    return [{**newest, "regions": regions, "labels": labels, "row_hash": row_hash}]
