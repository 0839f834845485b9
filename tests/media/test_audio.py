"""A recording is taken where the reader decodes it, measured by stated formulas, and rejected by a rule otherwise."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
import soundfile

from lakehouse.errors import RejectedInputError
from lakehouse.extractors.audio_header import measure_audio_header
from lakehouse.extractors.audio_signal import measure_audio_signal
from lakehouse.media.audio import probe_audio
from lakehouse.media.limits import AudioLimits
from lakehouse.media.view import AudioView


def stored(samples: np.ndarray, *, rate: int = 8000, kind: str = "WAV", subtype: str = "PCM_16") -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=kind, subtype=subtype)
    return stream.getvalue()


def sine(frames: int = 800, channels: int = 1) -> np.ndarray:
    return np.repeat(0.5 * np.sin(np.arange(frames) / 7)[:, None], channels, axis=1)


@pytest.mark.parametrize(("kind", "subtype", "media_type", "bits"), [
    ("WAV", "PCM_16", "audio/wav", 16), ("WAV", "PCM_U8", "audio/wav", 8), ("WAV", "FLOAT", "audio/wav", 32),
    ("FLAC", "PCM_24", "audio/flac", 24), ("OGG", "VORBIS", "audio/ogg", None),
])  # fmt: skip
def test_the_facts_are_those_of_the_file(kind, subtype, media_type, bits):
    facts = probe_audio(stored(sine(801, 2), kind=kind, subtype=subtype), name=f"a.{kind.lower()}")
    assert (facts.media_type, facts.sample_rate_hz, facts.channels, facts.frames) == (media_type, 8000, 2, 801)
    assert (facts.subtype, facts.bits, facts.duration_ms) == (subtype, bits, 100)


WAV, FLAC = stored(sine()), stored(sine(), kind="FLAC")


@pytest.mark.parametrize(("data", "name", "limits", "rule"), [
    (b"", "a.wav", {}, "empty"),
    (WAV[:-1], "a.wav", {}, "truncated"),
    (FLAC[:3], "a.flac", {}, "truncated"),
    (FLAC[:-40], "a.flac", {}, "undecodable"),
    (WAV[:30], "a.wav", {}, "undecodable"),
    (FLAC, "a.wav", {}, "extension_mismatch"),
    (bytes(range(200, 256)), "a.wav", {}, "unknown_type"),
    (WAV, "a.wav", {"max_bytes": 1000}, "too_large"),
    (WAV, "a.wav", {"max_duration_s": 0.05}, "too_long"),
    (stored(sine(10, 3)), "a.wav", {"max_channels": 2}, "too_many_channels"),
])  # fmt: skip
def test_what_cannot_be_taken_has_a_rule(data, name, limits, rule):
    with pytest.raises(RejectedInputError) as caught:
        probe_audio(data, name=name, limits=AudioLimits(**limits))
    assert caught.value.rule == rule


def test_plain_wav_needs_no_library_and_others_say_which(monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    assert probe_audio(WAV, name="a.wav").frames == 800
    with pytest.raises(RejectedInputError, match=r"petrel-lakehouse\[audio\].*looked at again") as caught:
        probe_audio(FLAC, name="a.flac")
    assert caught.value.rule == "needs_library"


def test_the_header_is_measured():
    assert measure_audio_header(AudioView(stored(sine(801, 2), rate=16000))) == {
        "sample_rate_hz": 16000, "audio_channels": 2, "duration_ms": 50, "audio_bits": 16, "audio_subtype": "PCM_16",
    }


def test_the_signal_is_measured_by_its_formulas():
    samples = np.zeros((250, 1))  # three windows of 80 frames and one of 10
    samples[80:160, 0] = 0.5
    samples[240:, 0] = -1.0
    found = measure_audio_signal(AudioView(stored(samples)))
    assert found["audio_rms"] == pytest.approx(np.sqrt((80 * 0.25 + 10) / 250))
    assert found["audio_peak"] == 1.0
    assert found["audio_silence_share"] == 160 / 250
    assert found["audio_clipping_share"] == 10 / 250
    assert measure_audio_signal(AudioView(stored(np.full((8, 1), 1.0))))["audio_clipping_share"] == 1.0
    assert measure_audio_signal(AudioView(stored(np.full((8, 1), 0.99))))["audio_clipping_share"] == 0.0
    assert measure_audio_signal(AudioView(stored(np.zeros((0, 1))))) == {}
