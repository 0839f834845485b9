"""From the upright picture back to the stored one: geometry under the EXIF orientations that turn it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from lakehouse.opinions.reading.answer import Region

Point = tuple[float, float]

BACK: dict[int, Callable[[float, float, int, int], Point]] = {
    5: lambda x, y, _w, _h: (y, x),
    6: lambda x, y, _w, h: (y, h - x),
    7: lambda x, y, w, h: (w - y, h - x),
    8: lambda x, y, w, _h: (w - y, x),
}
"""Orientation -> from a point of the upright picture to that of the stored one, which is w x h px."""


def turned_back(region: Region, width: int, height: int, orientation: int) -> Region:
    """Return a region of the upright picture as it lies in the stored one.

    Args:
        region: Box and points; it has neither angle nor mask.
        width: Of the stored picture, px.
        height: Of the stored picture, px.
        orientation: 5 to 8.
    """
    back = BACK[orientation]
    changes: dict[str, object] = {}
    x, y, w, h = region.x, region.y, region.w, region.h
    if x is not None and y is not None:
        corners = [back(x, y, width, height), back(x + (w or 0), y + (h or 0), width, height)]
        changes |= {"x": min(a for a, _ in corners), "y": min(b for _, b in corners), "w": h, "h": w}
    if region.points is not None:
        moved = (back(float(point["x"] or 0), float(point["y"] or 0), width, height) for point in region.points)
        changes["points"] = tuple(
            {**point, "x": a, "y": b} for point, (a, b) in zip(region.points, moved, strict=True)
        )
    return dataclasses.replace(region, **changes)  # type: ignore[arg-type]
