"""Encoded recordings into samples: WAV, FLAC and Ogg (Vorbis, Opus), by libsndfile."""

from __future__ import annotations

import io
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from loaders.errors import DecodeError, FormatError
from loaders.format.fields import Field

if TYPE_CHECKING:
    import soundfile

MAX_SAMPLES = 30_000_000
"""Frames x channels: 31 minutes at 16 kHz, one channel; 120 MB."""

_FORMATS = ("WAV", "WAVEX", "FLAC", "OGG")
_LAST_PAGE = 4
"""Flag of the page that ends an Ogg stream."""


def decode_audio(raw: bytes | memoryview, field: Field, max_samples: int = MAX_SAMPLES) -> npt.NDArray[np.float32]:
    """Decode one recording.

    Args:
        raw: The encoded file.
        field: Its column; `shape` None or (frames, channels), or (frames,) for recordings of one channel.
        max_samples: A recording with more frames x channels, by its header, is refused before it is decoded.

    Returns:
        float32, (frames, channels) or (frames,) as the field declares; whole numbers are scaled to [-1, 1). The rate is
        that of the file; a pipeline that mixes rates keeps it in a column of its own.

    Raises:
        DecodeError: If it is no recording, cut off, too long, or of another shape than declared.
        FormatError: If soundfile is not installed.
    """
    soundfile = _soundfile()
    data = bytes(raw)
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            _check(data, file, field, max_samples)
            samples: npt.NDArray[np.float32] = file.read(dtype="float32", always_2d=True)
            frames = file.frames
    except soundfile.SoundFileError as error:
        raise DecodeError(f"no recording, or a damaged one: {error}") from error
    if len(samples) != frames:
        raise DecodeError(f"the recording is damaged: {len(samples):,} of {frames:,} frames could be decoded")
    return samples[:, 0] if field.shape is not None and len(field.shape) == 1 else samples


def _check(data: bytes, file: soundfile.SoundFile, field: Field, max_samples: int) -> None:
    if file.format not in _FORMATS:
        raise DecodeError(f"a recording is one of {', '.join(_FORMATS)}, found {file.format}")
    if file.frames * file.channels > max_samples:
        seconds = file.frames / file.samplerate
        raise DecodeError(
            f"{seconds:,.0f} s of {file.channels} channels at {file.samplerate} Hz "
            f"are more than max_samples={max_samples:,}"
        )
    wanted = field.shape or (None, None)
    found = (file.frames, file.channels)
    if any(axis not in (None, size) for axis, size in zip((*wanted, 1)[:2], found, strict=True)):
        raise DecodeError(f"expected shape {wanted}, found {found[0]:,} frames of {found[1]} channels")
    if _is_cut(data, file.format):
        raise DecodeError("the recording is cut off: its last part is missing")


def _is_cut(data: bytes, kind: str) -> bool:
    """Whether the end is missing, where libsndfile takes what is there for all of it."""
    if kind == "OGG":
        last = data.rfind(b"OggS")
        lengths = data[last + 27 : last + 27 + data[last + 26]] if last + 26 < len(data) else b""
        return not lengths or not data[last + 5] & _LAST_PAGE or last + 27 + len(lengths) + sum(lengths) > len(data)
    if kind == "FLAC":
        return False  # its header counts the frames
    at = 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        if data[at : at + 4] == b"data":
            return at + 8 + size > len(data)
        at += 8 + size + size % 2
    return True


def _soundfile() -> ModuleType:
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: without libsndfile
        raise FormatError("codec audio needs soundfile; pip install 'petrel-lakehouse[audio]'") from error
    module: ModuleType = soundfile
    return module
