"""Encoded pictures into pixels: JPEG by libjpeg-turbo, common PNG by `png`, all else by Pillow, without the GIL.

Pixels do not depend on who decodes: the compiled `_jpeg` (on the machine's libjpeg-turbo, 2.1.5 when tried),
simplejpeg (which brings 3.1.2) and Pillow (3.2.0) agree bit for bit; tests/loaders/test_pictures.py compares them. A
damaged JPEG is an error, also where libjpeg only warns. EXIF orientation is not applied: pixels are as stored.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFile, JpegImagePlugin

from loaders.axes import Array, DType, Octets
from loaders.decoding.containers import Raw, format_of, jpeg_step, missing_components
from loaders.decoding.native import decode_deep, is_deep, raster_of, stored_dtype
from loaders.decoding.opening import UNLIMITED, check_pixels, open_picture, pillow_errors
from loaders.decoding.png import PngHeader, deep_png_header, is_read_here, png_header, read_deep_png, read_png
from loaders.errors import DecodeError

_native: ModuleType | None = None
with suppress(ImportError):  # not compiled, or there is no libjpeg-turbo here
    _native = importlib.import_module("loaders.decoding._jpeg")

Pixels = Octets
_DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
_TO_RGB = frozenset(("1", "L", "LA", "P", "RGB", "RGBA", "CMYK"))
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_TURBO_SPACES = {1: "GRAY", 3: "RGB", 4: "RGBA"}
_UINT8, _UINT16 = np.dtype(np.uint8), np.dtype(np.uint16)
_MAX_SCANS = 100
"""As in `_jpeg.c`: encoders write about ten, and each may cost a pass over the whole picture."""

_TABLES = 1024
"""Bytes from the frame header within which the first scan begins in files of the usual kind."""
_JUNK = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
_JUNK_TRIES = 4
"""The library does not count what it had read ahead of the end of the scan, which it then meets again."""


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
    dtype: DType
    """uint8, or uint16 if it is deeper."""
    header: JpegHeader | PngHeader | None
    """None: Pillow is to decode."""


class JpegHeader(NamedTuple):
    """What a JPEG that libjpeg-turbo decodes for us says first: size in pixels, and 1 (grey) or 3 components."""

    height: int
    width: int
    components: int


def jpeg_header(raw: Raw) -> JpegHeader | None:
    """Read the frame header of a JPEG: Huffman coded, 8 bits, grey or three components, all of them in the first scan.

    None: Pillow is to decide, after a closer look at the file.
    """
    header, at = _frame_header(raw)
    if header is None:
        return None
    tables = bytes(raw[at : at + _TABLES])
    scan = tables.find(b"\xff\xda") + 4
    return header if scan < len(tables) and tables[scan] == header.components else None


def _frame_header(raw: Raw) -> tuple[JpegHeader | None, int]:
    """Return the frame header of a JPEG whose coding is ours, and where it stands."""
    if raw[:3] != b"\xff\xd8\xff":
        return None, 0
    at, end = 2, len(raw) - 9
    while at < end and raw[at] == 0xFF:
        marker = raw[at + 1]
        if 0xC0 <= marker <= 0xC2:
            height, width = raw[at + 5] << 8 | raw[at + 6], raw[at + 7] << 8 | raw[at + 8]
            components = raw[at + 9]
            is_ours = raw[at + 4] == 8 and components in (1, 3) and height > 0 < width
            return (JpegHeader(height, width, components) if is_ours else None), at
        if marker == 0xFF:  # a fill byte
            at += 1
        elif 0xC3 <= marker <= 0xDA and marker != 0xC4:  # another coding, or no frame header where one must be
            return None, at
        else:
            at += 2 + (raw[at + 2] << 8 | raw[at + 3])
    return None, at


def picture_size(raw: Raw) -> tuple[int, int]:
    """Return (height, width) from the header; no pixel is decoded.

    Raises:
        DecodeError: If it is no picture that we read.
    """
    header = _frame_header(raw)[0] or png_header(raw)
    if header is not None:
        return header.height, header.width
    deep = raster_of(raw) if format_of(raw) == "PPM" else None
    if deep is not None:
        return deep.height, deep.width
    with _opened(raw, UNLIMITED) as image:
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
    header: JpegHeader | PngHeader | None = jpeg_header(raw) or _png_of(raw, channels)
    if header is None:
        out[...] = _by_pillow(raw, channels, max_pixels, out.shape)
        return
    _check(header.height, header.width, max_pixels, out.shape)
    _by_header(raw, header, out, max_pixels)


def decode_new(raw: Raw, channels: int, *, max_pixels: int) -> Pixels:
    """Decode a picture into a new array: (H, W) for 1 channel, (H, W, 3), or (H, W, 4).

    Raises:
        DecodeError: As `decode_into`.
    """
    header: JpegHeader | PngHeader | None = jpeg_header(raw) or _png_of(raw, channels)
    if header is None:
        return _by_pillow(raw, channels, max_pixels)
    _check(header.height, header.width, max_pixels)
    out = np.empty(_shape(header.height, header.width, channels), dtype=np.uint8)
    _by_header(raw, header, out, max_pixels)
    return out


def decode_native(raw: Raw, *, max_pixels: int) -> Array:
    """Decode a picture into a new array of the type that its values have: see `native` for what is deeper than 8 bits.

    Returns:
        uint8 (H, W, 3), or what `native` says.

    Raises:
        DecodeError: If it is no picture, damaged, too large, or of a depth that is not read.
    """
    if jpeg_header(raw) is None:
        deep = decode_deep(raw, max_pixels=max_pixels)
        if deep is not None:
            return deep
    return decode_new(raw, 3, max_pixels=max_pixels)


def check_picture(raw: Raw, *, max_pixels: int) -> StoredForm:
    """Decode a picture for nothing but the errors: where this passes, `decode_native` does.

    A JPEG is decoded at an eighth of its size: all of its data is read, at a fraction of the cost.

    Returns:
        Shape and type of its values; the shape is (H, W) for grey, (H, W, 3) for RGB and for what becomes RGB.

    Raises:
        DecodeError: As `decode_native`.
    """
    jpeg, png = jpeg_header(raw), png_header(raw)
    if jpeg is not None:
        height, width = -(-jpeg.height // 8), -(-jpeg.width // 8)
        _check(jpeg.height, jpeg.width, max_pixels)
        out = np.empty(_shape(height, width, jpeg.components), dtype=np.uint8)
        _by_turbo(raw, out, Box(0, 0, height, width), (height, width), max_pixels=max_pixels, eighths=1)
        return StoredForm(_shape(*jpeg), _UINT8, jpeg)
    if png is not None and png.bits == 8:
        return StoredForm(decode_new(raw, png.channels, max_pixels=max_pixels).shape, _UINT8, png)
    deep = decode_deep(raw, max_pixels=max_pixels)
    if deep is not None:
        return StoredForm(deep.shape, deep.dtype, None)
    with _opened(raw, max_pixels) as image:
        image.load()
        if image.mode not in _TO_RGB:
            image.convert("RGB")  # which not every mode can
        return StoredForm(_shape(image.height, image.width, 1 if image.mode in ("1", "L") else 3), _UINT8, None)


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
    with _opened(raw, UNLIMITED) as image:
        width, height = image.size
        if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
            raise DecodeError(f"a picture with alpha (mode {image.mode}), where grey or RGB is expected")
        if format_of(raw) == "PNG" and is_deep(raw, "PNG"):
            deep = deep_png_header(raw)
            return StoredForm(_shape(*deep[:3]), _UINT16, deep)
        shape = _shape(height, width, 1 if image.mode in ("1", "L", *_DEEP_MODES) else 3)
        return StoredForm(shape, _UINT16 if image.mode in _DEEP_MODES else _UINT8, None)


def decode_stored(raw: Raw, form: StoredForm, out: Array, *, max_pixels: int) -> None:
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
        with _opened(raw, max_pixels) as image:
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


def _by_png(raw: Raw, header: PngHeader, out: Array) -> None:
    if header.bits == 16:
        read_deep_png(raw, header, out)
        return
    if is_read_here(header):
        read_png(raw, header, out)
        return
    with _opened(raw, UNLIMITED) as image:
        out[...] = np.asarray(image)


def _by_header(raw: Raw, header: JpegHeader | PngHeader, out: Pixels, max_pixels: int) -> None:
    if isinstance(header, PngHeader):
        _by_png(raw, header, out)
        return
    whole = Box(0, 0, header.height, header.width)
    if out.ndim == 3 or header.components == 1:
        _by_turbo(raw, out, whole, header[:2], max_pixels=max_pixels)
        return
    colours = np.empty((*out.shape, 3), dtype=np.uint8)
    _by_turbo(raw, colours, whole, header[:2], max_pixels=max_pixels)
    out[...] = np.asarray(Image.fromarray(colours).convert("L"))


def _by_turbo(
    raw: Raw, out: Pixels, box: Box, whole: tuple[int, int], *, max_pixels: int, eighths: int = 8
) -> None:
    """Decode a box of a JPEG whose size, scaled, is `whole`: height and width."""
    try:
        _by_library(raw, out, box, whole, max_pixels, eighths)
    except ValueError:
        _past_junk(raw, lambda data: _by_library(data, out, box, whole, max_pixels, eighths))


def _past_junk(raw: Raw, decode: Callable[[Raw], None]) -> None:
    """Decode a JPEG; if there is junk before its end mark, again without that.

    Raises:
        DecodeError: If it is damaged.
    """
    for left in reversed(range(_JUNK_TRIES)):
        try:
            decode(raw)
            return
        except ValueError as error:
            junk = _JUNK.search(str(error))
            if junk is None or not left:
                text = str(error).lower()
                rule = "truncated" if "truncated" in text or "premature end" in text else "undecodable"
                raise DecodeError(f"damaged JPEG: {error}", rule=rule) from error
            raw = _without_junk(raw, int(junk[1]))


def _by_library(raw: Raw, out: Pixels, box: Box, whole: tuple[int, int], max_pixels: int, eighths: int) -> None:
    channels = 1 if out.ndim == 2 else out.shape[2]
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


def _without_junk(raw: Raw, count: int) -> bytes:
    """Return a JPEG without the bytes that stand between its last scan and its end mark: they are of no pixel.

    They are cut off before the first end mark behind a scan, where the library found it; what it still objects to
    then is damage.
    """
    data = bytes(raw)
    at, is_behind = 2, False
    while 0 <= (at := data.find(b"\xff", at)) < len(data) - 4:
        marker = data[at + 1]
        if marker == 0xD9 and is_behind:
            return data[: at - count] + data[at:]
        is_behind = is_behind or marker == 0xDA
        at += jpeg_step(data, at)
    end = data.rfind(b"\xff\xd9")
    return data[: max(0, end - count)] + data[end:]


def _check_strictly(raw: Raw) -> None:
    """Refuse a JPEG that is Pillow's, and that libjpeg warns about: Pillow would paint over the damage.

    Raises:
        DecodeError: If it is damaged.
    """
    import simplejpeg

    missing = missing_components(raw)
    if missing:
        text = f"damaged JPEG: it ends before the scan of component {min(missing)}"
        raise DecodeError(text, rule="truncated")

    def decode(data: Raw) -> None:
        if bytes(data).count(b"\xff\xda") > _MAX_SCANS:
            raise ValueError(f"the JPEG has more than {_MAX_SCANS} scans")
        _, _, space, _ = simplejpeg.decode_jpeg_header(data, strict=True)
        simplejpeg.decode_jpeg(data, "CMYK" if space in ("CMYK", "YCCK") else "RGB", min_factor=8, strict=True)

    _past_junk(raw, decode)


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
    name = format_of(raw)
    if name is not None and is_deep(raw, name):
        raise _too_deep()
    with _opened(raw, max_pixels) as image:
        width, height = image.size
        _check(height, width, max_pixels, shape)
        if stored_dtype(image) != _UINT8:
            raise _too_deep()
        mode = _MODES[channels]
        if channels != 4:
            image.load()
            image.info.pop("transparency", None)  # of no use without alpha, and Pillow warns about some
        return np.array(image if image.mode == mode else image.convert(mode))


def _too_deep() -> DecodeError:
    return DecodeError(
        "the picture has more than 8 bits, which an `image` column would cut off; publish it as codec `native_image` "
        "(in a recipe: pixels = \"native\" under [image]), or as npy"
    )


@contextmanager
def _opened(raw: Raw, max_pixels: int) -> Iterator[ImageFile.ImageFile]:
    with pillow_errors(), open_picture(raw, max_pixels=max_pixels) as image:
        if isinstance(image, JpegImagePlugin.JpegImageFile):
            _check_strictly(raw)
        yield image


def _check(height: int, width: int, max_pixels: int, shape: tuple[int, ...] | None = None) -> None:
    check_pixels(width, height, max_pixels)
    if shape is not None and shape[:2] != (height, width):
        raise DecodeError(f"expected shape {shape}, found height {height} and width {width}")
