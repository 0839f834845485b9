"""One video: its facts, and whether it can be decoded.

Every problem is a `RejectedInputError` with one of the rules below; nothing else is raised for any bytes.

    empty               no bytes
    too_large           more encoded bytes than the limit
    extension_mismatch  the name claims another kind than the bytes are
    unknown_type        the name claims a video and the bytes are of no type we know
    no_video            a container of videos with sound alone, or with a coding that has no pictures
    unsupported_codec   a coding that is not read (`loaders.decoding.video.DECODERS`)
    too_many_pixels     frames larger than the limit
    too_many_frames     more frames than the limit
    too_long            longer than the limit
    truncated           the end is missing, by what the container says of its own size
    undecodable         everything else that a decoder objects to, or crashes of
    timed_out           looking into it takes longer than the limit
    too_much_memory     it takes more memory than the limit
    needs_library       PyAV is not installed here: no fault of the file, looked at again

Looked at are every packet, and the first and the last frame, decoded as the reader does it. Damage between them is
found where it is decoded: by `video_content`, and by the reader, which says which row it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from lakehouse.errors import RejectedInputError
from lakehouse.media.contained import look
from lakehouse.media.limits import DEFAULT_VIDEO_LIMITS, VideoLimits
from lakehouse.media.signature import type_among
from lakehouse.media.sniff import Data
from loaders.decoding.verdict import VIDEO_VERDICT_VERSION, VideoHeader

PROBE_VERSION = VIDEO_VERDICT_VERSION
"""Raised when the same file would be judged otherwise: what an older probe rejected is looked at again."""

VIDEOS = ("video/mp4", "video/quicktime", "video/x-matroska", "video/webm", "video/x-msvideo")
"""The media types that are decoded."""

_NEVER_SET = (1904, 1970)
"""Years from which the clocks of containers count: a time of capture in them was never set."""


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What a video says of itself.

    Attributes:
        media_type: For example video/mp4.
        header: See `VideoHeader`.
        captured_at: The container's time of creation, UTC; None: not stated, or never set.
        pixel_type: uint8, as the reader gives frames.
    """

    media_type: str
    header: VideoHeader
    captured_at: datetime | None
    pixel_type: str | None = "uint8"


def probe_video(data: Data, *, name: str, limits: VideoLimits = DEFAULT_VIDEO_LIMITS) -> VideoFacts:
    """Return what a video is that is whole, within the limits and decodable by the reader.

    Args:
        data: The file, as bytes or mapped.
        name: File name; its extension is compared with the content. One without a known extension is fine.
        limits: What counts as hostile.

    Raises:
        RejectedInputError: With one of the rules of this module.
    """
    media_type = type_among(
        data, name=name, max_bytes=limits.max_bytes, types=VIDEOS, what="video that is decoded here"
    )
    return facts_of(look(bytes(data), limits, want="end").header, media_type, limits)


def facts_of(header: VideoHeader, media_type: str, limits: VideoLimits) -> VideoFacts:
    """Return the facts of a video with this header.

    Raises:
        RejectedInputError: too_long.
    """
    if header.duration_s > limits.max_duration_s:
        raise RejectedInputError("too_long", f"{header.duration_s:,.1f} s, limit {limits.max_duration_s:,}")
    return VideoFacts(media_type, header, _captured_at(header.created))


def _captured_at(text: str | None) -> datetime | None:
    try:
        found = None if text is None else datetime.fromisoformat(text)
    except ValueError:
        return None
    if found is None or found.year in _NEVER_SET:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
