"""Can this file be decoded? One answer for the lake that takes it, the build that chooses it and the reader.

A picture that `judge` passes is one that the reader decodes: the verdict is the reader's own decoding, at a fraction
of the size where that tells as much. It is about the first frame, which is what a reader delivers, and about the file
being whole: what is cut off is refused, whatever frame it cuts; bytes that belong to no pixel (behind the last scan of
a JPEG, a missing end mark of a GIF, a second picture behind the first, text in a PNG) change nothing.

Pixels of 8 bits and fewer are those of Pillow's `convert("RGB")`, alpha and palette included; deeper ones are read as
`loaders.decoding.native` says, or refused.

A recording is judged by `read_recording`: it is decoded whole, as the reader does it. Of a video all packets are read,
and the beginning and the end are decoded.

This module, and no other of the decoders, is what the lake imports.
"""

from __future__ import annotations

from typing import NamedTuple

from loaders.decoding.arrays import MAX_ARRAY_BYTES, npy_header, read_any
from loaders.decoding.audio import MAX_SAMPLES, Recording, read_recording
from loaders.decoding.clips import frames_at
from loaders.decoding.containers import Raw, format_of, gif_layout
from loaders.decoding.limits import MAX_PIXELS, MAX_VIDEO_BYTES, MAX_VIDEO_FRAMES
from loaders.decoding.opening import open_picture, pillow_errors
from loaders.decoding.pictures import check_picture, picture_size
from loaders.decoding.texts import decode_text, text_coding
from loaders.decoding.video import Video, decoder_of, open_video
from loaders.decoding.video_header import VideoHeader, video_header
from loaders.decoding.video_layout import container_of
from loaders.errors import DecodeError

VERDICT_VERSION = 2
"""Raised when a picture gets another verdict than before: what an older version refused is looked at again."""

RECORDING_VERDICT_VERSION = 2
"""The same of recordings."""

VIDEO_VERDICT_VERSION = 1
"""The same of videos."""

ARRAY_VERDICT_VERSION = 1
"""The same of arrays."""

TEXT_VERDICT_VERSION = 1
"""The same of texts."""

__all__ = [
    "ARRAY_VERDICT_VERSION",
    "MAX_ARRAY_BYTES",
    "MAX_PIXELS",
    "MAX_SAMPLES",
    "MAX_VIDEO_BYTES",
    "MAX_VIDEO_FRAMES",
    "RECORDING_VERDICT_VERSION",
    "TEXT_VERDICT_VERSION",
    "VERDICT_VERSION",
    "VIDEO_VERDICT_VERSION",
    "DecodeError",
    "Recording",
    "Verdict",
    "Video",
    "VideoHeader",
    "container_of",
    "decode_text",
    "decoder_of",
    "format_of",
    "frames_at",
    "gif_layout",
    "judge",
    "npy_header",
    "open_picture",
    "open_video",
    "picture_size",
    "pillow_errors",
    "read_any",
    "read_recording",
    "text_coding",
    "video_header",
]


class Verdict(NamedTuple):
    """What a picture that can be decoded is."""

    format: str
    """Pillow's name of its format: JPEG, PNG ..."""
    width: int
    height: int
    channels: int
    """1 (grey), 3, or 2 and 4 where alpha was kept."""
    pixel_type: str
    """Type of its values as they are read: uint8, or uint16, int32, float32 ... of a deeper one."""


def judge(raw: Raw, *, max_pixels: int = MAX_PIXELS) -> Verdict:
    """Return what a picture is, having decoded it.

    Args:
        raw: The file.
        max_pixels: A picture with more is refused before memory is taken.

    Raises:
        DecodeError: If it cannot be decoded; `rule` is truncated, undecodable, too_many_pixels or unsupported_depth.
    """
    name = format_of(raw)
    if name is None:
        raise DecodeError("no picture: its first bytes are of no kind that is read")
    form = check_picture(raw, max_pixels=max_pixels)
    height, width, *more = form.shape
    return Verdict(name, width, height, more[0] if more else 1, form.dtype.name)
