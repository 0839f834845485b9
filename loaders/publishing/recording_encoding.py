"""Recordings encoded anew: their rate, channels, length and codec.

Samples are those that a column of codec `audio` delivers; channels are averaged first, then the rate changes, then the
length, then values are rounded (half to even) to 16 bits, and those beyond are cut off. Metadata is left out.
"""

from __future__ import annotations

import importlib
import io
from typing import NamedTuple

import numpy as np

from loaders.decoding.audio import MAX_SAMPLES, Recording, read_recording, recording_facts
from loaders.decoding.wav import write_wav
from loaders.errors import DecodeError, FormatError
from loaders.publishing.recording_form import KEEP, RecordingForm
from loaders.publishing.resampling import frames_at, resampled

FORM_CONTRACT = 1
"""Raised whenever the same recording and form would give other samples."""

HEADER_BYTES = 44
"""Of a WAV."""

MOST_FLAC_CHANNELS = 8


class Shape(NamedTuple):
    """What a recording becomes.

    Attributes:
        rate: Hz.
        channels: How many.
        frames: How many.
        codec: `wav` or `flac`; "" where it stays as it is.
        change: Frames that are cut off, below 0; that are silence at the end, above 0.
    """

    rate: int
    channels: int
    frames: int
    codec: str
    change: int

    @property
    def bytes(self) -> int:
        """About how many bytes it takes; of what is encoded anew."""
        size = HEADER_BYTES + 2 * self.frames * self.channels
        return size if self.codec == "wav" else size * 2 // 3


def shape_of(form: RecordingForm, found: Recording) -> Shape:
    """Return what a recording becomes, by its header."""
    rate, channels = form.sample_rate or found.rate, form.channels or found.channels
    frames = frames_at(found.frames, found.rate, rate)
    most = frames if form.max_seconds is None else max(1, round(form.max_seconds * rate))
    wanted = most if form.pad else min(frames, most)
    is_coded = form.codec == KEEP or (found.format, found.subtype) == (form.codec.upper(), "PCM_16")
    stays = is_coded and (rate, channels, wanted) == (found.rate, found.channels, found.frames)
    return Shape(rate, channels, wanted, "" if stays else form.codec_of(found.format), wanted - frames)


def check_shape(shape: Shape) -> None:
    """Refuse what nobody could write, or read again.

    Raises:
        DecodeError: too_long: more frames x channels than the reader decodes; or no codec holds it.
    """
    if not shape.codec:
        return
    told = f"{shape.frames:,} frames of {shape.channels} channels at {shape.rate:,} Hz"
    if shape.frames * shape.channels > MAX_SAMPLES:
        raise DecodeError(
            f"it would be stored as {told}: the reader takes at most {MAX_SAMPLES:,} samples; set audio.max_seconds, "
            "one channel or a lower rate",
            rule="too_long",
        )
    if shape.rate * shape.channels * 2 >= 1 << 32:
        raise DecodeError(f"it would be stored as {told}, and no WAV says so; set audio.sample_rate")
    if shape.codec == "flac" and not (shape.frames and shape.channels <= MOST_FLAC_CHANNELS):
        raise DecodeError(
            f"it would be stored as {told}, and a FLAC that can be read has 1 to {MOST_FLAC_CHANNELS} channels, and a "
            "frame; leave it out, or take codec wav"
        )


def expected_shape(form: RecordingForm, media_type: str, rate: int, channels: int, seconds: float) -> Shape:
    """Return what a recording becomes, by what was measured of it."""
    format = media_type.removeprefix("audio/").upper()
    return shape_of(form, Recording(format, "", rate, channels, round(seconds * rate)))


def encoded(raw: bytes, form: RecordingForm) -> bytes:
    """Return the file that is stored of a recording.

    Args:
        raw: The file as it was landed.
        form: What it becomes.

    Raises:
        DecodeError: If it is no recording, damaged, too long or has samples that are no numbers; or if what it becomes
            is too long, or in no codec.
        FormatError: If soundfile is not installed, and it or what it becomes is no plain WAV.
    """
    # A header that is whole says nothing of the samples: what stays is decoded, too.
    found, samples = read_recording(raw)
    shape = shape_of(form, found)
    if not shape.codec:
        return raw
    check_shape(shape)
    with np.errstate(invalid="ignore"):  # of +inf and -inf the mean is NaN
        values = samples.mean(axis=1, keepdims=True, dtype=np.float64) if form.channels == 1 else samples
    broken = int(np.count_nonzero(np.isnan(values)))
    if broken:
        raise DecodeError(f"{broken:,} of its samples are NaN, and no whole number is; leave it out")
    moved = np.stack([
        resampled(np.asarray(channel, np.float32), found.rate, shape.rate) for channel in values.T
    ], axis=1)  # fmt: skip
    if shape.change < 0:
        start = {"start": 0, "middle": -shape.change // 2, "end": -shape.change}[form.part]
        moved = moved[start : start + shape.frames]
    elif shape.change > 0:
        moved = np.concatenate([moved, np.zeros((shape.change, shape.channels))])
    whole = np.clip(np.rint(moved * 2.0**15), -(2**15), 2**15 - 1).astype("<i2")  # (frames, channels)
    return write_wav(whole, shape.rate) if shape.codec == "wav" else _flac(whole, shape.rate)


def _flac(values: np.ndarray, rate: int) -> bytes:
    import soundfile

    out = io.BytesIO()
    try:
        soundfile.write(out, values, rate, format="FLAC", subtype="PCM_16")
    except soundfile.SoundFileError as error:
        raise DecodeError(f"no FLAC can be made of {values.shape[1]} channels at {rate:,} Hz: {error}") from error
    return out.getvalue()


def encoder_of(form: RecordingForm) -> str:
    """Return the versions of what decodes and encodes here: the same bytes come of the same ones alone.

    Raises:
        FormatError: If FLAC is wanted, and soundfile is not installed.
    """
    try:
        library = importlib.import_module("soundfile")
    except (ImportError, OSError) as error:
        if form.codec == "flac":
            raise FormatError("codec flac needs soundfile; pip install 'petrel-lakehouse[audio]'") from error
        return "no libsndfile"
    return f"libsndfile {library.__libsndfile_version__}"


def stored_facts(raw: bytes | memoryview) -> Recording:
    """Return what a recording is, by its header; see `loaders.decoding.audio.recording_facts`."""
    return recording_facts(raw)
