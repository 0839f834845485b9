"""Plain WAV without any library: whole numbers of 8 to 32 bits and floats, as libsndfile gives them, bit for bit."""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_SUBTYPES = {(_PCM, 8): "PCM_U8", (_PCM, 16): "PCM_16", (_PCM, 24): "PCM_24", (_PCM, 32): "PCM_32",
             (_FLOAT, 32): "FLOAT", (_FLOAT, 64): "DOUBLE"}  # fmt: skip
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
MAX_CHANNELS = 1024


class Wav(NamedTuple):
    """Where the samples of a plain WAV stand, and what they are."""

    rate: int
    """Frames a second."""
    channels: int
    frames: int
    """As the header states them; where the file is cut off they are not all there."""
    subtype: str
    """libsndfile's name of the coding: PCM_U8, PCM_16, PCM_24, PCM_32, FLOAT or DOUBLE."""
    start: int
    """Offset of the first sample."""
    is_cut: bool
    """Whether samples are missing at the end."""


def plain_wav(data: bytes) -> Wav | None:
    """Return the layout of a plain WAV; None for anything else, which libsndfile may still read."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return None
    form: tuple[int, int, str, int] | None = None
    at = 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if name == b"fmt " and form is None:
            form = _form(data[at + 8 : at + 8 + min(size, 64)])
            if form is None:
                return None
        elif name == b"data":
            if form is None:
                return None
            rate, channels, subtype, frame_bytes = form
            return Wav(rate, channels, size // frame_bytes, subtype, at + 8, at + 8 + size > len(data))
        at += 8 + size + size % 2
    return None


def wav_samples(data: bytes, wav: Wav) -> npt.NDArray[np.float32]:
    """Return the samples of a whole file: float32, (frames, channels); whole numbers are scaled to [-1, 1)."""
    count = wav.frames * wav.channels
    if wav.subtype == "PCM_24":
        bytes_N3 = np.frombuffer(data, np.uint8, count * 3, wav.start).reshape(count, 3)
        wide_N4 = np.zeros((count, 4), np.uint8)  # the three bytes on top: the sign is where int32 has it
        wide_N4[:, 1:] = bytes_N3
        values = wide_N4.view("<i4")[:, 0].astype(np.float32) * np.float32(2.0**-31)
    elif wav.subtype == "PCM_U8":
        values = (np.frombuffer(data, np.uint8, count, wav.start).astype(np.float32) - 128) * np.float32(2.0**-7)
    else:
        kind, scale = {"PCM_16": ("<i2", 2.0**-15), "PCM_32": ("<i4", 2.0**-31), "FLOAT": ("<f4", 1.0),
                       "DOUBLE": ("<f8", 1.0)}[wav.subtype]  # fmt: skip
        values = np.frombuffer(data, kind, count, wav.start).astype(np.float32)
        if scale != 1.0:
            values *= np.float32(scale)
    # values: (frames x channels,), a frame's channels beside one another.
    samples: npt.NDArray[np.float32] = values.reshape(wav.frames, wav.channels)
    return samples


def write_wav(values: npt.NDArray[np.int16], rate: int) -> bytes:
    """Return a WAV of 16 bits: a header of 44 bytes, and the samples.

    Args:
        values: int16 (frames, channels).
        rate: Hz.
    """
    frames, channels = values.shape
    size = frames * channels * 2
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, _PCM, channels, rate,
                       rate * channels * 2, channels * 2, 16, b"data", size)  # fmt: skip
    return head + values.astype("<i2", copy=False).tobytes()


def _form(head: bytes) -> tuple[int, int, str, int] | None:
    """Return rate, channels, coding and bytes of a frame, from a `fmt ` chunk; None where it is not plain."""
    if len(head) < 16:
        return None
    tag, channels = int.from_bytes(head[:2], "little"), int.from_bytes(head[2:4], "little")
    rate = int.from_bytes(head[4:8], "little")
    frame_bytes, bits = int.from_bytes(head[12:14], "little"), int.from_bytes(head[14:16], "little")
    if tag == _EXTENSIBLE:
        if len(head) < 40 or head[26:40] != _GUID_TAIL or int.from_bytes(head[18:20], "little") not in (0, bits):
            return None
        tag = int.from_bytes(head[24:26], "little")
    subtype = _SUBTYPES.get((tag, bits))
    if subtype is None or not 1 <= channels <= MAX_CHANNELS or rate == 0 or frame_bytes * 8 != channels * bits:
        return None
    return rate, channels, subtype, frame_bytes
