"""Videos made by FFmpeg for tests: a white square that moves over a ground whose blue tells the frame."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

av = pytest.importorskip("av", reason="PyAV is not installed")

PARAMETERS = {"libx264": "threads=1", "libx265": "log-level=none:pools=none:frame-threads=1"}
"""One thread: another number of them gives other pixels."""

CODINGS = (
    ("mp4", "libx264"), ("mov", "libx264"), ("mp4", "libx265"), ("mp4", "mpeg4"), ("webm", "libvpx"),
    ("webm", "libvpx-vp9"), ("webm", "libsvtav1"), ("matroska", "ffv1"), ("avi", "mpeg4"), ("avi", "mjpeg"),
    ("avi", "libx264"), ("mov", "prores_ks"),
)  # fmt: skip
"""Container and encoder."""
_FORMATS = {"mjpeg": "yuvj420p", "prores_ks": "yuv422p10le"}


def painted(frames: int, height: int, width: int) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield pictures, (height, width, 3)."""
    for number in range(frames):
        pixels = np.zeros((height, width, 3), np.uint8)
        pixels[..., 0] = np.arange(width) * 2 % 256
        pixels[..., 1] = np.arange(height)[:, None] * 2 % 256
        pixels[..., 2] = number * 8 % 256
        left = number * 3 % (width - 10)
        pixels[5:15, left : left + 10] = 255
        yield pixels


def made(
    container: str = "mp4",
    encoder: str = "libx264",
    *,
    frames: int = 12,
    size: tuple[int, int] = (48, 64),
    rate: int | Fraction = 25,
    rotation: int = 0,
    times_ms: Sequence[int] | None = None,
    sound: bool = False,
    parameters: str = "",
    pixel_format: str = "",
    pictures: Sequence[npt.NDArray[np.uint8]] | None = None,
    **metadata: str,
) -> bytes:
    """Return an encoded video; `parameters` are those of x264 or x265, `times_ms` when each frame is shown.

    Without an encoder it has sound alone.
    """
    buffer = io.BytesIO()
    options: dict[str, str] = {}
    if encoder in ("libx264", "libx265"):
        options[encoder[3:] + "-params"] = f"{PARAMETERS[encoder]}:{parameters}".rstrip(":")
    with av.open(buffer, "w", format=container) as file:
        file.metadata.update(metadata)
        stream: Any = file.add_stream(encoder, rate=rate, options=options) if encoder else None
        if stream is None:
            frames = 0
        else:
            stream.height, stream.width = size
            stream.pix_fmt = pixel_format or _FORMATS.get(encoder, "yuv420p")
        if times_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        voice: Any = file.add_stream("aac", rate=8000, layout="mono") if sound else None
        for number, pixels in enumerate(pictures or painted(frames, *size)):
            assert stream is not None
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            if times_ms is not None:
                frame.pts, frame.time_base = times_ms[number], Fraction(1, 1000)
            file.mux(stream.encode(frame))
        if stream is not None:
            file.mux(stream.encode())
        if voice is not None:
            samples = np.zeros((1, 8000), np.float32)
            tone = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            tone.sample_rate = 8000
            file.mux(voice.encode(tone))
            file.mux(voice.encode())
    return buffer.getvalue()
