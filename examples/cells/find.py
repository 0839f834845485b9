"""A detector without training: colours of the stain, connected parts, and circles in the distance to their edge.

Red cells are discs that are darker than the ground in green; white cells and platelets are stained purple, a large and
a small part. Touching red cells are taken apart at the peaks of the distance to the ground: the peak is the middle of
a cell, its height the radius.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

RED, WHITE, PLATELET = "RBC", "WBC", "Platelets"

Pixels = npt.NDArray[np.uint8]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Found:
    """One cell.

    Attributes:
        label: One of the three kinds.
        box: x_min, y_min, x_max, y_max, px of the picture that was given.
        score: 0 to 1: how usual in size, and how far inside of the picture, for a red cell; how full of stain its box
            is for the others.
    """

    label: str
    box: Box
    score: float


def find_cells(picture: Pixels) -> list[Found]:
    """Return the cells of a picture; the same for the same pixels.

    Args:
        picture: uint8 (H, W, 3), RGB.
    """
    scale = picture.shape[1] / 640  # radii and areas below are those of pictures 640 px wide
    is_stained = _stained(picture, saturation=70)
    white = _white_cells(_stained(picture, saturation=45), scale)
    red = [each for each in _red_cells(picture, is_stained, scale) if not _is_in_any(each.box, white)]
    platelets = [each for each in _platelets(picture, scale) if not _is_in_any(each.box, white + red)]
    return white + red + platelets


def _stained(picture: Pixels, *, saturation: int) -> Pixels:
    """Return which pixels are purple, 0 or 1, (H, W)."""
    hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
    return ((hsv[..., 0] > 115) & (hsv[..., 0] < 160) & (hsv[..., 1] > saturation)).astype(np.uint8)


def _parts(is_part: Pixels, *, opened: float, closed: float, scale: float) -> list[list[int]]:
    """Return x, y, width, height and area of connected parts, without specks and holes of these sizes, px."""
    for operation, side in ((cv2.MORPH_OPEN, opened), (cv2.MORPH_CLOSE, closed)):
        size = max(1, round(side * scale))
        is_part = np.asarray(cv2.morphologyEx(is_part, operation, np.ones((size, size), np.uint8)), dtype=np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(is_part, connectivity=8)
    parts: list[list[int]] = stats[1:].tolist()  # row 0 is the ground
    return parts


def _white_cells(is_stained: Pixels, scale: float) -> list[Found]:
    found = []
    for x, y, w, h, area in _parts(is_stained, opened=3, closed=25, scale=scale):
        if area > 3500 * scale**2:
            grown = 0.06 * max(w, h)  # around the nucleus
            box = (x - grown, y - grown, x + w + grown, y + h + grown)
            found.append(Found(WHITE, _inside(box, is_stained.shape), min(1.0, area / (w * h))))
    return found


def _platelets(picture: Pixels, scale: float) -> list[Found]:
    found = []
    for x, y, w, h, area in _parts(_stained(picture, saturation=48), opened=5, closed=7, scale=scale):
        if 100 < area / scale**2 < 2500 and max(w, h) < 2 * min(w, h):
            grown = 5 * scale  # the rim is paler than the threshold asks for
            box = (x - grown, y - grown, x + w + grown, y + h + grown)
            found.append(Found(PLATELET, _inside(box, picture.shape), min(1.0, area / (w * h))))
    return found


def _red_cells(picture: Pixels, is_stained: Pixels, scale: float) -> list[Found]:
    green = cv2.GaussianBlur(picture[..., 1], (0, 0), 1.5 * scale)
    _, is_dark = cv2.threshold(green, 0, 1, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)
    is_cell = _filled(np.asarray(is_dark, dtype=np.uint8))
    is_cell[cv2.dilate(is_stained, np.ones((3, 3), np.uint8)) > 0] = 0
    distance = cv2.GaussianBlur(cv2.distanceTransform(is_cell, cv2.DIST_L2, 5), (0, 0), 3 * scale)
    side = 2 * round(26 * scale) + 1
    peaks = (distance == cv2.dilate(distance, np.ones((side, side), np.uint8))) & (distance > 20 * scale)
    found = []
    for y, x in np.argwhere(peaks).tolist():
        radius = 0.36 * float(distance[y, x]) + 37 * scale  # between what is measured and what is usual
        box = (x + 0.5 - radius, y + 0.5 - radius, x + 0.5 + radius, y + 0.5 + radius)
        seen = _inside(box, is_cell.shape)
        share = (seen[2] - seen[0]) * (seen[3] - seen[1]) / (2 * radius) ** 2
        usual = 1 - min(1.0, abs(radius / (50 * scale) - 1))  # most red cells are about 100 px wide
        found.append(Found(RED, seen, share * usual))
    return found


def _filled(is_cell: Pixels) -> Pixels:
    """Return the cells with their pale middles: parts of the ground that reach no edge of the picture."""
    count, numbers = cv2.connectedComponents(1 - is_cell, connectivity=4)
    edge = np.concatenate([numbers[0], numbers[-1], numbers[:, 0], numbers[:, -1]])
    is_ground = np.zeros(count, dtype=bool)
    is_ground[edge] = True
    filled: Pixels = (~is_ground[numbers] | (is_cell > 0)).astype(np.uint8)
    return filled


def _is_in_any(box: Box, others: Sequence[Found]) -> bool:
    """Return whether the middle of a box lies in one of the others."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return any(each.box[0] <= x <= each.box[2] and each.box[1] <= y <= each.box[3] for each in others)


def _inside(box: Box, shape: tuple[int, ...]) -> Box:
    height, width = shape[:2]
    x0, y0, x1, y1 = box
    return max(0.0, x0), max(0.0, y0), min(float(width), x1), min(float(height), y1)
