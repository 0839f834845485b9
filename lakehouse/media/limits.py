"""How large a file may be before it counts as hostile."""

from __future__ import annotations

from dataclasses import dataclass

from loaders.decoding.verdict import MAX_PIXELS


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """Limits that are checked from the header, before pixels cost memory.

    Attributes:
        max_pixels: Width times height of one frame. The default is the reader's, so that it reads what
            we take.
        max_frames: Frames or pages.
        max_bytes: Encoded bytes.
    """

    max_pixels: int = MAX_PIXELS
    max_frames: int = 10_000
    max_bytes: int = 512 << 20


@dataclass(frozen=True, slots=True)
class AudioLimits:
    """Limits of a recording.

    Attributes:
        max_bytes: Encoded bytes.
        max_duration_s: Seconds. The reader's own limit on frames x channels holds beside it.
        max_channels: Channels.
    """

    max_bytes: int = 512 << 20
    max_duration_s: float = 7200.0
    max_channels: int = 64


DEFAULT_LIMITS = ImageLimits()
DEFAULT_AUDIO_LIMITS = AudioLimits()
