"""Tracks: whose answer holds, as boxes of the objects in one video, frame by frame.

Answers keep the shapes that were stated, with the frames in which each holds; samples have one box a frame. A shape
holds until the frame before the next one of its track, or before its object leaves; `linear` ones move on a line to the
next.
"""

from __future__ import annotations

import functools
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from lakehouse.datasets.policies.box_samples import FORMS, corners, sides
from lakehouse.datasets.policies.columns import labels_of, npy_field
from lakehouse.datasets.policies.kind import AnswerKind, Decision, because_of, in_form_asked
from lakehouse.datasets.policies.newest import NEWEST, SAID, newest_sql, unsettled
from lakehouse.datasets.policies.settings import Label
from lakehouse.datasets.policies.track_scores import MEASURES, weigh_tracks
from loaders.format.fields import Field

COUNTS = pa.list_(pa.int64())
MOST_FRAMES = 10_000_000
"""A shape that holds longer is a slip, and would fill the memory."""


def decide(row: Mapping[str, Any], settings: Label) -> Decision:
    """Return the shapes of the tracks of one video, or why they are no answer."""
    nobodys = unsettled(row, settings)
    if nobodys is not None:
        return nobodys
    shapes = []
    for place, region in enumerate(row["regions"], start=1):
        problem = problem_of(region)
        if problem:
            return Decision(reason="not_tracks", detail=f"region {place} ({region['kind']}) {problem}")
        if region["label"] is None:
            return Decision(reason="no_track_label", detail=f"region {place} has no label")
        shapes.append(shape_of(region))
    try:
        frames_of(shapes)
    except ValueError as error:
        return Decision(reason="not_tracks", detail=str(error))
    return Decision(answer=shapes)


def problem_of(region: Mapping[str, Any]) -> str | None:
    """Return why a region is no upright box in frames of a track; None if it is."""
    if region["track_id"] is None:
        return "is of no track"
    first, last = region["frame_start"], region["frame_end"]
    if first is None or last is None or not 0 <= first <= last or last - first > MOST_FRAMES:
        return f"holds from frame {first} to {last}"
    if None in (region["x"], region["y"], region["w"], region["h"]) or region["angle"]:
        return "is no upright box"
    return None


def shape_of(region: Mapping[str, Any]) -> dict[str, Any]:
    """Return label, track, first and last frame, x, y, w, h, and linear and score where they are stated."""
    found = {name: region[name] for name in ("label", "x", "y", "w", "h")}
    found |= {"track": region["track_id"], "first": region["frame_start"], "last": region["frame_end"]}
    if dict(region["attrs"] or ()).get("interpolation") == "linear":
        found["linear"] = True
    return found if region["score"] is None else found | {"score": region["score"]}


def read(regions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the shapes of one opinion."""
    return [shape_of(region) for region in regions]


def frames_of(shapes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one box for each track and frame, by frame and then by the order in which tracks were first said.

    Args:
        shapes: As `shape_of` gives them, in any order.

    Returns:
        label, track (number of the track, from 0), frame, x, y, w, h, and score if stated.

    Raises:
        ValueError: If two shapes of a track hold in one frame, or all of them in more than `MOST_FRAMES`.
    """
    total = sum(shape["last"] - shape["first"] + 1 for shape in shapes)
    if total > MOST_FRAMES:
        raise ValueError(f"its tracks hold in {total:,} frames, at most {MOST_FRAMES:,}")
    tracks: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for shape in shapes:
        tracks[str(shape["track"])].append(shape)
    found = []
    for number, (name, mine) in enumerate(tracks.items()):
        ordered = sorted(mine, key=lambda each: each["first"])
        for shape, after in zip(ordered, [*ordered[1:], None], strict=True):
            if after is not None and after["first"] <= shape["last"]:
                raise ValueError(f"track {name!r} has two shapes in frame {after['first']}")
            found += [{**box, "track": number} for box in _boxes(shape, after)]
    return sorted(found, key=lambda each: (each["frame"], each["track"]))


def _boxes(shape: Mapping[str, Any], after: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
    kept = {key: shape[key] for key in ("label", "score") if key in shape}
    # Only up to the very next shape: an object that left moves on no line.
    moves = after if shape.get("linear") and after is not None and after["first"] == shape["last"] + 1 else None
    for frame in range(shape["first"], shape["last"] + 1):
        box = {side: shape[side] for side in ("x", "y", "w", "h")}
        if moves is not None:
            share = (frame - shape["first"]) / (moves["first"] - shape["first"])
            box = {side: value + share * (moves[side] - value) for side, value in box.items()}
        yield {**kept, **box, "frame": frame}


def samples(
    members: pa.Table, classes: Sequence[str], *, form: str = "xyxy"
) -> Iterator[tuple[Field, pa.Array]]:
    """Yield `track_boxes` float32 (n, 4), `track_frames`, `track_ids` and `track_labels` int64 (n,): a box a frame."""
    answers = [frames_of(json.loads(text)) for text in members["answer_json"].to_pylist()]
    field = Field(
        "track_boxes", pa.binary(), codec="npy", shape=(None, 4), dtype="float32",
        doc=f"{FORMS[form]} of each box in each frame, by frame: continuous px of the frame, from 0 at its top-left "
            "corner; no box: nothing is there.",
        objects="tracks",
    )  # fmt: skip
    yield npy_field(field, answers, corners if form == "xyxy" else sides)
    for name, key, doc in (
        ("track_frames", "frame", "Frame of each box, from 0."),
        ("track_ids", "track", "Track of each box: which boxes are of one object; from 0 in each video."),
    ):
        values = [[each[key] for each in answer] for answer in answers]
        yield Field(name, COUNTS, shape=(None,), doc=doc, objects="tracks"), pa.array(values, COUNTS)
    yield labels_of("track", answers, classes, objects="tracks")


TRACKS = AnswerKind(
    value_kind="regions",
    task="tracks",
    policies=NEWEST,
    version=1,
    hears=("event_time", "labels", "regions"),
    tally=newest_sql("regions", labelled=True),
    decide=decide,
    because=because_of("tracks"),
    classes=SAID,
    has_cell=True,
    samples=samples,
    sample_names=("track_boxes", "track_frames", "track_ids", "track_labels"),
    read=read,
    weigh=functools.partial(weigh_tracks, frames_of=frames_of),
    measures=MEASURES,
    bind=in_form_asked(samples),
)
