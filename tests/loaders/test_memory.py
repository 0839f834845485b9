"""A reader takes no more memory than it announces, and does not grow from epoch to epoch."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from loaders import Field, Layout, write_dataset

ROOT = Path(__file__).parents[2]
ID = Field("entity_id", pa.string())
LAYOUT = Layout(row_group_bytes=1 << 20)


def photo(dice):
    """A JPEG of 128 x 128 pixels, about 12 KB."""
    stream = io.BytesIO()
    Image.fromarray(dice.integers(0, 255, (128, 128, 3), dtype=np.uint8)).save(stream, "JPEG", quality=75)
    return stream.getvalue()


def tables():
    """Return {name: (fields, a function that makes n rows, rows)}."""
    dice = np.random.default_rng(1)
    numbers = [f"f{at}" for at in range(20)]
    return {
        "photos": ((ID, Field("image", pa.binary(), codec="image", shape=(128, 128, 3)), Field("text", pa.string())),
                   lambda n: {"image": [photo(dice) for _ in range(n)], "text": ["some words"] * n}, 1500),
        "tensors": ((ID, Field("x", pa.binary(), codec="ndarray", shape=(3, 32, 32), dtype="float32")),
                    lambda n: {"x": [dice.bytes(3 * 32 * 32 * 4) for _ in range(n)]}, 6000),
        "tabular": ((ID, *(Field(name, pa.float32()) for name in numbers)),
                    lambda n: {name: dice.random(n, dtype=np.float32) for name in numbers}, 30_000),
    }  # fmt: skip


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    """Return {name: (a split of 64 rows, a large one)}."""
    found = {}
    for name, (fields, make, rows) in tables().items():
        folder = tmp_path_factory.mktemp(name)
        for count in (64, rows):
            data = pa.table({"entity_id": [f"{at:06d}" for at in range(count)], **make(count)})
            write_dataset(data, fields, folder / str(count), layout=LAYOUT)
        found[name] = folder / "64" / "train", folder / str(rows) / "train"
    return found


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["threads", "processes"])
@pytest.mark.parametrize("name", ["photos", "tensors", "tabular"])
def test_memory_stays_below_what_was_announced_and_flat(splits, name, pool):
    tiny, large = splits[name]
    done = subprocess.run(
        [sys.executable, "-m", "tests.loaders.measure_memory", str(tiny), str(large), pool], cwd=ROOT,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    peaks = told["peaks"]
    assert max(peaks) <= 1.2 * told["bound"], told
    whole = [told["before"] + peak for peak in peaks]
    steps = sorted(later - earlier for earlier, later in pairwise(whole[1:]))
    assert steps[1] <= 0.01 * whole[0], told  # in the middle: one step may be a slot that was not needed before
