"""The bytes of entities as a browser takes them: pictures, sound and video as they are stored and in ranges, else text.

Only types that run no script are handed out under their own name; everything else is plain text or a download.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from lakehouse.config import Config
from lakehouse.errors import ConfigError
from lakehouse.lake import Lake
from lakehouse.media.contained import look
from lakehouse.media.kinds.registry import judges_of
from lakehouse.media.kinds.video import VIDEO
from lakehouse.media.view import AudioView
from lakehouse.viewing.pieces import piece_of
from lakehouse.viewing.places import Place, Places
from lakehouse.viewing.previews import full_picture

SHOWN = frozenset((
    "image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp", "audio/wav", "audio/x-wav",
    "audio/flac", "audio/ogg", "audio/mpeg", "audio/mp4", "video/mp4", "video/webm", "video/ogg", "video/quicktime",
    "video/x-matroska",
))  # fmt: skip
"""Media types that browsers show by themselves and that hold no script. SVG and HTML are none of them."""

CHUNK_BYTES = 256 << 10
"""What an open-ended range gets: a player asks for the next when it needs it, and drops what it has when one jumps."""
LARGEST_RANGE = 64 << 20
"""What any range gets at most: the answer says which bytes it has."""
LARGEST_VIDEO = 256 << 20
"""Bytes of files of which it is looked up when each frame is shown: all of them are read for it."""
LARGEST_SOUND = 256 << 20
"""Bytes of files whose spectrogram is made."""

SPECTROGRAM = (1200, 256)
"""Columns and rows of a spectrogram, px, at most."""
WINDOW = 512
DECIBELS = 90.0
"""From the loudest down: what is quieter is black."""


class RangeError(ConfigError):
    """A range that is none of the bytes of an entity."""


_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class Part:
    """Some bytes of an entity.

    Attributes:
        data: The bytes.
        start: Place of the first of them.
        size: Bytes of the whole.
        media_type: Type under which they are handed out.
        is_whole: Whether that is all.
    """

    data: bytes
    start: int
    size: int
    media_type: str
    is_whole: bool


def part_of(lake: Lake, places: Places, place: Place, asked: str | None) -> Part:
    """Return the bytes that a Range header asks for, of what lies in storage as it is; else all bytes.

    Raises:
        RangeError: If it is no range of its bytes.
        EntityNotFoundError, IngestError, DecodeError: As `Places.read`.
    """
    media_type = place.media_type if place.media_type in SHOWN else "application/octet-stream"
    if place.is_stored and asked:
        start, stop = _range(asked, place.size_bytes)
        uri = str(place.place).rpartition("#")[0]
        data = piece_of(lake.home, uri, start, stop - start)
        return Part(data, start, place.size_bytes, media_type, is_whole=False)
    data = places.read(place)
    if place.media_type.startswith("image/") and place.media_type not in SHOWN:
        data, media_type = full_picture(data, lake.config), "image/png"
    return Part(data, 0, len(data), media_type, is_whole=True)


def moments(places: Places, place: Place, config: Config) -> dict[str, object]:
    """Return when each frame of a video is shown: `seconds`, a list in order, from 0 of the first one.

    What is said of frames by number is drawn by it: also where frames do not follow one another evenly.

    Raises:
        ConfigError: If it is no video, or too large.
        RejectedInputError: If it cannot be opened.
        EntityNotFoundError, IngestError: As `Places.read`.
    """
    if not place.media_type.startswith(VIDEO.prefix):
        raise ConfigError(f"{place.media_type}: only videos have frames with a time")
    if place.size_bytes > LARGEST_VIDEO:
        raise ConfigError(f"{place.size_bytes:,} bytes: frames of {LARGEST_VIDEO:,} at most are looked up")
    seen = look(places.read(place), VIDEO.limits(config), want="times")  # type: ignore[arg-type]
    return {"seconds": [round(each, 6) for each in seen.times.tolist()]}


def spectrogram(places: Places, place: Place, config: Config) -> bytes:
    """Return how loud each frequency is over time: PNG, grey, time to the right, 0 Hz at the foot.

    Hann windows of 512 samples, the mean of all channels, power in dB below the loudest; the first column begins at
    0 s and the last one ends with the recording.

    Raises:
        ConfigError: If it is no sound, or too large.
        RejectedInputError: If it cannot be decoded.
        EntityNotFoundError, IngestError: As `Places.read`.
    """
    if place.size_bytes > LARGEST_SOUND:
        raise ConfigError(f"{place.size_bytes:,} bytes: a spectrogram is made of {LARGEST_SOUND:,} at most")
    view = judges_of(config).view(places.read(place), place.media_type)
    if not isinstance(view, AudioView):
        raise ConfigError(f"{place.media_type}: a spectrogram is of sound")
    samples = view.samples.mean(axis=1) if view.samples.size else np.zeros(WINDOW, np.float32)
    made = io.BytesIO()
    Image.fromarray(_decibels(samples)).save(made, "PNG")
    return made.getvalue()


def _decibels(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    columns, rows = SPECTROGRAM
    count = min(columns, max(1, len(samples) // (WINDOW // 4)))
    # Windows stand in the middle of the time that their column is of.
    middles = (np.arange(count) + 0.5) * len(samples) / count
    padded = np.pad(samples, WINDOW)
    starts = np.round(middles).astype(int) + WINDOW - WINDOW // 2
    frames = padded[starts[:, None] + np.arange(WINDOW)] * np.hanning(WINDOW)
    power = np.abs(np.fft.rfft(frames, axis=1))[:, :rows] ** 2
    levels = 10 * np.log10(power / max(float(power.max()), 1e-30) + 1e-12)
    grey = np.clip((levels + DECIBELS) / DECIBELS, 0, 1) * 255
    return np.asarray(np.flipud(grey.T.astype(np.uint8)))


def _range(asked: str, size: int) -> tuple[int, int]:
    found = _RANGE.fullmatch(asked.strip())
    if not found or not any(found.groups()):
        raise RangeError(f"range {asked[:80]!r}: expected bytes=FIRST-LAST")
    first, last = found.groups()
    start = int(first) if first else max(0, size - int(last))
    stop = min(size, start + CHUNK_BYTES) if first and not last else min(size, start + LARGEST_RANGE)
    if first and last:
        stop = min(stop, int(last) + 1)
    if not 0 <= start < stop:
        raise RangeError(f"range {asked[:80]!r}: there are {size:,} bytes")
    return start, stop
