"""Decoders for `make_reader(decoders=...)`: what a picture becomes while it is decoded, in its place in the batch.

    make_reader(folder, batch_size=256, shuffle=Shuffle(seed=1), decoders={"image": RandomResizedCrop(224)})

They resize with OpenCV (`pip install petrel-lakehouse[train]`), which is then told, for the whole process, to start no
threads of its own: the reader's are enough.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field
from types import ModuleType
from typing import Literal, Protocol

import numpy as np

from loaders.axes import Array, DType
from loaders.decoding.pictures import Box, Pixels, cut, decode_box, decode_new, jpeg_header
from loaders.errors import DecodeError, FormatError

Interpolation = Literal["linear", "area"]

_WORD = (1 << 64) - 1
_TRIES = 10
_FLIP_COUNTER = 4 * _TRIES


class Decoder(Protocol):
    """Makes one array of a fixed shape of each encoded value.

    Instances are shared by threads and pickled for processes; `into` must depend on its arguments alone.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what a value becomes."""

    @property
    def dtype(self) -> DType:
        """Its element type."""

    def into(self, raw: memoryview, out: Array, *, seed: int, max_pixels: int) -> None:
        """Decode one value.

        Args:
            raw: The stored bytes.
            out: Where to; of `shape` and `dtype`, C-contiguous, with anything in it.
            seed: The sample's (ORDER.md), 64 bits, another in each epoch.
            max_pixels: Pictures with more are to be refused before memory is taken.

        Raises:
            DecodeError: If the value cannot be decoded.
        """


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
    """

    size: int | tuple[int, int]
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.0
    decode: Literal["crop", "full"] = "crop"
    exact: bool = True
    interpolation: Interpolation = "linear"
    shape: tuple[int, ...] = field(init=False)
    dtype: DType = field(init=False, default=np.dtype("uint8"))

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", (*_two(self.size), 3))
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise FormatError(f"scale is (least, greatest), 0 < least <= greatest <= 1, found {self.scale}")
        if not 0 < self.ratio[0] <= self.ratio[1]:
            raise FormatError(f"ratio is (least, greatest), 0 < least <= greatest, found {self.ratio}")
        if not 0 <= self.flip <= 1:
            raise FormatError(f"flip is a probability, found {self.flip}")
        if self.decode not in ("crop", "full"):
            raise FormatError(f"decode must be crop or full, found {self.decode!r}")
        _flag(self.interpolation)

    def box(self, height: int, width: int, seed: int) -> Box:
        """Return the part that is taken of a picture of this size."""
        low, high = math.log(self.ratio[0]), math.log(self.ratio[1])
        for counter in range(0, 4 * _TRIES, 4):
            area = height * width * (self.scale[0] + _uniform(seed, counter) * (self.scale[1] - self.scale[0]))
            aspect = math.exp(low + _uniform(seed, counter + 1) * (high - low))
            w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < w <= width and 0 < h <= height:
                top = int(_uniform(seed, counter + 2) * (height - h + 1))
                left = int(_uniform(seed, counter + 3) * (width - w + 1))
                return Box(top, left, h, w)
        aspect = min(max(width / height, self.ratio[0]), self.ratio[1])
        w, h = min(width, max(1, round(height * aspect))), min(height, max(1, round(width / aspect)))
        return Box((height - h) // 2, (width - w) // 2, h, w)

    def into(self, raw: memoryview, out: Pixels, *, seed: int, max_pixels: int) -> None:
        """Decode `raw` into `out`, uint8 (height, width, 3).

        Raises:
            DecodeError: If it is no picture, damaged, or too large.
        """
        cv2, part = opencv(), self._part(raw, seed, max_pixels)
        cv2.resize(part, out.shape[1::-1], dst=out, interpolation=_flag(self.interpolation))
        if self.flip and _uniform(seed, _FLIP_COUNTER) < self.flip:
            cv2.flip(out, 1, dst=out)

    def _part(self, raw: memoryview, seed: int, max_pixels: int) -> Pixels:
        header = jpeg_header(raw)
        if header is None:
            whole = decode_new(raw, 3, max_pixels=max_pixels)
            height, width = whole.shape[:2]
            return cut(whole, self.box(height, width, seed))
        box = self.box(header.height, header.width, seed)
        eighths = 8 if self.exact else self._eighths(box)
        part = _scaled(box, eighths)
        wanted = part if self.decode == "crop" else _scaled(Box(0, 0, header.height, header.width), eighths)
        pixels = decode_box(raw, header, wanted, max_pixels=max_pixels, eighths=eighths)
        return pixels if self.decode == "crop" else cut(pixels, part)

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
    """

    size: int | tuple[int, int]
    resize: int | None = None
    interpolation: Interpolation = "linear"
    shape: tuple[int, ...] = field(init=False)
    dtype: DType = field(init=False, default=np.dtype("uint8"))

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", (*_two(self.size), 3))
        if self.resize is not None and self.resize < max(self.shape[:2]):
            raise FormatError(f"resize must be at least size {self.shape[:2]}, found {self.resize}")
        _flag(self.interpolation)

    def into(self, raw: memoryview, out: Pixels, *, seed: int, max_pixels: int) -> None:
        """Decode `raw` into `out`, uint8 (height, width, 3); `seed` has no say.

        Raises:
            DecodeError: If it is no picture, damaged, too large, or smaller than `size` without `resize`.
        """
        header = jpeg_header(raw)
        if header is not None and self.resize in (None, min(header.height, header.width)):
            box = self._middle(header.height, header.width)
            out[...] = decode_box(raw, header, box, max_pixels=max_pixels)
            return
        whole = decode_new(raw, 3, max_pixels=max_pixels)
        height, width = whole.shape[:2]
        if self.resize is not None and self.resize != min(height, width):
            short = min(height, width)
            height, width = (self.resize * side // short for side in (height, width))
            whole = opencv().resize(whole, (width, height), interpolation=_flag(self.interpolation))
        out[...] = cut(whole, self._middle(height, width))

    def _middle(self, height: int, width: int) -> Box:
        h, w = self.shape[:2]
        if h > height or w > width:
            raise DecodeError(f"a picture of height {height} and width {width} has no middle of {h} x {w}; use resize")
        return Box(round((height - h) / 2), round((width - w) / 2), h, w)


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


def _uniform(seed: int, counter: int) -> float:
    """Return word `counter` of stream `seed` (ORDER.md) as a number in [0, 1); numpy takes ten times as long."""
    z = (seed + (counter + 1) * 0x9E3779B97F4A7C15) & _WORD
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _WORD
    return ((z ^ (z >> 31)) >> 11) * 2.0**-53


def _scaled(box: Box, eighths: int) -> Box:
    """Return the smallest box of the scaled picture that covers one of the whole picture."""
    top, left = box.top * eighths // 8, box.left * eighths // 8
    bottom, right = -(-(box.top + box.height) * eighths // 8), -(-(box.left + box.width) * eighths // 8)
    return Box(top, left, bottom - top, right - left)


def _two(size: int | tuple[int, int]) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else size
    if height < 1 or width < 1:
        raise FormatError(f"size is a positive number of pixels, or (height, width), found {size}")
    return height, width


def _flag(interpolation: Interpolation) -> int:
    """Return OpenCV's number for an interpolation (INTER_LINEAR, INTER_AREA)."""
    if interpolation not in ("linear", "area"):
        raise FormatError(f"interpolation must be linear or area, found {interpolation!r}")
    return {"linear": 1, "area": 3}[interpolation]
