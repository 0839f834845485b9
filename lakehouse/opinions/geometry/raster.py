"""From polygons to masks by the rule of pycocotools, bit for bit: other libraries fill other pixels.

The outline is drawn on a grid five times as fine, edge by edge; where it crosses the middle of a column of pixels, the
mask changes from there downwards. COCO's polygon 1,1 5,1 5,5 1,5 fills 16 pixels so; OpenCV fills 25
(https://github.com/cocodataset/cocoapi, common/maskApi.c, rleFrPoly).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from lakehouse.errors import RejectedInputError
from lakehouse.opinions.geometry.rle import MAX_PIXELS, Mask, Runs, decode

Points = npt.NDArray[np.float64]
Grid = npt.NDArray[np.int64]

SCALE = 5
FARTHEST = 1e7
"""Points farther out than this, px, are drawn at it: their place on the grid must fit, and no picture reaches there."""

CUT_STEPS = 1 << 20
"""Of an outline that is drawn as it is, and at a time: each takes about 100 bytes. A longer one is cut off first."""

MOST_STEPS, MOST_OF_EDGE = 1 << 26, 1 << 23
"""Of an outline beside its frame at most, and of one edge of it: 13 million and 1.6 million px."""


def fill(parts: Sequence[Points], height: int, width: int) -> Mask:
    """Return the mask of an object of several polygons: what any of them fills.

    Args:
        parts: Each float64, shape (num_points, 2), x and y in px; below 3 points nothing is filled.
        height: Of the frame, px.
        width: Of the frame, px.

    Returns:
        bool, shape (height, width).

    Raises:
        RejectedInputError: As `runs_of`.
    """
    return decode(runs_of(parts, height, width), height, width)


def runs_of(parts: Sequence[Points], height: int, width: int) -> Runs:
    """Return `fill` as runs, column by column; memory goes with the outline, whatever the frame.

    Raises:
        RejectedInputError: bad_size, if the frame has more pixels than a mask may; bad_polygon, if an outline is longer
            than any drawing (`MOST_STEPS`) even where it is cut off beside the frame.
    """
    size = height * width
    if size > MAX_PIXELS:
        raise RejectedInputError("bad_size", f"a frame of {width} x {height} px: must be at most {MAX_PIXELS:,} pixels")
    if not size:
        return np.zeros(0, np.int64)
    found = [_changes(points, height, width) for points in parts if len(points) >= 3]
    none = np.zeros(0, np.int64)
    starts = np.concatenate([none, *(each[::2] for each in found)])
    places = np.concatenate([starts, *(each[1::2] for each in found)])
    order = np.argsort(places, kind="stable")
    depth = np.cumsum(np.repeat([1, -1], len(starts))[order])
    places = places[order]
    # Of several changes at one place the last one says what is filled from there on.
    last = np.append(places[1:] != places[:-1], True)[: len(places)]
    places, inside = places[last], depth[last] > 0
    changes = np.flatnonzero(np.diff(inside, prepend=False))
    at = places[changes]
    runs: Runs = np.diff(at[at < size], prepend=0, append=size)
    return runs


def _changes(points: Points, height: int, width: int) -> Grid:
    """Return where one polygon begins and ends, as places in a mask that is gone through column by column.

    Returns:
        int64, rising, an even number: in turn the first pixel that is filled and the first one that is not.
    """
    near = _within(points, height, width)
    met = [_crossings(u, v, height, width) for u, v in _outline(near)]
    places, counts = np.unique(np.concatenate(met or [np.zeros(0, np.int64)]), return_counts=True)
    found: Grid = places[(counts % 2 == 1) & (places < height * width)]
    return found if len(found) % 2 == 0 else np.append(found, height * width)


def _crossings(u: Grid, v: Grid, height: int, width: int) -> Grid:
    """Return the places where a stretch of an outline crosses the middle of a column of pixels."""
    crossing = np.flatnonzero(u[1:] != u[:-1]) + 1
    after, before = u[crossing], u[crossing - 1]
    column = (np.where(after < before, after, after - 1) + 0.5) / SCALE - 0.5
    inside = (np.floor(column) == column) & (column >= 0) & (column <= width - 1)
    row = (np.minimum(v[crossing], v[crossing - 1])[inside] + 0.5) / SCALE - 0.5
    row = np.ceil(np.clip(row, 0, height))
    places: Grid = (column[inside] * height + row).astype(np.int64)
    return places


def _within(points: Points, height: int, width: int) -> Points:
    """Return a polygon that fills the same pixels of a frame and whose outline can be drawn.

    Points that no picture reaches are drawn at `FARTHEST`; an outline that is still too long is cut off beside the
    frame (Sutherland and Hodgman, 1974).
    """
    near = np.clip(points, -FARTHEST, FARTHEST)
    if _steps(near).sum() > CUT_STEPS:
        for axis, limit, sign in ((0, -1.0, 1), (0, width + 1.0, -1), (1, -1.0, 1), (1, height + 1.0, -1)):
            near = _cut(near, axis, limit, sign)
        steps = _steps(near)
        if steps.sum() > MOST_STEPS or steps.max(initial=0) > MOST_OF_EDGE:
            raise RejectedInputError("bad_polygon", f"an outline of {steps.sum() / SCALE:,.0f} px is none of a picture")
    return near


def _steps(points: Points) -> Points:
    """Return how many steps each edge takes on the grid; float64, shape (num_points,)."""
    if not len(points):
        return np.zeros(0)
    return np.asarray(np.abs(points - np.roll(points, -1, axis=0)).max(axis=1) * SCALE)


def _cut(points: Points, axis: int, limit: float, sign: int) -> Points:
    """Return what of a polygon lies on one side of a line: above `limit` on an axis (`sign` 1), or below it (-1)."""
    if not len(points):
        return points
    ahead = np.roll(points, -1, axis=0)
    here, there = sign * (points[:, axis] - limit), sign * (ahead[:, axis] - limit)
    crosses = (here >= 0) != (there >= 0)
    with np.errstate(all="ignore"):
        met = points + (ahead - points) * (here / (here - there))[:, None]
    met[:, axis] = limit
    both = np.stack([points, met], axis=1).reshape(-1, 2)
    kept: Points = both[np.stack([here >= 0, crosses], axis=1).ravel()]
    return kept


def _outline(points: Points) -> Iterator[tuple[Grid, Grid]]:
    """Yield all grid points on the closed outline, edge after edge, with both its ends; some edges at a time."""
    # Casts cut towards zero, as in C.
    grid = (SCALE * points + 0.5).astype(np.int64)
    ends = np.roll(grid, -1, axis=0)
    if len(grid):
        stretch = (np.cumsum(_steps(points)) // CUT_STEPS).astype(np.int64)
        for some in np.split(np.arange(len(grid)), np.flatnonzero(np.diff(stretch)) + 1):
            yield _drawn(grid[some], ends[some])


def _drawn(grid: Grid, ends: Grid) -> tuple[Grid, Grid]:
    """Return all grid points of edges, one edge after the other."""
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
