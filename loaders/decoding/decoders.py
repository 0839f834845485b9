"""Decoders for `make_reader(decoders=...)`: what a picture becomes while it is decoded, in its place in the batch.

    make_reader(folder, batch_size=256, shuffle=Shuffle(seed=1), decoders={"image": RandomResizedCrop(224)})

They resize with OpenCV (`pip install petrel-lakehouse[train]`), which is then told, for the whole process, to start no
threads of its own: the reader's are enough.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from loaders.axes import Array, DType
from loaders.decoding.drawing import (
    Interpolation,
    Upright,
    check_flip,
    flag,
    mirrored,
    opencv,
    resized,
    two_sides,
    uniform,
)
from loaders.decoding.pictures import Box, Pixels, cut
from loaders.decoding.placement import Placement
from loaders.errors import DecodeError, FormatError

_TRIES = 10
FLIP_COUNTER = 4 * _TRIES
"""Word of a sample's stream that decides whether its picture is mirrored; the same for every decoder."""


class Decoder(Protocol):
    """Makes one array of a fixed shape of each encoded value.

    Instances are shared by threads and pickled for processes; `into` must depend on its arguments alone. One for
    columns of another codec than `image` says so by an attribute `codec`, as `VideoClip` does.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what a value becomes."""

    @property
    def dtype(self) -> DType:
        """Its element type."""

    def into(self, raw: memoryview, out: Array, *, seed: int, max_pixels: int) -> Placement | None:
        """Decode one value.

        Args:
            raw: The stored bytes.
            out: Where to; of `shape` and `dtype`, C-contiguous, with anything in it.
            seed: The sample's (ORDER.md), 64 bits, another in each epoch.
            max_pixels: Pictures with more are to be refused before memory is taken.

        Returns:
            Where the picture lies in `out`: columns with geometry are moved by it. None of decoders that do not say;
            they cannot be used beside such columns.

        Raises:
            DecodeError: If the value cannot be decoded.
        """


class VaryingDecoder(Protocol):
    """Makes an array of each encoded value whose shape differs from value to value: the column is a list of them.

    Instances are shared by threads and pickled for processes, as those of `Decoder`.
    """

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Shape of what a value becomes, None for axes that vary."""

    @property
    def dtype(self) -> DType:
        """Its element type."""

    @property
    def most_bytes(self) -> int:
        """Bytes of the largest result: what the bound of a reader's memory counts for each."""

    def decoded(self, raw: memoryview, *, seed: int, max_pixels: int) -> tuple[Array, Placement | None]:
        """Decode one value into a new array; arguments, errors and the placement are as of `Decoder.into`."""


AnyDecoder = Decoder | VaryingDecoder


@dataclass(frozen=True, slots=True)
class RandomResizedCrop:
    """A random part of the picture, resized to a fixed size: torchvision's `RandomResizedCrop` (RGB, uint8).

    Which part depends on the sample's seed and the size of the picture alone. With u(i) = (word(seed, i) >> 11) / 2^53
    of ORDER.md and a picture of H x W pixels, the tries k = 0 ... 9 are

        area   = H * W * (scale[0] + u(4k) * (scale[1] - scale[0]))
        aspect = exp(log(ratio[0]) + u(4k + 1) * (log(ratio[1]) - log(ratio[0])))
        w, h   = round(sqrt(area * aspect)), round(sqrt(area / aspect))        (half to even)

    and the first with 0 < w <= W and 0 < h <= H is taken, at top = floor(u(4k + 2) * (H - h + 1)) and
    left = floor(u(4k + 3) * (W - w + 1)). If none fits, it is the largest central part with an aspect inside `ratio`.
    The result is mirrored if u(40) < flip. Columns of one sample, as a picture and its mask, are cropped alike.

    Attributes:
        size: Height and width of the result, or one number for both.
        scale: Least and greatest part of the picture's area.
        ratio: Least and greatest width / height of the part.
        flip: Probability of a result that is mirrored left to right.
        decode: `crop`: decode the part alone, where the picture is a JPEG; `full`: decode all and cut. With `exact`
            the pixels are the same, but damage below the part is seen by `full` only.
        exact: Whether the pixels must be those of a full decode. False: the part of a JPEG is decoded at 1/2, 1/4 or
            1/8 of its size where that is not smaller than the result, to the nearest pixel of that scale outwards.
            Parts less than twice as large as the result are exact all the same. On photos of 1280 x 854 and a result
            of 224 x 224: 1.17 times as fast (1.4 with `area`); mean difference 2.8 (1.7 with `area`), greatest 107
            (68), PSNR 32 dB (36): decoding smaller averages, which bilinear resizing does not. The fast transform and
            plain upsampling of libjpeg-turbo are not used: at most 7 % faster, and all pixels 0.8 darker.
        interpolation: OpenCV's `linear` (bilinear of four pixels), or `area`, which averages where it shrinks.
        exif: Whether to turn pictures upright by their EXIF orientation first. False: as they are stored.
    """

    size: int | tuple[int, int]
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.0
    decode: Literal["crop", "full"] = "crop"
    exact: bool = True
    interpolation: Interpolation = "linear"
    exif: bool = False
    shape: tuple[int, ...] = field(init=False)
    dtype: DType = field(init=False, default=np.dtype("uint8"))

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", (*two_sides(self.size), 3))
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise FormatError(f"scale is (least, greatest), 0 < least <= greatest <= 1, found {self.scale}")
        if not 0 < self.ratio[0] <= self.ratio[1]:
            raise FormatError(f"ratio is (least, greatest), 0 < least <= greatest, found {self.ratio}")
        check_flip(self.flip)
        if self.decode not in ("crop", "full"):
            raise FormatError(f"decode must be crop or full, found {self.decode!r}")
        flag(self.interpolation)

    def box(self, height: int, width: int, seed: int) -> Box:
        """Return the part that is taken of a picture of this size."""
        low, high = math.log(self.ratio[0]), math.log(self.ratio[1])
        for counter in range(0, 4 * _TRIES, 4):
            area = height * width * (self.scale[0] + uniform(seed, counter) * (self.scale[1] - self.scale[0]))
            aspect = math.exp(low + uniform(seed, counter + 1) * (high - low))
            w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < w <= width and 0 < h <= height:
                top = int(uniform(seed, counter + 2) * (height - h + 1))
                left = int(uniform(seed, counter + 3) * (width - w + 1))
                return Box(top, left, h, w)
        aspect = min(max(width / height, self.ratio[0]), self.ratio[1])
        w, h = min(width, max(1, round(height * aspect))), min(height, max(1, round(width / aspect)))
        return Box((height - h) // 2, (width - w) // 2, h, w)

    def into(self, raw: memoryview, out: Pixels, *, seed: int, max_pixels: int) -> Placement:
        """Decode `raw` into `out`, uint8 (height, width, 3).

        Raises:
            DecodeError: If it is no picture, damaged, or too large.
        """
        picture = Upright(raw, exif=self.exif, max_pixels=max_pixels)
        box = self.box(*picture.size, seed)
        eighths = 8 if self.exact or picture.header is None else self._eighths(box)
        part = _scaled(box, eighths)
        if self.decode == "crop" or picture.header is None:
            pixels = picture.pixels(part, eighths=eighths)
        else:
            pixels = cut(picture.pixels(_scaled(Box(0, 0, *picture.size), eighths), eighths=eighths), part)
        cv2 = opencv()
        cv2.resize(pixels, out.shape[1::-1], dst=out, interpolation=flag(self.interpolation))
        is_mirrored = bool(self.flip) and uniform(seed, FLIP_COUNTER) < self.flip
        if is_mirrored:
            mirrored(out)
        height, width = self.shape[:2]
        top, left, h, w = (side * 8 / eighths for side in part)  # what was decoded, a little more than `box`
        place = Box(0, 0, height, width)
        return Placement(
            *picture.stored, (left, top, w, h), place, (height, width), picture.orientation, is_mirrored
        )

    def _eighths(self, box: Box) -> int:
        """Return the least of 8, 4, 2, 1 eighths at which the part is not smaller than the result."""
        height, width = self.shape[:2]
        return next((n for n in (1, 2, 4) if box.height * n >= 8 * height and box.width * n >= 8 * width), 8)


@dataclass(frozen=True, slots=True)
class CenterCrop:
    """The middle of the picture, resized before: torchvision's `Resize(resize)` and `CenterCrop(size)` (RGB, uint8).

    The shorter side becomes `resize`, the longer one int(resize * longer / shorter); the middle of `size` is then cut
    out at round((side - size) / 2), half to even. A picture whose shorter side is `resize` already is not resized, and
    only its middle is decoded.

    Attributes:
        size: Height and width of the result, or one number for both; none is greater than `resize`.
        resize: Shorter side before the middle is cut out. None: pictures keep their size; one below `size` is an error.
        interpolation: OpenCV's `linear` (bilinear of four pixels), or `area`, which averages where it shrinks.
        exif: Whether to turn pictures upright by their EXIF orientation first. False: as they are stored.
    """

    size: int | tuple[int, int]
    resize: int | None = None
    interpolation: Interpolation = "linear"
    exif: bool = False
    shape: tuple[int, ...] = field(init=False)
    dtype: DType = field(init=False, default=np.dtype("uint8"))

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", (*two_sides(self.size), 3))
        if self.resize is not None and self.resize < max(self.shape[:2]):
            raise FormatError(f"resize must be at least size {self.shape[:2]}, found {self.resize}")
        flag(self.interpolation)

    def into(self, raw: memoryview, out: Pixels, *, seed: int, max_pixels: int) -> Placement:
        """Decode `raw` into `out`, uint8 (height, width, 3); `seed` has no say.

        Raises:
            DecodeError: If it is no picture, damaged, too large, or smaller than `size` without `resize`.
        """
        picture = Upright(raw, exif=self.exif, max_pixels=max_pixels)
        height, width = picture.size
        short = min(height, width)
        place = Box(0, 0, *self.shape[:2])
        canvas = self.shape[0], self.shape[1]
        if self.resize in (None, short):
            box = self._middle(height, width)
            out[...] = picture.pixels(box)
            return picture.placed(box, place, canvas)
        assert self.resize is not None
        h, w = self.resize * height // short, self.resize * width // short
        box = self._middle(h, w)
        large = np.empty((h, w, 3), dtype=np.uint8)
        resized(picture.pixels(Box(0, 0, height, width)), large, self.interpolation)
        out[...] = cut(large, box)
        window = box.left * width / w, box.top * height / h, box.width * width / w, box.height * height / h
        return Placement(*picture.stored, window, place, canvas, picture.orientation)

    def _middle(self, height: int, width: int) -> Box:
        h, w = self.shape[:2]
        if h > height or w > width:
            raise DecodeError(f"a picture of height {height} and width {width} has no middle of {h} x {w}; use resize")
        return Box(round((height - h) / 2), round((width - w) / 2), h, w)


def _scaled(box: Box, eighths: int) -> Box:
    """Return the smallest box of the scaled picture that covers one of the whole picture."""
    top, left = box.top * eighths // 8, box.left * eighths // 8
    bottom, right = -(-(box.top + box.height) * eighths // 8), -(-(box.left + box.width) * eighths // 8)
    return Box(top, left, bottom - top, right - left)
