"""Hostile files are refused by name, quickly, and cost little; nothing in them is ever run."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loaders import Field, write_dataset
from tests.loaders.bombs import claim, pictures, publish_file, repeated
from tests.loaders.everything import write_everything
from tests.loaders.samples import pixels, png

ROOT = Path(__file__).parents[2]
ID = Field("entity_id", pa.string())
MIB = 1 << 20


def written(folder, value, **field):
    """Publish a good row and a bad one."""
    good = {"image": png(pixels(1)), "npy": npy(np.zeros(3, np.float32)), "audio": b""}[field["codec"]]
    rows = [{"entity_id": "a", "x": good}, {"entity_id": "b", "x": value}]
    write_dataset(rows, (ID, Field("x", pa.binary(), **field)), folder.with_suffix(".v"))
    (folder.with_suffix(".v") / "train").rename(folder)


def npy(array):
    """Return a `.npy` file, of objects if need be."""
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


class Evil:
    """Its pickle runs a command."""

    def __reduce__(self):
        return os.system, ("touch /tmp/petrel-was-here",)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A folder of splits, the first of them good."""
    root = tmp_path_factory.mktemp("hostile")
    good = root / "00 good"
    write_everything(root / "v", 5).rename(good)
    for name, raw in pictures().items():
        written(root / f"picture {name}", raw, codec="image", shape=(None, None, 3))
    array = npy(np.zeros(3, np.float32))
    written(root / "npy pickle", npy(np.array([Evil()], dtype=object)), codec="npy", dtype="float32")
    written(root / "npy size", array.replace(b"(3,)", b"(10000000000000,)"), codec="npy", dtype="float32")
    long_wave = b"RIFF\xff\xff\xff\x7fWAVEfmt \x10\0\0\0\1\0\xff\xff" + b"\xff" * 12 + b"data\xff\xff\xff\x7f"
    flac, ogg = b"fLaC\0\0\0\x22" + b"\xff" * 34, b"OggS" + b"\xff" * 60
    for at, head in enumerate([b"RIFF\xff\xff\xff\xffWAVEfmt ", flac, ogg, long_wave]):
        written(root / f"sound {at}", head + b"\0" * 100, codec="audio")
    bytes_, text = (ID, Field("x", pa.binary(), nullable=True)), (ID, Field("x", pa.string(), nullable=True))
    words = (ID, Field("x", pa.list_(pa.string()), nullable=True))
    zeros, zstd = b"\0" * MIB, {"compression": "zstd"}
    ids = repeated("a", 500)
    publish_file(pa.table({"entity_id": ids, "x": repeated(zeros, 500)}), bytes_, root / "dict", **zstd)
    publish_file(pa.table({"entity_id": ids, "x": repeated("a" * MIB, 500)}), text, root / "dict text", **zstd)
    many = pa.table({"entity_id": ["a"], "x": pa.array([["b" * MIB] * 500], pa.list_(pa.string()))})
    publish_file(many, words, root / "dict list", **zstd)
    for kind in ("zstd", "snappy"):
        one = pa.table({"entity_id": ["a"], "x": [b"\0" * (96 * MIB)]})
        publish_file(one, bytes_, root / f"page {kind}", compression=kind, use_dictionary=False)
    rows = 9_000_000
    nulls = pa.table({"entity_id": repeated("a", rows), "x": pa.nulls(rows, pa.binary())})
    publish_file(nulls, bytes_, root / "nulls", **zstd)
    small = pa.table({"entity_id": ["a"], "x": [b"1"]})
    for at, entries in enumerate([{"rows": 10**12}, {"rows": 10**9}, {"rows": 10**6}, {"row_group_bytes": [10**12]},
                                  {"row_group_bytes": [10**30]}, {"bytes": 10**15}, {"footer_bytes": 10**15}]):
        claim(publish_file(small, bytes_, root / f"claim {at}"), **entries)
    shape = Field("x", pa.binary(), codec="image", shape=(60_000, 60_000, 3))
    publish_file(small, (ID, shape), root / "shape picture")
    shape = Field("x", pa.binary(), codec="ndarray", shape=(60_000, 60_000), dtype="float64")
    publish_file(small, (ID, shape), root / "shape array")
    wrong = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff\xfe"]).buffers())
    publish_file(pa.table({"entity_id": ["a"], "x": wrong}), text, root / "no text")
    return root


@pytest.mark.parametrize("pool", ["threads", "processes"])
def test_hostile_splits_cost_little_and_run_nothing(hostile, tmp_path, pool):
    notes = tmp_path / "notes"
    done = subprocess.run(
        [sys.executable, "-m", "tests.loaders.bombs", str(hostile), pool, str(notes)], cwd=ROOT, capture_output=True,
        text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) == 1 + len(list(hostile.iterdir()))
    harmless = {"00 good", "picture png text", "picture png profile", "picture frames"}  # decoders pass them over
    for each in told:
        is_fine = each["split"] in harmless or "Error: " in each["found"]
        assert is_fine, each
        assert each["mib"] <= 200, each
        assert each["seconds"] < 5, each
    assert notes.read_text().count("armed") >= (1 if pool == "threads" else 15), "it watched where data is decoded"
    events = [line for line in notes.read_text().splitlines() if line != "armed" and not is_allowed(line)]
    assert not events
    assert not Path("/tmp/petrel-was-here").exists()


def is_allowed(line):
    """Whether an event is ours: the start of a worker process, and modules that Pillow and Python load late."""
    event, _, what = line.partition(" ")
    if event == "subprocess.Popen":
        return sys.executable in what and "-P" in what
    return event == "import" and what.split("'")[1].split(".")[0] in ("PIL", *sys.stdlib_module_names)
