"""A run that stops and goes on, anywhere and often, delivers what one that does not stop delivers."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from loaders import (
    FormatError,
    Reader,
    ReadOptions,
    Sequence,
    Shard,
    Shuffle,
    StateMismatchError,
    make_reader,
    read_manifest,
)
from loaders.testing import assert_resumes_exactly, assert_same_batch
from tests.loaders.runs import POOLS, options_of, steps_of, write_numbered

THREADS = ("inline", "1 thread", "2 threads", "4 threads")
LANES = 8
SIZE = 8
"""Samples of a batch of all ranks."""


@pytest.fixture(scope="module")
def numbered(tmp_path_factory) -> Path:
    """397 rows in about eighty row groups: 100 steps of two epochs, padded at the end of each."""
    return write_numbered(tmp_path_factory.mktemp("numbered") / "v1", 397)


def make(folder: Path, *, rank: int = 0, world: int = 1, pool: str = "2 threads", **others: Any) -> Reader:
    """A rank of the run."""
    arguments = {"shuffle": Shuffle(seed=5, lanes=LANES, window=2), "epochs": 2, **others}
    return make_reader(
        folder, batch_size=SIZE // world, shard=Shard(rank, world), options=options_of(pool), **arguments
    )


def read(folder: Path, state: Mapping[str, Any] | None, *, world: int, pool: str, steps: int | None) -> tuple[Any, Any]:
    """Read on from a state on `world` ranks; return the steps, and the state after so many (None: to the end)."""
    ranks, states = [], []
    for rank in range(world):
        with make(folder, rank=rank, world=world, pool=pool) as reader:
            if state is not None:
                reader.load_state_dict(json.loads(json.dumps(state)))
            ranks.append(list(reader) if steps is None else [next(reader) for _ in range(steps)])
            states.append(reader.state_dict())
    assert all(each == states[0] for each in states), "the state is the same on all ranks"
    assert len(json.dumps(states[0]).encode()) <= 1024
    return steps_of(ranks, lanes=LANES), states[0]


@pytest.fixture(scope="module")
def undisturbed(numbered) -> list[Any]:
    """Numbers and padding of each step of a run that nobody stops."""
    steps, _ = read(numbered, None, world=1, pool="inline", steps=None)
    assert len(steps) == 100
    return steps


@pytest.fixture(scope="module")
def states(numbered) -> list[dict[str, Any]]:
    """The state before each step of that run, and at its end."""
    with make(numbered) as reader:
        found = [reader.state_dict()]
        for _ in reader:
            found.append(reader.state_dict())
    assert len(found) == 101
    return found


@pytest.mark.parametrize("world", [2, 4])
def test_from_every_step_other_ranks_and_threads_go_on_with_the_next_sample(numbered, undisturbed, states, world):
    for step, state in enumerate(states[:-1]):
        pool = THREADS[(step + world) % len(THREADS)]
        steps = None if step % 20 == 7 else min(3, 100 - step)  # None: to the end
        wanted = undisturbed[step:] if steps is None else undisturbed[step : step + steps]
        assert read(numbered, state, world=world, pool=pool, steps=steps)[0] == wanted, (step, pool)


@pytest.mark.parametrize("pool", ["1 process", "2 processes"])
@pytest.mark.parametrize("step", [1, 49, 50, 99])
def test_from_a_step_on_processes_go_on_with_the_next_sample(numbered, undisturbed, states, pool, step):
    found, state = read(numbered, states[step], world=1, pool=pool, steps=1)
    assert found == undisturbed[step : step + 1]
    assert state == states[step + 1]


def test_batches_are_the_same_byte_for_byte_from_every_step_on(numbered):
    with make(numbered, pool="inline") as reader:
        wanted = list(reader)
        reader.set_epoch(0)
        states = [(reader.state_dict(), next(reader))[0] for _ in wanted]
    for step, state in enumerate(states):
        with make(numbered, pool=THREADS[step % len(THREADS)]) as reader:
            reader.load_state_dict(state)
            for at, batch in enumerate(reader):
                assert_same_batch(batch, wanted[step + at], where=f"restored at {step}, batch {step + at}")
            assert step + at == 99


def test_three_stops_in_a_row_each_on_other_ranks_and_pools_lose_and_repeat_nothing(numbered, undisturbed):
    chance = random.Random(17)
    for trial in range(16):
        stops = sorted(chance.sample(range(1, 100), 3))
        at, state, found = 0, None, []
        for stop in (*stops, 100):
            pools = (*THREADS, *POOLS) if trial % 8 == 0 else THREADS
            world, pool = chance.choice([1, 2, 4]), chance.choice(pools)
            some, state = read(numbered, state, world=world, pool=pool, steps=stop - at)
            found += some
            at = stop
        assert found == undisturbed, (trial, stops)


def test_a_state_of_step_zero_and_one_of_the_end_are_states_too(numbered, undisturbed, states):
    assert read(numbered, states[0], world=2, pool="2 threads", steps=None)[0] == undisturbed
    with make(numbered) as reader:
        reader.load_state_dict(states[-1])
        assert list(reader) == [], "the pass was over"
        following = [next(reader)["number"].tolist() for _ in range(2)]
    with make(numbered, epochs=None) as endless:
        endless.load_state_dict(states[-1])
        assert [next(endless)["number"].tolist() for _ in range(2)] == following
        assert (endless.epoch, endless.step) == (2, 2)


def test_the_end_of_an_epoch_within_a_pass_is_the_beginning_of_the_next(numbered, undisturbed, states):
    assert (states[50]["epoch"], states[50]["step"]) == (1, 0)
    assert (states[100]["epoch"], states[100]["step"]) == (1, 50)
    one_epoch_ended = {**states[50], "epoch": 0, "step": 50}  # what a reader with epochs=1 saves
    assert read(numbered, one_epoch_ended, world=1, pool="inline", steps=None)[0] == undisturbed[50:]


def test_setting_an_epoch_goes_to_its_beginning_from_anywhere(numbered, undisturbed):
    numbers = [step[0] for step in undisturbed]
    with make(numbered) as reader:
        reader.set_epoch(1)
        assert next(reader)["number"].tolist() == numbers[50]
        reader.set_epoch(1)  # again: it has been left
        assert next(reader)["number"].tolist() == numbers[50]
        reader.set_epoch(0)
        assert [batch["number"].tolist() for batch in reader] == numbers
    for wrong in (-1, 1.0, True, "1", None):
        with make(numbered) as reader, pytest.raises(FormatError, match="an epoch is counted from 0"):
            reader.set_epoch(wrong)


def test_a_reader_may_go_back_to_an_earlier_state_and_forward_again(numbered, undisturbed, states):
    chance = random.Random(3)
    with make(numbered, pool="4 threads") as reader:
        for step in (chance.randrange(100) for _ in range(60)):
            reader.load_state_dict(states[step])
            for at in range(step, min(step + chance.randrange(3), 100)):
                assert next(reader)["number"].tolist() == undisturbed[at][0]


def test_nothing_is_read_again_for_the_batches_before(numbered, states):
    def first_batch(state: Mapping[str, Any] | None) -> int:
        with make(numbered, pool="inline") as reader:
            if state is not None:
                reader.load_state_dict(state)
            next(reader)
            return reader.stats().read_bytes

    sizes = sum(size for part in read_manifest(numbered).parts for size in part.row_group_bytes)
    fresh = first_batch(None)
    read_bytes = [first_batch(state) for state in states[:-1]]
    # A place in the middle of its windows needs them and, from their middles on, the next ones.
    assert max(read_bytes) <= 2.5 * fresh
    assert max(read_bytes[30:50]) < sizes / 2


def test_a_state_fits_every_number_of_ranks_that_divides_the_lanes_and_no_other(numbered, states):
    for world in (1, 2, 4, 8):
        with make(numbered, rank=world - 1, world=world) as reader:
            reader.load_state_dict(states[7])
            assert reader.step == 7
    with make_reader(numbered, batch_size=1, shard=Shard(0, 8), shuffle=Shuffle(seed=5, window=2)) as reader:
        reader.load_state_dict(states[7])
    with make_reader(numbered, batch_size=4, shard=Shard(0, 2), shuffle=Shuffle(seed=5, window=2)) as reader:
        with pytest.raises(StateMismatchError, match="6 lanes cannot be shared"):
            reader.load_state_dict({**states[7], "lanes": 6})


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("seed was 5, this reader has 6", {"shuffle": Shuffle(seed=6, lanes=LANES, window=2)}),
        ("seed was 5, this reader has None", {"shuffle": None}),
        ("window was 2, this reader has 4", {"shuffle": Shuffle(seed=5, lanes=LANES)}),
        ("lanes was 8, this reader has 4", {"shuffle": Shuffle(seed=5, lanes=4, window=2)}),
        ("fingerprint was", {"filter": [("number", "<", 300)]}),
        ("fingerprint was", {"sequence": Sequence(length=2, order="number", max_gap=9)}),
    ],
)
def test_a_state_of_another_run_is_refused_with_both_values(numbered, states, what, change):
    with make(numbered, **change) as reader:
        before = reader.state_dict()
        with pytest.raises(StateMismatchError, match=what):
            reader.load_state_dict(states[7])
        assert reader.state_dict() == before, "a refused state changes nothing"


def test_a_state_of_other_data_batches_or_tails_is_refused(numbered, states, tmp_path):
    other = write_numbered(tmp_path / "other", 398)
    shuffle = Shuffle(seed=5, lanes=LANES, window=2)
    with make(other) as reader, pytest.raises(StateMismatchError, match="fingerprint was .* start from epoch 0"):
        reader.load_state_dict(states[7])
    with make_reader(numbered, batch_size=16, shuffle=shuffle) as reader:
        with pytest.raises(StateMismatchError, match="global_batch was 8, this reader has 16"):
            reader.load_state_dict(states[7])
    with make_reader(numbered, batch_size=8, shuffle=shuffle, options=ReadOptions(tail="drop")) as reader:
        with pytest.raises(StateMismatchError, match="tail was 'pad', this reader has 'drop'"):
            reader.load_state_dict(states[7])


def test_a_state_that_was_edited_or_cut_is_refused(numbered, states):
    good = states[7]
    with make(numbered) as reader:
        for name in good:
            with pytest.raises(StateMismatchError):
                reader.load_state_dict({key: value for key, value in good.items() if key != name})
        for change in (
            {"step": 51}, {"step": -1}, {"step": 7.0}, {"step": True}, {"epoch": "0"}, {"lanes": 0}, {"seed": "5"},
            {"version": 2}, {"contract": "petrel-lanes-2"}, {"more": 1}, {"fingerprint": None},
        ):  # fmt: skip
            with pytest.raises(StateMismatchError):
                reader.load_state_dict({**good, **change})
        for wrong in (None, [], "state", 7):
            with pytest.raises(StateMismatchError, match="a reader state is a dict"):
                reader.load_state_dict(wrong)
        assert reader.step == 0


@pytest.mark.parametrize("tail", ["pad", "drop", "ragged"])
def test_the_check_for_users_passes_on_every_tail(tmp_path, tail):
    folder = write_numbered(tmp_path / "v1", 61)
    options = ReadOptions(tail=tail, workers=2)
    assert_resumes_exactly(
        lambda: make_reader(folder, batch_size=6, shuffle=Shuffle(seed=1), epochs=2, options=options)
    )


def test_a_wide_seed_and_a_late_epoch_fit_into_a_kilobyte(numbered):
    with make(numbered, shuffle=Shuffle(seed=2**63 - 1, lanes=LANES, window=2)) as reader:
        reader.set_epoch(10**12)
        next(reader)
        state = reader.state_dict()
        assert len(json.dumps(state).encode()) <= 1024
        reader.load_state_dict(json.loads(json.dumps(state)))
        assert (reader.epoch, reader.step) == (10**12, 1)
