"""Overlap of boxes that are turned about their centres: intersection over union of the two rectangles."""

from __future__ import annotations

import numpy as np

from lakehouse.opinions.geometry.polygon import area_of, corners_of
from lakehouse.overlap.arrays import Floats
from lakehouse.overlap.boxes import iou, over_union


def turned_iou(boxes_N5: Floats, others_M5: Floats) -> Floats:
    """Return the overlap of each box with each other one; float64, (N, M), 0 to 1.

    A box and the same one turned by half a turn, or by a quarter with its sides exchanged, overlap wholly.

    Args:
        boxes_N5: x, y, w, h in px before the box is turned about its centre, and the angle in degrees clockwise.
        others_M5: The same.
    """
    if not np.any(boxes_N5[:, 4] % 180) and not np.any(others_M5[:, 4] % 180):
        return iou(boxes_N5[:, :4], others_M5[:, :4])
    ours, theirs = _corners(boxes_N5), _corners(others_M5)
    shared = np.zeros((len(ours), len(theirs)))
    # Only pairs whose upright bounds meet can share anything.
    low, high = np.maximum(_low(ours), _low(theirs, 0)), np.minimum(_high(ours), _high(theirs, 0))
    for n, m in np.argwhere((high > low).all(axis=-1)).tolist():
        shared[n, m] = area_of([_clipped(ours[n], theirs[m])])
    areas = boxes_N5[:, 2:4].prod(axis=-1), others_M5[:, 2:4].prod(axis=-1)
    same = np.abs(ours[:, None] - theirs[None]).max(axis=(-1, -2), initial=0.0) < 1e-9
    return over_union(shared, *areas, same=np.asarray(same, np.bool_))


def _corners(boxes_N5: Floats) -> Floats:
    return np.array([corners_of(*box) for box in boxes_N5.tolist()], np.float64).reshape(-1, 4, 2)


def _low(corners: Floats, axis: int = 1) -> Floats:
    return np.expand_dims(corners.min(axis=1), axis)


def _high(corners: Floats, axis: int = 1) -> Floats:
    return np.expand_dims(corners.max(axis=1), axis)


def _clipped(points: Floats, frame: Floats) -> Floats:
    """Return the part of a convex polygon within another (Sutherland and Hodgman), both clockwise on the screen."""
    for start, end in zip(frame, np.roll(frame, -1, axis=0), strict=True):
        if not len(points):
            break
        way = end - start
        # At least 0: on the inner side of this edge.
        side = way[0] * (points[:, 1] - start[1]) - way[1] * (points[:, 0] - start[0])
        kept = []
        for place, point in enumerate(points):
            before = place - 1
            if (side[place] >= 0) != (side[before] >= 0):
                share = side[before] / (side[before] - side[place])
                kept.append(points[before] + share * (point - points[before]))
            if side[place] >= 0:
                kept.append(point)
        points = np.array(kept, np.float64).reshape(-1, 2)
    return points
