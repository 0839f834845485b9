"""What decoders of pictures share: parts, turned upright and resized by OpenCV, and random numbers of a sample."""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Literal

import numpy as np

from loaders.decoding.containers import Raw
from loaders.decoding.orientation import orientation_of
from loaders.decoding.pictures import Box, Pixels, cut, decode_box, decode_new, jpeg_header
from loaders.decoding.placement import Placement, stored_box, turned, turned_size
from loaders.errors import FormatError

Interpolation = Literal["linear", "area"]

_WORD = (1 << 64) - 1


class Upright:
    """A picture that is about to be decoded in part: RGB, uint8, turned by EXIF where that is asked for.

    Attributes:
        stored: Height and width as stored, px.
        size: Height and width after turning, px.
        orientation: By which it is turned, 1 to 8.
    """

    def __init__(self, raw: Raw, *, exif: bool, max_pixels: int) -> None:
        """Read the header; what is no JPEG of the usual kind is decoded whole.

        Raises:
            DecodeError: If it is no picture, or too large.
        """
        self._raw, self._max_pixels = raw, max_pixels
        self.orientation = orientation_of(raw) if exif else 1
        self.header = jpeg_header(raw)
        self._whole: Pixels | None = None
        if self.header is not None:
            self.stored = self.header.height, self.header.width
        else:
            self._whole = decode_new(raw, 3, max_pixels=max_pixels)
            self.stored = self._whole.shape[0], self._whole.shape[1]
        self.size = turned_size(*self.stored, self.orientation)

    def pixels(self, box: Box, *, eighths: int = 8) -> Pixels:
        """Return a box of the picture, (height, width, 3), contiguous where it was turned.

        Args:
            box: In px of the upright picture at `eighths / 8` of its size, rounded up.
            eighths: Scale at which a JPEG is decoded: 1, 2, 4 or 8.

        Raises:
            DecodeError: If it is damaged.
        """
        height, width = (-(-side * eighths // 8) for side in self.stored)
        part = stored_box(box, height, width, self.orientation)
        if self.header is None:
            assert self._whole is not None
            found = cut(self._whole, part)
        else:
            found = decode_box(self._raw, self.header, part, max_pixels=self._max_pixels, eighths=eighths)
        return found if self.orientation == 1 else np.ascontiguousarray(turned(found, self.orientation))

    def placed(self, window: Box, place: Box, canvas: tuple[int, int], *, mirrored: bool = False) -> Placement:
        """Return the placement of a window of the upright picture in a canvas."""
        sides = float(window.left), float(window.top), float(window.width), float(window.height)
        return Placement(*self.stored, sides, place, canvas, self.orientation, mirrored)


def resized(pixels: Pixels, out: Pixels, interpolation: Interpolation) -> None:
    """Resize a picture into another array, (height, width, 3)."""
    if pixels.shape == out.shape:
        out[...] = pixels
        return
    into = out if out.flags.c_contiguous else np.empty_like(out)
    opencv().resize(pixels, out.shape[1::-1], dst=into, interpolation=flag(interpolation))
    if into is not out:
        out[...] = into


def mirrored(out: Pixels) -> None:
    """Mirror a picture left to right, in place."""
    opencv().flip(out, 1, dst=out)


@functools.cache
def opencv() -> ModuleType:
    """Import OpenCV; from then on it starts no threads of its own in this process.

    Raises:
        FormatError: If it is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise FormatError(
            "this decoder resizes with OpenCV, which is not installed; pip install 'petrel-lakehouse[train]'"
        ) from error
    cv2.setNumThreads(1)  # a second pool of threads for 50 us of work only waits, and does not survive a fork
    return cv2


def uniform(seed: int, counter: int) -> float:
    """Return word `counter` of stream `seed` (ORDER.md) as a number in [0, 1); numpy takes ten times as long."""
    z = (seed + (counter + 1) * 0x9E3779B97F4A7C15) & _WORD
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _WORD
    return ((z ^ (z >> 31)) >> 11) * 2.0**-53


def two_sides(size: int | tuple[int, int]) -> tuple[int, int]:
    """Return height and width of a size that may be one number.

    Raises:
        FormatError: If it is not positive.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if height < 1 or width < 1:
        raise FormatError(f"size is a positive number of pixels, or (height, width), found {size}")
    return height, width


def check_flip(flip: float) -> None:
    """Check a probability.

    Raises:
        FormatError: If it is none.
    """
    if not 0 <= flip <= 1:
        raise FormatError(f"flip is a probability, found {flip}")


def flag(interpolation: Interpolation) -> int:
    """Return OpenCV's number for an interpolation (INTER_LINEAR, INTER_AREA).

    Raises:
        FormatError: If it is none of the two.
    """
    if interpolation not in ("linear", "area"):
        raise FormatError(f"interpolation must be linear or area, found {interpolation!r}")
    return {"linear": 1, "area": 3}[interpolation]
