"""Boxes, masks and polygons of one row. Boxes are [x, y, w, h] in px, as in `silver.opinions`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lakehouse.tensors.function import ArrayFunction
from lakehouse.tensors.value import Array


def _boxes(x: Array, name: str) -> Array:
    if x.shape[1:] != (4,):
        raise ValueError(f"{name}: a box is [x, y, w, h], found shape {x.shape[1:]}")
    found = x.astype(np.float64)
    if (found[:, 2:] < 0).any():
        raise ValueError(f"{name}: a box with negative width or height")
    return found


def box_overlap(a: Array, b: Array) -> tuple[Array, Array]:
    """Return shared area and area of the union of pairs of boxes; each (rows,)."""
    low = np.maximum(a[:, :2], b[:, :2])
    high = np.minimum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    return shared, a[:, 2:].prod(axis=1) + b[:, 2:].prod(axis=1) - shared


def _over(shared: Array, union: Array, same: Array) -> Array:
    # Where nothing has an area the same ones overlap wholly, others not at all: as `lakehouse.overlap.boxes`.
    found: Array = np.where(union == 0, same.astype(np.float64), shared / np.where(union == 0, 1.0, union))
    return np.minimum(found, 1.0)


def _iou(a: Array, b: Array) -> Array:
    a, b = _boxes(a, "a"), _boxes(b, "b")
    return _over(*box_overlap(a, b), (a == b).all(axis=1))


def _giou(a: Array, b: Array) -> Array:
    a, b = _boxes(a, "a"), _boxes(b, "b")
    shared, union = box_overlap(a, b)
    around = (np.maximum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:]) - np.minimum(a[:, :2], b[:, :2])).prod(axis=1)
    empty = np.where(around == 0, 0.0, (around - union) / np.where(around == 0, 1.0, around))
    found: Array = _over(shared, union, (a == b).all(axis=1)) - empty
    return found


def _mask_iou(a: Array, b: Array) -> Array:
    if a.shape[1:] != b.shape[1:]:
        raise ValueError(f"masks of shapes {a.shape[1:]} and {b.shape[1:]}")
    one, other = (each.reshape(len(each), math.prod(each.shape[1:])).astype(bool) for each in (a, b))
    shared, union = (one & other).sum(axis=1), (one | other).sum(axis=1)
    return _over(shared, union, np.zeros(len(one), bool))


def _polygon_area(points: Array) -> Array:
    if points.ndim != 3 or points.shape[2] != 2:
        raise ValueError(f"a polygon is (points, 2), found shape {points.shape[1:]}")
    x, y = points[..., 0].astype(np.float64), points[..., 1].astype(np.float64)
    # The shoelace formula; the last point joins the first.
    found: Array = np.abs((x * np.roll(y, -1, axis=1) - y * np.roll(x, -1, axis=1)).sum(axis=1)) / 2
    return found


def _box_area(box: Array) -> Array:
    found: Array = _boxes(box, "box")[:, 2:].prod(axis=1)
    return found


def _clip_box(box: Array, width: Any, height: Any) -> Array:
    found = _boxes(box, "box")
    size = np.array([float(width), float(height)])
    if not (size >= 0).all():
        raise ValueError(f"a picture has width and height of at least 0, found {width!r} and {height!r}")
    low = np.clip(found[:, :2], 0, size)
    high = np.clip(found[:, :2] + found[:, 2:], 0, size)
    return np.concatenate([low, high - low], axis=1)


FUNCTIONS = (
    ArrayFunction("nd_iou", _iou, ("a", "b"), "number", "shared area / area of the union of boxes [x, y, w, h]"),
    ArrayFunction(
        "nd_giou", _giou, ("a", "b"), "number", "IoU - (hull - union) / hull, the hull around both (Rezatofighi 2019)"
    ),
    ArrayFunction("nd_mask_iou", _mask_iou, ("a", "b"), "number", "(a & b).sum() / (a | b).sum(), of no pixel 0"),
    ArrayFunction("nd_polygon_area", _polygon_area, ("points",), "number", "shoelace formula over (points, 2)"),
    ArrayFunction("nd_box_area", _box_area, ("box",), "number", "w * h of [x, y, w, h]"),
    ArrayFunction(
        "nd_clip_box", _clip_box, ("box",), "array", "[x, y, w, h] cut to a picture of this size",
        values=("width", "height"),
    ),
)  # fmt: skip
