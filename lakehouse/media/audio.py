"""One recording: its facts, and whether it can be decoded whole.

Every problem is a `RejectedInputError` with one of the rules below; nothing else is raised for any bytes.

    empty               no bytes
    too_large           more encoded bytes than the limit
    extension_mismatch  the name claims another kind than the bytes are
    unknown_type        the name claims a recording and the bytes are of no type we know
    too_long            longer than the limit, or more frames x channels than the reader decodes, by the header
    too_many_channels   more channels than the limit, by the header
    truncated           the end is missing
    undecodable         everything else that a decoder objects to
    needs_library       not plain WAV, and soundfile is not installed here: no fault of the file, looked at again
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from lakehouse.errors import RejectedInputError
from lakehouse.media.limits import DEFAULT_AUDIO_LIMITS, AudioLimits
from lakehouse.media.signature import type_among
from lakehouse.media.sniff import Data
from loaders.decoding.verdict import RECORDING_VERDICT_VERSION, DecodeError, Recording, read_recording
from loaders.errors import FormatError

PROBE_VERSION = RECORDING_VERDICT_VERSION
"""Raised when the same file would be judged otherwise: what an older probe rejected is looked at again."""

RECORDINGS = ("audio/wav", "audio/flac", "audio/ogg", "audio/mpeg", "audio/aiff")
"""The media types that are decoded."""

NEEDS_LIBRARY = "needs_library"

_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "FLOAT": 32, "DOUBLE": 64, "ULAW": 8,
         "ALAW": 8}  # fmt: skip
_WHOLE = ("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32")


@dataclass(frozen=True, slots=True)
class AudioFacts:
    """What the header of a recording says.

    Attributes:
        media_type: For example audio/wav.
        sample_rate_hz: Frames a second.
        channels: At least 1.
        frames: Samples of each channel.
        duration_ms: frames / sample_rate_hz, in whole milliseconds, halves to even.
        subtype: libsndfile's name of the coding: PCM_16, FLOAT, VORBIS ...
        bits: Bits of one stored sample; None where the coding has no fixed number (Vorbis, Opus, MP3, ADPCM).
        is_whole_numbers: Whether samples are stored as whole numbers (PCM), whose largest value is 1 - 2**(1 - bits).
        captured_at: None: no recording says so.
        pixel_type: None: it has no pixels.
    """

    media_type: str
    sample_rate_hz: int
    channels: int
    frames: int
    duration_ms: int
    subtype: str
    bits: int | None
    is_whole_numbers: bool
    captured_at: datetime | None = None
    pixel_type: str | None = None


def probe_audio(data: Data, *, name: str, limits: AudioLimits = DEFAULT_AUDIO_LIMITS) -> AudioFacts:
    """Return what a recording is that is whole, within the limits and decodable by the reader, having decoded it.

    Args:
        data: The file, as bytes or mapped.
        name: File name; its extension is compared with the content. One without a known extension is fine.
        limits: What counts as hostile.

    Raises:
        RejectedInputError: With one of the rules of this module.
    """
    return read_audio(data, name=name, limits=limits)[0]


def read_audio(
    data: Data, *, name: str = "", limits: AudioLimits = DEFAULT_AUDIO_LIMITS
) -> tuple[AudioFacts, npt.NDArray[np.float32]]:
    """Return the facts and the samples of a recording: float32, (frames, channels).

    Raises:
        RejectedInputError: With one of the rules of this module.
    """
    media_type = _check_type(data, name, limits)
    try:
        found, samples = read_recording(bytes(data))
    except DecodeError as error:
        raise RejectedInputError(error.rule, str(error)) from error
    except FormatError as error:
        raise RejectedInputError(
            NEEDS_LIBRARY, f"{media_type}: {error}; it is looked at again by the next run"
        ) from error
    _check_size(found, limits)
    bits = _BITS.get(found.subtype)
    facts = AudioFacts(
        media_type, found.rate, found.channels, found.frames, round(found.frames * 1000 / found.rate), found.subtype,
        bits, found.subtype in _WHOLE,
    )
    return facts, samples


def _check_type(data: Data, name: str, limits: AudioLimits) -> str:
    return type_among(
        data, name=name, max_bytes=limits.max_bytes, types=RECORDINGS, what="recording that is decoded here"
    )


def _check_size(found: Recording, limits: AudioLimits) -> None:
    if found.channels > limits.max_channels:
        raise RejectedInputError("too_many_channels", f"{found.channels} channels, limit {limits.max_channels}")
    seconds = found.frames / found.rate
    if seconds > limits.max_duration_s:
        raise RejectedInputError("too_long", f"{seconds:,.1f} s, limit {limits.max_duration_s:,}")
