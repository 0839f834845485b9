"""Where the pixels of a stored picture come to lie in the decoded one: what boxes, points and masks move by.

Coordinates are continuous px from 0 at the top-left corner; a pixel is the unit square, so that a picture of width W
reaches from 0 to W, and resizing to W' multiplies x by W' / W.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from loaders.axes import Array, Floats
from loaders.decoding.pictures import Box


@dataclass(frozen=True, slots=True)
class Placement:
    """What one decoder did with one picture: turned it upright, took a window of that, drew it into a canvas.

    Attributes:
        height, width: Of the picture as it is stored, px.
        orientation: EXIF's, 1 to 8, by which it was turned; 1: not at all.
        window: left, top, width, height of the part of the upright picture that was taken, px; inside the picture.
        place: Where the window lies in the canvas, px.
        canvas: Height and width of the decoded picture, px.
        mirrored: Whether the canvas was mirrored left to right, after all else.
    """

    height: int
    width: int
    window: tuple[float, float, float, float]
    place: Box
    canvas: tuple[int, int]
    orientation: int = 1
    mirrored: bool = False

    def points(self, points: Floats) -> Floats:
        """Move points.

        Args:
            points: float64 (n, 2): x, y in the stored picture.

        Returns:
            float64 (n, 2): x, y in the decoded picture; outside of `visible` where they left it.
        """
        x, y = turned_points(points[:, 0], points[:, 1], self.height, self.width, self.orientation)
        left, top, width, height = self.window
        x = (x - left) * (self.place.width / width) + self.place.left
        moved = np.empty((len(points), 2), dtype=np.float64)
        moved[:, 0] = self.canvas[1] - x if self.mirrored else x
        moved[:, 1] = (y - top) * (self.place.height / height) + self.place.top
        return moved

    @property
    def affine(self) -> Floats:
        """float64 (2, 3): multiplied with (x, y, 1) of the stored picture it gives (x, y) of the decoded one."""
        origin, right, down = self.points(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
        return np.stack([right - origin, down - origin, origin], axis=1)

    @property
    def visible(self) -> tuple[float, float, float, float]:
        """x_min, y_min, x_max, y_max of the place of the picture in the canvas: what is seen of it, px."""
        top, left, height, width = self.place
        if self.mirrored:
            left = self.canvas[1] - left - width
        return left, top, left + width, top + height

    def mask(self, mask: Array) -> Array:
        """Move a mask: nearest pixel.

        Args:
            mask: (H, W) of the stored picture.

        Returns:
            (canvas height, canvas width) of the same type; 0 beside the picture.
        """
        upright = turned(mask, self.orientation)
        left, top, width, height = self.window
        rows = _nearest(top, height, self.place.height, upright.shape[0])
        columns = _nearest(left, width, self.place.width, upright.shape[1])
        out = np.zeros(self.canvas, dtype=mask.dtype)
        top, left = self.place.top, self.place.left
        if upright.flags.f_contiguous:  # the order of run lengths: whole columns are copied, then a small part turned
            part = np.take(np.take(upright.T, columns, axis=0), rows, axis=1).T
        else:
            part = np.take(np.take(upright, rows, axis=0), columns, axis=1)
        out[top : top + self.place.height, left : left + self.place.width] = part
        return out[:, ::-1] if self.mirrored else out

    def share_of(self, mask: Array) -> float:
        """Return which share of the set pixels of a mask (H, W) of the stored picture the window has; 1 of none."""
        total = np.count_nonzero(mask)
        left, top, width, height = self.window
        part = turned(mask, self.orientation)[round(top) : round(top + height), round(left) : round(left + width)]
        return np.count_nonzero(part) / total if total else 1.0


def stored_points(points: Array, affine: Floats) -> Floats:
    """Return points of a decoded picture as they lie in the stored one: predictions on their way back.

    Args:
        points: (n, 2): x, y, px of the decoded picture.
        affine: (2, 3), of the sample: `Placement.affine`, or the reader's column `<picture>_affine`.

    Returns:
        float64 (n, 2), px of the picture as it is stored; outside of it for points in the bars of a letterbox.
    """
    turn = np.linalg.inv(affine[:, :2]).astype(np.float64)
    moved: Floats = (np.asarray(points, dtype=np.float64) - affine[:, 2]) @ turn.T
    return moved


def stored_boxes(boxes: Array, affine: Floats) -> Floats:
    """Return boxes (n, 4), xyxy, of a decoded picture as they lie in the stored one; see `stored_points`."""
    corners = stored_points(np.asarray(boxes).reshape(-1, 2), affine).reshape(-1, 2, 2)  # (n, 2 corners, x and y)
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def _nearest(start: float, length: float, count: int, limit: int) -> Array:
    """Return the stored pixel under the centre of each of `count` drawn ones: int64 (count,)."""
    places = np.floor(start + (np.arange(count) + 0.5) * (length / count)).astype(np.int64)
    clipped: Array = np.clip(places, 0, limit - 1)
    return clipped


def whole(height: int, width: int, canvas: tuple[int, int], *, orientation: int = 1) -> Placement:
    """Return the placement of all of a picture in all of a canvas."""
    upright = turned_size(height, width, orientation)
    window = (0.0, 0.0, float(upright[1]), float(upright[0]))
    return Placement(height, width, window, Box(0, 0, *canvas), canvas, orientation)


def placed_by(
    affine: Floats, height: int, width: int, canvas: tuple[int, int], *, orientation: int = 1
) -> Placement | None:
    """Return the placement that an affine map along the axes means: mirrors, quarter turns, scales, crops, borders.

    Args:
        affine: float64 (2, 3): from (x, y, 1) of the upright picture to (x, y) of the drawn one, continuous px.
        height: Of the picture as it is stored, px.
        width: Of the picture as it is stored, px.
        canvas: Height and width of the drawn picture, px.
        orientation: EXIF's, by which the stored picture is made upright.

    Returns:
        The placement; it is `mirrored` where the map is, and not where only EXIF's turn is. None: nothing of the
        picture is seen.

    Raises:
        ValueError: If the map turns by another angle, shears or has no inverse.
    """
    turn = _matrix(height, width, orientation)
    total = np.vstack([affine, [0.0, 0.0, 1.0]]) @ turn
    mirrored = bool(np.linalg.det(affine[:, :2]) < 0)
    if mirrored:
        total[0] = np.array([0.0, 0.0, canvas[1]]) - total[0]
    for turned_by in range(1, 9):
        after = total @ np.linalg.inv(_matrix(height, width, turned_by))
        across, down = after[0, 0], after[1, 1]
        if min(across, down) > 0 and max(abs(after[0, 1]), abs(after[1, 0])) < 1e-9 * max(across, down):
            rows, columns = turned_size(height, width, turned_by)
            left, left_px, wide, wide_px = _seen(after[0, 2], across, columns, canvas[1])
            top, top_px, high, high_px = _seen(after[1, 2], down, rows, canvas[0])
            if wide_px <= 0 or high_px <= 0:
                return None
            place = Box(top_px, left_px, high_px, wide_px)
            return Placement(height, width, (left, top, wide, high), place, canvas, turned_by, mirrored)
    raise ValueError(f"an affine map that is not along the axes: {affine.tolist()}")


def _seen(start: float, scale: float, length: int, limit: int) -> tuple[float, int, float, int]:
    """Return along one axis start of the window and of its place, length of the window and of its place."""
    first = max(0, math.floor(round(start, 6)))
    last = min(limit, math.ceil(round(start + scale * length, 6)))
    return round((first - start) / scale, 9), first, round((last - first) / scale, 9), last - first


def _matrix(height: int, width: int, orientation: int) -> Floats:
    """Return EXIF's turn as float64 (3, 3)."""
    x, y = turned_points(np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0]), height, width, orientation)
    return np.array([[x[1] - x[0], x[2] - x[0], x[0]], [y[1] - y[0], y[2] - y[0], y[0]], [0.0, 0.0, 1.0]])


def turned_size(height: int, width: int, orientation: int) -> tuple[int, int]:
    """Return height and width of a stored picture after it is turned by EXIF's orientation."""
    return (width, height) if orientation >= 5 else (height, width)


def turned_points(x: Floats, y: Floats, height: int, width: int, orientation: int) -> tuple[Floats, Floats]:
    """Turn points of a stored picture (height, width) by EXIF's orientation: 6 is a quarter turn clockwise."""
    if orientation in (2, 3, 7, 8):
        x = width - x
    if orientation in (3, 4, 6, 7):
        y = height - y
    return (y, x) if orientation >= 5 else (x, y)


def turned(pixels: Array, orientation: int) -> Array:
    """Turn a picture (H, W) or (H, W, C) by EXIF's orientation; a view of it."""
    if orientation in (2, 3, 7, 8):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 6, 7):
        pixels = pixels[::-1]
    return pixels.swapaxes(0, 1) if orientation >= 5 else pixels


def stored_box(box: Box, height: int, width: int, orientation: int) -> Box:
    """Return where a box of the upright picture lies in the stored one, of this height and width."""
    top, left, h, w = box
    if orientation >= 5:
        top, left, h, w = left, top, w, h
    if orientation in (2, 3, 7, 8):
        left = width - left - w
    if orientation in (3, 4, 6, 7):
        top = height - top - h
    return Box(top, left, h, w)
