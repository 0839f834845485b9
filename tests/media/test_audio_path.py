"""Recordings go the whole way: landed, measured, built by speaker, materialised, read in batches, predicted, scored."""

from __future__ import annotations

import csv
import io
import re
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import lakehouse as lh
from jobs.cli import main
from lakehouse.config import load_config
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.lake import Lake
from lakehouse.query import fetch
from loaders import make_reader

REPOSITORY = Path(__file__).resolve().parents[2]
RECIPE = {
    "name": "digits", "seed": 3, "question": "digit", "label": {"kinds": ["import"]},
    "select": {"sql": "select entity_id, duration_ms, audio_rms from entities_wide where media_type = 'audio/wav'"},
    "split": {"ratios": {"train": 0.7, "test": 0.3}, "group": "speaker"},
}  # fmt: skip


def tone(digit: int, frames: int) -> bytes:
    """A WAV with a tone of its digit, 16 bits at 8 kHz."""
    samples = np.sin(np.arange(frames) * (digit + 1) * 0.1) * 8000
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(samples.astype("<i2").tobytes())
    return buffer.getvalue()


def recorded(folder: Path) -> Path:
    """Twelve speakers say three digits; index.csv says who and what. One more file is cut off, one is of no kind."""
    (folder / "recordings").mkdir(parents=True)
    lines = ["file,digit,speaker"]
    for number in range(36):
        digit, speaker = number % 3, f"s{number // 3}"
        name = f"{digit}_{speaker}.wav"
        (folder / "recordings" / name).write_bytes(tone(digit, 400 + number))
        lines.append(f"{name},{digit},{speaker}")
    (folder / "recordings" / "cut.wav").write_bytes(tone(1, 500)[:-1])
    (folder / "recordings" / "about.rst2").write_bytes(b"\0recorded in one room")
    (folder / "index.csv").write_text("\n".join(lines) + "\n")
    return folder


def landed(lake: Lake, folder: Path) -> None:
    """Land, find, measure and hear what the index says."""
    lh.land(
        lake,
        lh.Source(
            name="voices",
            folder=str(folder),
            include=("recordings/*",),
            sidecar="index.csv",
            sidecar_key="file",
            group_keys={"speaker": "speaker"},
        ),
    )
    lh.entities(lake)
    lh.dimensions(lake)
    columns = {"columns": {"subject": "file", "label": "digit"}}
    lh.opinions(
        lake,
        lh.OpinionSource(
            format="csv",
            path=str(folder / "index.csv"),
            source="voices",
            question="digit",
            actor="import:index",
            options=columns,
        ),
    )


def rows(folder: Path) -> Iterator[dict[str, Any]]:
    """Every sample of a split, one by one; batches are ragged: recordings of different lengths."""
    with make_reader(folder, batch_size=8) as reader:
        for batch in reader:
            for place in np.flatnonzero(~batch["is_pad"]):
                yield {name: values[place] for name, values in batch.items()}


def pitch(sound: npt.NDArray[np.float32]) -> int:
    """The digit of `tone`, from the strongest frequency; sound: (frames, 1)."""
    spectrum = np.abs(np.fft.rfft(sound[:, 0], 8000))
    return round(float(spectrum.argmax()) / 8000 * 2 * np.pi / 0.1) - 1


def test_recordings_go_the_whole_way_and_their_predictions_come_back(lake, tmp_path):
    landed(lake, recorded(tmp_path / "drop"))
    types = fetch(lake, "select media_type, count(*) as n from entities group by media_type order by media_type")
    assert types == [{"media_type": "application/octet-stream", "n": 1}, {"media_type": "audio/wav", "n": 36}]
    assert fetch(lake, "select rule from silver.rejected") == [{"rule": "truncated"}]
    measured = fetch(
        lake,
        "select min(sample_rate_hz) as rate, max(audio_channels) as channels, min(audio_bits) as "
        "bits, min(duration_ms) as shortest, round(avg(audio_peak), 2) as peak from entities_wide",
    )
    assert measured == [{"rate": 8000, "channels": 1, "bits": 16, "shortest": 50, "peak": 0.24}]

    built = lh.build(lake, parse_recipe(RECIPE, where="digits.toml"))
    assert built.counts["members"] == 36
    assert built.counts["train"]
    assert built.counts["test"]
    apart = fetch(lake, "select group_id from gold.dataset_members group by group_id having count(distinct split) > 1")
    assert apart == []
    receipt = lh.materialise(lake, "digits")
    assert receipt.counts["rows"] == 36
    folder = lake.root / receipt.details["folder"]

    test = list(rows(folder / "test"))
    assert {row["audio"].dtype for row in test} == {np.dtype("float32")}
    assert len({row["audio"].shape for row in test}) > 1
    guesses = [{"entity_id": row["entity_id"], "label": str(pitch(row["audio"]))} for row in test]
    lh.record_opinions(lake, guesses, source="ear", question="digit", actor="model:ear@1")
    scored = lh.evaluate(lake, dataset_id=built.details["dataset_id"], actor="model:ear@1", question="digit")
    assert scored.counts
    accuracy = fetch(lake, "select value, support from gold.evaluations where metric = 'accuracy' and slice = 'all'")
    assert accuracy == [{"value": 1.0, "support": len(test)}]


def test_a_second_run_changes_nothing(lake, tmp_path):
    landed(lake, recorded(tmp_path / "drop"))
    lh.build(lake, parse_recipe(RECIPE, where="digits.toml"))
    lh.materialise(lake, "digits")
    assert not lh.entities(lake).changed
    assert not lh.dimensions(lake).changed
    assert not lh.build(lake, parse_recipe(RECIPE, where="digits.toml")).changed
    assert not lh.materialise(lake, "digits").changed


@pytest.mark.torch
def test_a_batch_of_recordings_becomes_a_padded_tensor(lake, tmp_path):
    torch = pytest.importorskip("torch")
    from loaders.torch import tensors

    landed(lake, recorded(tmp_path / "drop"))
    lh.build(lake, parse_recipe(RECIPE, where="digits.toml"))
    folder = lake.root / lh.materialise(lake, "digits").details["folder"]
    with make_reader(folder / "train", columns=["audio", "label_index"], batch_size=4) as reader:
        batch = next(iter(tensors(reader, ragged={"audio": "pad"})))
    assert batch["audio"].dtype == torch.float32
    assert batch["audio"].shape[0] == 4
    assert batch["audio"].shape[2] == 1


@pytest.mark.slow
def test_real_recordings_go_the_whole_way_by_the_command(real_data, tmp_path, capsys):
    data, text = real_data("fsdd"), (REPOSITORY / "conf/pipelines/fsdd.toml").read_text()
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "datasets").mkdir()
    pipeline = tmp_path / "pipelines" / "fsdd.toml"
    pipeline.write_text(text.replace("../../../data/fsdd", str(data)))
    (tmp_path / "datasets" / "fsdd.toml").write_text((REPOSITORY / "conf/datasets/fsdd.toml").read_text())
    at = ["--lake", str(tmp_path / "lake")]
    assert main(["run", *at, "--pipeline", str(pipeline)]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"stored=600|600 stored|stored\D+600", shown), shown
    with (data / "index.csv").open() as file:
        known = {(row["speaker"], int(row["digit"]), int(row["frames"])) for row in csv.DictReader(file)}
    (folder,) = (tmp_path / "lake" / "datasets" / "fsdd").glob("[0-9a-f]*")
    read = [row for split in ("train", "test") for row in rows(folder / split)]
    assert len(read) == 600
    assert {(int(row["label"]), len(row["audio"])) for row in read} == {(digit, frames) for _, digit, frames in known}
    soundfile = pytest.importorskip("soundfile")
    with lh.open_lake(load_config(overrides=[f'lake.root="{tmp_path / "lake"}"'], environ={})) as lake:
        measured = fetch(lake, "select s.path, w.duration_ms, w.sample_rate_hz, w.audio_channels, w.audio_rms, "
                               "w.audio_loudness_lufs "
                               "from silver.entity_sources s join entities_wide w using (entity_id)")
    assert len(measured) == 600
    for row in measured:
        heard, rate = soundfile.read(data / row["path"], always_2d=True)
        assert (row["sample_rate_hz"], row["audio_channels"]) == (rate, heard.shape[1])
        assert row["duration_ms"] == round(len(heard) * 1000 / rate)
        assert row["audio_rms"] == pytest.approx(float(np.sqrt(np.square(heard).mean())), rel=1e-6)
        assert (row["audio_loudness_lufs"] is None) == (len(heard) < 0.4 * rate)
