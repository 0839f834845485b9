"""How large a file may be before it counts as hostile."""

from __future__ import annotations

from dataclasses import dataclass

from loaders.decoding.verdict import MAX_ARRAY_BYTES, MAX_PIXELS, MAX_VIDEO_FRAMES


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


@dataclass(frozen=True, slots=True)
class VideoLimits:
    """Limits of a video.

    Attributes:
        max_bytes: Encoded bytes.
        max_pixels: Width times height of a frame.
        max_frames: Frames.
        max_duration_s: Seconds.
        timeout_s: Seconds that looking into it may take, each time.
        memory_mb: MB that the process which does may grow by.
    """

    max_bytes: int = 1 << 30
    max_pixels: int = MAX_PIXELS
    max_frames: int = MAX_VIDEO_FRAMES
    max_duration_s: float = 36_000.0
    timeout_s: float = 120.0
    memory_mb: int = 4096


@dataclass(frozen=True, slots=True)
class ArrayLimits:
    """Limits of an array.

    Attributes:
        max_bytes: Bytes of the file, and of the array that a packed one becomes.
    """

    max_bytes: int = MAX_ARRAY_BYTES


@dataclass(frozen=True, slots=True)
class PointsLimits:
    """Limits of a point cloud.

    Attributes:
        max_bytes: Bytes of the file.
        max_points: Points, by the header.
    """

    max_bytes: int = 1 << 30
    max_points: int = 200_000_000


@dataclass(frozen=True, slots=True)
class DicomLimits:
    """Limits of a DICOM file.

    Attributes:
        max_bytes: Bytes of the file.
        max_pixels: Rows times columns times frames, by the header.
    """

    max_bytes: int = 1 << 30
    max_pixels: int = 1_000_000_000


@dataclass(frozen=True, slots=True)
class TextLimits:
    """Limits of a text.

    Attributes:
        max_bytes: Bytes of the file. The reader's own limit of 64 MiB holds beside it.
    """

    max_bytes: int = 64 << 20


DEFAULT_LIMITS = ImageLimits()
DEFAULT_AUDIO_LIMITS = AudioLimits()
DEFAULT_VIDEO_LIMITS = VideoLimits()
DEFAULT_ARRAY_LIMITS = ArrayLimits()
DEFAULT_POINTS_LIMITS = PointsLimits()
DEFAULT_DICOM_LIMITS = DicomLimits()
DEFAULT_TEXT_LIMITS = TextLimits()
