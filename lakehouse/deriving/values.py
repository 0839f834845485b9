"""What transforms take and give: pictures, recordings, texts, arrays and bytes; and how each is stored, losslessly."""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from lakehouse.errors import RejectedInputError
from lakehouse.media.contained import look
from lakehouse.media.kinds.image import IMAGE
from lakehouse.media.kinds.registry import Judges
from lakehouse.media.kinds.video import VIDEO
from lakehouse.media.limits import ImageLimits, VideoLimits
from loaders.decoding.verdict import decode_text
from loaders.errors import DecodeError
from loaders.publishing.stored_values import sound_samples, upright_pixels

Takes = Literal["pixels", "sound", "text", "bytes", "video"]
TAKES: tuple[Takes, ...] = get_args(Takes)

Affine = tuple[float, float, float, float, float, float]
"""[a, b, c, d, e, f]: a point (x, y) of the parent is at (ax + by + c, dx + ey + f)."""

SAME: Affine = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """A recording.

    Attributes:
        samples: float32, shape (frames, channels), about -1 to 1.
        rate: Frames a second, Hz.
    """

    samples: npt.NDArray[np.float32]
    rate: int


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Which frames a video has.

    Attributes:
        times: When each is shown, s from the first; float64, (frames,), increasing.
        duration_s: From the first frame to the end of the last.
        height: Of a frame as it is shown, px.
        width: Of a frame as it is shown, px.
    """

    times: npt.NDArray[np.float64]
    duration_s: float
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class Reference:
    """A part of a video that is stored nowhere: an entity whose bytes are made whenever they are wanted.

    Attributes:
        operation: `frame` or `clip`.
        parameters: See `lakehouse.media.video_cut`.
    """

    operation: str
    parameters: Mapping[str, int | float]


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """One thing that a transform made.

    Attributes:
        value: uint8 (height, width, 3) or (height, width): a picture, stored as PNG. A `Sound`: WAV of float32. Another
            array: `.npy`. A text: UTF-8. Bytes: as they are. A `Reference`: nothing is stored.
        affine: Where a pixel of the picture that it was made of is in it: six finite numbers; None: there is no such
            rule.

    Raises:
        ValueError: If `affine` is something else, or leaves nothing of a picture but a line.
    """

    value: Any
    affine: Affine | None = None

    def __post_init__(self) -> None:
        if self.affine is None:
            return
        a, b, _, d, e, _ = numbers = [float(each) for each in self.affine]
        if not all(map(math.isfinite, numbers)) or a * e == b * d:
            raise ValueError(f"affine: expected six finite numbers that can be undone, found {self.affine}")


def composed(first: Affine | None, then: Affine | None) -> Affine | None:
    """Return two affine maps as one; None if either is none."""
    if first is None or then is None:
        return None
    a, b, c, d, e, f = first
    g, h, i, j, k, l = then  # noqa: E741 - the letters of the second one
    return (g * a + h * d, g * b + h * e, g * c + h * f + i, j * a + k * d, j * b + k * e, j * c + k * f + l)


def is_picture(value: object) -> bool:
    """Whether a value is a picture: uint8, (height, width, 3) or (height, width)."""
    return (
        isinstance(value, np.ndarray)
        and value.dtype == np.uint8
        and (value.ndim == 2 or (value.ndim == 3 and value.shape[2] == 3))
        and value.size > 0
    )


def taken(data: bytes, takes: Takes, judges: Judges) -> Any:
    """Return stored bytes as a transform takes them.

    Raises:
        RejectedInputError: If they cannot be decoded, or are beyond the limits.
    """
    if takes == "video":
        seen = look(data, cast("VideoLimits", judges.limits[VIDEO.name]), want="times")
        return Frames(seen.times, seen.header.duration_s, seen.header.height, seen.header.width)
    try:
        if takes == "pixels":
            return upright_pixels(data, max_pixels=cast("ImageLimits", judges.limits[IMAGE.name]).max_pixels)
        if takes == "sound":
            return Sound(*sound_samples(data))
        return decode_text(data) if takes == "text" else data
    except DecodeError as error:
        raise RejectedInputError(error.rule or "undecodable", str(error)) from error


def encoded(value: Any) -> bytes:
    """Return a value as bytes; see `Made`.

    Raises:
        TypeError: If it is none of these.
        ValueError: If it is a text or bytes with nothing in it: no entity is empty.
    """
    if isinstance(value, bytes | str):
        if not value:
            raise ValueError("a transform gives None where it makes nothing, found an empty text, or no bytes")
        return value.encode() if isinstance(value, str) else value
    if isinstance(value, Sound):
        return _wav(value)
    if is_picture(value):
        found = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(value)).save(found, "png")
        return found.getvalue()
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        found = io.BytesIO()
        np.save(found, np.asarray(value, order="C"), allow_pickle=False)
        return found.getvalue()
    raise TypeError(f"a transform makes arrays of numbers, a Sound, text or bytes, found {type(value).__name__}")


def _wav(sound: Sound) -> bytes:
    """Return a WAV of float32 (format 3), with the `fact` chunk that such files have."""
    samples = np.ascontiguousarray(sound.samples, "<f4")
    if samples.ndim != 2 or not samples.size:
        raise TypeError(f"samples of a Sound are (frames, channels), found shape {samples.shape}")
    frames, channels = samples.shape
    form = struct.pack("<HHIIHHH", 3, channels, sound.rate, sound.rate * channels * 4, channels * 4, 32, 0)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"fact" + struct.pack("<II", 4, frames)
    chunks += b"data" + struct.pack("<I", samples.nbytes) + samples.tobytes()
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks
