"""The order of samples is what ORDER.md says, bit for bit."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loaders import Reader, Shard, Shuffle, make_reader, read_manifest
from loaders.errors import FormatError
from loaders.ordering.order import (
    EpochOrder,
    check_shape,
    default_lanes,
    permutation,
    random_words,
    sample_seeds,
    stream_key,
)
from tests.loaders.runs import POOLS, options_of, read_ranks, steps_of, write_numbered

F = "0123456789abcdef" * 4
GROUPS = (3, 4, 2, 4, 1)


def test_random_words_are_those_of_order_md():
    assert stream_key(F, 7, 0, "groups") == 0xA4F6DF5A7F25309A
    words = [int(word) for word in random_words(stream_key(F, 7, 0, "groups"), range(3))]
    assert words == [0xD602CACC7B1D5D9B, 0x3D5E6F0FA33A1CFE, 0x07583D4191AA8AC3]
    assert [int(word) for word in random_words(0, range(2))] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]
    assert permutation(stream_key(F, 7, 0, "groups"), 10).tolist() == [7, 4, 2, 5, 1, 6, 9, 8, 0, 3]


@pytest.mark.parametrize(
    ("seed", "epoch", "lanes", "window", "order"),
    [
        (7, 0, 2, 2, [8, 0, 13, 9, 7, 11, 6, 2, 4, 12, 3, 1, 5, 10]),
        (7, 1, 2, 2, [3, 1, 5, 10, 4, 2, 6, 9, 13, 12, 8, 0, 7, 11]),
        (7, 0, 4, 1, [13, 4, 1, 10, 8, 6, 2, 11, 7, 5, 9, 12, 3, 0]),
        (None, 0, 1, 1, list(range(14))),
        (None, 0, 2, 1, [0, 7, 1, 8, 2, 9, 3, 10, 4, 11, 5, 12, 6, 13]),
    ],
)
def test_orders_are_those_of_order_md(seed, epoch, lanes, window, order):
    assert EpochOrder(GROUPS, F, seed, epoch, lanes, window).sequence().tolist() == order


def test_seeds_of_samples_are_those_of_order_md():
    assert [int(seed) for seed in sample_seeds(F, 7, 0, [0, 1])] == [0xA09E44E3E5A5A384, 0x8BCB1B2886428297]


@pytest.mark.parametrize("lanes", [1, 2, 3, 8, 40])
@pytest.mark.parametrize("window", [1, 3, 99])
@pytest.mark.parametrize("groups", [(1,), (5, 5, 5), tuple(range(1, 12))])
def test_every_row_has_exactly_one_place(groups, lanes, window):
    order = EpochOrder(groups, F, 1, 0, lanes, window)
    assert sorted(order.sequence().tolist()) == list(range(sum(groups)))
    for lane in range(lanes):
        windows = order.windows(lane)
        assert sum(each.rows for each in windows) == order.lane_rows(lane)
        assert all(len(each.pieces) <= window for each in windows)
        assert [each.start for each in windows] == np.cumsum([0, *(each.rows for each in windows)])[:-1].tolist()


def test_another_seed_epoch_or_fingerprint_gives_another_order():
    orders = {
        tuple(EpochOrder((10,) * 10, fingerprint, seed, epoch, 4, 2).sequence())
        for fingerprint in (F, F[::-1])
        for seed in (1, 2)
        for epoch in (0, 1)
    }
    assert len(orders) == 8


def test_neighbours_in_the_order_are_rarely_neighbours_in_the_files():
    order = EpochOrder((100,) * 64, F, 5, 0, 8, 4).sequence()
    near = np.abs(np.diff(order)) <= 64  # 1% of the rows; 2% is what chance gives
    assert near.mean() < 0.03


def test_lanes_that_ranks_or_batches_cannot_share_are_refused():
    check_shape(lanes=8, world=4, global_batch=16)
    for lanes, world, batch in ((8, 3, 24), (8, 4, 12), (0, 1, 4)):
        with pytest.raises(FormatError, match="lanes cannot be shared"):
            check_shape(lanes=lanes, world=world, global_batch=batch)


def test_default_lanes_are_the_most_that_fit():
    assert default_lanes(world=1, global_batch=64, limit=32) == 32
    assert default_lanes(world=1, global_batch=60, limit=32) == 30
    assert default_lanes(world=3, global_batch=60, limit=8) == 6
    assert default_lanes(world=4, global_batch=64, limit=1) == 4


# ------------------------------------------------------------------------------------ what readers deliver

GOLDEN = json.loads((Path(__file__).parent / "golden" / "order.json").read_text())
"""A dataset of 61 rows, and what each epoch of a run over it delivers: numbers of the samples by step and place."""


@pytest.fixture(scope="module")
def numbered(tmp_path_factory) -> Path:
    return write_numbered(tmp_path_factory.mktemp("numbered") / "v1", GOLDEN["rows"])


def delivered(folder: Path, case: dict[str, Any], pool: str, world: int) -> list[Any]:
    """Read the epochs of a case; return [epoch][step][numbers, filler at the end marked by a minus, as -1 - n]."""
    epochs = []
    shuffle = None if case["seed"] is None else Shuffle(case["seed"], window=case["window"], lanes=case["lanes"])
    options = options_of(pool, tail=case["tail"])

    def make(shard: Shard) -> Reader:
        return make_reader(folder, batch_size=case["global_batch"] // world, columns=["number"], shuffle=shuffle,
                           shard=shard, epochs=len(case["epochs"]), options=options)  # fmt: skip

    ranks, state = read_ranks(make, world)
    steps = steps_of(ranks, lanes=state["lanes"])
    per_epoch = len(steps) // len(case["epochs"])
    for begin in range(0, len(steps), per_epoch):
        some = steps[begin : begin + per_epoch]
        epochs.append([[-1 - n if pad else n for n, pad in zip(*step, strict=True)] for step in some])
    return epochs


def test_the_dataset_of_the_golden_file_is_the_one_it_was_made_of(numbered):
    manifest = read_manifest(numbered)
    assert manifest.fingerprint == GOLDEN["fingerprint"]
    assert list(manifest.row_groups) == GOLDEN["rows_by_group"]
    assert len({*manifest.row_groups}) > 1, "row groups differ in size"


@pytest.mark.parametrize("world", [1, 2, 4])
@pytest.mark.parametrize("pool", POOLS)
def test_every_pool_and_number_of_ranks_delivers_the_sequence_of_the_golden_file(numbered, pool, world):
    cases = GOLDEN["cases"][:2] if pool.endswith(("process", "processes")) else GOLDEN["cases"]
    compared = 0
    for case in cases:
        if world == 1 or (case["tail"] != "ragged" and case["seed"] is not None and case["lanes"] % world == 0):
            assert delivered(numbered, case, pool, world) == case["epochs"], case["name"]
            compared += 1
    assert compared >= 2


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["name"])
def test_the_golden_file_is_what_the_words_of_order_md_say(numbered, case):
    with make_reader(numbered, columns=["number"], batch_size=GOLDEN["rows"]) as reader:
        stored = next(reader)["number"].tolist()
    for epoch, steps in enumerate(case["epochs"]):
        assert steps == by_the_words(stored, epoch, case)


def by_the_words(stored: list[int], epoch: int, case: dict[str, Any]) -> list[list[int]]:
    """ORDER.md once more, in numbers of Python and a loop over places: slow, and no line shared with the loaders."""
    s, lanes, window, size = (case[name] for name in ("seed", "lanes", "window", "global_batch"))
    f = GOLDEN["fingerprint"]

    def permuted(name: str, count: int) -> list[int]:
        if s is None:
            return list(range(count))
        key = int.from_bytes(hashlib.sha256(f"petrel-lanes-1|{f}|{s}|{epoch}|{name}".encode()).digest()[:8], "big")

        def word(i: int) -> int:
            z = (key + (i + 1) * 0x9E3779B97F4A7C15) % 2**64
            z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
            z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
            return z ^ z >> 31

        return sorted(range(count), key=lambda i: (word(i), i))

    counts = GOLDEN["rows_by_group"]
    # (row group, number in the split) of the whole row sequence
    sequence = [(g, sum(counts[:g]) + row) for g in permuted("groups", len(counts)) for row in range(counts[g])]
    total, lane_rows, at = len(sequence), [], 0
    for lane in range(lanes):
        mine = sequence[at : at + total // lanes + (lane < total % lanes)]
        at += len(mine)
        pieces = [[row for _, row in rows] for _, rows in groupby(mine, key=lambda each: each[0])]
        shuffled: list[int] = []
        for number, begin in enumerate(range(0, len(pieces), window)):
            rows = [row for piece in pieces[begin : begin + window] for row in piece]
            shuffled += [rows[i] for i in permuted(f"window|{lane}|{number}", len(rows))]
        lane_rows.append(shuffled)
    places = [stored[lane_rows[t % lanes][t // lanes]] for t in range(total)]
    if case["tail"] == "drop":
        places = places[: total // size * size]
    filled = {lane: 0 for lane in range(lanes)}
    while case["tail"] == "pad" and len(places) % size:
        lane = len(places) % lanes
        own = lane_rows[lane]
        filler = stored[own[filled[lane] % len(own)]] if own else places[0]
        filled[lane] += 1
        places.append(-1 - filler)
    return [places[begin : begin + size] for begin in range(0, len(places), size)]


if __name__ == "__main__":  # python -m tests.loaders.test_order writes the golden file: only for a new contract
    with tempfile.TemporaryDirectory() as folder:
        split = write_numbered(Path(folder) / "v1", GOLDEN["rows"])
        for each in GOLDEN["cases"]:
            each["epochs"] = delivered(split, {**each, "epochs": [[]] * each["count"]}, "inline", 1)
        manifest = read_manifest(split)
        GOLDEN |= {"fingerprint": manifest.fingerprint, "rows_by_group": list(manifest.row_groups)}
    text = json.dumps(GOLDEN, indent=1)
    text = re.sub(r"\[\s+([-\d,\s]+?)\s+\]", lambda found: "[" + " ".join(found[1].split()) + "]", text)
    (Path(__file__).parent / "golden" / "order.json").write_text(text + "\n")
