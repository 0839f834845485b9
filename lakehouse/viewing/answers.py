"""What is said of some entities now, as values that can be drawn: px of the stored picture, seconds, characters."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.errors import one_line
from lakehouse.lake import Lake
from lakehouse.opinions.geometry.tracks import LINEAR
from lakehouse.query import fetch, query
from lakehouse.sql.held_rows import plain
from loaders.decoding.masks import decode_mask
from loaders.errors import DecodeError

Row = dict[str, Any]

MASK_PIXELS = 64 << 20
REGIONS = 500
"""Of one answer that are handed out; `left_out` tells how many more there are."""
REGIONS_OF_ONE = 5_000
"""Likewise where one entity alone is looked at: a track has a region for each frame."""

SAID = """
select subject_id, question_id, actor_id, op, value_kind, label, labels, number, text, ranking, probs, regions,
    confidence, frame_w, frame_h, slot, event_time, ingest_time, opinion_id
from current_opinions where subject_id in $ids order by subject_id, question_id, actor_id, slot, opinion_id
"""

# A sample of a dataset carries its answer with it: that of a crop is moved into its pixels.
OF_SAMPLES = """
select m.entity_id as subject_id, d.name, m.label, m.answer_json
from gold.dataset_members m join gold.datasets d on d.dataset_id = m.dataset_id
where m.entity_id in $ids and m.operation is not null order by m.entity_id, d.built_at desc, d.dataset_id
"""


def answers_of(
    lake: Lake, lock: threading.Lock, entity_ids: Iterable[str], *, most: int = REGIONS
) -> dict[str, list[Row]]:
    """Return the current answers about some entities, by id, each with its value in the columns of its kind.

    Regions have `kind`, `label`, `score`, `x`, `y`, `w`, `h`, `angle` (degrees clockwise), `rings` (lists of [x, y]),
    `keypoints` (lists of [x, y, v]), `mask` ({"height", "width", "runs"}: lengths of runs down the columns, the first
    of them background, as COCO counts them), `seconds` and `characters` ([start, end]), `frames` ([first, last], both
    included), `track_id`, `moves` (whether it moves on a line to the next shape of its track); what an answer has not
    is missing. Px of the stored picture before any EXIF rotation. Of each answer `most` regions.
    """
    ids = sorted(set(entity_ids))
    found: dict[str, list[Row]] = {each: [] for each in ids}
    if not ids:
        return found
    with lock:
        said = _begun(lake.engine.arrow(query(lake, SAID, params={"ids": ids})), most)
        samples = fetch(lake, OF_SAMPLES, params={"ids": [each for each in ids if not _has(said, each)]})
    for row in said:
        regions = row.pop("regions")
        answer = {name: plain(value) for name, value in row.items() if value is not None}
        if regions is not None:
            answer["regions"] = [drawable(each) for each in regions]
        found[str(row["subject_id"])].append(answer)
    for row in samples:
        if not any(each["actor_id"] == f"dataset:{row['name']}" for each in found[str(row["subject_id"])]):
            found[str(row["subject_id"])].append(_of_sample(row))
    return found


def _begun(said: pa.Table, most: int) -> list[Row]:
    """Return rows with the first regions of each, and how many more there are: those never become Python's."""
    regions = said["regions"]
    more = pc.max_element_wise(pc.subtract(pc.list_value_length(regions), most), 0, skip_nulls=False)
    begun = said.set_column(said.schema.get_field_index("regions"), "regions", pc.list_slice(regions, 0, most))
    return begun.append_column("left_out", more).to_pylist()  # type: ignore[no-any-return]


def drawable(region: Mapping[str, Any]) -> Row:
    """Return what a browser needs of a region; see `answers_of`."""
    names = ("kind", "label", "score", "x", "y", "w", "h", "angle", "track_id", "iscrowd")
    drawn: Row = {name: plain(region[name]) for name in names if region.get(name) not in (None, "")}
    points = region.get("points")
    if points:
        if region["kind"] == "keypoints":
            drawn["keypoints"] = [[point["x"], point["y"], point["v"]] for point in points]
        else:
            drawn["rings"] = _rings(points, region.get("part_sizes"))
            drawn["closed"] = region.get("closed") is not False
    if region.get("mask_counts") and region.get("mask_h") and region.get("mask_w"):
        drawn["mask"] = _mask(region)
    for name, begin in (("seconds", "t"), ("characters", "char"), ("frames", "frame")):
        start, end = region.get(f"{begin}_start"), region.get(f"{begin}_end")
        if name == "frames" and end is None:
            end = start
        if start is not None and end is not None:
            drawn[name] = [start, end]
    if dict(region.get("attrs") or ()).get("interpolation") == LINEAR:
        drawn["moves"] = True
    return drawn


def _rings(points: list[Mapping[str, Any]], sizes: list[int] | None) -> list[list[list[float]]]:
    rings, at = [], 0
    for size in sizes or [len(points)]:
        rings.append([[point["x"], point["y"]] for point in points[at : at + size]])
        at += size
    return rings


def _mask(region: Mapping[str, Any]) -> Row:
    height, width = int(region["mask_h"]), int(region["mask_w"])
    if height * width > MASK_PIXELS:
        return {"height": height, "width": width, "problem": f"more than {MASK_PIXELS:,} pixels: not drawn"}
    try:
        flat = decode_mask(str(region["mask_counts"]), height, width).ravel(order="F")
    except DecodeError as error:
        return {"height": height, "width": width, "problem": one_line(error, limit=120)}
    ends = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(np.concatenate([[0], ends, [flat.size]])).tolist()
    return {"height": height, "width": width, "runs": [0, *runs] if flat.size and flat[0] else runs}


def _of_sample(row: Row) -> Row:
    answer: Row = {"actor_id": f"dataset:{row['name']}", "question_id": "", "op": "assert", "value_kind": "label"}
    if row["label"] is not None:
        answer["label"] = row["label"]
    said = json.loads(row["answer_json"]) if row["answer_json"] else None
    if isinstance(said, list):
        answer |= {"value_kind": "regions", "regions": [drawable(each) for each in said if isinstance(each, dict)]}
    return answer


def _has(rows: list[Row], entity_id: str) -> bool:
    return any(row["subject_id"] == entity_id for row in rows)
