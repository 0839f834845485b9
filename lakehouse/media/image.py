"""One image: its facts from the header, and whether it can be decoded whole.

Every problem is a `RejectedInputError` with one of the rules below; nothing else is raised for any bytes.

    empty               no bytes
    too_large           more encoded bytes than the limit
    unknown_type        bytes of no kind we know, or of a kind that is no media (text, archives, tables)
    unsupported_media   audio, video, and kinds of image that are not decoded here
    extension_mismatch  the name claims another kind than the bytes are: HTML or a PNG as .jpg
    too_many_pixels     a decompression bomb, refused from the header
    too_many_frames     more frames or pages than the limit
    truncated           the end is missing
    undecodable         everything else that Pillow or a checksum objects to
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import IO, cast

# Named one by one: each registers itself, and no decoder outside this list is ever imported.
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

from lakehouse.errors import RejectedInputError
from lakehouse.media.exif import read_exif
from lakehouse.media.limits import DEFAULT_LIMITS, ImageLimits
from lakehouse.media.sniff import PILLOW_FORMATS, Data, claimed, is_start_of, sniff
from lakehouse.media.structure import check_pixels, check_structure, gif_layout, webp_canvas

_DECODERS = (
    AvifImagePlugin, BmpImagePlugin, GifImagePlugin, JpegImagePlugin, MpoImagePlugin,
    PngImagePlugin, PpmImagePlugin, TiffImagePlugin, WebPImagePlugin,
)
_MEDIA_TYPES = {name: media_type for media_type, name in PILLOW_FORMATS.items()} | {"MPO": "image/jpeg"}
_ANIMATED = frozenset(("GIF", "PNG", "WEBP", "AVIF"))
_MODE_BITS = {"1": 1, "I": 32, "F": 32}
_DRAFT_JPEG = ("L", (1, 1))
"""Ask libjpeg for one eighth of the luma: all the entropy decoding, so all the damage, at a fraction of the cost."""


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
        frames: Frames or pages, at least 1.
        is_animated: Whether the format plays its frames and has more than one; pages of a TIFF do not play.
        size_bytes: Encoded bytes.
        exif_orientation: See `ExifFacts`.
        captured_at: See `ExifFacts`.
        captured_at_has_offset: See `ExifFacts.has_offset`.
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


def probe_image(data: Data, *, name: str, limits: ImageLimits = DEFAULT_LIMITS) -> ImageFacts:
    """Return the facts of an image that is whole and within the limits.

    All entropy coding of every frame is decoded (frames up to `limits.max_decoded_pixels`), container
    checksums and end markers are checked; memory stays near one decoded frame, and is spent only after the
    header was found within the limits. Flipped bits inside JPEG data that still decode cannot be found.

    Args:
        data: The file, as bytes or mapped.
        name: File name; its extension is compared with the content. One without a known extension is fine.
        limits: What counts as hostile.

    Raises:
        RejectedInputError: With one of the rules of this module.
    """
    media_type = check_type(data, name=name, limits=limits)
    with _rejecting():
        check_structure(data, media_type, limits)
        image = _open(data, media_type, limits)
        facts = _facts(image, data, media_type, limits)
        _decode_frames(image, facts, limits)
    return facts


def check_type(data: Data, *, name: str, limits: ImageLimits = DEFAULT_LIMITS) -> str:
    """Return the media type of an image that we decode, looking at its first bytes and its name alone.

    Raises:
        RejectedInputError: empty, too_large, unknown_type, unsupported_media, extension_mismatch or truncated.
    """
    if len(data) == 0:
        raise RejectedInputError("empty", "0 bytes")
    if len(data) > limits.max_bytes:
        raise RejectedInputError("too_large", f"{len(data):,} bytes, limit {limits.max_bytes:,}")
    found, expected = sniff(data), claimed(name)
    if expected is not None and is_start_of(data, expected):
        raise RejectedInputError("truncated", f"ends after {len(data):,} bytes, inside the signature of {expected}")
    if found is None:
        raise RejectedInputError("unknown_type", "the first bytes are of no media type we know")
    if expected is not None and expected != found and not _both_text(expected, found):
        raise RejectedInputError("extension_mismatch", f"the extension claims {expected}, the bytes are {found}")
    if found.startswith(("audio/", "video/")) or (found.startswith("image/") and found not in PILLOW_FORMATS):
        raise RejectedInputError("unsupported_media", f"{found} is not supported by this step yet")
    if found not in PILLOW_FORMATS:
        raise RejectedInputError("unknown_type", f"{found} is not a media type")
    return found


def open_image(data: Data, *, limits: ImageLimits = DEFAULT_LIMITS) -> ImageFile.ImageFile:
    """Open an image with the one decoder that its bytes call for; nothing is decoded yet.

    Raises:
        RejectedInputError: If it is no image that we decode, or beyond the limits.
    """
    media_type = check_type(data, name="", limits=limits)
    with _rejecting():
        return _open(data, media_type, limits)


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


def _open(data: Data, media_type: str, limits: ImageLimits) -> ImageFile.ImageFile:
    if media_type == "image/webp":
        check_pixels(*webp_canvas(data), limits)
    image = Image.open(_file(data), formats=(PILLOW_FORMATS[media_type],))
    check_pixels(image.width, image.height, limits)
    return image


def _facts(image: ImageFile.ImageFile, data: Data, media_type: str, limits: ImageLimits) -> ImageFacts:
    frames = _count_frames(image, data, limits)
    exif = read_exif(image)
    return ImageFacts(
        media_type=media_type,
        format=image.format or PILLOW_FORMATS[media_type],
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


def _count_frames(image: ImageFile.ImageFile, data: Data, limits: ImageLimits) -> int:
    if image.format == "GIF":
        frames = gif_layout(data, limits).frames
    elif image.format == "TIFF":
        frames = _count_pages(image, limits)
    else:
        frames = getattr(image, "n_frames", 1)
    if frames > limits.max_frames:
        raise RejectedInputError("too_many_frames", f"{frames:,} frames, limit {limits.max_frames:,}")
    return max(1, frames)


def _count_pages(image: ImageFile.ImageFile, limits: ImageLimits) -> int:
    # A directory per page is read, and no more than the limit: asking for n_frames would read them all. One by one,
    # because Pillow 13 miscounts after a jump past the end.
    for page in range(1, limits.max_frames + 1):
        try:
            image.seek(page)
        except EOFError:
            image.seek(0)
            return page
    raise RejectedInputError("too_many_frames", f"more than {limits.max_frames:,} pages")


def _decode_frames(image: ImageFile.ImageFile, facts: ImageFacts, limits: ImageLimits) -> None:
    if facts.format == "JPEG":
        image.draft(*_DRAFT_JPEG)
    image.load()
    decoded = facts.width_px * facts.height_px
    for frame in range(1, facts.frames):
        if decoded > limits.max_decoded_pixels:
            return
        image.seek(frame)
        check_pixels(image.width, image.height, limits)
        image.load()
        decoded += image.width * image.height


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
        except Image.DecompressionBombError as error:
            raise RejectedInputError("too_many_pixels", _sentence(error)) from error
        except Exception as error:
            text = _sentence(error)
            cut = isinstance(error, EOFError) or any(sign in text.lower() for sign in _CUT)
            raise RejectedInputError("truncated" if cut else "undecodable", text) from error


_CUT = ("truncated", "not enough image data", "unexpected end of file", "buffer is not large enough")


def _sentence(error: Exception) -> str:
    # Pillow puts the file object into the message: its address would make each run's reason another one.
    if isinstance(error, UnidentifiedImageError):
        return "Pillow finds no valid header"
    return f"Pillow: {error}" if str(error) else f"Pillow: {type(error).__name__}"


def _file(data: Data) -> IO[bytes]:
    if isinstance(data, bytes):
        return io.BytesIO(data)
    data.seek(0)
    return cast("IO[bytes]", data)


def _both_text(one: str, other: str) -> bool:
    text = ("text/plain", "application/json")
    return one in text and other in text
