"""How well the default shuffle mixes: neighbours in the order, and classes in the batches of each rank.

Ideal is a random permutation of all rows. Data is sorted by class and by number when it is handed in.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from loaders import Field, Layout, Reader, Shard, Shuffle, make_reader, read_manifest, write_dataset
from loaders.ordering.order import EpochOrder, default_lanes
from tests.loaders.runs import read_ranks, steps_of

ROWS, CLASSES, GROUPS, EPOCHS = 200_000, 10, 400, 3
SIZE = 64
"""Samples of a batch of a rank."""

FIELDS = (Field("number", pa.int64()), Field("label", pa.int8()))


@pytest.fixture(scope="module")
def sorted_by_class(tmp_path_factory) -> Path:
    """200,000 rows, the first tenth of class 0 and so on, in 400 row groups."""
    folder = tmp_path_factory.mktemp("sorted") / "v1"
    numbers = np.arange(ROWS)
    data = pa.table(
        {
            "entity_id": [f"{n:07d}" for n in range(ROWS)],
            "number": pa.array(numbers, pa.int64()),
            "label": pa.array(numbers * CLASSES // ROWS, pa.int8()),
            "bytes": pa.array(np.zeros(ROWS, dtype=np.int64)),
        }
    )
    write_dataset(data, FIELDS, folder, layout=Layout(row_group_bytes=64 * ROWS // GROUPS))
    assert len(read_manifest(folder / "train").row_groups) == GROUPS, "far more than are open at once"
    return folder / "train"


def near(numbers: Any, rows: int = ROWS) -> float:
    """Return the share of neighbours whose numbers are within 1% of the rows: 0.02 is chance."""
    return float((np.abs(np.diff(numbers)) <= rows // 100).mean())


def unevenness(batches: Iterable[Any]) -> float:
    """Return how far the classes of batches are from equal shares: mean total variation distance, 0 to 1."""
    shares = [np.bincount(labels, minlength=CLASSES) / len(labels) for labels in batches]
    return float(np.mean([np.abs(share - 1 / CLASSES).sum() / 2 for share in shares]))


@pytest.fixture(scope="module")
def ideal() -> float:
    """Unevenness of batches of random permutations."""
    labels, chance = np.arange(ROWS) * CLASSES // ROWS, np.random.default_rng(0)
    whole = ROWS // SIZE * SIZE
    return unevenness(batch for _ in range(3) for batch in chance.permutation(labels)[:whole].reshape(-1, SIZE))


@pytest.mark.parametrize("world", [1, 4, 32])
def test_the_default_shuffle_mixes_neighbours_and_the_classes_of_each_rank(sorted_by_class, ideal, world):
    def make(shard: Shard) -> Reader:
        return make_reader(sorted_by_class, batch_size=SIZE, shuffle=Shuffle(seed=1), shard=shard, epochs=EPOCHS)

    ranks, state = read_ranks(make, world)
    steps = steps_of(ranks, lanes=state["lanes"])
    order = np.array([number for step in steps for number, pad in zip(*step, strict=True) if not pad])
    assert len(order) == EPOCHS * ROWS
    assert near(order) <= 0.03
    for batches in ranks:
        assert near(np.concatenate([batch["number"][~batch["is_pad"]] for batch in batches])) <= 0.03
        labels = [batch["label"] for batch in batches if not batch["is_pad"].any()]
        assert unevenness(labels) <= 1.05 * ideal


def test_the_default_shuffle_mixes_places_in_the_files_too():
    groups = (ROWS // GROUPS,) * GROUPS
    for world in (1, 4, 32):
        lanes = default_lanes(world=world, global_batch=SIZE * world, limit=32)
        assert lanes == 32
        assert near(EpochOrder(groups, "0" * 64, 1, 0, lanes, Shuffle(seed=1).window).sequence()) <= 0.03


def test_the_measures_tell_bad_orders_from_good_ones(ideal):
    groups, print_ = (ROWS // GROUPS,) * GROUPS, "0" * 64
    one_lane = EpochOrder(groups, print_, 1, 0, 1, 1).sequence()
    assert near(np.arange(ROWS)) == 1
    assert near(one_lane) > 0.9
    assert near(np.random.default_rng(1).permutation(ROWS)) == pytest.approx(0.02, abs=0.002)
    assert unevenness((one_lane[: ROWS // SIZE * SIZE] * CLASSES // ROWS).reshape(-1, SIZE)) > 4 * ideal
    # What writing rows in random order is for: of files sorted by class, one lane of 32 gives bad batches.
    lane = EpochOrder(groups, print_, 1, 0, 32, 4).sequence()[0::32]
    assert unevenness((lane[: len(lane) // SIZE * SIZE] * CLASSES // ROWS).reshape(-1, SIZE)) > 3 * ideal
