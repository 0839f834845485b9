"""Small pictures and texts that show a person what an entity is: PNG, or the beginning of a text in UTF-8."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from lakehouse.media.limits import ArrayLimits, AudioLimits, ImageLimits, TextLimits
from lakehouse.media.plain_views import ArrayView, TextView
from lakehouse.media.view import AudioView, ImageView

LONGEST_PX = 512
HEIGHT_PX = 128
"""Of a waveform."""

CHARACTERS = 2000
"""Of a text."""


def preview_image(data: bytes, media_type: str, limits: ImageLimits) -> bytes:
    """Return the first frame as a PNG, no side longer than 512 px.

    Raises:
        RejectedInputError: If it cannot be decoded.
    """
    return as_png(ImageView(data, media_type=media_type, limits=limits).picture)


def preview_audio(data: bytes, media_type: str, limits: AudioLimits) -> bytes:
    """Return a waveform as a PNG, 512 x 128 px: the least and greatest sample of each stretch, from -1 to 1.

    Raises:
        RejectedInputError: If it cannot be decoded.
    """
    return waveform(AudioView(data, media_type=media_type, limits=limits))


def waveform(view: AudioView) -> bytes:
    """Return `preview_audio` of a view, which decodes it once for whoever asks for its facts as well.

    Raises:
        RejectedInputError: If it cannot be decoded.
    """
    samples = view.samples
    return as_png(Image.fromarray(_waveform(samples.mean(axis=1) if samples.size else np.zeros(1), 1.0)))


def preview_array(data: bytes, media_type: str, limits: ArrayLimits) -> bytes:
    """Return an array as a PNG: a curve for one axis, else its last two axes (the first place of all others) in grey.

    Black is the least finite value, white the greatest; what is not finite is black.

    Raises:
        RejectedInputError: If it cannot be read.
    """
    return heat(ArrayView(data, media_type=media_type, limits=limits).array)[0]


def heat(array: npt.NDArray[np.generic]) -> tuple[bytes, tuple[float, float] | None]:
    """Return `preview_array` of an array, and the values that black and white stand for; None of a curve."""
    if not array.size:
        return as_png(Image.new("L", (1, 1))), None
    values = array.reshape(-1, *array.shape[-2:])[0] if array.ndim > 1 else array.reshape(-1)
    values = values[tuple(slice(None, None, max(1, side // (4 * LONGEST_PX))) for side in values.shape)]
    numbers = values.astype(np.float64)
    finite = np.isfinite(numbers)
    numbers[~finite] = numbers[finite].min() if values.ndim > 1 and finite.any() else 0.0
    if values.ndim < 2:
        return as_png(Image.fromarray(_waveform(numbers, float(np.abs(numbers).max()) or 1.0))), None
    ends = float(numbers.min()), float(numbers.max())
    numbers /= 2  # the difference of any two of them is finite
    low, high = float(numbers.min()), float(numbers.max())
    span = high - low if high > low else 1.0
    return as_png(Image.fromarray(((numbers - low) / span * 255).clip(0, 255).astype(np.uint8))), ends


def preview_text(data: bytes, media_type: str, limits: TextLimits) -> bytes:
    """Return the first 2,000 characters in UTF-8.

    Raises:
        RejectedInputError: If it cannot be read.
    """
    return TextView(data, media_type=media_type, limits=limits).text[:CHARACTERS].encode()


def as_png(picture: Image.Image) -> bytes:
    """Return a picture as a PNG, made smaller where a side is longer than 512 px."""
    small = picture.copy()
    small.thumbnail((LONGEST_PX, LONGEST_PX))
    buffer = io.BytesIO()
    small.save(buffer, format="PNG")
    return buffer.getvalue()


def _waveform(values: npt.NDArray[np.floating], top: float) -> npt.NDArray[np.uint8]:
    """Return black on white, uint8 (128, columns): one column for each of at most 512 stretches of values."""
    edges = np.unique(np.linspace(0, len(values), LONGEST_PX, endpoint=False).astype(int))
    low, high = np.minimum.reduceat(values, edges), np.maximum.reduceat(values, edges)
    middle = (HEIGHT_PX - 1) / 2
    first, last = (np.round(middle - np.clip(each / top, -1, 1) * middle) for each in (high, low))
    rows = np.arange(HEIGHT_PX)[:, None]
    return np.where((rows >= first) & (rows <= last), 0, 255).astype(np.uint8)
