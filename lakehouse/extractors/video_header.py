"""video_header: what the container and the first frame of a video say."""

from __future__ import annotations

from collections.abc import Mapping

from lakehouse.extractors.extractor import Dimension, Extractor, Value
from lakehouse.media.video_view import VideoView


def measure_video_header(view: VideoView) -> Mapping[str, Value]:
    """Return the values of `VIDEO_HEADER` for one video.

    Raises:
        RejectedInputError: If it cannot be decoded, or is beyond the limits.
    """
    header = view.facts.header
    rate = header.frame_rate
    return {
        "video_width": header.width,
        "video_height": header.height,
        "video_rotation": header.rotation,
        "video_container": header.container,
        "video_codec": header.codec,
        "video_pixel_format": header.pixel_format,
        "video_bits": header.bits,
        "video_frame_rate": None if rate is None else float(rate),
        "video_frame_rate_exact": None if rate is None else f"{rate.numerator}/{rate.denominator}",
        "video_is_variable_rate": header.is_variable,
        "video_frames": header.frames,
        "video_keyframes": header.keyframes,
        "video_duration_s": header.duration_s,
        "video_audio_codec": header.audio_codec,
        "video_audio_rate_hz": header.audio_rate,
        "video_audio_channels": header.audio_channels,
        "video_captured_at": view.facts.captured_at,
    }


VIDEO_HEADER = Extractor(
    name="video_header",
    version=1,
    media_types=("video/",),
    function=measure_video_header,
    dimensions=(
        Dimension("video_width", "integer", "Width of a frame as it is shown, after rotation.", "px"),
        Dimension("video_height", "integer", "Height of a frame as it is shown, after rotation.", "px"),
        Dimension("video_rotation", "integer", "Degrees counter-clockwise by which stored frames are turned to stand "
                  "upright, -179 to 180; 0 where nothing is stated.", "degrees"),
        Dimension("video_container", "text", "mp4, mov, matroska, webm or avi."),
        Dimension("video_codec", "text", "FFmpeg's name of the coding: h264, hevc, vp9, av1 ..."),
        Dimension("video_pixel_format", "text", "FFmpeg's name of the format of stored frames: yuv420p ..."),
        Dimension("video_bits", "integer", "Bits of one stored sample.", "bits"),
        Dimension("video_frame_rate", "number", "Frames a second, on average. No value: neither stated nor known, as "
                  "of one frame.", "1/s"),
        Dimension("video_frame_rate_exact", "text", "The same as a fraction: 30000/1001. No value: as for "
                  "`video_frame_rate`."),
        Dimension("video_is_variable_rate", "boolean", "Whether the times between frames differ by more than two ticks "
                  "of the container's clock."),
        Dimension("video_frames", "integer", "Frames that are shown; counted, not as the header claims.", "1"),
        Dimension("video_keyframes", "integer", "Frames that can be decoded without others.", "1"),
        Dimension("video_duration_s", "number", "From the first frame to the end of the last.", "s"),
        Dimension("video_audio_codec", "text", "FFmpeg's name of the coding of the first sound. No value: silent."),
        Dimension("video_audio_rate_hz", "integer", "Samples a second of the first sound. No value: silent.", "Hz"),
        Dimension("video_audio_channels", "integer", "Channels of the first sound. No value: silent.", "1"),
        Dimension("video_captured_at", "timestamp", "The container's time of creation, UTC. No value: not stated, or "
                  "the clock was never set."),
    ),
)
"""Version 1."""
