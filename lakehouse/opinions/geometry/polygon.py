"""Polygons of several parts, and boxes that are turned: bounds, areas, corners."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lakehouse.opinions.geometry.raster import Points

Bounds = tuple[float, float, float, float]


def bounds_of(parts: Sequence[Points]) -> Bounds:
    """Return x, y, w, h of all points, px; four zeros where there is none.

    Args:
        parts: Each float64, shape (num_points, 2), x and y in px.
    """
    if not sum(map(len, parts)):
        return 0.0, 0.0, 0.0, 0.0
    points = np.concatenate([each for each in parts if len(each)])
    low, high = points.min(axis=0), points.max(axis=0)
    return float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])


def area_of(parts: Sequence[Points]) -> float:
    """Return the area within the outlines, px², each part for itself: the shoelace formula.

    It is exact for polygons that neither cross themselves nor overlap; pixels of the mask they mean `raster` counts.
    """
    return math.fsum(abs(_signed(points)) for points in parts)


def corners_of(x: float, y: float, w: float, h: float, angle: float | None) -> Points:
    """Return the corners of a box that is turned about its centre.

    Args:
        x: Left side before it is turned, px.
        y: Top side before it is turned, px.
        w: Width, px.
        h: Height, px.
        angle: Degrees clockwise (y points down); None is 0.

    Returns:
        float64, shape (4, 2): what were the top-left, top-right, bottom-right and bottom-left corner.
    """
    corners = np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]], np.float64)
    if not angle:
        return corners
    turn = math.radians(angle)
    cos, sin = math.cos(turn), math.sin(turn)
    centre = np.array([x + w / 2, y + h / 2])
    around = corners - centre
    # Clockwise on the screen: y points down.
    turned = [cos * around[:, 0] - sin * around[:, 1], sin * around[:, 0] + cos * around[:, 1]]
    return np.asarray(np.stack(turned, axis=1) + centre, np.float64)


def box_of(corners: Points) -> tuple[float, float, float, float, float]:
    """Return the turned box that four corners are of, in their order round the box; undoes `corners_of`.

    Returns:
        x, y, w, h before it is turned, and the angle in degrees clockwise, above -180 and at most 180. Where the
        corners are not exactly those of a rectangle, the mean of opposite sides.
    """
    p = np.asarray(corners, np.float64)
    across, down = (p[1] - p[0] + p[2] - p[3]) / 2, (p[3] - p[0] + p[2] - p[1]) / 2
    w, h = float(np.hypot(*across)), float(np.hypot(*down))
    centre = p.mean(axis=0)
    angle = math.degrees(math.atan2(across[1], across[0])) if w else math.degrees(math.atan2(-down[0], down[1]))
    return float(centre[0] - w / 2), float(centre[1] - h / 2), w, h, angle


def _signed(points: Points) -> float:
    if len(points) < 3:
        return 0.0
    # About the first point: far from the origin the products would lose digits.
    x, y = (points - points[0]).T
    # Places of 1e300 px have no area that a number holds: it is inf or NaN, which equals no other.
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
