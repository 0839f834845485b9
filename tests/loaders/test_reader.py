"""What comes out of a reader: every sample, once, decoded, in the order of ORDER.md."""

from __future__ import annotations

import gc
import json
import pickle
import subprocess
import sys
import threading

import numpy as np
import pyarrow.parquet as pq
import pytest

from loaders import (
    CorruptionError,
    FormatError,
    ReadOptions,
    Shard,
    Shuffle,
    StateMismatchError,
    TransformError,
    make_reader,
    read_manifest,
    write_dataset,
)
from loaders.ordering.order import EpochOrder, sample_seeds
from loaders.testing import assert_resumes_exactly, assert_same_batch
from tests.loaders.runs import write_numbered
from tests.loaders.samples import FIELDS, SMALL, numbers_of, pixels, rows_of


def stored_numbers(train):
    """Numbers of the samples in stored order."""
    with make_reader(train, columns=["number"], batch_size=16) as reader:
        return [number for batch in reader for number in numbers_of(batch)]


def test_every_column_is_decoded_as_its_field_says(train):
    with make_reader(train, batch_size=32) as reader:
        batches = list(reader)
    assert [len(batch["number"]) for batch in batches] == [32] * 4
    for batch in batches:
        assert batch["image"].dtype == np.uint8
        assert batch["image"].shape == (32, 6, 5, 3)
        assert batch["soft"].shape == (32, 3)
        assert batch["soft"].dtype == np.float32
        for row, number in enumerate(batch["number"].tolist()):
            assert (batch["image"][row] == pixels(number)).all()
            assert batch["entity_id"][row] == f"id-{number:04d}"
            assert batch["label_index"][row] == number % 10
            assert batch["soft"][row].tolist() == [0.25, 0.5, number / 8]
            assert batch["votes"][row] == {"cat": number, "dog": 1}
            assert batch["weight"].mask[row] == (number % 7 == 0)
            assert number % 7 == 0 or batch["weight"][row] == number / 2


def test_without_a_shuffle_rows_come_in_stored_order(train):
    parts = [train / part.name for part in read_manifest(train).parts]
    stored = [number for part in parts for number in pq.read_table(part)["number"].to_pylist()]
    assert stored_numbers(train) == stored
    assert stored != sorted(stored), "rows are shuffled when they are written"


@pytest.mark.parametrize(("lanes", "window"), [(1, 1), (4, 2), (8, 4), (None, 4)])
def test_shuffled_rows_come_in_the_order_of_order_md(train, lanes, window):
    stored = stored_numbers(train)
    with make_reader(train, batch_size=8, shuffle=Shuffle(seed=5, window=window, lanes=lanes)) as reader:
        lanes = reader.state_dict()["lanes"]
        for epoch in range(3):
            manifest = read_manifest(train)
            order = EpochOrder(manifest.row_groups, manifest.fingerprint, 5, epoch, lanes, window).sequence()
            assert [n for batch in reader for n in numbers_of(batch)] == [stored[place] for place in order]


@pytest.mark.parametrize("options", [
    ReadOptions(workers=1, read_threads=1, prefetch=1),
    ReadOptions(workers=5, read_threads=3, prefetch=9), ReadOptions(pool="inline"),
    ReadOptions(pool="processes", workers=2),
])  # fmt: skip
def test_threads_prefetch_and_cache_change_no_byte(train, options):
    shuffle = Shuffle(seed=5)
    with make_reader(train, batch_size=8, shuffle=shuffle) as one, \
            make_reader(train, batch_size=8, shuffle=shuffle, options=options) as other:  # fmt: skip
        for found, wanted in zip(other, one, strict=True):
            assert_same_batch(found, wanted)


@pytest.mark.parametrize("shuffle", [None, Shuffle(seed=1, lanes=4, window=2)])
def test_each_sample_comes_once_whatever_the_number_of_ranks_and_steps_are_the_same_sequence(train, shuffle):
    steps_by_world = {}
    for world in (1, 2, 4):
        ranks = []
        for rank in range(world):
            with make_reader(train, batch_size=16 // world, shuffle=shuffle, shard=Shard(rank, world)) as reader:
                ranks.append(list(reader))
        assert len({len(batches) for batches in ranks}) == 1, "all ranks take the same number of steps"
        delivered = [number for batches in ranks for batch in batches for number in numbers_of(batch)]
        assert sorted(delivered) == list(range(101))
        steps_by_world[world] = [
            sorted(n for batches in ranks for n in numbers_of(batches[step])) for step in range(len(ranks[0]))
        ]
    if shuffle:
        assert steps_by_world[1] == steps_by_world[2] == steps_by_world[4]


def test_padding_repeats_rows_of_the_same_lane_and_is_marked(train):
    with make_reader(train, batch_size=64, shuffle=Shuffle(seed=1, lanes=2)) as reader:
        first, last = list(reader)
    assert not first["is_pad"].any()
    assert last["is_pad"].sum() == 27
    assert np.flatnonzero(~last["is_pad"]).tolist() == list(range(37))
    lane_starts = [first["number"][lane] for lane in (0, 1)]
    assert last["number"][38] == lane_starts[0]  # lane 0 gave 19 rows of 32, lane 1 gave 18
    assert last["number"][37] == lane_starts[1]


def test_more_lanes_than_rows_still_give_every_row_once(tmp_path):
    write_dataset(rows_of(3), FIELDS, tmp_path / "few")
    with make_reader(tmp_path / "few" / "train", batch_size=8, shuffle=Shuffle(seed=1, lanes=8)) as reader:
        (batch,) = list(reader)
    assert sorted(numbers_of(batch)) == [0, 1, 2]
    assert batch["number"][3:].tolist() == [batch["number"][0]] * 5


def test_drop_leaves_out_the_rest_and_says_how_much(train):
    options = ReadOptions(tail="drop")
    with make_reader(train, batch_size=16, shuffle=Shuffle(seed=1), options=options) as reader:
        assert reader.dropped_rows == 5
        delivered = [number for batch in reader for number in batch["number"].tolist()]
    assert len(delivered) == len(set(delivered)) == 96
    with pytest.raises(FormatError, match="no whole batch"):
        make_reader(train, batch_size=102, options=options)


def test_ragged_gives_a_shorter_last_batch_to_one_rank_only(train):
    options = ReadOptions(tail="ragged")
    with make_reader(train, batch_size=16, shuffle=Shuffle(seed=1), options=options) as reader:
        batches = list(reader)
    assert [len(batch["number"]) for batch in batches] == [16] * 6 + [5]
    assert "is_pad" not in batches[0]
    assert sorted(number for batch in batches for number in numbers_of(batch)) == list(range(101))
    with pytest.raises(FormatError, match="ragged"):
        make_reader(train, batch_size=8, shard=Shard(0, 2), options=options)


def test_a_pass_is_epochs_and_the_next_pass_goes_on(train):
    with make_reader(train, batch_size=50, shuffle=Shuffle(seed=1), epochs=2) as reader:
        assert len(reader) == 6
        first = [numbers_of(batch) for batch in reader]
        assert reader.epoch == 2
        second = [numbers_of(batch) for batch in reader]
    with make_reader(train, batch_size=50, shuffle=Shuffle(seed=1), epochs=None) as endless:
        four_epochs = [numbers_of(next(endless)) for _ in range(12)]
        with pytest.raises(TypeError, match="no length"):
            len(endless)
    assert first + second == four_epochs


def test_after_a_break_iteration_goes_on_with_the_next_batch(train):
    with make_reader(train, batch_size=20, shuffle=Shuffle(seed=1)) as reader:
        for batch in reader:
            seen = numbers_of(batch)
            break
        seen += [number for batch in reader for number in numbers_of(batch)]
    assert sorted(seen) == list(range(101))


@pytest.mark.parametrize("tail", ["pad", "drop", "ragged"])
@pytest.mark.parametrize("shuffle", [None, Shuffle(seed=1, lanes=2, window=1), Shuffle(seed=1, lanes=8, window=3)])
def test_restoring_at_any_step_continues_with_the_next_batch(train, shuffle, tail):
    def make():
        return make_reader(train, columns=["number", "image"], batch_size=16, shuffle=shuffle,
                           options=ReadOptions(tail=tail))  # fmt: skip

    assert_resumes_exactly(make)


def test_restoring_works_across_epochs_of_one_pass(train):
    assert_resumes_exactly(
        lambda: make_reader(train, columns=["number"], batch_size=40, shuffle=Shuffle(seed=1), epochs=3)
    )


def test_a_state_counts_what_was_received_and_not_what_was_read_ahead(train):
    with make_reader(train, batch_size=8, shuffle=Shuffle(seed=1), options=ReadOptions(prefetch=8)) as reader:
        assert reader.state_dict()["step"] == 0
        next(reader)
        next(reader)
        assert reader.state_dict()["step"] == 2
        assert len(json.dumps(reader.state_dict())) < 1024


def test_a_state_of_four_ranks_continues_on_one_and_back(train):
    shuffle = Shuffle(seed=1, lanes=4)
    with make_reader(train, batch_size=16, shuffle=shuffle) as whole:
        wanted = [numbers_of(batch) for batch in whole]
    with make_reader(train, batch_size=4, shuffle=shuffle, shard=Shard(2, 4)) as rank:
        next(rank)
        next(rank)
        state = rank.state_dict()
    with make_reader(train, batch_size=16, shuffle=Shuffle(seed=1)) as one:
        one.load_state_dict(state)
        assert numbers_of(next(one)) == wanted[2]
        state = one.state_dict()
    found = []
    for r in range(2):
        with make_reader(train, batch_size=8, shuffle=Shuffle(seed=1), shard=Shard(r, 2)) as rank:
            rank.load_state_dict(state)
            found.append([numbers_of(batch) for batch in rank])
    assert [sorted(a + b) for a, b in zip(*found, strict=True)] == [sorted(numbers) for numbers in wanted[3:]]


def test_a_state_of_another_run_is_refused_and_says_why(train, tmp_path):
    write_dataset(rows_of(100), FIELDS, tmp_path / "other", seed=3, layout=SMALL)
    with make_reader(train, batch_size=16, shuffle=Shuffle(seed=1, lanes=4)) as reader:
        next(reader)
        state = reader.state_dict()
    others = {
        "fingerprint": lambda: make_reader(tmp_path / "other" / "train", batch_size=16, shuffle=Shuffle(seed=1)),
        "seed": lambda: make_reader(train, batch_size=16, shuffle=Shuffle(seed=2)),
        "window": lambda: make_reader(train, batch_size=16, shuffle=Shuffle(seed=1, window=2)),
        "lanes": lambda: make_reader(train, batch_size=16, shuffle=Shuffle(seed=1, lanes=8)),
        "global_batch": lambda: make_reader(train, batch_size=8, shuffle=Shuffle(seed=1)),
        "tail": lambda: make_reader(train, batch_size=16, shuffle=Shuffle(seed=1), options=ReadOptions(tail="drop")),
        "ranks": lambda: make_reader(train, batch_size=2, shuffle=Shuffle(seed=1), shard=Shard(0, 8)),
    }
    for what, make in others.items():
        with make() as other, pytest.raises(StateMismatchError, match=what):
            other.load_state_dict(state)
    with make_reader(train, batch_size=16, shuffle=Shuffle(seed=1)) as reader:
        broken = ({}, {**state, "version": 2}, {**state, "step": -1}, {**state, "step": 999}, {**state, "x": 1})
        for wrong in (*broken, "text", {**state, "epoch": True}):
            with pytest.raises(StateMismatchError):
                reader.load_state_dict(wrong)


def test_a_transform_sees_decoded_batches_and_its_errors_name_the_batch(train):
    def double(batch):
        return {"twice": batch["number"] * 2, "is_pad": batch["is_pad"], "number": batch["number"]}

    with make_reader(train, batch_size=20, shuffle=Shuffle(seed=1), transform=double) as reader:
        assert all((batch["twice"] == 2 * batch["number"]).all() for batch in reader)

    def fail(batch):
        raise KeyError("colour")

    with make_reader(train, batch_size=20, transform=fail) as reader:
        with pytest.raises(TransformError, match=r"KeyError on batch 0 of epoch 0: 'colour'") as caught:
            next(reader)
        assert isinstance(caught.value.__cause__, KeyError)
        with pytest.raises(TransformError, match="batch 0"):
            next(reader)
        assert reader.state_dict()["step"] == 0


def test_seeds_for_augmentation_depend_on_the_sample_and_not_on_the_batch(train):
    def seeds(batch_size, lanes):
        options = ReadOptions(sample_seeds=True)
        with make_reader(train, batch_size=batch_size, shuffle=Shuffle(seed=9, lanes=lanes), options=options) as r:
            return {int(n): int(s) for batch in r for n, s in zip(batch["number"], batch["_sample_seed"], strict=True)}

    assert seeds(16, 4) == seeds(25, 1)
    stored = stored_numbers(train)
    expected = sample_seeds(read_manifest(train).fingerprint, 9, 0, range(101))
    assert seeds(16, 4) == {stored[place]: int(seed) for place, seed in enumerate(expected)}


def test_columns_are_chosen_by_name_and_unknown_ones_refused(train):
    with make_reader(train, columns=["number", "entity_id"], batch_size=8) as reader:
        assert list(next(reader)) == ["number", "entity_id", "is_pad"]
    for wrong in (["nope"], [], "number", ["number", "number"]):
        with pytest.raises(FormatError):
            make_reader(train, columns=wrong, batch_size=8)


def test_arguments_that_do_not_fit_are_refused_at_once(train):
    for wrong in ({"batch_size": 0}, {"batch_size": True}, {"batch_size": 8, "epochs": 0}):
        with pytest.raises(FormatError):
            make_reader(train, **wrong)
    with pytest.raises(FormatError, match="lanes cannot be shared"):
        make_reader(train, batch_size=10, shuffle=Shuffle(seed=1, lanes=4))
    with pytest.raises(TypeError):
        Shuffle()
    with pytest.raises(FormatError, match="seed"):
        Shuffle(seed=None)
    with pytest.raises(FormatError, match="rank 2 of 2"):
        Shard(2, 2)


def test_folders_that_are_no_split_are_named_for_what_they_are(published, tmp_path):
    with pytest.raises(FormatError, match="give make_reader one of its splits"):
        make_reader(published, batch_size=8)
    with pytest.raises(FormatError, match="no folder"):
        make_reader(tmp_path / "nothing", batch_size=8)
    (tmp_path / "table" / "_delta_log").mkdir(parents=True)
    with pytest.raises(FormatError, match="Delta table"):
        make_reader(tmp_path / "table", batch_size=8)


def test_closing_ends_the_threads_and_a_closed_reader_says_so(train):
    before = set(threading.enumerate())
    for _ in range(20):
        with make_reader(train, batch_size=8, shuffle=Shuffle(seed=1)) as reader:
            next(reader)
    assert not {thread for thread in threading.enumerate() if thread.is_alive()} - before
    with pytest.raises(RuntimeError, match="closed"):
        next(reader)


def test_a_reader_that_is_forgotten_leaves_no_threads(train):
    before = set(threading.enumerate())
    reader = make_reader(train, batch_size=8, shuffle=Shuffle(seed=1))
    next(reader)
    mine = set(threading.enumerate()) - before
    assert mine
    del reader
    gc.collect()
    for thread in mine:
        thread.join(5)
        assert not thread.is_alive()


def test_a_reader_does_not_travel_to_another_process(train):
    with make_reader(train, batch_size=8) as reader, pytest.raises(TypeError, match="num_workers=0"):
        pickle.dumps(reader)


def test_the_memory_bound_is_known_before_the_first_batch(train):
    with make_reader(train, batch_size=8, shuffle=Shuffle(seed=1, lanes=2, window=2)) as reader:
        sizes = [size for part in read_manifest(train).parts for size in part.row_group_bytes]
        rows = max(read_manifest(train).row_groups)
        lines = [64 * -(-len(sizes) * rows * width // 64) for width in (16, 8 + 8 + 1 + 12 + 8)]
        # places of pictures; records of labels, weights, which of them are null, probabilities, numbers: all groups fit
        held = sum(lines) + 64 * -(-len(sizes) * max(sizes) // 64)
        unpacked = 2 * 2 * max(sizes)  # read_threads, twice
        batch = sum(64 * -(-8 * width // 64) for width in (6 * 5 * 3, 8, 8, 1, 12, 8)) + 8 * 2 * 1024
        goes = max(4, reader._options.threads + 1) + 2  # text and maps count as 1 KiB each
        assert reader.memory_bound_bytes == (64 << 20) + held + unpacked + goes * batch


def test_one_small_row_group_does_not_have_everything_held(tmp_path):
    slots = []
    for rows in (5_000, 5_001):  # about 550 row groups, the last one small or not
        split = write_numbered(tmp_path / str(rows), rows, rows_per_group=10)
        with make_reader(split, batch_size=8, shuffle=Shuffle(seed=1, lanes=2, window=2)) as reader:
            slots.append(reader._sizes().arena.slots)
            assert sorted(number for batch in reader for number in numbers_of(batch)) == list(range(rows))
    assert slots[1] <= slots[0] + 1 < 300


def test_a_missing_or_cut_file_is_found_before_the_first_batch(own):
    part = own / "train" / "part-00001.parquet"
    data = part.read_bytes()
    part.unlink()
    with pytest.raises(CorruptionError, match=r"part-00001.parquet is listed in the manifest but is missing"):
        make_reader(own / "train", batch_size=8)
    part.write_bytes(data[: len(data) // 2])
    with pytest.raises(CorruptionError, match=r"part-00001.parquet should have"):
        make_reader(own / "train", batch_size=8)


def test_several_threads_may_share_a_reader(train):
    found, lock = [], threading.Lock()

    def consume(reader):
        for batch in reader:
            with lock:
                found.extend(numbers_of(batch))

    with make_reader(train, columns=["number"], batch_size=4, shuffle=Shuffle(seed=1)) as reader:
        threads = [threading.Thread(target=consume, args=(reader,)) for _ in range(2)]
        threads[0].start()
        threads[0].join()
        assert sorted(found) == list(range(101))
    endless = make_reader(train, columns=["number"], batch_size=4, epochs=None)
    with endless:
        batches = []
        takers = [threading.Thread(target=lambda: batches.extend(next(endless) for _ in range(13))) for _ in range(4)]
        for thread in takers:
            thread.start()
        for thread in takers:
            thread.join()
    assert sorted(n for batch in batches for n in numbers_of(batch)) == sorted(list(range(101)) * 2)


@pytest.mark.parametrize("shuffle", [True, 7, "yes"])
def test_a_shuffle_that_is_none_is_refused_by_name(train, shuffle):
    with pytest.raises(FormatError, match=r"shuffle must be Shuffle\(seed=...\) or None"):
        make_reader(train, batch_size=8, shuffle=shuffle)


def test_the_first_batch_loads_no_pandas(train):
    code = "import sys; from loaders import make_reader; next(iter(make_reader(sys.argv[1], batch_size=8))); " \
        "print('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, str(train)], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
