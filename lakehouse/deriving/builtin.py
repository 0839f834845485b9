"""Transforms that are there: resize, crop, flip, rotate90, grey, spectrogram; of videos see `video_parts`.

Legend: H, W rows and columns of a picture, N frames of a recording, C channels, T windows, F frequencies.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from lakehouse.deriving.transform import transform
from lakehouse.deriving.values import Made, Sound
from lakehouse.deriving.video_parts import VIDEO_PARTS
from loaders.decoding.verdict import MAX_ARRAY_BYTES, MAX_PIXELS

Pixels = npt.NDArray[np.uint8]

VALUES_AT_ONCE = 1 << 22
"""Of windows that are transformed together: what a recording takes in memory does not hang on its length."""


@transform(origin="real")
def resize(pixels: Pixels, *, height: int = 224, width: int = 224) -> Made:
    """Resize to height x width px, whatever its shape was; area average of Pillow's box filter."""
    _positive("resize", height=height, width=width)
    if height * width > MAX_PIXELS:
        raise ValueError(f"resize: {height} x {width} px are more than the {MAX_PIXELS:,} that are read again")
    rows, columns = pixels.shape[:2]
    found = Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX)
    across, down = width / columns, height / rows
    # Centres of pixels lie at half numbers: x' + 0.5 = (x + 0.5) * across.
    return Made(np.asarray(found), (across, 0, across / 2 - 0.5, 0, down, down / 2 - 0.5))


@transform(origin="real")
def crop(pixels: Pixels, *, left: int = 0, top: int = 0, width: int = 0, height: int = 0) -> Made | None:
    """Cut a box out, as far as the picture has it; 0 as width or height: to the border. Nothing where it has none."""
    rows, columns = pixels.shape[:2]
    right = min(columns, left + width) if width else columns
    bottom = min(rows, top + height) if height else rows
    left, top = max(0, left), max(0, top)
    if right <= left or bottom <= top:
        return None
    return Made(pixels[top:bottom, left:right], (1, 0, -left, 0, 1, -top))


@transform
def flip(pixels: Pixels, *, axis: str = "horizontal") -> Made:
    """Mirror: `horizontal` swaps left and right, `vertical` top and bottom."""
    rows, columns = pixels.shape[:2]
    if axis == "horizontal":
        return Made(pixels[:, ::-1], (-1, 0, columns - 1, 0, 1, 0))
    if axis == "vertical":
        return Made(pixels[::-1], (1, 0, 0, 0, -1, rows - 1))
    raise ValueError(f"flip: axis: expected horizontal or vertical, found {axis!r}")


@transform
def rotate90(pixels: Pixels, *, quarters: int = 1) -> Made:
    """Turn by quarters, counter-clockwise as `numpy.rot90`."""
    rows, columns = pixels.shape[:2]
    maps = {
        0: (1, 0, 0, 0, 1, 0),
        1: (0, 1, 0, -1, 0, columns - 1),
        2: (-1, 0, columns - 1, 0, -1, rows - 1),
        3: (0, -1, rows - 1, 1, 0, 0),
    }
    return Made(np.rot90(pixels, quarters), tuple(map(float, maps[quarters % 4])))  # type: ignore[arg-type]


@transform
def grey(pixels: Pixels) -> Made:
    """Make grey: luma of ITU-R BT.601 in whole numbers, as Pillow's mode L, in all three channels."""
    luma = np.asarray(Image.fromarray(pixels).convert("L"))
    return Made(np.repeat(luma[..., None], 3, axis=2) if pixels.ndim == 3 else luma, (1, 0, 0, 0, 1, 0))


@transform(media_types=("audio/",), takes="sound", origin="real")
def spectrogram(sound: Sound, *, window: int = 1024, step: int = 256) -> npt.NDArray[Any]:
    """Return log power, dB, of Hann windows of the mean of the channels: float32 (windows, window / 2 + 1).

    The last window that is not full is left out; a recording shorter than one is filled with silence. 0 dB is a sine of
    amplitude 1; the least is -120 dB.
    """
    _positive("spectrogram", window=window, step=step)
    windows = max(0, len(sound.samples) - window) // step + 1
    if windows * (window // 2 + 1) * 4 > MAX_ARRAY_BYTES:
        raise ValueError(f"spectrogram: {windows:,} x {window // 2 + 1:,} numbers, more than arrays that are read have")
    mono_N = sound.samples.mean(axis=1, dtype=np.float64)
    if len(mono_N) < window:
        mono_N = np.pad(mono_N, (0, window - len(mono_N)))
    frames_TN = np.lib.stride_tricks.sliding_window_view(mono_N, window)[::step]
    hann_N = np.hanning(window + 1)[:-1]
    decibels_TF = np.empty((windows, window // 2 + 1), np.float32)
    together = max(1, VALUES_AT_ONCE // window)
    for at in range(0, windows, together):
        amplitudes_TF = np.abs(np.fft.rfft(frames_TN[at : at + together] * hann_N, axis=1)) * (2 / hann_N.sum())
        decibels_TF[at : at + together] = 20 * np.log10(np.maximum(amplitudes_TF, 1e-6))
    return decibels_TF


def _positive(name: str, **values: int) -> None:
    for key, value in values.items():
        if value < 1:
            raise ValueError(f"{name}: {key}: expected 1 and more, found {value}")


BUILT_IN = (resize, crop, flip, rotate90, grey, spectrogram, *VIDEO_PARTS)
