"""Decoders that keep all of a picture: resized to one size, with bars beside it, or to sizes that differ.

As those of `decoders`, they resize with OpenCV, give RGB of uint8, and move what lies in the picture with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from loaders.axes import DType
from loaders.decoding.decoders import FLIP_COUNTER
from loaders.decoding.drawing import (
    Interpolation,
    Upright,
    check_flip,
    flag,
    mirrored,
    resized,
    two_sides,
    uniform,
)
from loaders.decoding.pictures import Box, Pixels
from loaders.decoding.placement import Placement
from loaders.errors import FormatError


@dataclass(frozen=True, slots=True)
class Resize:
    """All of the picture, resized to one size, whatever that does to its proportions (RGB, uint8).

    Attributes:
        size: Height and width of the result, or one number for both.
        flip: Probability of a result that is mirrored left to right: by word 40 of the sample's seed, as in
            `RandomResizedCrop`.
        interpolation: OpenCV's `linear` (bilinear of four pixels), or `area`, which averages where it shrinks.
        exif: Whether to turn pictures upright by their EXIF orientation first. False: as they are stored.
    """

    size: int | tuple[int, int]
    flip: float = 0.0
    interpolation: Interpolation = "linear"
    exif: bool = False
    shape: tuple[int, ...] = field(init=False)
    dtype: DType = field(init=False, default=np.dtype("uint8"))

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", (*two_sides(self.size), 3))
        check_flip(self.flip)
        flag(self.interpolation)

    def into(self, raw: memoryview, out: Pixels, *, seed: int, max_pixels: int) -> Placement:
        """Decode `raw` into `out`, uint8 (height, width, 3).

        Raises:
            DecodeError: If it is no picture, damaged, or too large.
        """
        picture = Upright(raw, exif=self.exif, max_pixels=max_pixels)
        canvas = self.shape[0], self.shape[1]
        return _drawn(picture, out, Box(0, 0, *canvas), canvas, self.interpolation, self.flip, seed)


@dataclass(frozen=True, slots=True)
class Letterbox:
    """All of the picture in its proportions, as large as fits, in the middle of a canvas of one size (RGB, uint8).

    With s = min(H / h, W / w) the picture of h x w px becomes round(h * s) x round(w * s) px (half to even, at least
    1), at top = (H - its height) // 2 and left = (W - its width) // 2.

    Attributes:
        size: Height and width of the result, or one number for both.
        fill: Level of the bars beside the picture, 0 to 255, of all three channels.
        flip, interpolation, exif: As of `Resize`.
    """

    size: int | tuple[int, int]
    fill: int = 0
    flip: float = 0.0
    interpolation: Interpolation = "linear"
    exif: bool = False
    shape: tuple[int, ...] = field(init=False)
    dtype: DType = field(init=False, default=np.dtype("uint8"))

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", (*two_sides(self.size), 3))
        if type(self.fill) is not int or not 0 <= self.fill <= 255:
            raise FormatError(f"fill is a level from 0 to 255, found {self.fill!r}")
        check_flip(self.flip)
        flag(self.interpolation)

    def into(self, raw: memoryview, out: Pixels, *, seed: int, max_pixels: int) -> Placement:
        """Decode `raw` into `out`, uint8 (height, width, 3).

        Raises:
            DecodeError: If it is no picture, damaged, or too large.
        """
        picture = Upright(raw, exif=self.exif, max_pixels=max_pixels)
        height, width = self.shape[:2]
        scale = min(height / picture.size[0], width / picture.size[1])
        h, w = (max(1, round(side * scale)) for side in picture.size)
        place = Box((height - h) // 2, (width - w) // 2, h, w)
        if (h, w) != (height, width):
            out[...] = self.fill
        return _drawn(picture, out, place, (height, width), self.interpolation, self.flip, seed)


@dataclass(frozen=True, slots=True)
class ResizeShorter:
    """All of the picture in its proportions, its shorter side of one length: a list of pictures that differ in size.

    torchvision's `Resize(shorter, max_size=longest)` (RGB, uint8): the longer side becomes int(shorter * long / short);
    if that is more than `longest`, the sides become longest and int(longest * shorter / that).

    Attributes:
        shorter: Length of the shorter side, px.
        longest: The longer side is at most this long, px; what a picture may take in memory follows from it.
        flip, interpolation, exif: As of `Resize`.
    """

    shorter: int
    longest: int
    flip: float = 0.0
    interpolation: Interpolation = "linear"
    exif: bool = False
    shape: tuple[int | None, ...] = field(init=False, default=(None, None, 3))
    dtype: DType = field(init=False, default=np.dtype("uint8"))

    def __post_init__(self) -> None:
        if not 0 < self.shorter <= self.longest:
            raise FormatError(f"0 < shorter <= longest, found {self.shorter} and {self.longest}")
        check_flip(self.flip)
        flag(self.interpolation)

    @property
    def most_bytes(self) -> int:
        """Bytes of the largest result."""
        return 3 * self.shorter * self.longest

    def decoded(self, raw: memoryview, *, seed: int, max_pixels: int) -> tuple[Pixels, Placement]:
        """Decode `raw` into a new array, uint8 (height, width, 3).

        Raises:
            DecodeError: If it is no picture, damaged, or too large.
        """
        picture = Upright(raw, exif=self.exif, max_pixels=max_pixels)
        canvas = self.size_of(*picture.size)
        out = np.empty((*canvas, 3), dtype=np.uint8)
        return out, _drawn(picture, out, Box(0, 0, *canvas), canvas, self.interpolation, self.flip, seed)

    def size_of(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width of the result for an upright picture of this size."""
        short, long = self.shorter, self.shorter * max(height, width) // min(height, width)
        if long > self.longest:
            short, long = max(1, self.longest * self.shorter // long), self.longest
        return (short, long) if height <= width else (long, short)


def _drawn(
    picture: Upright, out: Pixels, place: Box, canvas: tuple[int, int], interpolation: Interpolation, flip: float,
    seed: int,
) -> Placement:  # fmt: skip
    """Draw all of a picture into a place of a canvas; mirror it by the sample's seed."""
    window = Box(0, 0, *picture.size)
    top, left, height, width = place
    resized(picture.pixels(window), out[top : top + height, left : left + width], interpolation)
    is_mirrored = bool(flip) and uniform(seed, FLIP_COUNTER) < flip
    if is_mirrored:
        mirrored(out)
    return picture.placed(window, place, canvas, mirrored=is_mirrored)
