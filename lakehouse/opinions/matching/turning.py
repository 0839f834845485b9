"""From the upright picture back to the stored one: geometry under the EXIF orientations that turn it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping

import numpy as np

from lakehouse.opinions.geometry import rle
from lakehouse.opinions.geometry.regions import COCO_RLE, mask_fields, mask_of_region
from lakehouse.opinions.geometry.rle import Mask
from lakehouse.opinions.reading.answer import Region

Point = tuple[float, float]

BACK: dict[int, Callable[[float, float, int, int], Point]] = {
    5: lambda x, y, _w, _h: (y, x),
    6: lambda x, y, _w, h: (y, h - x),
    7: lambda x, y, w, h: (w - y, h - x),
    8: lambda x, y, w, _h: (w - y, x),
}
"""Orientation -> from a point of the upright picture to that of the stored one, which is w x h px."""


UNDONE = {5: 5, 6: 8, 7: 7, 8: 6}
"""Orientation -> the one that turns the other way."""

MASKS: dict[int, Callable[[Mask], Mask]] = {
    5: lambda mask: mask.T,
    6: lambda mask: np.rot90(mask),
    7: lambda mask: np.rot90(mask, 2).T,
    8: lambda mask: np.rot90(mask, -1),
}
"""Orientation -> from a mask of the upright picture to that of the stored one."""


def can_turn(region: Region) -> bool:
    """Return whether all that a region states can be turned: a mask must be run lengths of ours."""
    return region.mask_ref is None and region.mask_encoding in (None, COCO_RLE)


def turned_back(region: Region, width: int, height: int, orientation: int) -> Region:
    """Return a region of the upright picture as it lies in the stored one.

    Args:
        region: One that `can_turn`.
        width: Of the stored picture, px.
        height: Of the stored picture, px.
        orientation: 5 to 8.

    Raises:
        RejectedInputError: bad_mask, if its mask is none of the upright picture.
    """
    back = BACK[orientation]
    changes: dict[str, object] = {}
    x, y, w, h = region.x, region.y, region.w, region.h
    if region.mask_encoding is not None:
        upright = mask_of_region(region, width, height)
        return dataclasses.replace(region, **mask_fields(rle.encode(MASKS[orientation](upright)), height, width))
    if x is not None and y is not None and region.angle:
        half_w, half_h = (w or 0) / 2, (h or 0) / 2
        turn = math.radians(region.angle)
        centre = back(x + half_w, y + half_h, width, height)
        ahead = back(x + half_w + math.cos(turn), y + half_h + math.sin(turn), width, height)
        angle = math.degrees(math.atan2(ahead[1] - centre[1], ahead[0] - centre[0]))
        changes |= {"x": centre[0] - half_w, "y": centre[1] - half_h, "angle": round(angle, 9)}
    elif x is not None and y is not None:
        corners = [back(x, y, width, height), back(x + (w or 0), y + (h or 0), width, height)]
        changes |= {"x": min(a for a, _ in corners), "y": min(b for _, b in corners), "w": h, "h": w}
    if region.points is not None:
        # A point that is not labelled lies nowhere.
        changes["points"] = tuple(
            point if point.get("v") == 0 else _moved(point, back(*_place(point), width, height))
            for point in region.points
        )
    return dataclasses.replace(region, **changes)  # type: ignore[arg-type]


def turned_upright(region: Region, width: int, height: int, orientation: int) -> Region:
    """Return a region of the stored picture as it lies in the upright one; undoes `turned_back`.

    Args:
        region: One that `can_turn`.
        width: Of the stored picture, px.
        height: Of the stored picture, px.
        orientation: 5 to 8.
    """
    return turned_back(region, height, width, UNDONE[orientation])


def _moved(point: Mapping[str, float | int | None], to: Point) -> dict[str, float | int | None]:
    return {**point, "x": to[0], "y": to[1]}


def _place(point: Mapping[str, float | int | None]) -> Point:
    return float(point["x"] or 0), float(point["y"] or 0)
