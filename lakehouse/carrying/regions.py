"""Regions of a picture as they lie in what was made of it: the array code that moves those of samples, one by one.

What can be cut is cut at the border (upright boxes, polygons, masks, keypoints); turned boxes, ellipses and lines
cannot, and stay whole while any of them is seen. What is not seen at all goes. A region keeps its kind.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from lakehouse.errors import RejectedInputError
from lakehouse.opinions.geometry import raster, rle
from lakehouse.opinions.geometry.polygon import bounds_of, box_of, corners_of
from lakehouse.opinions.geometry.raster import Points
from lakehouse.opinions.geometry.regions import (
    COCO_RLE,
    box_of_region,
    mask_fields,
    mask_of_region,
    parts_of,
    points_of,
    polygon_fields,
)
from lakehouse.opinions.matching.scaling import DIGITS, MOST_OFF
from lakehouse.opinions.reading.answer import Region
from loaders.decoding import moving
from loaders.decoding.placement import Placement

Pairs = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Moved:
    """Regions that were moved.

    Attributes:
        regions: Those that are seen, in their order.
        cut: How many of them were cut at the border, or lost keypoints there.
        gone: How many are not seen.
    """

    regions: tuple[Region, ...]
    cut: int
    gone: int


def moved(regions: Sequence[Region], placement: Placement | None, pairs: Pairs = ()) -> Moved:
    """Return regions as they lie in the drawn picture.

    Args:
        regions: In px of the picture as it is stored.
        placement: What was done with it; None: nothing of it is seen.
        pairs: Places of keypoints, counted from 0, that change places in a mirror; without them none do.

    Raises:
        RejectedInputError: If one cannot be moved: of_time, mask_elsewhere, bad_mask, bad_polygon, no_rectangle,
            unknown_region.
    """
    found: list[Region] = []
    cut = 0
    for each in regions:
        region, share = _moved(each, placement, pairs) if placement is not None else (None, 0.0)
        if region is not None:
            found.append(region)
            cut += share < 1 - 1e-9
    return Moved(tuple(found), cut, len(regions) - len(found))


def _moved(region: Region, placement: Placement, pairs: Pairs) -> tuple[Region | None, float]:
    if any(each is not None for each in (region.t_start, region.frame_start, region.char_start)):
        raise RejectedInputError("of_time", f"a {region.kind} that is of a time or of characters")
    if region.mask_ref is not None or region.mask_encoding not in (None, COCO_RLE):
        raise RejectedInputError("mask_elsewhere", "a mask that is no run lengths of ours")
    if region.kind == "mask":
        return _mask(region, placement)
    if region.kind == "polygon":
        return _polygon(region, placement)
    if region.kind == "keypoints":
        return _keypoints(region, placement, pairs)
    if region.kind == "point":
        return _point(region, placement)
    if region.kind == "polyline":
        parts = [np.round(placement.points(each), DIGITS) for each in parts_of(region)]
        return _whole(dataclasses.replace(region, **polygon_fields(parts, closed=False)), parts, placement)
    if region.kind in ("box", "ellipse"):
        return _box(region, placement) if region.kind == "box" and not region.angle else _turned(region, placement)
    raise RejectedInputError("unknown_region", f"a region of kind {region.kind}: nothing here moves it")


def _box(region: Region, placement: Placement) -> tuple[Region | None, float]:
    box, share = _moved_box(region, placement)
    area = None if region.area is None else round(box["w"] * box["h"], DIGITS)
    return (dataclasses.replace(region, area=area, **box), share) if share > 0 else (None, 0.0)


class _Box(TypedDict):
    x: float
    y: float
    w: float
    h: float


def _moved_box(region: Region, placement: Placement) -> tuple[_Box, float]:
    found = moving.boxes(np.array([box_of_region(region)], np.float64), placement, kind="xywh")
    x, y, w, h = (round(each, DIGITS) for each in found.values[0].tolist())
    return {"x": x, "y": y, "w": w, "h": h}, float(found.shares[0])


def _turned(region: Region, placement: Placement) -> tuple[Region | None, float]:
    """Move a turned box or an ellipse, whole."""
    corners = placement.points(corners_of(*box_of_region(region), region.angle))
    # A mirror goes round the other way: the corners of a box go clockwise from the top left.
    if _runs_back(corners):
        corners = corners[[1, 0, 3, 2]]
    x, y, w, h, angle = (round(each, DIGITS) for each in box_of(corners))
    if np.abs(corners_of(x, y, w, h, angle) - corners).max() > MOST_OFF:
        raise RejectedInputError("no_rectangle", f"a turned {region.kind} that unequal scales make none of its kind")
    if not region.angle:
        # An upright ellipse stays upright: what lies at a right angle has its sides exchanged.
        (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
        x, y, w, h, angle = (round(float(each), DIGITS) for each in (left, top, right - left, bottom - top, 0))
    scale = abs(float(np.linalg.det(placement.affine[:, :2])))
    area = None if region.area is None else round(region.area * scale, DIGITS)
    held = dataclasses.replace(region, x=x, y=y, w=w, h=h, angle=angle if region.angle else region.angle, area=area)
    return _whole(held, [corners], placement)


def _polygon(region: Region, placement: Placement) -> tuple[Region | None, float]:
    parts = parts_of(region)
    sizes = np.array([len(each) for each in parts], np.int64)
    asked = moving.Polygons(points_of(region), sizes, np.array([len(parts)], np.int64))
    found, shares = moving.polygons(asked, placement)
    if not len(found.sizes) or shares[0] <= 0:
        return None, 0.0
    outlines = [np.round(each, DIGITS) for each in np.split(found.points, np.cumsum(found.sizes)[:-1])]
    area = None if region.area is None else float(rle.area(raster.runs_of(outlines, *placement.canvas)))
    return dataclasses.replace(region, **polygon_fields(outlines), area=area), float(shares[0])


def _mask(region: Region, placement: Placement) -> tuple[Region | None, float]:
    height, width = region.mask_h or 0, region.mask_w or 0
    if (height, width) != (placement.height, placement.width):
        raise RejectedInputError(
            "bad_mask", f"a mask of {width} x {height} px on a picture of {placement.width} x {placement.height} px"
        )
    before = mask_of_region(region, height, width)
    after = placement.mask(before)
    if before.any() and not after.any():
        return None, 0.0
    fields = mask_fields(rle.encode(after), *placement.canvas)
    return dataclasses.replace(region, **fields), placement.share_of(before)


def _keypoints(region: Region, placement: Placement, pairs: Pairs) -> tuple[Region | None, float]:
    rows = [(each["x"] or 0.0, each["y"] or 0.0, each.get("v") or 0) for each in region.points or ()]
    if pairs and max(map(max, pairs)) >= len(rows):
        raise RejectedInputError("no_such_keypoint", f"{len(rows)} keypoints, and a pair with {max(map(max, pairs))}")
    found = moving.keypoints(np.array(rows, np.float64).reshape(1, -1, 3), placement, pairs)
    points = tuple({"x": round(x, DIGITS), "y": round(y, DIGITS), "v": int(v)} for x, y, v in found.values[0].tolist())
    box, seen = _moved_box(region, placement)
    share = float(found.shares[0])
    if not any(each["v"] for each in points) and (seen <= 0 or any(v for _, _, v in rows)):
        return None, 0.0
    scale = abs(float(np.linalg.det(placement.affine[:, :2])))
    area = None if region.area is None or min(share, seen) < 1 else round(region.area * scale, DIGITS)
    return dataclasses.replace(region, points=points, area=area, **box), min(share, seen)


def _point(region: Region, placement: Placement) -> tuple[Region | None, float]:
    found = moving.points(points_of(region), placement)
    if not found.shares.all():
        return None, 0.0
    x, y = (round(each, DIGITS) for each in found.values[0].tolist())
    return dataclasses.replace(region, points=({**(region.points or ({},))[0], "x": x, "y": y},), x=x, y=y), 1.0


def _whole(region: Region, parts: Sequence[Points], placement: Placement) -> tuple[Region | None, float]:
    """Return a region that cannot be cut: as it is while its bounds touch what is seen."""
    x, y, w, h = bounds_of(parts)
    left, top, right, bottom = placement.visible
    is_seen = x < right and y < bottom and x + w > left and y + h > top
    return (region, 1.0) if is_seen else (None, 0.0)


def _runs_back(corners: Points) -> bool:
    across, down = corners[1] - corners[0], corners[3] - corners[0]
    return bool(across[0] * down[1] - across[1] * down[0] < 0)
