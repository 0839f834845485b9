"""Plain WAV is read without a library, and comes back as libsndfile gives it."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
import soundfile

from loaders.decoding.audio import read_recording
from loaders.decoding.wav import plain_wav
from loaders.errors import DecodeError, FormatError

PLAIN = [("WAV", "PCM_U8"), ("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "PCM_32"), ("WAV", "FLOAT"),
         ("WAV", "DOUBLE"), ("WAVEX", "PCM_16"), ("WAVEX", "PCM_24"), ("WAVEX", "FLOAT")]  # fmt: skip


def noise(frames: int, channels: int) -> np.ndarray:
    """Float64, (frames, channels), with both ends of the scale in it."""
    samples = np.random.default_rng(7).uniform(-1, 1, (frames, channels))
    samples[:2, 0] = (-1, 1)
    return samples


def stored(samples: np.ndarray, kind: tuple[str, str]) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, 8000, format=kind[0], subtype=kind[1])
    return stream.getvalue()


@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_every_sample_is_that_of_libsndfile(kind, channels, monkeypatch):
    raw = stored(noise(1001, channels), kind)
    wanted, rate = soundfile.read(io.BytesIO(raw), dtype="float32", always_2d=True)
    monkeypatch.setitem(sys.modules, "soundfile", None)
    found, samples = read_recording(raw)
    assert (found.subtype, found.rate, found.channels, found.frames) == (kind[1], rate, channels, 1001)
    assert samples.dtype == np.float32
    np.testing.assert_array_equal(samples, wanted)


@pytest.mark.parametrize("kind", [("WAV", "ULAW"), ("WAV", "MS_ADPCM"), ("FLAC", "PCM_16"), ("AIFF", "PCM_16")])
def test_what_is_not_plain_is_left_to_the_library(kind, monkeypatch):
    raw = stored(noise(500, 1), kind)
    assert plain_wav(raw) is None
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(FormatError, match=r"petrel-lakehouse\[audio\]"):
        read_recording(raw)


def test_a_cut_file_is_told_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(DecodeError, match="its last part is missing") as caught:
        read_recording(stored(noise(500, 1), ("WAV", "PCM_16"))[:-1])
    assert caught.value.rule == "truncated"
