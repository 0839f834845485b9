"""Between arrays and regions: what formats, consensus and evaluation make of geometry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from lakehouse.errors import RejectedInputError
from lakehouse.opinions.geometry import raster, rle
from lakehouse.opinions.geometry.polygon import Bounds, bounds_of, corners_of
from lakehouse.opinions.geometry.raster import Points
from lakehouse.opinions.geometry.rle import Mask, Runs
from lakehouse.opinions.reading.answer import Region

COCO_RLE = "coco_rle"


class MaskFields(TypedDict):
    """Fields of a region of kind mask."""

    kind: str
    mask_encoding: str
    mask_counts: str
    mask_h: int
    mask_w: int
    x: float
    y: float
    w: float
    h: float
    area: float


class PolygonFields(TypedDict):
    """Fields of a region of kind polygon or polyline; its area is not among them."""

    kind: str
    points: tuple[Mapping[str, float | int | None], ...]
    part_sizes: tuple[int, ...] | None
    closed: bool
    x: float
    y: float
    w: float
    h: float


def mask_fields(runs: npt.ArrayLike, height: int, width: int) -> MaskFields:
    """Return what a region of this mask states.

    Args:
        runs: Of the whole frame, column by column.
        height: Of the frame, px.
        width: Of the frame, px.

    Raises:
        RejectedInputError: bad_mask, if the runs are no mask of this size.
    """
    counts = rle.checked_runs(runs, height, width)
    x, y, w, h = rle.bounds(counts, height)
    return {
        "kind": "mask", "mask_encoding": COCO_RLE, "mask_counts": rle.compress(counts), "mask_h": height,
        "mask_w": width, "x": float(x), "y": float(y), "w": float(w), "h": float(h), "area": float(rle.area(counts)),
    }  # fmt: skip


def polygon_fields(parts: Sequence[Points], *, closed: bool = True) -> PolygonFields:
    """Return what a region of these parts states, its area aside.

    Args:
        parts: Each float64, shape (num_points, 2), x and y in px.
        closed: Whether it is a polygon; else a polyline.
    """
    x, y, w, h = bounds_of(parts)
    points = tuple({"x": a, "y": b} for each in parts for a, b in each.tolist())
    return {
        "kind": "polygon" if closed else "polyline", "points": points, "closed": closed,
        "part_sizes": tuple(map(len, parts)) if len(parts) > 1 else None, "x": x, "y": y, "w": w, "h": h,
    }  # fmt: skip


def points_of(region: Region) -> Points:
    """Return the points of a region; float64, shape (num_points, 2)."""
    flat = [(point["x"] or 0.0, point["y"] or 0.0) for point in region.points or ()]
    return np.array(flat, np.float64).reshape(-1, 2)


def parts_of(region: Region) -> list[Points]:
    """Return the parts of a polygon or polyline, each float64 of shape (num_points, 2); of an upright or turned box
    its corners.

    Raises:
        RejectedInputError: bad_polygon, if `part_sizes` do not add up to its points.
    """
    if region.kind == "box":
        return [corners_of(*box_of_region(region), region.angle)]
    points = points_of(region)
    if region.part_sizes is None:
        return [points]
    if sum(region.part_sizes) != len(points) or min(region.part_sizes, default=0) < 0:
        raise RejectedInputError(
            "bad_polygon", f"parts of a polygon have {sum(region.part_sizes)} points, it has {len(points)}"
        )
    return np.split(points, np.cumsum(region.part_sizes)[:-1])


def box_of_region(region: Region) -> Bounds:
    """Return x, y, w, h of a region, px: as it states them, else as its points or its mask have them; else 0."""
    drawn = drawn_box(region) if region.x is None else None
    return drawn or (region.x or 0.0, region.y or 0.0, region.w or 0.0, region.h or 0.0)


def drawn_box(region: Region) -> Bounds | None:
    """Return x, y, w, h of the points or the mask of a region, px, whatever it states; None: it has neither.

    Four zeros where no keypoint is seen, or no pixel is set.
    """
    if region.kind == "mask":
        runs = drawn_runs(region)
        if runs is None:
            return None
        x, y, w, h = rle.bounds(runs, region.mask_h or 0)
        return float(x), float(y), float(w), float(h)
    if region.kind not in ("polygon", "polyline", "point", "keypoints") or not region.points:
        return None
    seen = [each for each in region.points if region.kind != "keypoints" or each.get("v") != 0]
    if not seen:
        return 0.0, 0.0, 0.0, 0.0
    xs, ys = ([each.get(axis) or 0.0 for each in seen] for axis in ("x", "y"))
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)


def drawn_runs(region: Region) -> Runs | None:
    """Return the runs of a mask as it states them, unchecked; None: it states none that can be read."""
    if region.mask_encoding != COCO_RLE or region.mask_counts is None or not region.mask_h:
        return None
    try:
        return rle.decompress(region.mask_counts)
    except RejectedInputError:
        return None


def mask_bounds(region: Region) -> tuple[int, int, int, int]:
    """Return x, y, w, h of the set pixels of a mask, px, as its runs have them, whatever it states; 0 x 0: none is set.

    Raises:
        RejectedInputError: bad_mask, if it is none of its frame.
    """
    height, width = region.mask_h or 0, region.mask_w or 0
    return rle.bounds(runs_of_region(region, height, width), height)


def runs_of_region(region: Region, height: int, width: int) -> Runs:
    """Return the mask that a region means, as runs: of a mask its own, of polygons and boxes what they fill.

    Args:
        region: Mask, polygon or box.
        height: Of the frame, px; a mask must have this size.
        width: Of the frame, px.

    Raises:
        RejectedInputError: no_mask, if it is of another kind; bad_mask, if its mask is none of this frame.
    """
    if region.kind == "mask":
        if region.mask_encoding != COCO_RLE or region.mask_counts is None:
            raise RejectedInputError("bad_mask", f"mask is encoded as {region.mask_encoding}, expected {COCO_RLE}")
        return rle.checked_runs(rle.decompress(region.mask_counts), height, width)
    if region.kind in ("polygon", "box"):
        return raster.runs_of(parts_of(region), height, width)
    raise RejectedInputError("no_mask", f"a region of kind {region.kind} means no mask")


def mask_of_region(region: Region, height: int, width: int) -> Mask:
    """Return `runs_of_region` as pixels; bool, shape (height, width)."""
    return rle.decode(runs_of_region(region, height, width), height, width)
