"""A picture's file opened by Pillow: by the one decoder that its bytes call for, after its container was checked."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Named one by one: each registers itself, and no decoder outside this list is ever reached. Others start programs.
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from loaders.decoding.containers import Raw, check_container, format_of, gif_layout, slim_png, webp_canvas
from loaders.errors import DecodeError

UNLIMITED = 1 << 62
"""For `max_pixels`, where nothing is decoded."""

DECODERS = (
    AvifImagePlugin, BmpImagePlugin, GifImagePlugin, JpegImagePlugin, MpoImagePlugin,
    PngImagePlugin, PpmImagePlugin, TiffImagePlugin, WebPImagePlugin,
)  # fmt: skip
_CUT = ("truncated", "not enough image data", "unexpected end of file", "buffer is not large enough")


def open_picture(raw: Raw, *, max_pixels: int, is_whole: bool = True) -> ImageFile.ImageFile:
    """Return Pillow's image of a file; its pixels are not decoded yet.

    Pillow's own limit, of 89 million pixels, is raised in this process where `max_pixels` is above it.

    Args:
        raw: The file.
        max_pixels: A picture with more is refused.
        is_whole: Refuse a file that is cut off or whose checksums differ. False: the header is enough.

    Raises:
        DecodeError: With a rule: no picture that we read, a cut or damaged one, or one of too many pixels.
    """
    _raise_the_limit_of_pillow(max_pixels)
    with pillow_errors():
        name = format_of(raw)
        if name is None:
            raise DecodeError("no picture: its first bytes are of no kind that is read")
        if name == "WEBP":  # Pillow takes memory for the canvas while it opens it
            check_pixels(*webp_canvas(raw), max_pixels)
        if name == "GIF":  # and enlarges this one to hold every frame
            check_pixels(*gif_layout(raw)[:2], max_pixels)
        elif is_whole:
            check_container(raw, name)
        file = slim_png(raw) if name == "PNG" else raw
        # Not `Image.open`, which would ask each decoder whether the file is its own.
        image = _decoder_of(name)(io.BytesIO(file), "")
        check_pixels(image.width, image.height, max_pixels)
        return image


def _decoder_of(name: str) -> Callable[[io.BytesIO, str], ImageFile.ImageFile]:
    if name != "HEIF":
        return Image.OPEN[name][0]
    # Where one is met: libheif is 20 MB, and an extra.
    from pillow_heif import HeifImageFile

    return HeifImageFile


def check_pixels(width: int, height: int, max_pixels: int) -> None:
    """Check the size of a picture.

    Raises:
        DecodeError: too_many_pixels.
    """
    if width * height > max_pixels:
        text = f"{width}x{height} pixels are more than max_pixels={max_pixels:,}; raise it where such are wanted"
        raise DecodeError(text, rule="too_many_pixels")


def _raise_the_limit_of_pillow(max_pixels: int) -> None:
    """Let Pillow open what was asked for: some of its decoders know no limit but the one of the whole process."""
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and limit < max_pixels < UNLIMITED:
        Image.MAX_IMAGE_PIXELS = max_pixels


@contextmanager
def pillow_errors() -> Iterator[None]:
    """Run a block that opens or decodes with Pillow: whatever it raises is a DecodeError with a rule."""
    try:
        yield
    except DecodeError:
        raise
    except Image.DecompressionBombError as error:
        raise DecodeError(f"no picture that is read: {error}", rule="too_many_pixels") from error
    except UnidentifiedImageError as error:  # its text holds an address, another one in each run
        raise DecodeError("no picture, or a damaged one: Pillow finds no valid header") from error
    except Exception as error:  # on hostile bytes, decoders of formats raise whatever they run into
        text = str(error).strip() or type(error).__name__
        is_cut = isinstance(error, EOFError) or any(sign in text.lower() for sign in _CUT)
        rule = "truncated" if is_cut else "undecodable"
        raise DecodeError(f"no picture, or a damaged one: {text}", rule=rule) from error
