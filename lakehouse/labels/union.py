"""The union of regions above a support: what enough of those who answered have.

Boxes of one label, upright or turned, are put together greedily, the largest overlap first: each actor has at most one
in a group, and two groups become one while each of their pairs overlaps by at least the step's `min_iou`. A group that
enough actors have becomes one box, the mean of its coordinates (of turned ones of centre, sides and angle); its `score`
is the share of those who answered that has it. Regions of other kinds are one group if they are equal.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from lakehouse.consensus.methods.clusters import by_label
from lakehouse.consensus.methods.turned import mean_turned
from lakehouse.engines import Relation
from lakehouse.labels.merged import Merges, merged
from lakehouse.labels.policy import Policy, Step
from lakehouse.labels.sql import BELIEVED, ROWS_PER_TASK, backing_sql
from lakehouse.lake import Lake
from lakehouse.overlap.arrays import Floats
from lakehouse.overlap.turned import turned_iou
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
    inputs: Mapping[str, Relation] | None, merges: Merges,
) -> Relation:
    """Return what is believed, with the united regions where a step unites them; merged labels are one."""
    text = backing_sql(policy, known_at="known_at" in params, valid_at="valid_at" in params)
    backing = query(lake, text, params=params, inputs=inputs)
    rows = query(lake, HEARD, inputs={**(inputs or {}), "believed": believed, "backing": backing})
    make = functools.partial(united_batches, steps=policy.steps, schema=BELIEVED, merges=merges)
    return lake.engine.map_batches(rows, make, BELIEVED, rows_per_task=ROWS_PER_TASK, label="united regions")


def united_batches(
    batches: Iterator[pa.RecordBatch], *, steps: Sequence[Step], schema: pa.Schema, merges: Merges
) -> Iterator[pa.RecordBatch]:
    """Yield rows whose regions are those of all `answers`, where their step unites them."""
    for batch in batches:
        rows = [_united(row, steps[row["step"] - 1], merges) for row in batch.to_pylist()]
        yield pa.RecordBatch.from_pylist(rows, schema=schema)


def _united(row: dict[str, Any], step: Step, merges: Merges) -> dict[str, Any]:
    answers = row.pop("answers")
    if step.min_support > 0 and answers:
        # By actor and opinion: the order in which an engine collects them is no content.
        ordered = sorted(answers, key=lambda each: (each["actor"], each["opinion"]))
        row["regions"] = union_of([merged(each, merges)["regions"] or [] for each in ordered], step)
        row["labels"] = sorted({each["label"] for each in row["regions"] if each["label"] is not None})
    return row


def union_of(answers: Sequence[Sequence[Region]], step: Step) -> list[dict[str, Any]]:
    """Return the regions that enough of the answers have.

    Args:
        answers: Regions of each who answered; no region means that nothing is there.
        step: Its `min_support` and `min_iou`.
    """
    said = [(who, region) for who, regions in enumerate(answers) for region in regions]
    groups: list[list[int]] = []
    for _, places in by_label([region["label"] for _, region in said]):
        groups += [
            [places[n] for n in group]
            for group in _groups([said[n][1] for n in places], [said[n][0] for n in places], step.min_iou)
        ]
    least = step.min_support * len(answers) - 1e-9
    return [_fused([said[n][1] for n in each], len(answers)) for each in sorted(groups) if len(each) >= least]


def _groups(regions: Sequence[Region], owners: Sequence[int], min_iou: float) -> list[list[int]]:
    """Return groups of places, each with the first region in front."""
    links = _overlaps(regions)
    # Who has one in a group has no second one in it.
    links[np.equal.outer(owners, owners)] = -1.0
    groups = [[place] for place in range(len(regions))]
    while len(groups) > 1:
        upper = np.where(np.triu(np.ones_like(links, dtype=bool), 1), links, -1.0)
        first, second = divmod(int(upper.argmax()), len(groups))
        if upper[first, second] < max(min_iou, 1e-12):
            break
        # Two groups overlap as their pair does that overlaps least.
        links[first] = links[:, first] = np.minimum(links[first], links[second])
        links = np.delete(np.delete(links, second, axis=0), second, axis=1)
        groups[first] += groups.pop(second)
    return groups


def _overlaps(regions: Sequence[Region]) -> Floats:
    """Return how far regions overlap: boxes by intersection over union, others wholly where they are equal."""
    shapes = [_shape(region) for region in regions]
    found = np.array([[float(one == other) for other in shapes] for one in shapes], np.float64)
    boxes = [place for place, region in enumerate(regions) if _is_box(region)]
    if boxes:
        array = np.array([_numbers(regions[place]) for place in boxes], np.float64)
        found[np.ix_(boxes, boxes)] = turned_iou(array, array)
    return found


def _fused(regions: Sequence[Region], answered: int) -> dict[str, Any]:
    made = {**regions[0], "score": len(regions) / answered, "region_id": None}
    if not _is_box(regions[0]):
        return made
    if any(region["angle"] for region in regions):
        mean = mean_turned(np.array([_numbers(region) for region in regions], np.float64), np.ones(len(regions)))
        return made | dict(zip(("x", "y", "w", "h", "angle"), mean, strict=True))
    return made | {name: sum(region[name] for region in regions) / len(regions) for name in ("x", "y", "w", "h")}


def _numbers(region: Region) -> tuple[float, ...]:
    return region["x"], region["y"], region["w"], region["h"], region["angle"] or 0.0


def _is_box(region: Region) -> bool:
    sides = [region[name] for name in ("x", "y", "w", "h")]
    return region["kind"] == "box" and None not in sides and region.get("track_id") is None


def _shape(region: Region) -> str:
    said = {name: value for name, value in region.items() if name not in ("region_id", "score", "attrs", "label")}
    return json.dumps(said, sort_keys=True, default=str)
