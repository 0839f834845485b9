"""Encoded recordings into samples: plain WAV by ourselves; other WAV, FLAC, Ogg, MP3 and AIFF by libsndfile."""

from __future__ import annotations

import io
from types import ModuleType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from loaders.decoding.wav import plain_wav, wav_samples
from loaders.errors import DecodeError, FormatError
from loaders.format.fields import Field

MAX_SAMPLES = 30_000_000
"""Frames x channels: 31 minutes at 16 kHz, one channel; 120 MB."""

_FORMATS = ("WAV", "WAVEX", "FLAC", "OGG", "MP3", "AIFF")
_LAST_PAGE = 4
"""Flag of the page that ends an Ogg stream."""


class Recording(NamedTuple):
    """What a recording is, by its header."""

    format: str
    """libsndfile's name of the container: WAV, WAVEX, FLAC, OGG, MP3 or AIFF."""
    subtype: str
    """libsndfile's name of the coding: PCM_16, FLOAT, VORBIS ..."""
    rate: int
    """Frames a second."""
    channels: int
    frames: int


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
        FormatError: If soundfile is not installed and it is no plain WAV.
    """
    samples = read_recording(raw, shape=field.shape, max_samples=max_samples)[1]
    return samples[:, 0] if field.shape is not None and len(field.shape) == 1 else samples


def read_recording(
    raw: bytes | memoryview, *, shape: tuple[int | None, ...] | None = None, max_samples: int = MAX_SAMPLES
) -> tuple[Recording, npt.NDArray[np.float32]]:
    """Return what a recording is and its samples: float32, (frames, channels).

    Raises:
        DecodeError, FormatError: As for `decode_audio`.
    """
    data = bytes(raw)
    wav = plain_wav(data)
    if wav is not None:
        found = Recording("WAV", wav.subtype, wav.rate, wav.channels, wav.frames)
        _check(found, shape, max_samples, is_cut=wav.is_cut)
        return found, wav_samples(data, wav)
    soundfile = _soundfile()
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            found = Recording(file.format, file.subtype, file.samplerate, file.channels, file.frames)
            if file.format not in _FORMATS:
                raise DecodeError(f"a recording is one of {', '.join(_FORMATS)}, found {file.format}")
            _check(found, shape, max_samples, is_cut=_is_cut(data, file.format))
            samples: npt.NDArray[np.float32] = file.read(dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise DecodeError(f"no recording, or a damaged one: {error}") from error
    if len(samples) != found.frames:
        raise DecodeError(
            f"the recording is damaged: {len(samples):,} of {found.frames:,} frames could be decoded", rule="truncated"
        )
    return found, samples


def recording_facts(raw: bytes | memoryview) -> Recording:
    """Return what a recording is, by its header; no sample is decoded.

    Args:
        raw: All of its bytes; of a plain WAV those of its header are enough.

    Raises:
        DecodeError: If it is no recording.
        FormatError: If soundfile is not installed and it is no plain WAV.
    """
    data = bytes(raw)
    wav = plain_wav(data)
    if wav is not None:
        return Recording("WAV", wav.subtype, wav.rate, wav.channels, wav.frames)
    soundfile = _soundfile()
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            return Recording(file.format, file.subtype, file.samplerate, file.channels, file.frames)
    except soundfile.SoundFileError as error:
        raise DecodeError(f"no recording, or a damaged one: {error}") from error


def _check(found: Recording, shape: tuple[int | None, ...] | None, max_samples: int, *, is_cut: bool) -> None:
    if found.frames * found.channels > max_samples:
        seconds = found.frames / found.rate
        raise DecodeError(
            f"{seconds:,.0f} s of {found.channels} channels at {found.rate} Hz "
            f"are more than max_samples={max_samples:,}",
            rule="too_long",
        )
    wanted = shape or (None, None)
    sizes = (found.frames, found.channels)
    if any(axis not in (None, size) for axis, size in zip((*wanted, 1)[:2], sizes, strict=True)):
        raise DecodeError(f"expected shape {wanted}, found {sizes[0]:,} frames of {sizes[1]} channels")
    if is_cut:
        raise DecodeError("the recording is cut off: its last part is missing", rule="truncated")


def _is_cut(data: bytes, kind: str) -> bool:
    """Whether the end is missing, where libsndfile takes what is there for all of it."""
    if kind == "OGG":
        last = data.rfind(b"OggS")
        lengths = data[last + 27 : last + 27 + data[last + 26]] if last + 26 < len(data) else b""
        return not lengths or not data[last + 5] & _LAST_PAGE or last + 27 + len(lengths) + sum(lengths) > len(data)
    if kind in ("FLAC", "MP3"):
        return False  # their headers count the frames; an MP3 without such a header is as long as it is
    if kind == "AIFF":
        return len(data) < 8 + int.from_bytes(data[4:8], "big")
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
