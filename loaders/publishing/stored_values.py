"""What stored bytes are to whoever works on values: those that the reader would give."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from loaders.decoding.audio import read_recording
from loaders.decoding.drawing import Upright
from loaders.decoding.pictures import Box


def upright_pixels(raw: bytes, *, max_pixels: int) -> npt.NDArray[np.uint8]:
    """Return a picture as the reader gives it with EXIF applied: RGB, uint8, shape (height, width, 3).

    Raises:
        DecodeError: If it is no picture, damaged, deeper than 8 bits, or has more pixels.
    """
    picture = Upright(raw, exif=True, max_pixels=max_pixels)
    return np.ascontiguousarray(picture.pixels(Box(0, 0, *picture.size)))


def sound_samples(raw: bytes) -> tuple[npt.NDArray[np.float32], int]:
    """Return a recording: float32, shape (frames, channels), whole numbers scaled to [-1, 1); and frames a second.

    Raises:
        DecodeError: If it is no recording, cut off, or too long.
        FormatError: If soundfile is not installed and it is no plain WAV.
    """
    found, samples = read_recording(raw)
    return samples, found.rate
