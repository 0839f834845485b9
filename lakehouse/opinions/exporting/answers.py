"""From rows of silver.opinions back to answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lakehouse.opinions.ids import value_hash
from lakehouse.opinions.reading.answer import Answer, Frame, Region, Value
from schemas.opinions import VALUE_COLUMNS


def answer_of(row: Mapping[str, Any]) -> Answer:
    """Return the answer that a row of silver.opinions holds; maps may be lists of pairs, as Arrow hands them out.

    Its regions may be mappings, or a tuple of `Region`, as `rows_of` has them.

    Its `subject_key` is the id of the entity. Opinions that it was found to replace here are left out of `supersedes`,
    which has what its source stated.
    """
    time = row["event_time"]
    found = Answer(
        actor_id=row["actor_id"],
        question_id=row["question_id"],
        question_version=row["question_version"],
        subject_key=row["subject_id"],
        subject_kind=row["subject_kind"],
        slot=row["slot"],
        op=row["op"],
        value_kind=row["value_kind"],
        value=_value(row),
        value_ref=row["value_ref"],
        probs=_mapping(row["probs"]),
        confidence=row["confidence"],
        votes=row["votes"],
        event_time=time if isinstance(time, datetime) else None,
        event_time_source=row["event_time_source"],
        source_key=row["source_key"],
        supersedes=tuple(row["supersedes"] or ()),
        target_opinion_id=row["target_opinion_id"],
        reason=row["reason"],
        frame=Frame(row["frame_w"], row["frame_h"], row["exif_orientation"]),
        raw_json=row["raw_json"],
        ext=_mapping(row["ext"]) or {},
        opinion_id=row["opinion_id"],
    )
    # The hash is that of what was said: it tells whether the source said so.
    if found.supersedes and value_hash(found) != row["value_hash"]:
        return dataclasses.replace(found, supersedes=())
    return found


def region_of(record: Mapping[str, Any]) -> Region:
    """Return the region that an element of `regions` holds."""
    values = {name: value for name, value in record.items() if value is not None}
    if "points" in values:
        values["points"] = tuple(
            # Most have x and y alone, and there are millions of them.
            {"x": point["x"], "y": point["y"]}
            if point["v"] is None and point["x"] is not None and point["y"] is not None
            else {axis: number for axis, number in point.items() if number is not None}
            for point in values["points"]
        )
    if "part_sizes" in values:
        values["part_sizes"] = tuple(values["part_sizes"])
    if "attrs" in values:
        values["attrs"] = _mapping(values["attrs"])
    return Region(**values)


def _value(row: Mapping[str, Any]) -> Value:
    kind = row["value_kind"]
    column = VALUE_COLUMNS[kind]
    if column is None or row[column] is None:
        return None
    value = row[column]
    if kind in ("regions", "spans"):
        return value if isinstance(value, tuple) else tuple(map(region_of, value))
    if kind == "bool":
        return bool(value)
    return tuple(value) if isinstance(value, list) else value


def _mapping(value: Any) -> dict[str, Any] | None:
    return None if value is None else dict(value)
