"""Encoded pictures into pixels: JPEG by libjpeg-turbo, common PNG by `png`, all else by Pillow, without the GIL.

Pixels do not depend on who decodes: the compiled `_jpeg` (on the machine's libjpeg-turbo, 2.1.5 when tried),
simplejpeg (which brings 3.1.2) and Pillow (3.2.0) agree bit for bit; tests/loaders/test_pictures.py compares them. A
damaged JPEG is an error, also where libjpeg only warns. EXIF orientation is not applied: pixels are as stored.
"""

from __future__ import annotations

import importlib
import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin, WebPImagePlugin  # noqa: F401  formats that preinit leaves for the first picture

from loaders.decoding.png import PngHeader, check_png, is_read_here, png_header, read_png
from loaders.errors import DecodeError

_native: Any = None
with suppress(ImportError):  # not compiled, or there is no libjpeg-turbo here
    _native = importlib.import_module("loaders.decoding._jpeg")

Pixels = npt.NDArray[np.uint8]
Raw = bytes | bytearray | memoryview

_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Decoders that run in this process; Pillow has others that start programs."""
_DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_TURBO_SPACES = {1: "GRAY", 3: "RGB", 4: "RGBA"}
_UINT8, _UINT16 = np.dtype(np.uint8), np.dtype(np.uint16)
_MAX_SCANS = 100
"""As in `_jpeg.c`: encoders write about ten, and each may cost a pass over the whole picture."""

Image.preinit()  # here, in one thread, and not in the first pictures of several


class Box(NamedTuple):
    """A part of a picture, in pixels."""

    top: int
    left: int
    height: int
    width: int


class StoredForm(NamedTuple):
    """How a picture is stored."""

    shape: tuple[int, ...]
    """(H, W), or (H, W, 3)."""
    dtype: np.dtype[Any]
    """uint8, or uint16 if it is deeper."""
    header: JpegHeader | PngHeader | None
    """None: Pillow is to decode."""


class JpegHeader(NamedTuple):
    """What a JPEG that libjpeg-turbo decodes for us says first: size in pixels, and 1 (grey) or 3 components."""

    height: int
    width: int
    components: int


def jpeg_header(raw: Raw) -> JpegHeader | None:
    """Read the frame header of a JPEG: Huffman coded, 8 bits, grey or three components. None: Pillow is to decide."""
    if raw[:3] != b"\xff\xd8\xff":
        return None
    at, end = 2, len(raw) - 9
    while at < end and raw[at] == 0xFF:
        marker = raw[at + 1]
        if 0xC0 <= marker <= 0xC2:
            height, width = raw[at + 5] << 8 | raw[at + 6], raw[at + 7] << 8 | raw[at + 8]
            components = raw[at + 9]
            is_ours = raw[at + 4] == 8 and components in (1, 3) and height > 0 < width
            return JpegHeader(height, width, components) if is_ours else None
        if marker == 0xFF:  # a fill byte
            at += 1
        elif 0xC3 <= marker <= 0xDA and marker != 0xC4:  # another coding, or no frame header where one must be
            return None
        else:
            at += 2 + (raw[at + 2] << 8 | raw[at + 3])
    return None


def picture_size(raw: Raw) -> tuple[int, int]:
    """Return (height, width) from the header; no pixel is decoded.

    Raises:
        DecodeError: If it is no picture that we read.
    """
    header = jpeg_header(raw) or png_header(raw)
    if header is not None:
        return header.height, header.width
    with _opened(raw) as image:
        width, height = image.size
        return height, width


def decode_into(raw: Raw, out: Pixels, *, max_pixels: int) -> None:
    """Decode a picture into `out`.

    Args:
        raw: The encoded file.
        out: C-contiguous, of the picture's size: (H, W) grey, (H, W, 3) or (H, W, 4), the last with alpha.
        max_pixels: A picture with more is refused before memory is taken.

    Raises:
        DecodeError: If it is no picture, damaged, of another size, too large, or deeper than 8 bits.
    """
    channels = 1 if out.ndim == 2 else out.shape[2]
    header = jpeg_header(raw)
    if header is None or (channels == 1 and header.components == 3):
        png = _png_of(raw, channels)
        if png is None:
            out[...] = _by_pillow(raw, channels, max_pixels, out.shape)
            return
        _check(png.height, png.width, max_pixels, out.shape)
        _by_png(raw, png, out)
        return
    _check(header.height, header.width, max_pixels, out.shape)
    _by_turbo(raw, out, Box(0, 0, *header[:2]), header[:2], max_pixels=max_pixels)


def decode_new(raw: Raw, channels: int, *, max_pixels: int) -> Pixels:
    """Decode a picture into a new array: (H, W) for 1 channel, (H, W, 3), or (H, W, 4).

    Raises:
        DecodeError: As `decode_into`.
    """
    header = jpeg_header(raw)
    if header is None or (channels == 1 and header.components == 3):
        png = _png_of(raw, channels)
        if png is None:
            return _by_pillow(raw, channels, max_pixels)
        _check(png.height, png.width, max_pixels)
        out = np.empty(_shape(png.height, png.width, channels), dtype=np.uint8)
        _by_png(raw, png, out)
        return out
    _check(header.height, header.width, max_pixels)
    out = np.empty(_shape(header.height, header.width, channels), dtype=np.uint8)
    _by_turbo(raw, out, Box(0, 0, *header[:2]), header[:2], max_pixels=max_pixels)
    return out


def decode_box(raw: Raw, header: JpegHeader, box: Box, *, max_pixels: int, eighths: int = 8) -> Pixels:
    """Decode a part of a JPEG into a new array (height, width, 3).

    Only the box is transformed, and rows below it are not read: damage there is not seen. A file that does not end as
    a JPEG ends is read to its end all the same, so a cut one is refused whatever the box. Without the compiled module
    everything is decoded; the pixels are the same.

    Args:
        raw: The encoded file.
        header: Its `jpeg_header`.
        box: In pixels of the picture at `eighths / 8` of its size, rounded up.
        max_pixels: A picture with more, at full size, is refused.
        eighths: Scale: 1, 2, 4 or 8.

    Raises:
        DecodeError: As `decode_into`.
    """
    _check(header.height, header.width, max_pixels)
    out = np.empty((box.height, box.width, 3), dtype=np.uint8)
    whole = (-(-header.height * eighths // 8), -(-header.width * eighths // 8))
    _by_turbo(raw, out, box, whole, max_pixels=max_pixels, eighths=eighths)
    return out


def stored_form(raw: Raw) -> StoredForm:
    """Read how a picture is stored.

    Raises:
        DecodeError: If it is no picture that we read, or one with alpha.
    """
    jpeg = jpeg_header(raw)
    if jpeg is not None:
        return StoredForm(_shape(*jpeg), _UINT8, jpeg)
    png = png_header(raw)
    if png is not None:
        return StoredForm(_shape(*png[:3]), _UINT16 if png.bits == 16 else _UINT8, png)
    with _opened(raw) as image:
        width, height = image.size
        if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
            raise DecodeError(f"a picture with alpha (mode {image.mode}), where grey or RGB is expected")
        shape = _shape(height, width, 1 if image.mode in ("1", "L", *_DEEP_MODES) else 3)
        return StoredForm(shape, _UINT16 if image.mode in _DEEP_MODES else _UINT8, None)


def decode_stored(raw: Raw, form: StoredForm, out: NDArray[Any], *, max_pixels: int) -> None:
    """Decode a picture as it is stored.

    Args:
        raw: The encoded file.
        form: Its `stored_form`.
        out: C-contiguous, of that shape and type.
        max_pixels: A picture with more is refused before memory is taken.

    Raises:
        DecodeError: If it is damaged, or too large.
    """
    header = form.header
    _check(form.shape[0], form.shape[1], max_pixels, out.shape)
    if isinstance(header, JpegHeader):
        _by_turbo(raw, out, Box(0, 0, *header[:2]), header[:2], max_pixels=max_pixels)
    elif header is not None:
        _by_png(raw, header, out)
    elif form.dtype == _UINT8:
        out[...] = _by_pillow(raw, 1 if out.ndim == 2 else 3, max_pixels, out.shape)
    else:
        with _opened(raw) as image:
            out[...] = np.asarray(image)


def cut(whole: Pixels, box: Box) -> Pixels:
    """Return a box of a picture, without copying."""
    return whole[box.top : box.top + box.height, box.left : box.left + box.width]


def _shape(height: int, width: int, channels: int) -> tuple[int, ...]:
    return (height, width) if channels == 1 else (height, width, channels)


def _png_of(raw: Raw, channels: int) -> PngHeader | None:
    """Return the header of a PNG whose pixels are 8 bits of these channels, as they are."""
    header = png_header(raw)
    return header if header is not None and header.bits == 8 and header.channels == channels else None


def _by_png(raw: Raw, header: PngHeader, out: NDArray[Any]) -> None:
    if is_read_here(header):
        read_png(raw, header, out)
        return
    check_png(raw)  # Pillow checks less
    with _opened(raw) as image:
        out[...] = np.asarray(image)


def _by_turbo(
    raw: Raw, out: Pixels, box: Box, whole: tuple[int, int], *, max_pixels: int, eighths: int = 8
) -> None:
    """Decode a box of a JPEG whose size, scaled, is `whole`: height and width."""
    channels = 1 if out.ndim == 2 else out.shape[2]
    try:
        if _native is not None:
            top, left, height, width = box
            # Libraries smooth a picture with incomplete scans differently; simplejpeg and Pillow do it alike.
            with suppress(NotImplementedError):
                _native.decode(raw, out, height, width, channels, left, top, eighths, max_pixels)
                return
        if out.shape[:2] == whole:
            _by_simplejpeg(raw, out, channels)
        else:
            pixels = np.empty((*whole, *out.shape[2:]), dtype=np.uint8)
            _by_simplejpeg(raw, pixels, channels)
            out[...] = cut(pixels, box)
    except ValueError as error:
        raise DecodeError(f"damaged JPEG: {error}") from error


def _by_simplejpeg(raw: Raw, out: Pixels, channels: int) -> None:
    import simplejpeg

    if bytes(raw).count(b"\xff\xda") > _MAX_SCANS:
        raise ValueError(f"the JPEG has more than {_MAX_SCANS} scans")
    height, width = out.shape[:2]
    found = simplejpeg.decode_jpeg(
        raw, _TURBO_SPACES[channels], min_height=height, min_width=width, buffer=out, strict=True
    )
    if found.shape[:2] != (height, width):
        raise ValueError(f"expected {height} x {width} pixels, found {found.shape[0]} x {found.shape[1]}")


def _by_pillow(raw: Raw, channels: int, max_pixels: int, shape: tuple[int, ...] | None = None) -> Pixels:
    with _opened(raw) as image:
        width, height = image.size
        _check(height, width, max_pixels, shape)
        if image.mode in _DEEP_MODES:
            raise DecodeError(f"mode {image.mode} has more than 8 bits; store such pictures as npy")
        mode = _MODES[channels]
        return np.array(image if image.mode == mode else image.convert(mode))


@contextmanager
def _opened(raw: Raw) -> Iterator[Any]:
    """Open a picture with Pillow; whatever it raises then is a DecodeError."""
    try:
        with Image.open(io.BytesIO(raw), formats=_FORMATS) as image:
            yield image
    except DecodeError:
        raise
    except Exception as error:  # on hostile bytes, decoders of formats raise whatever they run into
        raise DecodeError(f"no picture, or a damaged one: {error}") from error


def _check(height: int, width: int, max_pixels: int, shape: tuple[int, ...] | None = None) -> None:
    if width * height > max_pixels:
        raise DecodeError(f"{width}x{height} pixels are more than max_pixels={max_pixels:,}")
    if shape is not None and shape[:2] != (height, width):
        raise DecodeError(f"expected shape {shape}, found height {height} and width {width}")
