"""Every sample once in an epoch, over all ranks, whatever does not divide what."""

from __future__ import annotations

from pathlib import Path

import pytest

from loaders import FormatError, Reader, Shard, Shuffle, make_reader
from loaders.testing import assert_same_batch
from tests.loaders.runs import options_of, read_ranks, steps_of, write_numbered

SIZES = (1, 2, 3, 5, 7, 8, 11, 13, 16, 17, 23, 31, 32, 33, 48, 61, 64, 97, 101, 128)
"""Rows of the datasets: one, primes, fewer than a batch, exact multiples."""

SHAPES = ((4, Shuffle(seed=5)), (7, Shuffle(seed=6, lanes=12, window=1)), (12, Shuffle(seed=7, lanes=12)), (5, None))
"""(samples in a batch of a rank, shuffle)"""


@pytest.fixture(scope="module", params=SIZES)
def sized(request, tmp_path_factory) -> tuple[int, Path]:
    """A dataset of each size."""
    return request.param, write_numbered(tmp_path_factory.mktemp("sized") / "v1", request.param)


@pytest.mark.parametrize("tail", ["pad", "drop", "ragged"])
def test_each_sample_comes_once_and_all_ranks_take_the_same_steps(sized, tail):
    rows, folder = sized
    compared = 0
    for each, shuffle in SHAPES:
        for world in (1, 2, 3, 4) if tail != "ragged" else (1,):
            size = each * world
            if shuffle and shuffle.lanes and size % shuffle.lanes:
                continue
            options = options_of("inline" if world % 2 else "2 threads", tail=tail)

            def make(shard: Shard, each=each, shuffle=shuffle, options=options) -> Reader:
                return make_reader(folder, batch_size=each, shuffle=shuffle, shard=shard, epochs=2, options=options)

            if tail == "drop" and rows < size:
                with pytest.raises(FormatError, match=f"{rows} rows give no whole batch of {size}; use tail='pad'"):
                    make(Shard(0, world))
                continue
            ranks, state = read_ranks(make, world)
            steps = steps_of(ranks, lanes=state["lanes"])
            per_epoch = rows // size if tail == "drop" else -(-rows // size)
            assert len(steps) == 2 * per_epoch
            for epoch in range(2):
                some = steps[epoch * per_epoch : (epoch + 1) * per_epoch]
                numbers, pads = ([each for step in some for each in step[at]] for at in (0, 1))
                known = rows if tail == "pad" else len(numbers)
                assert pads == [False] * known + [True] * (len(numbers) - known), "padding is at the end, and marked"
                real = [number for number, pad in zip(numbers, pads, strict=True) if not pad]
                assert len(set(real)) == len(real) == (rows if tail != "drop" else rows // size * size)
                assert set(numbers) <= set(range(rows))
            for batch in (batch for batches in ranks for batch in batches):
                assert ("is_pad" in batch) == (tail == "pad")
                assert batch["name"] == [None if n % 7 == 3 else f"n{n}" for n in batch["number"].tolist()]
            compared += 1
    assert compared or rows < 4


@pytest.mark.parametrize("rows", [2, 61])
def test_filler_is_a_whole_sample_of_the_dataset(tmp_path, rows):
    folder = write_numbered(tmp_path / "v1", rows)
    with make_reader(folder, batch_size=rows, shuffle=Shuffle(seed=1, lanes=1)) as reader:
        (whole,) = list(reader)
    with make_reader(folder, batch_size=64, shuffle=Shuffle(seed=1, lanes=1)) as reader:
        (padded,) = list(reader)
    wanted = {name: list(values) for name, values in whole.items()}
    repeats = -(-64 // rows)
    for name in ("number", "name"):
        assert list(padded[name]) == (wanted[name] * repeats)[:64]
    assert padded["is_pad"].tolist() == [False] * rows + [True] * (64 - rows)


def test_ranks_that_do_not_take_turns_see_no_other_batches(tmp_path):
    folder = write_numbered(tmp_path / "v1", 97)

    def make(rank: int) -> Reader:
        return make_reader(folder, batch_size=4, shuffle=Shuffle(seed=1, lanes=8), shard=Shard(rank, 2))

    with make(0) as one, make(1) as two, make(0) as again:
        together = [batch for pair in zip(one, two, strict=True) for batch in pair]
        alone = list(again)
    for found, wanted in zip(together[::2], alone, strict=True):
        assert_same_batch(found, wanted)
