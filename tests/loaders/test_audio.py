"""Recordings come back as the samples that were stored; what is cut, too long or of another shape is refused."""

from __future__ import annotations

import io
import sys
import wave

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from loaders import Field, FormatError, make_reader, write_dataset
from loaders.decoding.audio import MAX_SAMPLES, decode_audio
from loaders.errors import DecodeError

ANY = Field("sound", pa.binary(), codec="audio")
MONO = Field("sound", pa.binary(), codec="audio", shape=(None,))
KINDS = [("WAV", "PCM_16"), ("WAV", "PCM_U8"), ("WAV", "FLOAT"), ("WAVEX", "PCM_24"), ("FLAC", "PCM_16"),
         ("OGG", "VORBIS"), ("OGG", "OPUS"), ("AIFF", "PCM_16"), ("MP3", "MPEG_LAYER_III")]  # fmt: skip
EXACT = [kind for kind in KINDS if kind[0] not in ("OGG", "MP3") and kind[1] != "PCM_U8"]


def tone(frames: int, channels: int, rate: int = 48_000) -> np.ndarray:
    """Sines on the grid of 16 bits: float32 (frames, channels)."""
    phases = np.arange(frames)[:, None] * 2 * np.pi * 440 * np.arange(1, channels + 1) / rate
    return (np.round(np.sin(phases) * 12_000) / 32_768).astype(np.float32)


def stored(samples: np.ndarray, kind: tuple[str, str], rate: int = 48_000) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=kind[0], subtype=kind[1])
    return stream.getvalue()


@pytest.mark.parametrize("kind", EXACT)
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_lossless_recordings_come_back_exactly(kind, channels):
    samples = tone(1000, channels)
    found = decode_audio(memoryview(stored(samples, kind)), ANY)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, samples)


@pytest.mark.parametrize("kind", KINDS)
def test_lossy_recordings_come_back_nearly(kind):
    samples = tone(9600, 2)
    found = decode_audio(stored(samples, kind), ANY)
    assert found.shape == samples.shape
    assert np.abs(found - samples)[480:-480].mean() < 0.02


def test_real_recordings_have_the_samples_of_the_standard_library(real_data):
    paths = sorted((real_data("fsdd") / "recordings").glob("*.wav"))[::40]
    assert len(paths) >= 10
    for path in paths:
        with wave.open(str(path)) as file:
            assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
            wanted = np.frombuffer(file.readframes(file.getnframes()), "<i2") / np.float32(32_768)
        np.testing.assert_array_equal(decode_audio(path.read_bytes(), MONO), wanted)
        np.testing.assert_array_equal(decode_audio(path.read_bytes(), ANY), wanted[:, None])


def test_real_recordings_are_written_and_read(real_data, tmp_path):
    paths = sorted((real_data("fsdd") / "recordings").glob("*.wav"))[:7]
    rows = [{"entity_id": path.stem, "sound": path.read_bytes()} for path in paths]
    write_dataset(rows, [Field("entity_id", pa.string()), MONO], tmp_path / "v1")
    with make_reader(tmp_path / "v1" / "train", batch_size=7) as reader:
        (batch,) = reader
    assert sorted(batch["entity_id"]) == sorted(path.stem for path in paths)
    for name, samples in zip(batch["entity_id"], batch["sound"], strict=True):
        np.testing.assert_array_equal(samples, soundfile.read(paths[0].parent / f"{name}.wav", dtype="float32")[0])


@pytest.mark.parametrize(("shape", "is_right"), [
    (None, True), ((None, None), True), ((None, 2), True), ((600, None), True), ((600, 2), True),
    ((None, 1), False), ((601, 2), False), ((None,), False), ((600,), False),
])  # fmt: skip
def test_the_declared_shape_holds(shape, is_right):
    field, raw = Field("sound", pa.binary(), codec="audio", shape=shape), stored(tone(600, 2), ("FLAC", "PCM_16"))
    if is_right:
        assert decode_audio(raw, field).shape == (600, 2)
    else:
        with pytest.raises(DecodeError, match="expected shape .*, found 600 frames of 2 channels"):
            decode_audio(raw, field)


def test_a_fixed_number_of_frames_of_one_channel_has_one_axis():
    field = Field("sound", pa.binary(), codec="audio", shape=(600,))
    assert decode_audio(stored(tone(600, 1), ("WAV", "PCM_16")), field).shape == (600,)


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_recording_is_refused_wherever_it_is_cut(kind):
    raw = stored(tone(2000, 2), kind)
    for end in [*range(0, len(raw) - 1, len(raw) // 60), len(raw) - 1]:
        with pytest.raises(DecodeError):
            decode_audio(raw[:end], ANY)


@pytest.mark.parametrize("kind", [("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("WAV", "PCM_16")])
def test_damage_gives_samples_or_an_error_and_nothing_else(kind):
    rng, raw = np.random.default_rng(1), stored(tone(2000, 2), kind)
    for _ in range(300):
        damaged = bytearray(raw)
        for at in rng.integers(0, len(raw), int(rng.integers(1, 5))):
            damaged[at] = int(rng.integers(256))
        try:
            assert decode_audio(damaged, ANY, max_samples=1_000_000).size <= 1_000_000
        except DecodeError:
            pass


def test_a_recording_that_is_too_long_is_refused_by_its_header():
    raw = stored(tone(600, 2), ("WAV", "PCM_16"))
    assert decode_audio(raw, ANY, max_samples=1200).shape == (600, 2)
    with pytest.raises(DecodeError, match="of 2 channels at 48000 Hz are more than max_samples=1,199"):
        decode_audio(raw, ANY, max_samples=1199)
    flac = bytearray(stored(tone(600, 2), ("FLAC", "PCM_16")))
    assert flac[:4] == b"fLaC"
    flac[21:26] = (flac[21] | 0x0F, 255, 255, 255, 255)  # 2**36 - 1 frames
    with pytest.raises(DecodeError, match=f"more than max_samples={MAX_SAMPLES:,}"):
        decode_audio(flac, ANY)


@pytest.mark.parametrize("raw", [b"", b"text", b"RIFF", bytes(2000), b"OggS" + bytes(60)])
def test_what_is_no_recording_is_refused(raw):
    with pytest.raises(DecodeError, match="no recording"):
        decode_audio(raw, ANY)


def test_formats_that_are_not_in_the_contract_are_refused():
    with pytest.raises(DecodeError, match="found AU"):
        decode_audio(stored(tone(60, 1), ("AU", "PCM_16")), ANY)


def test_the_field_must_fit():
    for shape in ((1, 2, 3), (0,), ()):
        with pytest.raises(FormatError):
            Field("sound", pa.binary(), codec="audio", shape=shape)
    with pytest.raises(FormatError, match="must be binary"):
        Field("sound", pa.string(), codec="audio")
    with pytest.raises(FormatError, match="dtype"):
        Field("sound", pa.binary(), codec="audio", dtype="float32")


def test_without_soundfile_the_error_names_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(FormatError, match=r"petrel-lakehouse\[audio\]"):
        decode_audio(b"", ANY)
