"""Loudness, spectrum and fingerprint of recordings, beside pyloudnorm and by tones whose answer is known."""

from __future__ import annotations

import io

import numpy as np
import pytest

from lakehouse.extractors.audio_spectrum import measure_audio_spectrum
from lakehouse.extractors.loudness import integrated_loudness
from lakehouse.media.view import AudioView


def tone(hz: float, seconds: float, *, rate: int = 16000, level: float = 0.5) -> np.ndarray:
    """A sine, float32 (frames, 1)."""
    return (level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)[:, None]


def noise(seconds: float, *, rate: int = 16000, channels: int = 1, seed: int = 0) -> np.ndarray:
    """Noise whose level rises and falls, so that blocks are gated; float32 (frames, channels)."""
    count = round(seconds * rate)
    swell = 10 ** (-2 + 1.8 * np.sin(np.arange(count) / rate))[:, None]
    return (swell * np.random.default_rng(seed).normal(size=(count, channels)) * 0.3).astype(np.float32)


def measured(samples: np.ndarray, rate: int = 16000) -> dict[str, object]:
    """Values of a WAV of floats."""
    soundfile = pytest.importorskip("soundfile")
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype="FLOAT")
    return dict(measure_audio_spectrum(AudioView(buffer.getvalue())))


def distance(one: object, other: object) -> int:
    """Bits in which two hashes differ."""
    return (int(str(one), 16) ^ int(str(other), 16)).bit_count()


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_loudness_is_that_of_pyloudnorm(rate, channels):
    pyloudnorm = pytest.importorskip("pyloudnorm")
    samples = noise(7.3, rate=rate, channels=channels, seed=rate)
    assert integrated_loudness(samples, rate) == pytest.approx(
        pyloudnorm.Meter(rate, filter_class="DeMan").integrated_loudness(samples.astype(np.float64)), abs=0.001
    )
    if rate >= 44100:  # below, pyloudnorm's other filter leaves that of the standard, by 0.2 LU at 8 kHz
        assert integrated_loudness(samples, rate) == pytest.approx(
            pyloudnorm.Meter(rate).integrated_loudness(samples.astype(np.float64)), abs=0.1
        )


def test_the_reference_tone_of_the_standard():
    """BS.1770: a sine of 997 Hz at full scale in one channel is -3.01 LUFS."""
    assert integrated_loudness(tone(997, 3, rate=48000, level=1.0), 48000) == pytest.approx(-3.01, abs=0.01)


def test_what_has_no_loudness():
    assert integrated_loudness(tone(997, 0.399, rate=8000), 8000) is None
    assert integrated_loudness(np.zeros((16000, 1), np.float32), 16000) is None
    assert integrated_loudness(noise(1, channels=6), 16000) is None
    assert measured(np.zeros((16000, 1), np.float32)) == {"audio_loudness_lufs": None}
    assert measured(np.zeros((0, 1), np.float32)) == {"audio_loudness_lufs": None}


def test_centroid_and_rolloff_of_tones():
    found = measured(tone(1000, 1))
    assert found["audio_centroid_hz"] == pytest.approx(1000, abs=2)
    assert found["audio_rolloff_hz"] == pytest.approx(1000, abs=32)
    two = measured(tone(500, 1) + tone(3000, 1))
    assert two["audio_centroid_hz"] == pytest.approx(1750, abs=5)
    assert two["audio_rolloff_hz"] == pytest.approx(3000, abs=32)
    assert measured(tone(1000, 0.01))["audio_centroid_hz"] == pytest.approx(1000, rel=0.1)
    assert measured(tone(1000, 60))["audio_centroid_hz"] == pytest.approx(1000, abs=2)


def test_a_fingerprint_outlives_gain_and_coding_and_tells_recordings_apart():
    soundfile = pytest.importorskip("soundfile")
    sounds = []
    for number in range(4):
        steps = np.random.default_rng(number).permutation(15)
        melody = np.concatenate([tone(200 * step + 90 * number, 0.2) for step in steps])
        sounds.append(melody + noise(3, seed=number) * 0.05)
    prints = [measured(sound)["audio_fingerprint"] for sound in sounds]
    assert measured(sounds[0] * np.float32(0.1))["audio_fingerprint"] == prints[0]
    buffer = io.BytesIO()
    soundfile.write(buffer, sounds[0], 16000, format="OGG", subtype="VORBIS")
    again = dict(measure_audio_spectrum(AudioView(buffer.getvalue())))["audio_fingerprint"]
    assert distance(again, prints[0]) <= 6
    apart = [distance(prints[a], prints[b]) for a in range(4) for b in range(a)]
    assert min(apart) > 15


def test_a_long_recording_is_measured_in_a_bounded_number_of_rows():
    from lakehouse.extractors import audio_spectrum

    rows, frequencies = audio_spectrum._powers(noise(100, rate=8000)[:, 0].astype(np.float64), 8000)
    assert len(rows) <= 576
    assert rows.shape[1] == len(frequencies) == 129
