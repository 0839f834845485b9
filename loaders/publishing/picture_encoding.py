"""Pictures encoded anew: their size, their codec, and where their pixels come to lie.

Colours: pixels are those that a column of codec `image` delivers, 8 bits of RGB (alpha dropped, CMYK and palettes
converted by Pillow, profiles not applied); grey pictures become RGB of three equal channels. Metadata is left out, and
EXIF's orientation is applied. The bytes depend on the picture, the form and the versions that `encoder_of` names.
"""

from __future__ import annotations

import io
from importlib.metadata import version
from typing import Any

from PIL import Image, features

from loaders.decoding.containers import Raw, format_of, jpeg_step
from loaders.decoding.drawing import Upright
from loaders.decoding.limits import MAX_PIXELS
from loaders.decoding.orientation import orientation_of
from loaders.decoding.pictures import Box, picture_size
from loaders.decoding.placement import Placement, turned_size
from loaders.publishing.picture_form import INTERPOLATIONS, KEEP, LOSSLESS, PictureForm

FORM_CONTRACT = 1
"""Raised whenever the same picture and form would give other pixels, another place for them, or other settings of an
encoder."""

_RESAMPLING = {name: Image.Resampling[name.upper()] for name in INTERPOLATIONS}
_BYTES_PER_PIXEL = {"jpeg": 0.35, "png": 2.0, "webp": 0.25}
_SETTINGS: dict[str, dict[str, Any]] = {
    "jpeg": {"subsampling": "4:2:0", "optimize": False, "progressive": False},
    "png": {"compress_level": 6},
    "webp": {"method": 4},
}


def encoded(raw: bytes, form: PictureForm, *, max_pixels: int = MAX_PIXELS) -> bytes:
    """Return the file that is stored of a picture.

    Args:
        raw: The file as it was landed.
        form: What it becomes.
        max_pixels: A picture with more is refused before it is decoded.

    Raises:
        DecodeError: If it is no picture, damaged, too large, or deeper than 8 bits.
    """
    picture = Upright(raw, exif=True, max_pixels=max_pixels)
    placement = placement_of(form, *picture.stored, picture.orientation)
    if stays(form, placement):
        return raw
    upright = Image.fromarray(picture.pixels(Box(0, 0, *picture.size)))
    return saved(drawn(upright, form, placement), form, form.codec_of(format_of(raw)))


def placement_of(form: PictureForm, height: int, width: int, orientation: int) -> Placement:
    """Return where the pixels of a picture come to lie.

    Args:
        form: What it becomes.
        height: Of the picture as it was landed, px.
        width: The same.
        orientation: EXIF's, 1 to 8.
    """
    h, w = turned_size(height, width, orientation)
    window = (0.0, 0.0, float(w), float(h))
    if form.size is None:
        scale = 1.0 if form.max_side is None else min(1.0, form.max_side / max(h, w))
        canvas = _scaled(h, w, scale)
        return Placement(height, width, window, Box(0, 0, *canvas), canvas, orientation)
    canvas, place = form.size, Box(0, 0, *form.size)
    ratios = canvas[0] / h, canvas[1] / w
    if form.fit == "cover":
        part_h, part_w = min(float(h), canvas[0] / max(ratios)), min(float(w), canvas[1] / max(ratios))
        window = ((w - part_w) / 2, (h - part_h) / 2, part_w, part_h)
    elif form.fit == "contain":
        sides = _scaled(h, w, min(ratios))
        place = Box((canvas[0] - sides[0]) // 2, (canvas[1] - sides[1]) // 2, *sides)
    return Placement(height, width, window, place, canvas, orientation)


def _scaled(height: int, width: int, scale: float) -> tuple[int, int]:
    return max(1, round(height * scale)), max(1, round(width * scale))


def stays(form: PictureForm, placement: Placement) -> bool:
    """Return whether a picture of this placement is stored byte for byte as it is."""
    sides = (placement.height, placement.width)
    is_whole = placement.window == (0.0, 0.0, float(sides[1]), float(sides[0]))
    is_same = placement.orientation == 1 and placement.canvas == sides and placement.place == Box(0, 0, *sides)
    return form.codec == KEEP and is_whole and is_same


def estimated_bytes(placement: Placement, codec: str) -> int:
    """Return about how many bytes a picture takes: row groups are cut before anything is encoded."""
    height, width = placement.canvas
    return max(256, round(height * width * _BYTES_PER_PIXEL[codec]))


def drawn(upright: Image.Image, form: PictureForm, placement: Placement) -> Image.Image:
    """Draw the window of an upright picture into the canvas of its placement."""
    left, top, width, height = placement.window
    place = placement.place
    sides, box = (place.width, place.height), (left, top, left + width, top + height)
    if upright.size != sides or box != (0, 0, *upright.size):
        upright = upright.resize(sides, _RESAMPLING[form.interpolation], box=box)
    if place == Box(0, 0, *placement.canvas):
        return upright
    out = Image.new("RGB", placement.canvas[::-1], (form.padding,) * 3)
    out.paste(upright, (place.left, place.top))
    return out


def saved(image: Image.Image, form: PictureForm, codec: str) -> bytes:
    """Return a picture as a file of a codec."""
    out = io.BytesIO()
    quality = {} if codec in LOSSLESS else {"quality": form.quality}
    image.save(out, codec.upper(), **_SETTINGS[codec], **quality)
    return out.getvalue()


def encoder_of(form: PictureForm) -> str:
    """Return the versions of what resizes and encodes here: the same bytes come of the same ones alone."""
    asked = {
        "jpeg": lambda: f"libjpeg-turbo {features.version_feature('libjpeg_turbo')}",
        "png": lambda: f"zlib {features.version_codec('zlib')}",
        "webp": lambda: f"libwebp {features.version_module('webp')}",
    }
    return ", ".join([f"Pillow {version('pillow')}", *(asked[codec]() for codec in form.codecs)])


def stored_facts(raw: Raw) -> tuple[str | None, int, int, int]:
    """Return Pillow's name of the format, height, width (px, as stored) and EXIF's orientation of a picture.

    Args:
        raw: All of its bytes, or enough of them.

    Raises:
        DecodeError: If it is no picture that we read, or its header is not whole.
    """
    return (format_of(raw), *picture_size(raw), orientation_of(raw))


def is_enough(raw: Raw) -> bool:
    """Return whether the first bytes of a file hold all that `stored_facts` reads: a JPEG's, up to its first scan."""
    if format_of(raw) != "JPEG":
        return False
    data, at = bytes(raw), 2
    while at < len(data) - 4 and data[at] == 0xFF:
        if data[at + 1] == 0xDA:
            return at + jpeg_step(data, at) < len(data)
        at += jpeg_step(data, at)
    return False
