"""Videos, where PyAV is installed: see `lakehouse.media.video` for the rules by which they are judged."""

from __future__ import annotations

import functools

import pyarrow as pa

from lakehouse.config import Config
from lakehouse.media.contained import TIMED_OUT
from lakehouse.media.kinds.kind import MediaKind
from lakehouse.media.limits import VideoLimits
from lakehouse.media.sniff import claimed_among, sniff_among
from lakehouse.media.video import PROBE_VERSION, VIDEOS, probe_video
from lakehouse.media.video_process import LIBRARY, MEMORY
from lakehouse.media.video_view import VideoView, preview_video
from lakehouse.media.view import EntityView
from loaders.format.fields import Field


def _limits(config: Config) -> VideoLimits:
    video = config.video
    return VideoLimits(
        max_bytes=video.max_bytes, max_pixels=video.max_pixels, max_frames=video.max_frames,
        max_duration_s=video.max_duration_s, timeout_s=video.timeout_s, memory_mb=video.memory_mb,
    )  # fmt: skip


def _view(data: bytes, media_type: str, limits: VideoLimits) -> EntityView:
    return VideoView(data, media_type=media_type, limits=limits)


VIDEO = MediaKind(
    name="video",
    prefix="video/",
    sniff=functools.partial(sniff_among, VIDEOS),
    claims=functools.partial(claimed_among, VIDEOS),
    version=PROBE_VERSION,
    probe=probe_video,
    limits=_limits,
    view=_view,
    sample=Field(
        "video", pa.binary(), codec="video", shape=(None, None, None, 3), doc="Encoded video as it was landed; read as "
        "uint8, (frames, height, width, 3), upright RGB; `VideoClip` and `VideoFrames` take fewer and smaller frames."
    ),
    limited={
        "too_large": "max_bytes", "too_long": "max_duration_s", "too_many_frames": "max_frames",
        "too_many_pixels": "max_pixels", TIMED_OUT: "timeout_s", MEMORY: "memory_mb",
    },
    circumstances=(LIBRARY,),
    preview=preview_video,
)
