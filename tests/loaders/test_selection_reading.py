"""Filters and sequences through `make_reader`: the right values, in an order that can be repeated and continued."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loaders import (
    Field,
    FormatError,
    Layout,
    Reader,
    ReadOptions,
    Sequence,
    Shard,
    Shuffle,
    StateMismatchError,
    make_reader,
    per_sample,
    read_manifest,
    write_dataset,
)
from loaders.ordering.order import EpochOrder, sample_seeds
from loaders.testing import assert_resumes_exactly, assert_same_batch
from schemas.canonical import canonical_json, sha256_text
from tests.loaders.runs import POOLS, options_of, read_ranks, steps_of
from tests.loaders.samples import pixels, png

FIELDS = (
    Field("clip", pa.string()),
    Field("t", pa.int64()),
    Field("number", pa.int64()),
    Field("image", pa.binary(), codec="image", shape=(6, 5, 3)),
    Field("thumb", pa.binary(), codec="image", shape=(None, 5), nullable=True),
    Field("weight", pa.float64(), nullable=True),
    Field("soft", pa.list_(pa.float32()), shape=(3,)),
    Field("tokens", pa.list_(pa.int32()), nullable=True),
    Field("note", pa.string(), nullable=True),
    Field("signal", pa.binary(), codec="npy", dtype="int16", shape=(None, 2)),
)
LENGTHS = (9, 3, 12, 1, 7, 2, 15, 5, 8, 11, 4, 6, 10, 13)
"""Frames of each clip."""


def frame(clip: int, t: int, number: int) -> dict[str, Any]:
    """One row; everything in it follows from its number. Frame 4 of a clip is missing: t jumps from 3 to 5."""
    stream = io.BytesIO()
    np.save(stream, signal_of(number))
    return {
        "entity_id": f"{number:04d}", "clip": f"clip-{clip:02d}", "t": t if t < 4 else t + 1, "number": number,
        "image": png(pixels(number)), "thumb": None if number % 4 == 1 else png(pixels(number)[: 1 + number % 3, :, 0]),
        "weight": None if number % 5 == 2 else number / 4, "soft": [number / 2, 0.0, 1.0],
        "tokens": None if number % 6 == 0 else list(range(number % 4)),
        "note": None if number % 7 == 3 else f"n{number}", "signal": stream.getvalue(),
    }  # fmt: skip


def signal_of(number: int) -> np.ndarray:
    return np.full((number % 3, 2), number, dtype=np.int16)


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    """106 frames of fourteen clips, whole clips in each of about twelve row groups."""
    folder = tmp_path_factory.mktemp("clips") / "v1"
    counter = itertools.count()
    rows = [frame(clip, t, next(counter)) for clip, length in enumerate(LENGTHS) for t in range(length)]
    layout = Layout(sequence_column="clip", order_column="t", row_group_bytes=3_000, part_bytes=9_000)
    write_dataset(rows, FIELDS, folder, seed=2, layout=layout)
    return folder / "train"


def stored(split: Path) -> list[list[dict[str, Any]]]:
    """Rows of each row group, as they lie in the files."""
    files = [pq.ParquetFile(split / part.name) for part in read_manifest(split).parts]
    columns = ["clip", "t", "number", "weight", "note"]
    return [file.read_row_group(at, columns=columns).to_pylist()
            for file in files for at in range(file.metadata.num_row_groups)]  # fmt: skip


Keep = Callable[[dict[str, Any]], bool]


def chosen(split: Path, keep: Keep, sequence: Sequence | None) -> list[list[list[int]]]:
    """Numbers of the rows of each sample of each row group, by first row: a plain loop."""
    found = []
    for rows in stored(split):
        if sequence is None:
            found.append([[row["number"]] for row in rows if keep(row)])
            continue
        samples: list[tuple[int, list[int]]] = []
        for _, frames in itertools.groupby(sorted(enumerate(rows), key=lambda each: (each[1]["clip"], each[1]["t"])),
                                           key=lambda each: each[1]["clip"]):  # fmt: skip
            runs: list[list[tuple[int, dict[str, Any]]]] = []
            for each in frames:
                far = not runs or (
                    sequence.max_gap is not None and each[1]["t"] - runs[-1][-1][1]["t"] > sequence.max_gap
                )
                runs.append([each]) if far else runs[-1].append(each)
            for run in runs:
                for start in range(0, len(run) - sequence.span + 1, sequence.stride):
                    sample = run[start : start + sequence.span : sequence.step]
                    if all(keep(row) for _, row in sample):
                        samples.append((sample[0][0], [row["number"] for _, row in sample]))
        found.append([numbers for _, numbers in sorted(samples)])
    return found


PAIRS = Sequence(length=2, by="clip", order="t")
EVERY_OTHER = Sequence(length=3, by="clip", order="t", step=2, stride=2, max_gap=1)

CASES: dict[str, tuple[Any, Any, Keep, Sequence | None]] = {
    # name: (filter, its canonical form as ORDER.md has it, the same in Python, sequence)
    "numbers": ([("t", ">=", 3), ("t", "<", 9)], [[["t", "<", [9]], ["t", ">=", [3]]]],
                lambda row: 3 <= row["t"] < 9, None),
    "few row groups": ([("number", "<", 30)], [[["number", "<", [30]]]], lambda row: row["number"] < 30, None),
    "text or null": ([[("clip", "=", "clip-02")], [("weight", "is null")]],
                     [[["clip", "=", [{"text": b"clip-02".hex()}]]], [["weight", "is null", []]]],
                     lambda row: row["clip"] == "clip-02" or row["weight"] is None, None),
    "one sample": ([("number", "==", 77)], [[["number", "=", [77]]]], lambda row: row["number"] == 77, None),
    "pairs": (None, None, lambda row: True, PAIRS),
    "every other": (None, None, lambda row: True, EVERY_OTHER),
    "pairs of a filter": ([("number", "not in", [20, 21, 5])], [[["number", "not in", [5, 20, 21]]]],
                          lambda row: row["number"] not in (5, 20, 21), PAIRS),
}  # fmt: skip


def name_of(split: Path, case: str) -> str:
    """The fingerprint of a selection, as ORDER.md has it."""
    _, canonical, _, sequence = CASES[case]
    form = None if sequence is None else {
        "length": sequence.length, "order": "t", "by": "clip", "stride": sequence.stride, "step": sequence.step,
        "max_gap": sequence.max_gap,
    }  # fmt: skip
    return sha256_text(canonical_json([read_manifest(split).fingerprint, canonical, form]))


def make(split: Path, case: str, *, size: int = 8, lanes: int | None = 4, **others: Any) -> Reader:
    filter_, _, _, sequence = CASES[case]
    shard = others.get("shard") or Shard()
    arguments = {"shuffle": Shuffle(seed=9, lanes=lanes, window=2), **others}
    return make_reader(split, batch_size=size // shard.world, filter=filter_, sequence=sequence, **arguments)


def samples_of(batch: dict[str, Any]) -> Iterator[tuple[list[int], bool]]:
    """Yield the numbers of the rows of each sample, and whether it is padding."""
    numbers = batch["number"].reshape(len(batch["number"]), -1).tolist()
    yield from zip(numbers, batch["is_pad"].tolist(), strict=True)


@pytest.mark.parametrize("case", CASES)
def test_samples_are_those_of_a_plain_loop_in_the_order_of_order_md(clips, case):
    _, _, keep, sequence = CASES[case]
    groups = [samples for samples in chosen(clips, keep, sequence) if samples]
    flat = [sample for samples in groups for sample in samples]
    assert flat
    counts = tuple(len(samples) for samples in groups)
    with make(clips, case, columns=["number"], epochs=2) as reader:
        assert reader.rows == len(flat)
        assert reader.state_dict()["fingerprint"] == name_of(clips, case)
        batches = list(reader)
    for epoch in range(2):
        some = batches[epoch * len(batches) // 2 : (epoch + 1) * len(batches) // 2]
        order = EpochOrder(counts, name_of(clips, case), 9, epoch, 4, 2).sequence()
        real = [numbers for batch in some for numbers, is_pad in samples_of(batch) if not is_pad]
        assert real == [flat[place] for place in order]
        assert all(numbers in flat for batch in some for numbers, _ in samples_of(batch))
    with make(clips, case, columns=["number"], shuffle=None) as reader:
        assert [numbers for batch in reader for numbers, is_pad in samples_of(batch) if not is_pad] == flat


@pytest.mark.parametrize("pool", POOLS)
def test_every_pool_and_number_of_ranks_gives_the_same_samples(clips, pool):
    is_costly = "process" in pool
    for case in ("pairs of a filter",) if is_costly else ("text or null", "pairs of a filter"):
        for world in (1, 2) if is_costly else (1, 2, 4):

            def make_rank(shard: Shard, case=case) -> Reader:
                return make(clips, case, columns=["number"], shard=shard, options=options_of(pool))

            ranks, _ = read_ranks(make_rank, world)
            for batches in ranks:
                for batch in batches:  # the first row of a sample tells it
                    batch["number"] = batch["number"].reshape(len(batch["number"]), -1)[:, 0]
            found = steps_of(ranks, lanes=4)
            with make(clips, case, columns=["number"], options=ReadOptions(pool="inline")) as reader:
                wanted = [
                    ([numbers[0] for numbers, _ in samples_of(batch)], batch["is_pad"].tolist()) for batch in reader
                ]
            assert found == wanted, (case, world)


@pytest.mark.parametrize("pool", ["inline", "2 threads", "2 processes"])
@pytest.mark.parametrize("case", ["text or null", "every other"])
def test_every_kind_of_column_has_the_rows_of_its_samples(clips, case, pool):
    length = CASES[case][3].length if CASES[case][3] else 1
    lead = (8,) if length == 1 else (8, length)
    with make(clips, case, options=options_of(pool)) as reader:
        for batch in reader:
            numbers = batch["number"]
            assert numbers.shape == lead
            assert batch["image"].shape == (*lead, 6, 5, 3)
            assert batch["soft"].shape == (*lead, 3)
            assert batch["weight"].shape == lead
            assert batch["is_pad"].shape == (8,)
            for place in itertools.product(*(range(count) for count in lead)):
                number = int(numbers[place])
                assert (batch["image"][place] == pixels(number)).all()
                assert batch["soft"][place].tolist() == [number / 2, 0, 1]
                assert bool(np.ma.getmaskarray(batch["weight"])[place]) == (number % 5 == 2)
                assert number % 5 == 2 or batch["weight"][place] == number / 4
                assert listed(batch, "note", place) == (None if number % 7 == 3 else f"n{number}")
                tokens = listed(batch, "tokens", place)
                assert (tokens is None) == (number % 6 == 0)
                assert tokens is None or tokens.tolist() == list(range(number % 4))
                thumb = listed(batch, "thumb", place)
                assert (thumb is None) == (number % 4 == 1)
                assert thumb is None or (thumb == pixels(number)[: 1 + number % 3, :, 0]).all()
                assert (listed(batch, "signal", place) == signal_of(number)).all()
                assert listed(batch, "signal", place).dtype == np.int16


def listed(batch: dict[str, Any], name: str, place: tuple[int, ...]) -> Any:
    """A value of a column that comes as a list, or a list for each sample."""
    value = batch[name]
    assert isinstance(value, list)
    for at in place:
        value = value[at]
    return value


@pytest.mark.parametrize("tail", ["pad", "drop", "ragged"])
@pytest.mark.parametrize("case", ["text or null", "pairs", "pairs of a filter"])
def test_runs_over_a_selection_go_on_exactly(clips, case, tail):
    options = ReadOptions(tail=tail, workers=2)
    assert_resumes_exactly(lambda: make(clips, case, size=12, epochs=2, options=options), every=3)


def test_a_state_goes_on_with_other_ranks_and_pools(clips):
    for case in ("numbers", "pairs"):
        with make(clips, case, columns=["number"]) as reader:
            whole = [[numbers for numbers, _ in samples_of(batch)] for batch in reader]
        with make(clips, case, columns=["number"], shard=Shard(1, 2)) as reader:
            next(reader)
            state = reader.state_dict()
        ranks = []
        for rank in range(4):
            pool = list(POOLS)[rank]
            with make(clips, case, columns=["number"], shard=Shard(rank, 4), options=options_of(pool)) as reader:
                reader.load_state_dict(state)
                ranks.append([[numbers for numbers, _ in samples_of(batch)] for batch in reader])
        for step, wanted in enumerate(whole[1:]):
            assert [ranks[place % 4][step][place // 4] for place in range(8)] == wanted


def test_a_state_is_refused_by_every_other_selection(clips):
    with make(clips, "numbers") as reader:
        next(reader)
        state = reader.state_dict()
    for case in CASES:
        with make(clips, case) as other:
            if case == "numbers":
                other.load_state_dict(state)
                continue
            with pytest.raises(StateMismatchError, match="fingerprint was"):
                other.load_state_dict(state)
    same = [("t", "<", 9), ("t", ">=", 3), ("t", "<", 9)]
    with make_reader(clips, batch_size=8, filter=same, shuffle=Shuffle(seed=9, lanes=4, window=2)) as reader:
        reader.load_state_dict(state)


def test_row_groups_without_a_sample_are_not_read(clips):
    sizes = [size for part in read_manifest(clips).parts for size in part.row_group_bytes]
    for case in ("few row groups", "one sample", "every other"):
        _, _, keep, sequence = CASES[case]
        needed = sum(size for size, samples in zip(sizes, chosen(clips, keep, sequence), strict=True) if samples)
        with make(clips, case, size=1, lanes=1, options=ReadOptions(pool="inline")) as reader:
            list(reader)
            assert reader.stats().read_bytes == needed
        assert needed < sum(sizes) or case == "every other"


@pytest.mark.parametrize("case", ["text or null", "pairs"])
def test_seeds_are_those_of_the_first_row_of_each_sample(clips, case):
    where = {row["number"]: at for at, row in enumerate(itertools.chain(*stored(clips)))}
    with make(clips, case, columns=["number"], options=ReadOptions(sample_seeds=True)) as reader:
        for batch in reader:
            first = [where[numbers[0]] for numbers, _ in samples_of(batch)]
            assert batch["_sample_seed"].tolist() == sample_seeds(name_of(clips, case), 9, 0, first).tolist()


def described(sample: dict[str, Any]) -> dict[str, Any]:
    """What a function of samples sees of a sequence."""
    assert sample["image"].shape == (2, 6, 5, 3)
    assert len(sample["note"]) == len(sample["tokens"]) == 2
    return {"number": sample["number"], "change": sample["image"][1].astype(int) - sample["image"][0],
            "seed": sample["_sample_seed"]}  # fmt: skip


def test_a_function_of_samples_sees_all_rows_of_a_sequence(clips):
    with make(clips, "pairs", transform=per_sample(described)) as reader:
        batches = list(reader)
    for batch in batches:
        for (first, second), change in zip(batch["number"].tolist(), batch["change"], strict=True):
            assert second == first + 1
            assert (change == pixels(second).astype(int) - pixels(first)).all()
    options = options_of("2 processes")
    with make(clips, "pairs", transform=per_sample(described), options=options) as reader:
        for found, wanted in zip(reader, batches, strict=True):
            assert_same_batch(found, wanted)


def test_more_ranks_and_lanes_than_samples_still_give_each_once(clips):
    for world in (1, 3):
        numbers = []
        for rank in range(world):
            with make(clips, "one sample", size=12, lanes=12, shard=Shard(rank, world)) as reader:
                numbers += [each for batch in reader for each in samples_of(batch)]
        assert [each for each, is_pad in numbers if not is_pad] == [[77]]
        assert numbers.count(([77], True)) == 11


def test_a_selection_of_nothing_says_so_before_the_first_batch(clips):
    with pytest.raises(FormatError, match="matches none of 106 rows"):
        make_reader(clips, batch_size=4, filter=[("number", ">", 1000)])
    with pytest.raises(FormatError, match="106 rows hold no Sequence"):
        make_reader(clips, batch_size=4, sequence=Sequence(length=16, by="clip", order="t"))
    with pytest.raises(FormatError, match="no whole batch"):
        make(clips, "one sample", options=ReadOptions(tail="drop"))
