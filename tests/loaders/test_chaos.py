"""Jumps, breaks and odd sizes at random: the order stays that of ORDER.md, and nothing ever waits for itself."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest

from loaders import Field, Layout, ReadOptions, Shard, Shuffle, make_reader, write_dataset

FIELDS = (Field("entity_id", pa.string()), Field("number", pa.int64()), Field("text", pa.string(), nullable=True))


@pytest.fixture(scope="module")
def many_groups(tmp_path_factory):
    """3,000 rows in some hundred row groups, more than a reader keeps in memory."""
    folder = tmp_path_factory.mktemp("many")
    rows = pa.table({"entity_id": [f"{n:05d}" for n in range(3000)], "number": np.arange(3000),
                     "text": [None if n % 7 == 0 else "word" * (n % 5) for n in range(3000)]})  # fmt: skip
    write_dataset(rows, FIELDS, folder / "v", layout=Layout(row_group_bytes=600))
    return folder / "v" / "train"


@pytest.mark.parametrize("pool", ["threads", "processes", "inline"])
def test_jumping_to_and_fro_never_ends_in_a_reader_that_waits_for_itself(many_groups, pool):
    """Batches in the making that a jump forgets had row groups held for them, and gave them back never."""
    options = ReadOptions(pool=pool, deadline_s=20, prefetch=8, workers=2)
    shuffle = Shuffle(seed=1, window=1, lanes=2)
    with make_reader(many_groups, columns=["number"], batch_size=4, shuffle=shuffle, options=options) as reader:
        for epoch in range(80):
            reader.set_epoch(epoch)
            for _ in range(epoch % 4):
                next(reader)
            reader.load_state_dict({**reader.state_dict(), "step": 50 + epoch})
        assert len(next(reader)["number"]) == 4


def seen(reader, steps):
    """Return the numbers of some batches, None for padding."""
    found = []
    for _ in range(steps):
        try:
            batch = next(reader)
        except StopIteration:
            found.append("end")
            continue
        pad = batch["is_pad"] if "is_pad" in batch else np.zeros(len(batch["number"]), bool)
        assert all(text == (None if n % 7 == 0 else "word" * (n % 5)) for n, text in
                   zip(batch["number"].tolist(), batch["text"], strict=True))  # fmt: skip
        found.append([None if is_pad else n for n, is_pad in zip(batch["number"].tolist(), pad, strict=True)])
    return found


@pytest.mark.parametrize("seed", range(8))
def test_any_walk_through_any_layout_is_the_same_in_line_and_in_threads(tmp_path, seed):
    dice = random.Random(seed)
    count = dice.choice([1, 7, 97, 500])
    rows = [{"entity_id": f"{n:05d}", "number": n, "text": None if n % 7 == 0 else "word" * (n % 5)}
            for n in range(count)]  # fmt: skip
    layout = Layout(row_group_bytes=dice.choice([60, 300, 2000]), part_bytes=dice.choice([500, 5000]))
    write_dataset(rows, FIELDS, tmp_path / "v", layout=layout)
    for _ in range(4):
        world = dice.choice([1, 1, 2, 3])
        each = dice.choice([1, 2, 3, 8, 60])
        lanes = world * dice.choice([n for n in (1, 2, 3, 4, 6) if each % n == 0])
        shuffle = Shuffle(dice.randrange(99), window=dice.choice([1, 2, 5]), lanes=lanes)
        epochs = dice.choice([1, 2, None])
        moves = [(dice.choice(["set", "load", "go", "go"]), dice.randrange(3), dice.random(), dice.randrange(7))
                 for _ in range(12)]  # fmt: skip
        walks = []
        shard = Shard(dice.randrange(world), world)
        threads = ReadOptions(deadline_s=20, prefetch=dice.choice([1, 3, 40]), workers=dice.choice([1, 3]))
        for options in (ReadOptions(pool="inline"), threads):
            with make_reader(tmp_path / "v" / "train", batch_size=each, shuffle=shuffle, shard=shard, epochs=epochs,
                             options=options) as reader:  # fmt: skip
                walk = []
                for move, epoch, part, steps in moves:
                    if move == "set":
                        reader.set_epoch(epoch)
                    elif move == "load":
                        step = int(part * (reader.steps_per_epoch + 1))
                        reader.load_state_dict({**reader.state_dict(), "epoch": epoch, "step": step})
                    walk.append((seen(reader, steps), reader.state_dict()))
                walks.append(walk)
        assert walks[0] == walks[1]
