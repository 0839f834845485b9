"""What a video is: its header, and what its first frame tells that the header leaves out."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from loaders.decoding.video import Video

_CODECS = {"libdav1d": "av1"}
_CREATED = ("com.apple.quicktime.creationdate", "creation_time", "DATE", "date")
"""Entries of a container that say when it was made, best first: Apple's has an offset."""


@dataclass(frozen=True, slots=True)
class VideoHeader:
    """What a video is.

    Attributes:
        container: mp4, mov, matroska, webm or avi.
        codec: FFmpeg's name of the coding: h264, hevc, vp9, av1 ...
        pixel_format: FFmpeg's name of the format of a stored frame: yuv420p, yuv422p10le ...
        bits: Bits of one sample of it.
        width: Pixels of a frame as it is shown, after rotation.
        height: The same.
        rotation: Degrees counter-clockwise by which a stored frame is turned to stand upright, -179 to 180.
        frame_rate: Frames a second as the container states them, on average where they are uneven; None: not known.
        is_variable: Whether frames are shown for different times, apart from what the container's clock rounds off.
        frames: Frames that are shown.
        keyframes: Those of them that can be decoded without others.
        duration_s: From the first frame to the end of the last, s.
        audio_codec: FFmpeg's name of the coding of the first sound stream; None: no sound.
        audio_rate: Its samples a second, Hz; None: no sound.
        audio_channels: Its channels; None: no sound.
        created: When it was made, as the container has it; None: not stated.
    """

    container: str
    codec: str
    pixel_format: str
    bits: int
    width: int
    height: int
    rotation: int
    frame_rate: Fraction | None
    is_variable: bool
    frames: int
    keyframes: int
    duration_s: float
    audio_codec: str | None
    audio_rate: int | None
    audio_channels: int | None
    created: str | None


def video_header(video: Video) -> VideoHeader:
    """Return what an open video is; its first frame is decoded.

    Raises:
        DecodeError: If that frame cannot be decoded.
    """
    stream, first = video.stream, video.first
    height, width = video.size
    sound = next(iter(video.opened.streams.audio), None)
    context = None if sound is None else sound.codec_context
    tags = {**stream.metadata, **video.opened.metadata}
    codec = stream.codec_context.name
    duration_s = float(video.times[-1]) + video.last_s
    is_variable = _is_variable(video)
    rate = stream.average_rate or stream.guessed_rate
    if is_variable:  # what containers say goes by the times of decoding, which frames that are reordered shift
        rate = Fraction(len(video) / duration_s).limit_denominator(1_000_000)
    return VideoHeader(
        container=video.container,
        codec=_CODECS.get(codec, codec),
        pixel_format=first.format.name,
        bits=first.format.components[0].bits,
        width=width,
        height=height,
        rotation=180 if first.rotation == -180 else first.rotation,
        frame_rate=rate,
        is_variable=is_variable,
        frames=len(video),
        keyframes=len(video.keys),
        duration_s=duration_s,
        audio_codec=None if context is None else context.name,
        audio_rate=None if context is None else context.sample_rate,
        audio_channels=None if context is None else context.channels,
        created=next((tags[name] for name in _CREATED if name in tags), None),
    )


def _is_variable(video: Video) -> bool:
    """Whether the steps between frames differ by more than the two ticks that rounding to a clock can make."""
    steps = np.diff(video.times)
    return bool(len(steps)) and float(steps.max() - steps.min()) > 2 * float(video.stream.time_base) + 1e-9
