"""[audio]: recordings are stored at one rate, with one channel, of one length or in one codec."""

from __future__ import annotations

import tarfile

import numpy as np
import pytest

import lakehouse as lh
from lakehouse.datasets.following import _check_cut
from lakehouse.datasets.policies.stretches import INTERVALS
from lakehouse.datasets.preview import plan_dataset
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.errors import RecipeError
from lakehouse.materialise import encoding
from loaders import make_reader
from loaders.decoding.wav import write_wav
from loaders.publishing.recording_encoding import stored_facts
from tests.making import Clock, small_lake

RATES = {"a": (8_000, 4_000, 1), "b": (44_100, 22_050, 2), "c": (16_000, 32_000, 1)}
"""Name -> Hz, frames, channels."""


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spoken")
    (folder / "drop").mkdir()
    for name, (rate, frames, channels) in RATES.items():
        tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(frames) / rate)
        values = np.rint(np.repeat(tone[:, None], channels, axis=1) * 2**15).astype(np.int16)
        (folder / "drop" / f"{name}.wav").write_bytes(write_wav(values, rate))
    with small_lake(folder / "lake", clock=Clock()) as lake:
        lh.land(lake, lh.Source(name="spoken", folder=str(folder / "drop")))
        lh.entities(lake)
        yield lake


def recipe(**audio):
    record = {"name": "spoken", "split": {"ratios": {"train": 1.0}}, "audio": audio}
    return parse_recipe(record, where="spoken.toml")


def read(lake, built):
    receipt = lh.materialise(lake, built.details["dataset_id"])
    with make_reader(lake.root / receipt.details["folder"] / "train", batch_size=3) as reader:
        (batch,) = reader
    return receipt, batch


def test_recordings_come_at_one_rate_with_one_channel_and_of_one_length(spoken):
    form = {"sample_rate": 16_000, "channels": 1, "codec": "wav", "max_seconds": 1.0, "pad": True}
    built = lh.build(spoken, recipe(**form))
    receipt, batch = read(spoken, built)
    found = np.stack(batch["audio"])
    assert found.shape == (3, 16_000, 1)
    assert set(batch["media_type"]) == {"audio/wav"}
    right = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    middle = slice(800, 7_200)
    for samples in found[:, :, 0]:
        assert np.abs(samples - right)[middle].max() < 1e-4
    notes = {note.rule: note.count for note in receipt.notes}
    assert notes == {"recordings_cut": 1, "recordings_padded": 2}
    assert lh.materialise(spoken, built.details["dataset_id"]).bytes_written == 0


def test_another_rate_is_another_version_and_none_is_the_one_without_the_section(spoken):
    plain, same = lh.build(spoken, recipe()), lh.build(spoken, recipe(codec="keep"))
    assert plain.details["dataset_id"] == same.details["dataset_id"]
    ids = {lh.build(spoken, recipe(sample_rate=rate)).details["dataset_id"] for rate in (8_000, 16_000)}
    assert len(ids | {plain.details["dataset_id"]}) == 3
    _, batch = read(spoken, lh.build(spoken, recipe(sample_rate=16_000)))
    assert sorted(each.shape for each in batch["audio"]) == [(8_000, 1), (8_000, 2), (32_000, 1)]


def test_another_encoder_than_the_version_was_built_for_is_refused(spoken, monkeypatch):
    built = lh.build(spoken, recipe(sample_rate=22_050))
    monkeypatch.setattr(encoding, "recording_encoder", lambda form: "libsndfile 0.1")
    with pytest.raises(RecipeError, match=r"recordings encoded with .*, and here is libsndfile 0\.1"):
        lh.materialise(spoken, built.details["dataset_id"])


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"sample_rate": 10}, "from 1,000 to 384,000 Hz"),
        ({"channels": 2}, "1 is the mean of all"),
        ({"max_seconds": 0.0}, "above 0"),
        ({"pad": True}, "pad changes nothing without audio.max_seconds"),
        ({"part": "end"}, "part changes nothing without audio.max_seconds"),
        ({"codec": "mp3"}, "codec"),
    ],
)
def test_what_cannot_be_is_refused_by_name(section, message):
    with pytest.raises(RecipeError, match=message):
        recipe(**section)


def test_pictures_and_answers_of_times_are_refused():
    with pytest.raises(RecipeError, match=r"\[image\] and \[audio\]"):
        parse_recipe({"name": "x", "audio": {"codec": "wav"}, "image": {"codec": "png"}}, where="x.toml")
    _check_cut(recipe(sample_rate=8_000), INTERVALS)
    with pytest.raises(RecipeError, match="answers of kind intervals are of times"):
        _check_cut(recipe(max_seconds=1.0), INTERVALS)


def test_an_export_has_them_as_they_are_stored(spoken, tmp_path):
    built = lh.build(spoken, recipe(sample_rate=8_000, channels=1))
    spoken.export(built.details["dataset_id"], format="webdataset", to=tmp_path / "out")
    with tarfile.open(next((tmp_path / "out").glob("*.tar"))) as tar:
        found = [stored_facts(tar.extractfile(name).read()) for name in tar.getnames() if name.endswith(".wav")]
    assert sorted((each.rate, each.channels, each.frames) for each in found) == [
        (8_000, 1, 4_000), (8_000, 1, 4_000), (8_000, 1, 16_000)
    ]  # fmt: skip


def test_a_plan_estimates_what_is_stored_and_says_of_whom_nobody_can(spoken):
    wanted = recipe(sample_rate=16_000, channels=1, codec="wav", max_seconds=1.0, pad=True)
    unknown = plan_dataset(spoken, wanted)
    assert [(note.rule, note.count) for note in unknown.notes] == [("size_not_estimated", 3)]
    assert unknown.splits[0]["stored_bytes"] == unknown.splits[0]["bytes"]
    lh.dimensions(spoken)
    assert plan_dataset(spoken, wanted).splits[0]["stored_bytes"] == 3 * (44 + 2 * 16_000)
