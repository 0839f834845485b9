"""Tracks of CVAT: what is stated at key frames, what lies between them, and where an object leaves.

A shape holds until the frame before the next one of its track. `outside` says that the object is not to be seen from
that frame on. Between two key frames a box moves on a line; a frame that a file states between them and that lies
elsewhere (polygons move in another way) is kept as it is stated.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lakehouse.errors import RejectedInputError
from lakehouse.opinions.formats.cvat.shapes import Labels, flag, region_of
from lakehouse.opinions.reading import values as parse
from lakehouse.opinions.reading.answer import Frame, Region
from lakehouse.opinions.reading.xml_tree import Element

TOLERANCE_PX = 0.02
"""CVAT writes two digits."""

LINEAR = {"interpolation": "linear"}


class Stated(NamedTuple):
    """A shape at a frame, counted from 0."""

    frame: int
    region: Region
    is_key: bool
    is_outside: bool


def track_regions(
    track: Element, frame: Frame, known: Labels, last: int | None
) -> Iterator[Region]:
    """Yield the regions of a track in order of their frames.

    Args:
        track: The track.
        frame: Picture of the video.
        known: See `region_of`.
        last: Last frame of the video, from 0; None: not stated. An object that never leaves is seen until then.

    Raises:
        RejectedInputError: If a shape cannot be read, or two stand at one frame.
    """
    label = track.attributes.get("label", "")
    identity = track.attributes.get("id")
    source = track.attributes.get("source")
    shapes = sorted((_stated(each, frame, known, label) for each in track.children), key=lambda each: each.frame)
    for one, other in itertools.pairwise(shapes):
        if one.frame == other.frame:
            raise RejectedInputError("repeated_element", f"has frame {one.frame} of track {identity} twice")
    kept = _without_interpolated(shapes)
    for place, each in enumerate(kept):
        if each.is_outside:
            continue
        following = kept[place + 1] if place + 1 < len(kept) else None
        end = following.frame - 1 if following else max(each.frame, last if last is not None else each.frame)
        moves = following is not None and not following.is_outside and following.is_key and end > each.frame
        attrs = {**(each.region.attrs or {})}
        if source not in (None, "manual"):
            attrs.setdefault("source", source)
        if moves and each.region.kind == "box":
            attrs |= LINEAR
        if not each.is_key:
            attrs["keyframe"] = "0"
        yield dataclasses.replace(
            each.region, track_id=identity, frame_start=each.frame, frame_end=end, attrs=attrs or None
        )


def _stated(element: Element, frame: Frame, known: Labels, label: str) -> Stated:
    number = parse.integer(element.attributes.get("frame", ""), "frame")
    if number < 0:
        raise RejectedInputError("bad_frame", f"has frame {number}; they count from 0")
    key = flag(element, "keyframe") if "keyframe" in element.attributes else True
    return Stated(number, region_of(element, frame, known, label), key, flag(element, "outside"))


def _without_interpolated(shapes: Sequence[Stated]) -> list[Stated]:
    """Leave out what is stated between key frames and lies where the line, or standing still, would have it."""
    keys = [each for each in shapes if each.is_key]
    kept = []
    place = 0
    for each in shapes:
        while place + 1 < len(keys) and keys[place + 1].frame <= each.frame:
            place += 1
        before = keys[place] if keys and keys[place].frame <= each.frame else None
        after = keys[place + 1] if before is not None and place + 1 < len(keys) else None
        if each.is_key or before is None or not _follows(each, before, after):
            kept.append(each)
    return kept


def _follows(each: Stated, before: Stated, after: Stated | None) -> bool:
    if each.is_outside or before.is_outside:
        return each.is_outside == before.is_outside
    one, between = before.region, each.region
    if one.kind != "box" or between.kind != "box" or one.attrs != between.attrs:
        return False
    if after is None or after.is_outside:
        return _near(one, between, one, 0.0)
    return _near(one, between, after.region, (each.frame - before.frame) / (after.frame - before.frame))


def _near(one: Region, between: Region, other: Region, share: float) -> bool:
    if other.kind != "box":
        return False
    for name in ("x", "y", "w", "h", "angle"):
        a, b, c = (getattr(each, name) or 0.0 for each in (one, between, other))
        if math.fabs(a + (c - a) * share - b) > TOLERANCE_PX:
            return False
    return True
