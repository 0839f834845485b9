"""Outlines cut to a rectangle, by Sutherland and Hodgman (Reentrant polygon clipping, CACM 17, 1974)."""

from __future__ import annotations

import numpy as np

from loaders.axes import Floats

_LEAST_POINTS = 3


def clipped(outline: Floats, rectangle: tuple[float, float, float, float]) -> Floats:
    """Cut a closed outline to a rectangle.

    Args:
        outline: float64 (m, 2): x, y of its corners, in turn; the last is joined to the first.
        rectangle: x_min, y_min, x_max, y_max.

    Returns:
        float64 (k, 2); the outline itself where all of it lies inside; (0, 2) where none of its area does. Parts of an
        outline that is not convex stay one, joined along the edge of the rectangle.
    """
    if not len(outline):
        return outline
    low, high = outline.min(axis=0), outline.max(axis=0)
    x_min, y_min, x_max, y_max = rectangle
    if low[0] >= x_min and low[1] >= y_min and high[0] <= x_max and high[1] <= y_max:
        return outline
    if low[0] > x_max or low[1] > y_max or high[0] < x_min or high[1] < y_min:
        return outline[:0]
    for axis, limit, sign in ((0, x_min, 1.0), (0, x_max, -1.0), (1, y_min, 1.0), (1, y_max, -1.0)):
        outline = _cut(outline, axis, limit, sign)
        if len(outline) < _LEAST_POINTS:
            return outline[:0]
    return outline if area_of(outline) > 0 else outline[:0]


def area_of(outline: Floats) -> float:
    """Return the area that an outline (m, 2) encloses, whichever way it turns, in px^2."""
    x, y = outline[:, 0], outline[:, 1]
    return 0.5 * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) if len(outline) >= _LEAST_POINTS else 0.0


def _cut(outline: Floats, axis: int, limit: float, sign: float) -> Floats:
    """Keep the side of a line on which sign * (coordinate - limit) >= 0."""
    following = np.roll(outline, -1, axis=0)
    here, there = sign * (outline[:, axis] - limit), sign * (following[:, axis] - limit)
    is_crossing = (here >= 0) != (there >= 0)
    # out: (corners, the corner itself and where its edge crosses the line, x and y); then what is kept of it, in turn.
    out = np.stack([outline, outline], axis=1)
    step = np.where(is_crossing, here / np.where(is_crossing, here - there, 1.0), 0.0)
    out[:, 1] += step[:, None] * (following - outline)
    out[:, 1, axis] = limit
    keep = np.stack([here >= 0, is_crossing], axis=1)
    kept: Floats = out[keep]
    return kept
