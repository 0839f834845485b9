"""The union of regions above a support: what enough of those who answered have.

Boxes of one label are put together greedily, the largest overlap first: each actor has at most one in a group, and two
groups become one while each of their pairs overlaps by at least the step's `min_iou`. A group that enough actors have
becomes one box, the mean of its coordinates; its `score` is the share of those who answered that has it. Regions that
are no upright boxes are one group if they are equal.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from lakehouse.engines import Relation
from lakehouse.labels.policy import Policy, Step
from lakehouse.labels.sql import BELIEVED, ROWS_PER_TASK, backing_sql
from lakehouse.lake import Lake
from lakehouse.query import query

Region = Mapping[str, Any]

HEARD = """
select b.*, h.answers from believed b left join (
    select k.subject_id,
        array_agg(struct_pack(actor := o.actor_id, opinion := o.opinion_id, regions := o.regions)) as answers
    from backing k join silver.opinions o on o.opinion_id = k.opinion_id group by k.subject_id
) h on h.subject_id = b.subject_id and b.problem is null and b.regions is not null
"""


def united(
    lake: Lake, believed: Relation, policy: Policy, *, params: Mapping[str, object],
    inputs: Mapping[str, Relation] | None,
) -> Relation:
    """Return what is believed, with the united regions where a step unites them."""
    text = backing_sql(policy, known_at="known_at" in params, valid_at="valid_at" in params)
    backing = query(lake, text, params=params, inputs=inputs)
    rows = query(lake, HEARD, inputs={**(inputs or {}), "believed": believed, "backing": backing})
    make = functools.partial(united_batches, steps=policy.steps, schema=BELIEVED)
    return lake.engine.map_batches(rows, make, BELIEVED, rows_per_task=ROWS_PER_TASK, label="united regions")


def united_batches(
    batches: Iterator[pa.RecordBatch], *, steps: Sequence[Step], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """Yield rows whose regions are those of all `answers`, where their step unites them."""
    for batch in batches:
        rows = [_united(row, steps[row["step"] - 1]) for row in batch.to_pylist()]
        yield pa.RecordBatch.from_pylist(rows, schema=schema)


def _united(row: dict[str, Any], step: Step) -> dict[str, Any]:
    answers = row.pop("answers")
    if step.min_support > 0 and answers:
        # By actor and opinion: the order in which an engine collects them is no content.
        ordered = sorted(answers, key=lambda each: (each["actor"], each["opinion"]))
        row["regions"] = union_of([each["regions"] or [] for each in ordered], step)
        row["labels"] = sorted({each["label"] for each in row["regions"] if each["label"] is not None})
    return row


def union_of(answers: Sequence[Sequence[Region]], step: Step) -> list[dict[str, Any]]:
    """Return the regions that enough of the answers have.

    Args:
        answers: Regions of each who answered; no region means that nothing is there.
        step: Its `min_support` and `min_iou`.
    """
    groups = [[(who, region)] for who, regions in enumerate(answers) for region in regions]
    while (pair := _closest(groups, step.min_iou)) is not None:
        first, second = pair
        groups[first] = groups[first] + groups.pop(second)
    least = step.min_support * len(answers) - 1e-9
    return [_fused([region for _, region in group], len(answers)) for group in groups if len(group) >= least]


def iou(one: Region, other: Region) -> float:
    """Return intersection over union of two upright boxes; of other regions 1 if they are equal, else 0."""
    if not (_is_box(one) and _is_box(other)):
        return float(_shape(one) == _shape(other))
    width = min(one["x"] + one["w"], other["x"] + other["w"]) - max(one["x"], other["x"])
    height = min(one["y"] + one["h"], other["y"] + other["h"]) - max(one["y"], other["y"])
    shared = max(width, 0.0) * max(height, 0.0)
    total = one["w"] * one["h"] + other["w"] * other["h"] - shared
    return shared / total if total > 0 else float(_shape(one) == _shape(other))


def _closest(groups: Sequence[Sequence[tuple[int, Region]]], min_iou: float) -> tuple[int, int] | None:
    best: tuple[float, int, int] | None = None
    for (i, one), (j, other) in itertools.combinations(enumerate(groups), 2):
        if one[0][1]["label"] != other[0][1]["label"] or {who for who, _ in one} & {who for who, _ in other}:
            continue
        overlap = min(iou(a, b) for _, a in one for _, b in other)
        if overlap >= max(min_iou, 1e-12) and (best is None or overlap > best[0]):
            best = overlap, i, j
    return None if best is None else (best[1], best[2])


def _fused(regions: Sequence[Region], answered: int) -> dict[str, Any]:
    made = {**regions[0], "score": len(regions) / answered, "region_id": None}
    if _is_box(regions[0]):
        made |= {name: sum(region[name] for region in regions) / len(regions) for name in ("x", "y", "w", "h")}
    return made


def _is_box(region: Region) -> bool:
    sides = [region[name] for name in ("x", "y", "w", "h")]
    return region["kind"] == "box" and not region["angle"] and None not in sides


def _shape(region: Region) -> str:
    said = {name: value for name, value in region.items() if name not in ("region_id", "score", "attrs", "label")}
    return json.dumps(said, sort_keys=True, default=str)
