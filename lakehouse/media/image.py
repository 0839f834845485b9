"""One image: its facts from the header, and whether it can be decoded whole.

Every problem is a `RejectedInputError` with one of the rules below; nothing else is raised for any bytes.

    empty               no bytes
    too_large           more encoded bytes than the limit
    unknown_type        bytes of no kind we know, or of a kind that is no media (text, archives, tables)
    unsupported_media   audio, video, and kinds of image that are not decoded here
    extension_mismatch  the name claims another kind than the bytes are: HTML or a PNG as .jpg
    too_many_pixels     a decompression bomb, refused from the header
    too_many_frames     more frames or pages than the limit
    unsupported_depth   a picture deeper than 8 bits, of a kind that is not read without cutting it
    truncated           the end is missing
    undecodable         everything else that a decoder or a checksum objects to

Whether a picture can be decoded is for the reader to say: `loaders.decoding.verdict`, which build relies on as well.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from PIL import Image, ImageFile, TiffImagePlugin

from lakehouse.errors import RejectedInputError
from lakehouse.media.exif import read_exif
from lakehouse.media.limits import DEFAULT_LIMITS, ImageLimits
from lakehouse.media.signature import checked_type
from lakehouse.media.sniff import PICTURES, Data
from loaders.decoding.verdict import (
    VERDICT_VERSION,
    DecodeError,
    Verdict,
    gif_layout,
    judge,
    open_picture,
    pillow_errors,
)

PROBE_VERSION = VERDICT_VERSION
"""Raised when the same file would be judged otherwise: what an older probe rejected is looked at again."""

_MEDIA_TYPES = {name: media_type for media_type, name in PICTURES.items()} | {"MPO": "image/jpeg"}
_ANIMATED = frozenset(("GIF", "PNG", "WEBP", "AVIF"))
_MODE_BITS = {"1": 1, "I": 32, "F": 32}

@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What the header of an image says.

    Attributes:
        media_type: For example image/png.
        format: Pillow's name of the format: JPEG, MPO, PNG ...
        width_px: Width as stored, before any EXIF orientation.
        height_px: Height as stored.
        mode: Pillow's mode of the first frame: L, P, RGB, RGBA, CMYK, I;16 ...
        channels: Bands of the mode; a palette image has one.
        bits: Bits of one sample as stored: 1, 8, 16 ...; of an index for palettes.
        frames: Frames or pages, at least 1; of several pictures in a JPEG those that are there.
        is_animated: Whether the format plays its frames and has more than one; pages of a TIFF do not play.
        size_bytes: Encoded bytes.
        exif_orientation: See `ExifFacts`.
        captured_at: See `ExifFacts`.
        captured_at_has_offset: See `ExifFacts.has_offset`.
        pixel_type: Type of the values as the reader gives them: uint8, or that of a deeper picture. None: only the
            header was read.
    """

    media_type: str
    format: str
    width_px: int
    height_px: int
    mode: str
    channels: int
    bits: int
    frames: int
    is_animated: bool
    size_bytes: int
    exif_orientation: int | None
    captured_at: datetime | None
    captured_at_has_offset: bool | None
    pixel_type: str | None = None


def probe_image(data: Data, *, name: str, limits: ImageLimits = DEFAULT_LIMITS) -> ImageFacts:
    """Return what an image is that is whole, within the limits and decodable by the reader.

    All entropy coding of the first frame is decoded, container checksums and ends are checked, of later frames too;
    memory stays near one decoded frame, and is spent only after the header was found within the limits. Flipped bits
    inside JPEG data that still decode cannot be found.

    Args:
        data: The file, as bytes or mapped.
        name: File name; its extension is compared with the content. One without a known extension is fine.
        limits: What counts as hostile.

    Raises:
        RejectedInputError: With one of the rules of this module.
    """
    media_type = check_type(data, name=name, limits=limits)
    raw = bytes(data)
    with _rejecting():
        verdict = judge(raw, max_pixels=limits.max_pixels)
    try:
        facts = read_facts(raw, limits=limits)
    except RejectedInputError as error:
        if error.rule == "too_many_frames":
            raise
        facts = _facts_of_verdict(verdict, media_type, raw)
    return dataclasses.replace(facts, pixel_type=verdict.pixel_type)


def check_type(data: Data, *, name: str, limits: ImageLimits = DEFAULT_LIMITS) -> str:
    """Return the media type of an image that we decode, looking at its first bytes and its name alone.

    Raises:
        RejectedInputError: empty, too_large, unknown_type, unsupported_media, extension_mismatch or truncated.
    """
    found = checked_type(data, name=name, max_bytes=limits.max_bytes)
    if found.startswith(("audio/", "video/")) or (found.startswith("image/") and found not in PICTURES):
        raise RejectedInputError("unsupported_media", f"{found} is not supported by this step yet")
    if found not in PICTURES:
        raise RejectedInputError("unknown_type", f"{found} is not a media type")
    return found


def open_image(data: Data, *, limits: ImageLimits = DEFAULT_LIMITS) -> ImageFile.ImageFile:
    """Open an image with the one decoder that its bytes call for; nothing is decoded yet.

    Raises:
        RejectedInputError: If it is no image that we decode, or beyond the limits.
    """
    check_type(data, name="", limits=limits)
    with _rejecting():
        return open_picture(bytes(data), max_pixels=limits.max_pixels, is_whole=False)


def read_facts(data: Data, *, limits: ImageLimits = DEFAULT_LIMITS) -> ImageFacts:
    """Return the facts of an image from its header, decoding nothing: it may still be truncated.

    Raises:
        RejectedInputError: If it is no image that we decode, or beyond the limits.
    """
    return facts_of(open_image(data, limits=limits), data, limits=limits)


def facts_of(image: ImageFile.ImageFile, data: Data, *, limits: ImageLimits = DEFAULT_LIMITS) -> ImageFacts:
    """Return the facts of an image from `open_image`, not yet loaded; `data` are its bytes.

    Raises:
        RejectedInputError: If it is beyond the limits, or its header lies.
    """
    with _rejecting():
        return _facts(image, data, _MEDIA_TYPES[image.format or ""], limits)


@contextmanager
def decoding() -> Iterator[None]:
    """Run a block that decodes with Pillow: its warnings are dropped, what it raises becomes a rejection.

    Raises:
        RejectedInputError: truncated, undecodable or too_many_pixels.
    """
    with _rejecting():
        yield


def _facts(image: ImageFile.ImageFile, data: Data, media_type: str, limits: ImageLimits) -> ImageFacts:
    frames = _count_frames(image, data, limits)
    exif = read_exif(image)
    return ImageFacts(
        media_type=media_type,
        format=image.format or PICTURES[media_type],
        width_px=image.width,
        height_px=image.height,
        mode=image.mode,
        channels=len(image.getbands()),
        bits=_bits(image, data),
        frames=frames,
        is_animated=frames > 1 and image.format in _ANIMATED,
        size_bytes=len(data),
        exif_orientation=exif.orientation,
        captured_at=exif.captured_at,
        captured_at_has_offset=exif.has_offset,
    )


def _facts_of_verdict(verdict: Verdict, media_type: str, data: bytes) -> ImageFacts:
    """Return facts of a picture that the reader decodes and whose header Pillow does not take."""
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[verdict.channels]
    bits = 8 if verdict.pixel_type == "uint8" else 16
    return ImageFacts(media_type, verdict.format, verdict.width, verdict.height, mode, verdict.channels, bits, 1, False,
                      len(data), None, None, None)


def _count_frames(image: ImageFile.ImageFile, data: Data, limits: ImageLimits) -> int:
    frames = gif_layout(bytes(data)).frames if image.format == "GIF" else getattr(image, "n_frames", 1)
    if image.format in ("TIFF", "MPO"):
        frames = _count_pictures(image, limits)
    if frames > limits.max_frames:
        raise RejectedInputError("too_many_frames", f"{frames:,} frames, limit {limits.max_frames:,}")
    return max(1, frames)


def _count_pictures(image: ImageFile.ImageFile, limits: ImageLimits) -> int:
    """Count the pages of a TIFF, or the pictures of a JPEG, that are there.

    Whoever edits the first picture of a JPEG often drops the others, and leaves their index. One by one, and no more
    than the limit: asking for n_frames would read all pages, and Pillow 13 miscounts after a jump past the end.
    """
    found = 1
    with suppress(Exception):  # what is behind the first picture may be anything; that one is judged for itself
        while found <= limits.max_frames:
            image.seek(found)
            if image.format == "MPO":
                image.copy()
            found += 1
    image.seek(0)
    return found


def _bits(image: Image.Image, data: Data) -> int:
    if image.format == "PNG":
        return data[24]
    if image.format == "TIFF":
        samples = cast("TiffImagePlugin.TiffImageFile", image).tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (1,))
        return int(samples[0] if isinstance(samples, tuple) else samples)
    return 16 if image.mode.startswith("I;16") else _MODE_BITS.get(image.mode, 8)


@contextmanager
def _rejecting() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except RejectedInputError:
            raise
        except Exception as error:  # Pillow, asked for EXIF or frames, raises whatever it runs into
            raise _rejection(error) from error


def _rejection(error: Exception) -> RejectedInputError:
    if isinstance(error, DecodeError):
        return RejectedInputError(error.rule, str(error))
    try:
        with pillow_errors():
            raise error
    except DecodeError as found:
        return RejectedInputError(found.rule, str(found))


