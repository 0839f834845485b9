"""Shapes of Label Studio and regions of ours, both ways.

Label Studio writes x and widths in percent of the picture's width, y and heights in percent of its height, turns a box
about its top-left corner (clockwise, in degrees) and an ellipse about its centre; times are seconds, frames of a video
count from 1. Ours: px of the picture, boxes turned about their centre, frames from 0.
https://labelstud.io/guide/task_format and the tags' pages under https://labelstud.io/tags/.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from lakehouse.errors import RejectedInputError
from lakehouse.opinions.formats.labelstudio.brush import decode_brush, encode_brush
from lakehouse.opinions.geometry import rle
from lakehouse.opinions.geometry.regions import mask_fields, mask_of_region, parts_of, points_of, polygon_fields
from lakehouse.opinions.reading.answer import Region
from lakehouse.opinions.reading.json_fields import Object, as_list, as_number, as_whole, list_in, number_in, objects_in

Size = tuple[int, int]
"""Width and height in px of the picture as the annotator saw it."""

Fields = dict[str, Any]

DIGITS = 9
"""Of px: 36.666666666666664 % of 480 px are 176, not 175.99999999999997."""


def turned_to_centre(x: float, y: float, w: float, h: float, angle: float) -> tuple[float, float]:
    """Return x, y of the box before it is turned about its centre, of one that is turned about its top-left corner."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return x + (w * cos - h * sin) / 2 - w / 2, y + (w * sin + h * cos) / 2 - h / 2


def turned_to_corner(x: float, y: float, w: float, h: float, angle: float) -> tuple[float, float]:
    """Return where the top-left corner of a box lies that is turned about its centre; undoes `turned_to_centre`."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return x + w / 2 - (w * cos - h * sin) / 2, y + h / 2 - (w * sin + h * cos) / 2


def shape_fields(shape: str, value: Object, size: Size) -> Fields:
    """Return the fields of the region that a shape in a picture is.

    Args:
        shape: Its type without "labels": rectangle, polygon, ellipse, keypoint or brush.
        value: The shape.
        size: Of the picture that the percents refer to.

    Raises:
        RejectedInputError: unknown_shape, wrong_type or bad_mask.
    """
    if shape not in _FIELDS:
        raise RejectedInputError("unknown_shape", f"has a shape of type {shape!a:.40}, which is not read")
    return _FIELDS[shape](value, size)


def track_regions(value: Object, size: Size) -> Iterator[Fields]:
    """Yield the regions of one object of a video: one for each frame that a box is stated for.

    A box holds until the frame before the next one; Label Studio moves it on a line meanwhile, and hides it after a
    frame whose `enabled` is false. The last box holds to the last frame (`framesCount`), where that is stated.

    Raises:
        RejectedInputError: wrong_type, or bad_sequence if frames do not rise.
    """
    shapes = sorted(objects_in(value, "sequence"), key=lambda each: as_whole(each.get("frame"), "frame"))
    total = value.get("framesCount")
    last = None if total is None else as_whole(total, "framesCount") - 1
    for place, shape in enumerate(shapes):
        start = as_whole(shape["frame"], "frame") - 1
        following = as_whole(shapes[place + 1]["frame"], "frame") - 1 if place + 1 < len(shapes) else None
        if start < 0 or following == start:
            raise RejectedInputError("bad_sequence", f"has frame {start + 1} of a video twice, or one below 1")
        goes_on = shape.get("enabled") is not False
        end = start if not goes_on else following - 1 if following is not None else max(start, last or start)
        fields = _box(shape, size) | {"frame_start": start, "frame_end": end}
        if goes_on and following is not None and end > start:
            fields["attrs"] = {"interpolation": "linear"}
        yield fields


def interval_fields(value: Object) -> Fields:
    """Return the fields of the region that a stretch of sound is; start and end in s, channel from 0.

    Raises:
        RejectedInputError: wrong_type, or inverted_interval.
    """
    start, end = number_in(value, "start"), number_in(value, "end")
    if end < start:
        reason = f"has an interval that ends before it begins: {start:g} to {end:g}"
        raise RejectedInputError("inverted_interval", reason)
    channel = value.get("channel")
    stated = None if channel is None else as_whole(channel, "channel")
    return {"kind": "interval", "t_start": start, "t_end": end, "channel": stated}


def value_of(region: Region, size: Size | None) -> tuple[str, dict[str, object]]:
    """Return the type without "labels" and the value of a region, labels aside.

    Raises:
        RejectedInputError: no_frame_size, if percents would need the size of the picture and nobody knows it;
            unknown_shape, if Label Studio has none of its kind.
    """
    if region.kind == "interval":
        stated = {"start": region.t_start, "end": region.t_end, "channel": region.channel}
        return "", {name: value for name, value in stated.items() if value is not None}
    shape = SHAPES.get(region.kind)
    if shape is None:
        raise RejectedInputError("unknown_shape", f"Label Studio has no shape for a region of kind {region.kind}")
    if size is None:
        raise RejectedInputError("no_frame_size", "percents need the size of the picture, which nobody states")
    return shape, _VALUES[region.kind](region, size)


def sequence_of(regions: list[Region], size: Size) -> dict[str, object]:
    """Return the value of one object of a video, of the regions of its track in order of frames."""
    shapes = []
    for place, region in enumerate(regions):
        following = regions[place + 1].frame_start if place + 1 < len(regions) else None
        start, end = region.frame_start or 0, region.frame_end or region.frame_start or 0
        goes_on = (region.attrs or {}).get("interpolation") == "linear" or (following is None and end > start)
        shapes.append({**_box_value(region, size), "frame": start + 1, "enabled": goes_on})
    return {"sequence": shapes, "framesCount": max((each.frame_end or 0) for each in regions) + 1}


def _px(percent: float, side: int) -> float:
    return round(percent * side / 100, DIGITS)


def _box(value: Object, size: Size) -> Fields:
    x, w = (_px(number_in(value, key), size[0]) for key in ("x", "width"))
    y, h = (_px(number_in(value, key), size[1]) for key in ("y", "height"))
    angle = as_number(value.get("rotation") or 0, "rotation")
    if w < 0 or h < 0:
        raise RejectedInputError("inverted_box", f"has a box of {w:g} x {h:g} px")
    if angle:
        x, y = (round(each, DIGITS) for each in turned_to_centre(x, y, w, h, angle))
    return {"kind": "box", "x": x, "y": y, "w": w, "h": h, "angle": angle or None}


def _ellipse(value: Object, size: Size) -> Fields:
    x, rx = (_px(number_in(value, key), size[0]) for key in ("x", "radiusX"))
    y, ry = (_px(number_in(value, key), size[1]) for key in ("y", "radiusY"))
    angle = as_number(value.get("rotation") or 0, "rotation")
    if rx < 0 or ry < 0:
        raise RejectedInputError("inverted_box", f"has an ellipse of radius {rx:g} and {ry:g} px")
    return {"kind": "ellipse", "x": x - rx, "y": y - ry, "w": 2 * rx, "h": 2 * ry, "angle": angle or None}


def _polygon(value: Object, size: Size) -> Fields:
    pairs = [as_list(each, "point") for each in list_in(value, "points")]
    if not pairs or any(len(each) != 2 for each in pairs):
        raise RejectedInputError("bad_polygon", "has a polygon whose points are no pairs")
    points = np.array([[as_number(each, "point") for each in pair] for pair in pairs], np.float64)
    with np.errstate(all="ignore"):
        # What is not finite then is rejected with all other numbers.
        found = np.round(points * size / 100, DIGITS)
        return dict(polygon_fields([found], closed=value.get("closed") is not False))


def _point(value: Object, size: Size) -> Fields:
    x, y = _px(number_in(value, "x"), size[0]), _px(number_in(value, "y"), size[1])
    return {"kind": "point", "points": ({"x": x, "y": y},), "x": x, "y": y, "w": 0.0, "h": 0.0}


def _brush(value: Object, size: Size) -> Fields:
    if value.get("format", "rle") != "rle":
        raise RejectedInputError("bad_mask", f"has a mask in format {value.get('format')!a:.40}, expected rle")
    width, height = size
    mask = decode_brush(list_in(value, "rle"), width=width, height=height)
    return dict(mask_fields(rle.encode(mask), height, width))


def _box_value(region: Region, size: Size) -> dict[str, object]:
    x, y, w, h = (getattr(region, name) or 0.0 for name in ("x", "y", "w", "h"))
    angle = region.angle or 0
    if angle:
        x, y = turned_to_corner(x, y, w, h, angle)
    return {
        "x": x / size[0] * 100, "y": y / size[1] * 100, "width": w / size[0] * 100, "height": h / size[1] * 100,
        "rotation": angle,
    }  # fmt: skip


def _ellipse_value(region: Region, size: Size) -> dict[str, object]:
    x, y, w, h = (getattr(region, name) or 0.0 for name in ("x", "y", "w", "h"))
    return {
        "x": (x + w / 2) / size[0] * 100, "y": (y + h / 2) / size[1] * 100, "radiusX": w / 2 / size[0] * 100,
        "radiusY": h / 2 / size[1] * 100, "rotation": region.angle or 0,
    }  # fmt: skip


def _polygon_value(region: Region, size: Size) -> dict[str, object]:
    # Of several parts each is written as a region of its own: it comes here alone.
    return {"points": (parts_of(region)[0] / size * 100).tolist(), "closed": region.closed is not False}


def _point_value(region: Region, size: Size) -> dict[str, object]:
    x, y = points_of(region)[0].tolist()
    return {"x": x / size[0] * 100, "y": y / size[1] * 100, "width": 0.5}


def _mask_value(region: Region, size: Size) -> dict[str, object]:
    return {"format": "rle", "rle": encode_brush(mask_of_region(region, size[1], size[0]))}


_FIELDS: Mapping[str, Callable[[Object, Size], Fields]] = {
    "rectangle": _box, "ellipse": _ellipse, "polygon": _polygon, "keypoint": _point, "brush": _brush,
}  # fmt: skip
SHAPES: Mapping[str, str] = {
    "box": "rectangle", "ellipse": "ellipse", "polygon": "polygon", "polyline": "polygon", "point": "keypoint",
    "mask": "brush",
}  # fmt: skip
"""Kind of a region -> type of a shape without "labels"."""

_VALUES: Mapping[str, Callable[[Region, Size], dict[str, object]]] = {
    "box": _box_value, "ellipse": _ellipse_value, "polygon": _polygon_value, "polyline": _polygon_value,
    "point": _point_value, "mask": _mask_value,
}  # fmt: skip
