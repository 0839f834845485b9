"""A variant of an encoded picture as a picture of its own: turned, cut, mirrored and coloured, losslessly."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from loaders.axes import Array
from loaders.decoding.containers import Raw
from loaders.decoding.drawing import Upright
from loaders.decoding.opening import check_pixels
from loaders.decoding.orientation import orientation_of
from loaders.decoding.pictures import Box
from loaders.decoding.placement import Placement, placed_by, stored_box, turned, turned_points, turned_size
from loaders.publishing.crops import LEVEL

ORIENTATIONS = {0: 1, 90: 6, 180: 3, 270: 8}
"""Degrees clockwise -> EXIF's number of that turn."""


@dataclass(frozen=True, slots=True)
class Variant:
    """What is done with an upright picture, in this order.

    Attributes:
        turn: Degrees clockwise: 0, 90, 180 or 270.
        left, top, width, height: Window of the turned picture that is taken, px; inside of it.
        mirror: Whether it is mirrored left to right.
        contrast: What the distance of values from 128 is multiplied by.
        gains: What values of red, green and blue are multiplied by after that.
    """

    turn: int
    left: int
    top: int
    width: int
    height: int
    mirror: bool = False
    contrast: float = 1.0
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def placement(self, height: int, width: int, orientation: int) -> Placement:
        """Return where the pixels of a picture come to lie.

        Args:
            height: Of the picture as stored, px.
            width: The same.
            orientation: EXIF's, 1 to 8, by which it is made upright first.
        """
        high, wide = turned_size(height, width, orientation)
        corners = np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0])
        x, y = turned_points(*corners, high, wide, ORIENTATIONS[self.turn])
        x, y = x - self.left, y - self.top
        if self.mirror:
            x = self.width - x
        affine = np.array([[x[1] - x[0], x[2] - x[0], x[0]], [y[1] - y[0], y[2] - y[0], y[0]]])
        found = placed_by(affine, height, width, (self.height, self.width), orientation=orientation)
        if found is None:
            raise ValueError(f"{self} takes nothing of a picture of {width} x {height} px")
        return found

    def coloured(self, pixels: Array) -> Array:
        """Return uint8 (H, W, 3) with other values: by tables of 256, so that every machine gives the same."""
        if self.contrast == 1 and self.gains == (1.0, 1.0, 1.0):
            return pixels
        levels = (np.arange(256, dtype=np.float64) - 128.0) * self.contrast + 128.0
        tables = [np.clip(np.floor(levels * gain + 0.5), 0, 255).astype(np.uint8) for gain in self.gains]
        return np.stack([table[pixels[..., channel]] for channel, table in enumerate(tables)], axis=-1)


def variant_png(raw: Raw, variant: Variant, *, max_pixels: int) -> bytes:
    """Return a PNG of a variant of a picture: RGB of 8 bits, upright, without metadata.

    Args:
        raw: The encoded picture.
        variant: What it becomes.
        max_pixels: A picture with more is refused.

    Raises:
        DecodeError: If it is no picture, damaged, deeper than 8 bits, or too large.
    """
    check_pixels(variant.width, variant.height, max_pixels)
    picture = Upright(raw, exif=False, max_pixels=max_pixels)
    height, width = picture.stored
    placement = variant.placement(height, width, orientation_of(raw))
    left, top, wide, high = (round(each) for each in placement.window)
    part = picture.pixels(stored_box(Box(top, left, high, wide), height, width, placement.orientation))
    pixels = turned(part, placement.orientation)
    pixels = pixels[:, ::-1] if placement.mirrored else pixels
    found = io.BytesIO()
    drawn = np.ascontiguousarray(variant.coloured(pixels))
    Image.fromarray(drawn).save(found, "png", compress_level=LEVEL)
    return found.getvalue()
