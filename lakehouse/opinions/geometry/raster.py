"""From polygons to masks by the rule of pycocotools, bit for bit: other libraries fill other pixels.

The outline is drawn on a grid five times as fine, edge by edge; where it crosses the middle of a column of pixels, the
mask changes from there downwards. COCO's polygon 1,1 5,1 5,5 1,5 fills 16 pixels so; OpenCV fills 25
(https://github.com/cocodataset/cocoapi, common/maskApi.c, rleFrPoly).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lakehouse.opinions.geometry.rle import Mask, Runs, encode

Points = npt.NDArray[np.float64]

SCALE = 5
FARTHEST = 1e7
"""Points farther out than this, px, are drawn at it: their place on the grid must fit, and no picture reaches there."""


def fill(parts: Sequence[Points], height: int, width: int) -> Mask:
    """Return the mask of an object of several polygons: what any of them fills.

    Args:
        parts: Each float64, shape (num_points, 2), x and y in px; below 3 points nothing is filled.
        height: Of the frame, px.
        width: Of the frame, px.

    Returns:
        bool, shape (height, width).
    """
    filled = np.zeros(height * width, bool)
    for points in parts:
        if len(points) >= 3:
            filled |= _filled(points, height, width)
    return filled.reshape((height, width), order="F")


def runs_of(parts: Sequence[Points], height: int, width: int) -> Runs:
    """Return `fill` as runs."""
    return encode(fill(parts, height, width))


def _filled(points: Points, height: int, width: int) -> npt.NDArray[np.bool_]:
    """Return the mask of one polygon, column by column; bool, shape (height * width,)."""
    u, v = _outline(points)
    crossing = np.flatnonzero(u[1:] != u[:-1]) + 1
    after, before = u[crossing], u[crossing - 1]
    column = (np.where(after < before, after, after - 1) + 0.5) / SCALE - 0.5
    inside = (np.floor(column) == column) & (column >= 0) & (column <= width - 1)
    row = (np.minimum(v[crossing], v[crossing - 1])[inside] + 0.5) / SCALE - 0.5
    row = np.ceil(np.clip(row, 0, height))
    changes = np.bincount(
        (column[inside] * height + row).astype(np.int64), minlength=height * width + 1
    )[: height * width]
    return np.bitwise_xor.accumulate((changes & 1).astype(bool))


def _outline(points: Points) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return all grid points on the closed outline, edge after edge, both ends of each included."""
    # Casts cut towards zero, as in C.
    grid = (SCALE * np.clip(points, -FARTHEST, FARTHEST) + 0.5).astype(np.int64)
    ends = np.roll(grid, -1, axis=0)
    xs, ys, xe, ye = grid[:, 0], grid[:, 1], ends[:, 0], ends[:, 1]
    dx, dy = np.abs(xe - xs), np.abs(ye - ys)
    flat = dx >= dy
    flip = np.where(flat, xs > xe, ys > ye)
    xs, xe = np.where(flip, xe, xs), np.where(flip, xs, xe)
    ys, ye = np.where(flip, ye, ys), np.where(flip, ys, ye)
    steps = np.where(flat, dx, dy)
    long = np.maximum(steps, 1)
    slope = np.where(flat, (ye - ys) / long, (xe - xs) / long)
    edge = np.repeat(np.arange(len(steps)), steps + 1)
    first = np.cumsum(steps + 1) - (steps + 1)
    t = np.arange(len(edge)) - first[edge]
    t = np.where(flip[edge], steps[edge] - t, t)
    along = slope[edge] * t + 0.5
    u = np.where(flat[edge], t + xs[edge], (xs[edge] + along).astype(np.int64))
    v = np.where(flat[edge], (ys[edge] + along).astype(np.int64), t + ys[edge])
    return u, v
