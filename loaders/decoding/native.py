"""Pictures deeper than 8 bits, as arrays of their own type: nothing is scaled, rounded or cut to a byte.

| file | array |
|---|---|
| PNG of 16 bits | uint16 (H, W), (H, W, 2), (H, W, 3) or (H, W, 4): grey or RGB, with alpha where it has it |
| PPM, PGM with a maximum above 255 | uint16 (H, W) or (H, W, 3), values as stored |
| PFM, grey | float32 (H, W) |
| TIFF, grey | int8, uint16, int16, uint32, int32 or float32 (H, W) |
| TIFF of 16 bits in colour or with alpha: `tiff_colour` | uint16 (H, W, 3) or (H, W, 4) |

What is deeper and not in this list (AVIF and HEIC of 10 and 12 bits, doubles, colour in floats) is refused rather than
reduced.
"""

from __future__ import annotations

import re
from typing import NamedTuple, cast

import numpy as np
from PIL import ImageFile, TiffImagePlugin

from loaders.axes import Array, DType
from loaders.decoding.containers import Raw, av1_depth, format_of, hevc_depth
from loaders.decoding.opening import check_pixels, open_picture, pillow_errors
from loaders.decoding.png import deep_png_header, read_deep_png
from loaders.decoding.tiff_colour import as_colour, as_grey, is_colour
from loaders.errors import DecodeError

UINT8 = np.dtype(np.uint8)
_DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
_TIFF_DTYPES = {
    (1, 12): "uint16", (1, 16): "uint16", (1, 32): "uint32", (2, 8): "int8", (2, 16): "int16", (2, 32): "int32",
    (3, 32): "float32",
}  # fmt: skip
"""(SampleFormat, BitsPerSample) -> type."""
_NUMBER = rb"(?:\s|#[^\r\n]*[\r\n])+(\d{1,10})"
_PPM_HEADER = re.compile(rb"P([2356])" + 3 * _NUMBER + rb"(?:#[^\r\n]*[\r\n])*\s")
_COMMENT = re.compile(rb"#[^\r\n]*")


class Raster(NamedTuple):
    """What the header of a PPM or PGM says."""

    kind: int
    """2 and 3: numbers as text; 5 and 6: bytes. 3 and 6 are RGB."""
    width: int
    height: int
    most: int
    """The largest value."""
    start: int
    """Where the values begin."""


def is_deep(raw: Raw, name: str) -> bool:
    """Return whether a PNG, PPM, AVIF or HEIC is deeper than 8 bits; of a TIFF, `stored_dtype` knows.

    Raises:
        DecodeError: unsupported_depth, of an AVIF or HEIC.
    """
    if name == "PNG":
        return bytes(raw[12:16]) == b"IHDR" and len(raw) > 24 and raw[24] == 16
    if name == "PPM":
        raster = raster_of(raw)
        return raster is not None and raster.most > 255
    if name == "AVIF" and (bits := av1_depth(raw)) > 8:
        raise _unsupported(f"an AVIF of {bits} bits, which Pillow would cut to 8")
    if name == "HEIF" and (bits := hevc_depth(raw)) > 8:
        raise _unsupported(f"a HEIC of {bits} bits, which Pillow would cut to 8")
    return False


def stored_dtype(image: ImageFile.ImageFile) -> DType:
    """Return the type of the values of an image that Pillow opened; uint8 for all that has at most 8 bits.

    Raises:
        DecodeError: unsupported_depth.
    """
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = set(_values(image, TiffImagePlugin.BITSPERSAMPLE))
        kinds = set(_values(image, TiffImagePlugin.SAMPLEFORMAT))
        if max(bits) <= 8 and kinds <= {1, 4}:
            return UINT8
        known = _TIFF_DTYPES.get((min(kinds), min(bits))) if len(kinds) == len(bits) == 1 else None
        if known is None or not (image.tag_v2.get(TiffImagePlugin.SAMPLESPERPIXEL, 1) == 1 or is_colour(image)):
            text = f"bits {sorted(bits)}, sample format {sorted(kinds)}, {len(image.getbands())} samples a pixel"
            raise _unsupported(f"a TIFF of {text}")
        return np.dtype(known)
    if image.mode == "F" and image.format == "PPM":
        return np.dtype(np.float32)
    if image.mode in _DEEP_MODES:
        raise _unsupported(f"mode {image.mode} of {image.format}")
    return UINT8


def decode_deep(raw: Raw, *, max_pixels: int) -> Array | None:
    """Return the pixels of a picture that is deeper than 8 bits, None if it is not.

    Raises:
        DecodeError: If it is no picture, damaged, too large, or of a depth that is not read.
    """
    name = format_of(raw)
    if name is not None and is_deep(raw, name):
        return _deep_png(raw, max_pixels) if name == "PNG" else _deep_raster(raw, max_pixels)
    if name not in ("TIFF", "PPM"):
        return None
    with pillow_errors(), open_picture(raw, max_pixels=max_pixels) as image:
        dtype = stored_dtype(image)
        if dtype == UINT8:
            return None
        if isinstance(image, TiffImagePlugin.TiffImageFile) and is_colour(image):
            check_pixels(image.width, image.height, max_pixels)
            with open_picture(as_grey(raw, image), max_pixels=4 * max_pixels) as grey:
                return as_colour(_typed(grey, dtype), image)
        return _typed(image, dtype)


def _typed(image: ImageFile.ImageFile, dtype: DType) -> Array:
    found = np.array(image)
    if found.dtype.itemsize == dtype.itemsize:
        return found.astype(found.dtype.newbyteorder("="), copy=False).view(dtype)
    return found.astype(dtype)  # int32 of Pillow's that holds numbers of 16 bits


def raster_of(raw: Raw) -> Raster | None:
    """Return what the header of a PPM or PGM says; None for other files of the family."""
    found = _PPM_HEADER.match(bytes(raw[:4096]))
    if found is None:
        return None
    kind, width, height, most = (int(number) for number in found.groups())
    return Raster(kind, width, height, most, found.end())


def _deep_png(raw: Raw, max_pixels: int) -> Array:
    header = deep_png_header(raw)
    check_pixels(header.width, header.height, max_pixels)
    shape = (header.height, header.width, header.channels)[: 2 if header.channels == 1 else 3]
    out = np.empty(shape, dtype=np.uint16)
    read_deep_png(raw, header, out)
    return out


def _deep_raster(raw: Raw, max_pixels: int) -> Array:
    raster = cast("Raster", raster_of(raw))
    check_pixels(raster.width, raster.height, max_pixels)
    channels = 3 if raster.kind in (3, 6) else 1
    count = raster.width * raster.height * channels
    if count == 0 or raster.most > 65_535:
        raise DecodeError(f"no picture: {raster.width}x{raster.height} pixels of 0 to {raster.most:,}")
    if raster.kind in (2, 3):
        words = _COMMENT.sub(b"", bytes(raw[raster.start :])).split(maxsplit=count)[:count]
        if not all(word.isdigit() and len(word) <= 5 and int(word) <= raster.most for word in words):
            raise DecodeError(f"damaged picture: values from 0 to {raster.most:,} are expected")
        values = np.array([int(word) for word in words], dtype=np.uint16)
    else:
        values = np.frombuffer(raw, dtype=">u2", offset=raster.start, count=min(count, (len(raw) - raster.start) // 2))
    if len(values) < count:
        raise DecodeError(f"truncated: {count:,} values are expected, found {len(values):,}", rule="truncated")
    found: Array = values.reshape((raster.height, raster.width, channels)[: 2 if channels == 1 else 3])
    return found.astype(np.uint16)


def _values(image: TiffImagePlugin.TiffImageFile, tag: int) -> tuple[int, ...]:
    found = image.tag_v2.get(tag, (1,))
    return tuple(int(value) for value in (found if isinstance(found, tuple) else (found,))) or (1,)


def _unsupported(what: str) -> DecodeError:
    return DecodeError(f"{what}: deeper than 8 bits, and of a kind that is not read yet", rule="unsupported_depth")
