"""Recordings: plain WAV without any extra; other WAV, FLAC, Ogg, MP3 and AIFF where soundfile is installed."""

from __future__ import annotations

import functools

import pyarrow as pa

from lakehouse.config import Config
from lakehouse.media.audio import NEEDS_LIBRARY, PROBE_VERSION, RECORDINGS, probe_audio
from lakehouse.media.kinds.kind import MediaKind
from lakehouse.media.limits import AudioLimits
from lakehouse.media.previews import preview_audio
from lakehouse.media.sniff import claimed_among, sniff_among
from lakehouse.media.view import AudioView, EntityView
from loaders.format.fields import Field


def _limits(config: Config) -> AudioLimits:
    audio = config.audio
    return AudioLimits(max_bytes=audio.max_bytes, max_duration_s=audio.max_duration_s, max_channels=audio.max_channels)


def _view(data: bytes, media_type: str, limits: AudioLimits) -> EntityView:
    return AudioView(data, media_type=media_type, limits=limits)


AUDIO = MediaKind(
    name="audio",
    prefix="audio/",
    sniff=functools.partial(sniff_among, RECORDINGS),
    claims=functools.partial(claimed_among, RECORDINGS),
    version=PROBE_VERSION,
    probe=probe_audio,
    limits=_limits,
    view=_view,
    sample=Field(
        "audio", pa.binary(), codec="audio", shape=(None, None), doc="Encoded recording as it was landed; read as "
        "float32, (frames, channels), whole numbers scaled to [-1, 1)."
    ),
    limited={"too_large": "max_bytes", "too_long": "max_duration_s", "too_many_channels": "max_channels"},
    circumstances=(NEEDS_LIBRARY,),
    preview=preview_audio,
)
