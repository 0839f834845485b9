"""Is a file whole? Checks of the container that Pillow does not make, without decoding a pixel.

Pillow decodes a PNG without looking at its checksums and a JPEG or GIF without asking for its end marker.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from lakehouse.errors import RejectedInputError
from lakehouse.media.limits import ImageLimits
from lakehouse.media.sniff import Data

MAX_PNG_CHUNKS = 1_000_000
_SOS, _EOI = 0xDA, b"\xff\xd9"
_NO_LENGTH = frozenset((0x01, *range(0xD0, 0xD9)))


@dataclass(frozen=True, slots=True)
class GifLayout:
    """Canvas and number of frames of a GIF. The canvas holds every frame, as Pillow will enlarge it to."""

    width_px: int
    height_px: int
    frames: int


def check_structure(data: Data, media_type: str, limits: ImageLimits) -> None:
    """Check that the container has its end and, where it keeps them, its checksums.

    Formats without an end marker or a stated length (TIFF, BMP, PPM, AVIF) are left to their decoder.

    Raises:
        RejectedInputError: truncated, undecodable, too_many_pixels or too_many_frames.
    """
    if media_type == "image/jpeg":
        _check_jpeg(data)
    elif media_type == "image/png":
        _check_png(data)
    elif media_type == "image/webp":
        _check_riff(data)
    elif media_type == "image/gif":
        gif_layout(data, limits)


def gif_layout(data: Data, limits: ImageLimits) -> GifLayout:
    """Walk the blocks of a GIF, decoding nothing.

    Raises:
        RejectedInputError: truncated, undecodable, too_many_pixels or too_many_frames.
    """
    if len(data) < 13:
        raise _truncated(data, "inside the GIF header")
    width, height = _u16(data, 6), _u16(data, 8)
    position, frames = 13 + _colours(data[10]), 0
    while True:
        block = _byte(data, position)
        if block == 0x3B:
            return GifLayout(width, height, frames)
        if block == 0x21:
            position = _after_blocks(data, position + 2)
        elif block == 0x2C:
            packed = _byte(data, position + 9)
            width = max(width, _u16(data, position + 1) + _u16(data, position + 5))
            height = max(height, _u16(data, position + 3) + _u16(data, position + 7))
            position = _after_blocks(data, position + 11 + _colours(packed))
            frames += 1
            if frames > limits.max_frames:
                raise RejectedInputError("too_many_frames", f"more than {limits.max_frames:,} frames")
            check_pixels(width, height, limits)
        elif block == 0:
            position += 1
        else:
            raise RejectedInputError("undecodable", f"unknown GIF block 0x{block:02x} at byte {position:,}")


def webp_canvas(data: Data) -> tuple[int, int]:
    """Return width and height of a WebP's canvas; (0, 0) if the header shows none.

    Pillow's decoder allocates the canvas of a WebP while opening it, so its size must be known before.
    """
    head = bytes(data[:30])
    kind = head[12:16]
    if len(head) < 30:
        return 0, 0
    if kind == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if kind == b"VP8L":
        packed = int.from_bytes(head[21:25], "little")
        return 1 + (packed & 0x3FFF), 1 + ((packed >> 14) & 0x3FFF)
    return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF


def check_pixels(width: int, height: int, limits: ImageLimits) -> None:
    """Check one frame's size.

    Raises:
        RejectedInputError: too_many_pixels.
    """
    if width * height > limits.max_pixels:
        raise RejectedInputError(
            "too_many_pixels", f"{width} x {height} = {width * height:,} pixels, limit {limits.max_pixels:,}"
        )


def _check_jpeg(data: Data) -> None:
    # Thumbnails inside the header have end markers of their own: only one after the start of scan counts.
    position = 2
    while True:
        marker = _byte(data, position + 1)
        if _byte(data, position) != 0xFF:
            break
        if marker == 0xFF:
            position += 1
        elif marker in _NO_LENGTH:
            position += 2
        elif marker == _SOS:
            break
        else:
            position += 2 + max(2, (_byte(data, position + 2) << 8) | _byte(data, position + 3))
    if data.rfind(_EOI, position) < 0:
        raise _truncated(data, "without the JPEG end-of-image marker")


def _check_png(data: Data) -> None:
    position = 8
    view = memoryview(data)
    try:
        for _ in range(MAX_PNG_CHUNKS):
            if position + 12 > len(view):
                raise _truncated(data, "before the PNG's IEND chunk")
            end = position + 8 + int.from_bytes(view[position : position + 4], "big")
            if end + 4 > len(view):
                raise _truncated(data, f"inside the PNG chunk at byte {position:,}")
            kind = bytes(view[position + 4 : position + 8])
            if zlib.crc32(view[position + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
                raise RejectedInputError(
                    "undecodable", f"checksum of PNG chunk {kind!r} at byte {position:,} does not match its content"
                )
            if kind == b"IEND":
                return
            position = end + 4
    finally:
        view.release()
    raise RejectedInputError("undecodable", f"more than {MAX_PNG_CHUNKS:,} PNG chunks")


def _check_riff(data: Data) -> None:
    stated = 8 + int.from_bytes(data[4:8], "little")
    if len(data) < stated:
        raise RejectedInputError("truncated", f"{len(data):,} bytes where the RIFF header states {stated:,}")


def _after_blocks(data: Data, position: int) -> int:
    while size := _byte(data, position):
        position += 1 + size
    return position + 1


def _colours(packed: int) -> int:
    return 3 << ((packed & 7) + 1) if packed & 0x80 else 0


def _byte(data: Data, position: int) -> int:
    if position >= len(data):
        raise _truncated(data, "before its end marker")
    return data[position]


def _u16(data: Data, position: int) -> int:
    return _byte(data, position) | (_byte(data, position + 1) << 8)


def _truncated(data: Data, where: str) -> RejectedInputError:
    return RejectedInputError("truncated", f"ends after {len(data):,} bytes, {where}")
