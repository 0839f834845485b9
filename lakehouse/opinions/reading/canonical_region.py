"""What of a region counts where two are compared: the same region in two files must have one form.

Content is what was drawn: a kind, a label, a place to a millionth of a pixel. What follows from it is not: the box of
a polygon, a mask or points, the area of a box (w * h), of a mask (its pixels), of a polygon (within its outline, or
the pixels that it fills) or of keypoints (that of their box). Whether a file states such a thing makes no difference.
Stated otherwise it is content: COCO's `area` of a box may be that of a mask which nobody sees.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from lakehouse.errors import RejectedInputError
from lakehouse.opinions.geometry import rle
from lakehouse.opinions.geometry.polygon import Bounds, area_of
from lakehouse.opinions.geometry.raster import runs_of
from lakehouse.opinions.geometry.regions import drawn_box, drawn_runs, parts_of
from lakehouse.opinions.reading.answer import Frame, Region

DIGITS = 6
"""Decimals of a pixel that count: 32-bit numbers of a model and shares of a picture are not exact beyond."""

NEAR = 10.0**-DIGITS
BOX = ("x", "y", "w", "h")
IN_PIXELS = (*BOX, "angle", "area")
CLOSED = {"polygon": True, "polyline": False}

Point = Mapping[str, float | int | None]


def canonical_region(region: Region, frame: Frame) -> dict[str, object]:
    """Return what a region states, rounded, without null fields of its points and what follows from the others.

    Args:
        region: It.
        frame: That its geometry refers to: pixels that a polygon fills end at its sides.
    """
    record = region.record()
    drawn = drawn_box(region)
    if region.area is not None and _follows(region.area, _areas(region, frame, drawn)):
        del record["area"]
    if drawn is not None and _is_near(region, drawn):
        record = {name: value for name, value in record.items() if name not in BOX}
    elif region.kind == "point" and not region.points and not region.w and not region.h:
        # A point without a list of points is where its box is.
        record = {name: value for name, value in record.items() if name not in BOX}
        record["points"] = [{"x": round(region.x or 0.0, DIGITS), "y": round(region.y or 0.0, DIGITS)}]
    for name in IN_PIXELS:
        if isinstance(number := record.get(name), float | int):
            record[name] = round(number, DIGITS)
    if region.points:
        record["points"] = [_point(each) for each in region.points]
    if region.kind == "box" and region.w is not None and region.h is not None:
        # Its area, as most files state it, and `closed` stay in: so their answers keep their ids.
        record.setdefault("area", round(round(region.w, DIGITS) * round(region.h, DIGITS), DIGITS))
    if region.kind in CLOSED:
        record.setdefault("closed", CLOSED[region.kind])
    if region.part_sizes is not None and len(region.part_sizes) == 1:
        del record["part_sizes"]
    for name in ("angle", "iscrowd", "attrs"):
        if not record.get(name, True):
            del record[name]
    return record


def _point(point: Point) -> dict[str, object]:
    if len(point) == 2:  # x and y, and there are millions of them
        return {axis: round(number, DIGITS) for axis, number in point.items() if number is not None}
    return {
        axis: number if axis == "v" else round(number, DIGITS) for axis, number in point.items() if number is not None
    }


def _is_near(region: Region, box: Bounds) -> bool:
    stated = zip((region.x, region.y, region.w, region.h), box, strict=True)
    return all(side is None or abs(side - drawn) <= NEAR for side, drawn in stated)


def _areas(region: Region, frame: Frame, drawn: Bounds | None) -> list[float]:
    """Return what the area of a region may be where it follows from its geometry; [] where none does."""
    if region.kind in ("box", "keypoints"):
        w, h = drawn[2:] if region.w is None and drawn is not None else (region.w or 0.0, region.h or 0.0)
        return [w * h]
    if region.kind == "mask":
        runs = drawn_runs(region)
        return [] if runs is None else [float(rle.area(runs))]
    if region.kind != "polygon" or region.area is None:
        return []
    try:
        parts = parts_of(region)
        outline = area_of(parts)
        if _follows(region.area, [outline]) or not region.area.is_integer():
            return [outline]  # pixels are whole numbers
        if frame.width is None or frame.height is None:
            return [outline]
        return [outline, float(rle.area(runs_of(parts, frame.height, frame.width)))]
    except RejectedInputError:
        return []


def _follows(stated: float, derived: Sequence[float]) -> bool:
    return any(math.isclose(stated, each, rel_tol=1e-9, abs_tol=NEAR) for each in derived)
