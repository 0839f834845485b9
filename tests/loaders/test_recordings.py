"""Recordings encoded anew: another rate that is right and the same everywhere, channels, length and codec."""

from __future__ import annotations

import io
import math
import struct
import tracemalloc

import numpy as np
import pytest
from scipy import signal

from loaders.decoding.audio import read_recording
from loaders.decoding.wav import write_wav
from loaders.errors import DecodeError
from loaders.publishing import resampling
from loaders.publishing.recording_encoding import encoded, shape_of, stored_facts
from loaders.publishing.recording_form import RecordingForm
from loaders.publishing.resampling import LARGEST, _taps, frames_at, resampled

RATES = ((44_100, 16_000), (48_000, 16_000), (8_000, 16_000), (16_000, 22_050), (16_000, 8_000))


def sine(rate: int, hertz: float, seconds: float = 1.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


def decibels(values: np.ndarray) -> float:
    """Power of values, beside that of a sine of amplitude 0.5."""
    return 10 * math.log10(np.mean(values**2) / 0.125 + 1e-20)


@pytest.mark.parametrize(("rate", "wanted"), RATES)
def test_a_sine_stays_that_sine(rate, wanted):
    lower = min(rate, wanted) / 2
    for hertz in (0.01 * lower, 0.2 * lower, 0.8 * lower):
        found = resampled(sine(rate, hertz), rate, wanted)
        assert len(found) == frames_at(rate, rate, wanted) == wanted
        right = 0.5 * np.sin(2 * np.pi * hertz * np.arange(wanted) / wanted)
        middle = slice(wanted // 10, -wanted // 10)
        assert decibels((found - right)[middle]) < -110, hertz


@pytest.mark.parametrize(("rate", "wanted"), [each for each in RATES if each[0] > each[1]])
def test_what_the_lower_rate_cannot_hold_is_gone_and_folds_back_nowhere(rate, wanted):
    for hertz in (1.075 * wanted / 2, 1.5 * wanted / 2):
        found = resampled(sine(rate, hertz), rate, wanted)[wanted // 10 : -wanted // 10]
        assert decibels(found) < -110, hertz


def test_it_is_what_scipy_gives_with_the_same_filter():
    noise = np.random.default_rng(3).uniform(-1, 1, 5_000).astype(np.float32)
    taps = _taps(160, 441)  # (phases, taps)
    half = taps.shape[1] // 2
    # One filter at 160 times the rate: tap n of phase p lies (half - 1 - n) * 160 + p after its middle.
    line = np.zeros(2 * half * 160)
    for phase in range(160):
        line[(2 * half - 1 - np.arange(2 * half)) * 160 + phase] = taps[phase] * 2.0**-24
    wanted = signal.upfirdn(line, noise.astype(np.float64), up=160)[half * 160 :: 441]
    found = resampled(noise, 44_100, 16_000)
    assert np.abs(found - wanted[: len(found)]).max() < 1e-6


def test_sums_are_exact_so_that_no_order_of_additions_can_tell():
    noise = np.random.default_rng(4).uniform(-1, 1, 700).astype(np.float32)
    found = resampled(noise, 16_000, 11_025)
    taps = _taps(441, 640).astype(np.int64).astype(object)
    half = taps.shape[1] // 2
    whole = [int(each) for each in np.rint(noise.astype(np.float64) * 2**23)]
    for frame in (0, 1, 200, len(found) - 1):
        at, phase = divmod(frame * 640, 441)
        total = sum(
            whole[at + 1 - half + tap] * taps[phase, tap]
            for tap in range(2 * half) if 0 <= at + 1 - half + tap < len(whole)
        )  # fmt: skip
        assert found[frame] == total * 2.0**-47
    assert np.abs(taps).sum(axis=1).max() * LARGEST * 2**23 < 2**53


def test_rate_channels_length_and_codec_are_as_asked():
    stereo = np.stack([sine(8_000, 440), -0.5 * sine(8_000, 440)], axis=1)
    raw = write_wav(np.rint(stereo * 2**15).astype(np.int16), 8_000)
    form = RecordingForm(sample_rate=16_000, channels=1, codec="wav", max_seconds=0.25, part="middle")
    found, samples = read_recording(encoded(raw, form))
    assert found == ("WAV", "PCM_16", 16_000, 1, 4_000)
    right = 0.125 * np.sin(2 * np.pi * 440 * (np.arange(4_000) + 6_000) / 16_000)
    assert np.abs(samples[:, 0] - right).max() < 2 / 2**15
    padded, silent = read_recording(encoded(raw, RecordingForm(max_seconds=2.0, pad=True)))
    assert (padded.frames, padded.channels) == (16_000, 2)
    assert np.array_equal(silent[:8_000], read_recording(raw)[1])
    assert not silent[8_000:].any()
    flac = encoded(raw, RecordingForm(codec="flac"))
    assert stored_facts(flac) == ("FLAC", "PCM_16", 8_000, 2, 8_000)
    assert np.array_equal(read_recording(flac)[1], read_recording(raw)[1])
    ends, values = read_recording(encoded(raw, RecordingForm(max_seconds=0.5, part="end")))
    assert np.array_equal(values, read_recording(raw)[1][-ends.frames :])


def test_what_needs_no_change_stays_byte_for_byte_and_plans_are_what_is_written():
    raw = write_wav(np.zeros((100, 1), np.int16), 8_000)
    assert encoded(raw, RecordingForm(sample_rate=8_000, channels=1, codec="wav", max_seconds=1)) is raw
    for form in (RecordingForm(sample_rate=11_025), RecordingForm(max_seconds=0.001), RecordingForm(codec="flac")):
        shape = shape_of(form, stored_facts(raw))
        found = stored_facts(encoded(raw, form))
        assert (shape.rate, shape.channels, shape.frames) == (found.rate, found.channels, found.frames)
    with pytest.raises(DecodeError, match="cut off"):
        encoded(raw[:-9], RecordingForm(sample_rate=8_000))


def test_values_beyond_one_are_cut_off_and_an_empty_recording_stays_empty():
    import soundfile

    out = io.BytesIO()
    soundfile.write(out, np.full((50, 1), 1.5, np.float32), 8_000, format="WAV", subtype="FLOAT")
    _, samples = read_recording(encoded(out.getvalue(), RecordingForm(codec="wav")))
    assert samples.max() == samples.min() == 1 - 2.0**-15
    empty = write_wav(np.zeros((0, 1), np.int16), 8_000)
    assert stored_facts(encoded(empty, RecordingForm(sample_rate=16_000))).frames == 0


def test_memory_does_not_hang_on_the_length_and_pieces_are_not_heard(monkeypatch):
    noise = np.random.default_rng(5).uniform(-1, 1, 3_000).astype(np.float32)
    whole = [resampled(noise, rate, wanted) for rate, wanted in RATES]
    monkeypatch.setattr(resampling, "PIECE", 1_000)
    for (rate, wanted), expected in zip(RATES, whole, strict=True):
        assert np.array_equal(resampled(noise, rate, wanted), expected)
    monkeypatch.undo()
    long = np.zeros(2_000_000, np.float32)
    tracemalloc.start()
    resampled(long, 48_000, 16_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 160 << 20  # 1 GB, when all windows were taken out together


def test_what_could_not_be_read_again_or_is_no_number_is_refused_and_not_written():
    empty, plain = (write_wav(np.zeros((frames, 1), np.int16), 8_000) for frames in (0, 9))
    odd = plain[:24] + b"\xff\xff\xff\xff" + plain[28:]
    for raw, form, message in (
        (empty, RecordingForm(codec="flac"), "0 frames of 1 channels .* and a frame"),
        (write_wav(np.zeros((2, 9), np.int16), 8_000), RecordingForm(codec="flac"), "9 channels .* 1 to 8 channels"),
        (odd, RecordingForm(sample_rate=16_000), "a rate of 4,294,967,295 Hz becomes 16,000 Hz"),
        (odd, RecordingForm(max_seconds=1e-9), "no WAV says so"),
        (empty, RecordingForm(sample_rate=16_000, max_seconds=86_400, pad=True), "audio.max_seconds"),
        (floats([0.5, math.nan]), RecordingForm(codec="wav"), "1 of its samples are NaN"),
        (floats([0.5, math.nan]), RecordingForm(sample_rate=16_000), "1 of its samples are NaN"),
    ):
        with pytest.raises(DecodeError, match=message):
            encoded(raw, form)
    _, samples = read_recording(encoded(floats([math.inf, -math.inf, 0.5]), RecordingForm(codec="wav")))
    assert samples[:, 0].tolist() == [1 - 2.0**-15, -1, 0.5]


def floats(values: list[float]) -> bytes:
    """A WAV of 32-bit floats, one channel, 8 kHz."""
    raw = np.array(values, "<f4").tobytes()
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(raw), b"WAVE", b"fmt ", 16, 3, 1, 8_000, 32_000, 4, 32,
                       b"data", len(raw))  # fmt: skip
    return head + raw
