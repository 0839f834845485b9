"""From keypoints and tracks to decisions: objects of several parts, in one picture or over the frames of a video."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lakehouse.consensus.decision import Inputs, Outcome
from lakehouse.consensus.grouping import Answered
from lakehouse.consensus.methods.keypoints import Posed, fuse_keypoints
from lakehouse.consensus.methods.tracks import fuse_tracks, pieces_of
from lakehouse.consensus.methods.votes import Floats
from lakehouse.consensus.regional import Found, Shapes, fused, outcome, rounded, sides_of, who_drew
from lakehouse.consensus.settings import Settings
from lakehouse.errors import RejectedInputError
from lakehouse.opinions.exporting.answers import region_of
from lakehouse.opinions.geometry.tracks import LINEAR, frames_of
from lakehouse.overlap.keypoints import sigmas_of
from lakehouse.overlap.tracks import Track

MOST_FRAMES = 2_000_000
"""Boxes of one subject's tracks, frame by frame, of all annotators: 200 bytes each."""


def keypoints(inputs: Inputs, settings: Settings) -> Outcome:
    """Fuse keypoints: objects matched by similarity, then a vote on each keypoint and the median of its places."""
    stated = inputs.asked.constraints

    def make(each: Answered, shapes: Shapes, settings: Settings) -> Found:
        return _keypoints(each, shapes, settings, names=stated.get("keypoints", ()), sigmas=stated.get("sigmas", ()))

    return outcome(inputs, settings, make, ("keypoints",))


def tracks(inputs: Inputs, settings: Settings) -> Outcome:
    """Fuse tracks of upright boxes: matched over all frames, then averaged frame by frame."""
    return outcome(inputs, settings, _tracks, ("track",))


def _keypoints(
    each: Answered, shapes: Shapes, settings: Settings, *, names: Sequence[str], sigmas: Sequence[float]
) -> Found:
    if not shapes:
        return [], 0
    points, boxes, areas, spread = posed_of(shapes, names=names, sigmas=sigmas)
    found = fuse_keypoints(
        points, boxes, areas, *who_drew(each, shapes), sigmas_K=spread, min_iou=settings.min_iou,
        matching=settings.matching, threshold=settings.threshold,
    )  # fmt: skip
    kept, alone = [], 0
    for one in found:
        if one.support < settings.quorum or not one.points_K3[:, 2].any():
            alone += len(one.members)
            continue
        kept.append(_posed(one, each))
    return kept, alone


def posed_of(
    shapes: Shapes, *, names: Sequence[str], sigmas: Sequence[float]
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return points (N, K, 3), boxes (N, 4) and areas (N,) of keypoints, and the sigmas (K,).

    Raises:
        RejectedInputError: other_keypoints, if not all have as many, and as the question names.
    """
    numbers = sorted({len(region["points"] or ()) for _, region in shapes} | ({len(names)} if names else set()))
    if len(numbers) > 1:
        told = " and ".join(map(str, numbers))
        raise RejectedInputError("other_keypoints", f"objects, or the question, have {told} keypoints")
    try:
        spread = sigmas_of(names, numbers[0], sigmas)
    except ValueError as error:
        raise RejectedInputError("other_keypoints", str(error)) from error
    points = np.array([[_point(one) for one in region["points"]] for _, region in shapes], np.float64)
    boxes = _boxes_of(points, shapes)
    stated = [region["area"] for _, region in shapes]
    areas = np.array([
        box[2] * box[3] if area is None else area for box, area in zip(boxes.tolist(), stated, strict=True)
    ], np.float64)  # fmt: skip
    return points, boxes, areas, spread


def _posed(one: Posed, each: Answered) -> dict[str, Any]:
    points = [{"x": rounded(x), "y": rounded(y), "v": int(v)} for x, y, v in one.points_K3.tolist()]
    sides = dict(zip("xywh", (rounded(side) for side in one.box), strict=True))
    return fused("keypoints", one.label, one.support, each, oks=f"{one.oks:.4f}") | sides | {"points": points}


def _point(point: Mapping[str, Any]) -> tuple[float, float, float]:
    # Without v all points are seen, as datasets have it.
    return point["x"] or 0.0, point["y"] or 0.0, 2.0 if point["v"] is None else float(point["v"])


def _boxes_of(points_NK3: Floats, shapes: Shapes) -> Floats:
    """Return the stated boxes; where none is stated, the bounds of the labelled points."""
    found = np.nan_to_num(sides_of(shapes))
    for place, (_, region) in enumerate(shapes):
        if None in (region["x"], region["y"], region["w"], region["h"]):
            seen = points_NK3[place][points_NK3[place][:, 2] > 0][:, :2]
            if len(seen):
                found[place] = [*seen.min(axis=0), *(seen.max(axis=0) - seen.min(axis=0))]
    return found


def _tracks(each: Answered, shapes: Shapes, settings: Settings) -> Found:
    drawn = tracks_of(shapes)
    about = [(place, {"label": region["label"]}) for place, region, _ in drawn]
    found = fuse_tracks(
        [track for _, _, track in drawn], *who_drew(each, about), min_iou=settings.min_iou,
        matching=settings.matching, threshold=settings.threshold,
    )  # fmt: skip
    kept, alone, number = [], 0, 0
    for one in found:
        if one.support < settings.quorum or not len(one.track.frames):
            alone += len(one.members)
            continue
        number += 1
        for piece in pieces_of(one.track):
            region = fused("box", one.label, one.support, each, iou=f"{one.iou:.4f}")
            region |= dict(zip("xywh", map(rounded, piece.box), strict=True))
            region |= {"track_id": f"{number}", "frame_start": piece.first, "frame_end": piece.last}
            if piece.moves:
                region["attrs"] |= {"interpolation": LINEAR}
            kept.append(region)
    return kept, alone


def tracks_of(shapes: Shapes) -> list[tuple[int, Mapping[str, Any], Track]]:
    """Return the tracks: place of the answer, the first of its shapes, where it is in each frame.

    Raises:
        RejectedInputError: bad_track, if a shape states no frame, or two of a track hold in one; too_many_frames.
    """
    own: dict[tuple[int, str], list[Mapping[str, Any]]] = defaultdict(list)
    total = 0
    for place, region in shapes:
        first, last = region["frame_start"], region["frame_end"]
        if region["track_id"] is None or first is None or (last is not None and last < first):
            told = f"a shape of track {region['track_id']} is in frames {first} to {last}"
            raise RejectedInputError("bad_track", told)
        total += 1 if last is None else last - first + 1
        own[place, str(region["track_id"])].append(region)
    if total > MOST_FRAMES:
        raise RejectedInputError("too_many_frames", f"tracks in {total:,} frames, at most {MOST_FRAMES:,}")
    found = []
    for (place, name), members in own.items():
        if len({region["label"] for region in members}) > 1:
            raise RejectedInputError("bad_track", f"track {name} of {len(members)} shapes has several labels")
        held = sorted((frame, (at.x, at.y, at.w, at.h)) for frame, at in frames_of(map(region_of, members)))
        frames = np.array([frame for frame, _ in held], np.int64)
        if len(np.unique(frames)) < len(frames):
            raise RejectedInputError("bad_track", f"track {name} has two shapes in one frame")
        found.append((place, members[0], Track(frames, np.array([box for _, box in held], np.float64))))
    return found
