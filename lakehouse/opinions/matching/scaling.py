"""From shares of a picture to its pixels: what formats say that know no size, once the picture is known."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from lakehouse.opinions.geometry import rle
from lakehouse.opinions.geometry.polygon import box_of, corners_of
from lakehouse.opinions.geometry.raster import runs_of
from lakehouse.opinions.geometry.regions import parts_of, points_of, polygon_fields
from lakehouse.opinions.reading.answer import Answer, Frame, Region

DIGITS = 6
"""Of a pixel: shares are written with 5 to 17 digits, and 259.00000000000006 px was 259."""

OBB = "obb"
"""Kind of a turned box that is four corners in shares: what is a right angle in pixels is none there."""

MOST_OFF = 1.0
"""How far a corner may lie from that of a rectangle, px, before it is kept as a polygon."""


def in_pixels(answer: Answer, width: int, height: int) -> Answer:
    """Return an answer in shares of its frame as one in pixels.

    Args:
        answer: Its frame is `relative`.
        width: Of the picture as it was seen, px.
        height: Of the picture as it was seen, px.
    """
    regions = answer.value if isinstance(answer.value, tuple) else ()
    scaled = tuple(_scaled(each, width, height) for each in regions if isinstance(each, Region))
    frame = Frame(width, height, answer.frame.exif_orientation)
    notes = dict(answer.notes)
    odd = sum(each.kind == OBB for each in regions if isinstance(each, Region)) - sum(
        each.kind == "box" for each in scaled
    )
    if any(isinstance(each, Region) and each.kind == OBB for each in regions) and odd > 0:
        notes["no_rectangle"] = f"{odd} turned boxes have corners of no rectangle, and are kept as polygons"
    return dataclasses.replace(answer, value=scaled, frame=frame, notes=notes)


def _scaled(region: Region, width: int, height: int) -> Region:
    changes: dict[str, object] = {
        name: None if value is None else round(value * side, DIGITS)
        for name, value, side in (
            ("x", region.x, width), ("y", region.y, height), ("w", region.w, width), ("h", region.h, height)
        )
    }  # fmt: skip
    if region.points is not None:
        changes["points"] = tuple(_point(each, width, height) for each in region.points)
    moved = dataclasses.replace(region, **changes)  # type: ignore[arg-type]
    if region.kind == OBB:
        return _turned(moved)
    if region.kind == "polygon":
        parts = parts_of(moved)
        return dataclasses.replace(moved, **polygon_fields(parts), area=float(rle.area(runs_of(parts, height, width))))
    if region.kind == "box":
        return dataclasses.replace(moved, area=round((moved.w or 0) * (moved.h or 0), DIGITS))
    return moved


def _turned(region: Region) -> Region:
    corners = points_of(region)
    x, y, w, h, angle = (round(each, DIGITS) for each in box_of(corners))
    if np.abs(corners_of(x, y, w, h, angle) - corners).max() > MOST_OFF:
        return dataclasses.replace(region, **polygon_fields([corners]))
    return dataclasses.replace(
        region, kind="box", points=None, closed=None, x=x, y=y, w=w, h=h, angle=angle or None, area=round(w * h, DIGITS)
    )


def _point(point: Mapping[str, float | int | None], width: int, height: int) -> dict[str, float | int | None]:
    return {**point, "x": round((point["x"] or 0) * width, DIGITS), "y": round((point["y"] or 0) * height, DIGITS)}
