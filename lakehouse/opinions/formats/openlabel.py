"""OpenLABEL (ASAM, JSON): objects with boxes, of a picture or of the frames of a video.

A `bbox` is [x of the centre, y of the centre, width, height] in px, an `rbbox` has an angle in radians behind them.
Both ends of an interval of frames are included; frames count from 0 (https://www.asam.net/standards/detail/openlabel/).
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lakehouse.errors import RejectedInputError
from lakehouse.opinions.formats.common import CommonOptions, plain_files, reject
from lakehouse.opinions.formats.format import Format
from lakehouse.opinions.reading import values as parse
from lakehouse.opinions.reading.answer import Item, Note, Region
from lakehouse.opinions.reading.json_fields import (
    Object,
    as_list,
    as_number,
    as_object,
    as_text,
    as_whole,
    objects_in,
    read_json,
    text_in,
)

_ROOT = re.compile(rb'"openlabel"\s*:')
_SIZES = {"bbox": 4, "rbbox": 5}
UNREAD = ("actions", "events", "contexts", "relations")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLabelOptions(CommonOptions):
    """Options of OpenLABEL.

    Attributes:
        subject: Name of the picture or video; "" takes the only stream's `uri`, else the file's name without .json.
    """

    subject: str = ""


def read_openlabel(path: Path, part: str, options: OpenLabelOptions) -> Iterator[Item]:
    """Give the one answer of a file: all boxes of its objects; other shapes reject it."""
    file = path / part if part else path
    try:
        root = as_object(as_object(read_json(file), "a file").get("openlabel"), "openlabel")
        objects = as_object(root.get("objects") or {}, "objects")
        regions = [region for key, each in objects.items() for region in _whole(key, as_object(each, "object"))]
        frames = as_object(root.get("frames") or {}, "frames")
        for number, frame in sorted(frames.items(), key=lambda each: parse.integer(each[0], "frame")):
            inside = as_object(as_object(frame, "frame").get("objects") or {}, "objects")
            for key, each in inside.items():
                named = as_object(objects.get(key) or {}, "object")
                regions += _in_frame(key, {**named, **as_object(each, "object")}, parse.integer(number, "frame"))
        subject = options.subject or _stream(root) or file.stem
        unread = sum(len(as_object(root.get(kind) or {}, kind)) for kind in UNREAD)
    except RejectedInputError as error:
        yield reject(file.name, error.rule, error.reason)
        return
    if unread:
        yield Note(file.name, "not_read", f"has {unread} actions, events, contexts and relations, which are not read")
    yield options.answer(subject, tuple(regions), where=file.name)


def looks_like_openlabel(head: bytes) -> bool:
    """Return whether a JSON file begins as OpenLABEL's does."""
    return _ROOT.search(head) is not None


def _whole(key: str, each: Object) -> Iterator[Region]:
    """Yield what an object states for itself: of a picture, or for all frames of its intervals."""
    intervals = objects_in(each, "frame_intervals")
    for shape in _shapes(each):
        if not intervals:
            yield _region(key, each, shape, None, None)
        for interval in intervals:
            start, end = (as_whole(interval.get(name), name) for name in ("frame_start", "frame_end"))
            yield _region(key, each, shape, start, end)


def _in_frame(key: str, each: Object, frame: int) -> list[Region]:
    return [_region(key, each, shape, frame, frame) for shape in _shapes(each)]


def _shapes(each: Object) -> Iterator[tuple[str, Object]]:
    data = as_object(each.get("object_data") or {}, "object_data")
    for kind, found in data.items():
        if kind in _SIZES:
            yield from ((kind, as_object(shape, kind)) for shape in as_list(found, kind))
        elif kind not in ("text", "num", "vec", "boolean"):
            raise RejectedInputError("unknown_shape", f"has an object with {kind!a:.40}, which is not read")


def _region(key: str, each: Object, shape: tuple[str, Object], start: int | None, end: int | None) -> Region:
    kind, stated = shape
    numbers = [as_number(value, kind) for value in as_list(stated.get("val"), "val")]
    if len(numbers) != _SIZES[kind]:
        raise RejectedInputError("no_box", f"has a {kind} of {len(numbers)} numbers, expected {_SIZES[kind]}")
    cx, cy, w, h = numbers[:4]
    if w < 0 or h < 0:
        raise RejectedInputError("inverted_box", f"has a box of {w:g} x {h:g} px")
    name = text_in(stated, "name")
    attrs = {"name": text_in(each, "name") or "", "shape": name or ""}
    return Region(
        kind="box",
        label=parse.label_id(as_text(each.get("type"), "type of an object")),
        x=cx - w / 2, y=cy - h / 2, w=w, h=h,
        angle=math.degrees(numbers[4]) or None if kind == "rbbox" else None,
        region_id=None if start is not None else key,
        track_id=key if start is not None else None,
        frame_start=start,
        frame_end=end,
        attrs={name: text for name, text in attrs.items() if text} or None,
    )  # fmt: skip


def _stream(root: Object) -> str | None:
    streams = as_object(root.get("streams") or {}, "streams")
    if len(streams) != 1:
        return None
    return text_in(as_object(next(iter(streams.values())), "stream"), "uri")


OPENLABEL = Format(
    OpenLabelOptions,
    functools.partial(plain_files, pattern="*.json"),
    read_openlabel,
    "regions",
    endings=(".json",),
    sniff=looks_like_openlabel,
    one_each=True,
)
