"""Batches that are made several at a time are still batches of their own."""

from __future__ import annotations

import gc
from itertools import pairwise

import numpy as np
import pytest

from loaders import (
    CorruptionError,
    DecodeError,
    FormatError,
    ReadOptions,
    Shuffle,
    StorageError,
    TransformError,
    make_reader,
    per_sample,
    write_dataset,
)
from loaders.stores.local import LocalFiles
from tests.loaders.samples import FIELDS, numbers_of, rows_of

NUMBERS = ["number", "label_index"]


def test_batches_before_the_one_whose_transform_fails_are_delivered(train):
    def picky(batch):
        if 37 in numbers_of(batch):
            raise ValueError("not this one")
        return batch

    with make_reader(train, columns=NUMBERS, batch_size=4, shuffle=Shuffle(seed=1)) as plain:
        wanted = [numbers_of(batch) for batch in plain]
    failing = next(at for at, numbers in enumerate(wanted) if 37 in numbers)
    assert failing > 1, "choose another number: the one that fails must not come first"
    with make_reader(train, columns=NUMBERS, batch_size=4, shuffle=Shuffle(seed=1), transform=picky) as reader:
        assert reader._sizes().steps > failing, "all of them are made in one go"
        found = []
        for _ in range(2):  # asked again, it says the same and stands where it stood
            with pytest.raises(TransformError, match=f"on batch {failing} of epoch 0: not this one"):
                found.extend(numbers_of(batch) for batch in reader)
            assert reader.step == failing
        assert found == wanted[:failing]


def test_a_batch_may_be_kept_and_changed_while_others_are_made(train):
    with make_reader(train, columns=NUMBERS, batch_size=4, shuffle=Shuffle(seed=1), epochs=20) as reader:
        kept = []
        for batch in reader:
            kept.append((batch, batch["number"].copy()))
            batch["label_index"][:] = -1
        assert all(np.array_equal(batch["number"], copy) for batch, copy in kept)
        assert all((batch["label_index"] == -1).all() for batch, _ in kept)


def test_memory_is_used_again_once_a_batch_is_dropped(train):
    with make_reader(train, columns=NUMBERS, batch_size=4, shuffle=Shuffle(seed=1), epochs=50) as reader:
        places = set()
        for batch in reader:
            places.add(batch["number"].__array_interface__["data"][0])
            del batch
        gc.collect()
        steps, goes = reader._sizes().steps, reader._sizes().chunks + 3
        assert len(places) <= steps * goes, "every batch lies in one of a few pieces of memory"


def flip(sample):
    """Turn a picture around, or not: as its seed says."""
    random = np.random.default_rng(int(sample["_sample_seed"]))
    image = sample["image"][:, ::-1] if random.random() < 0.5 else sample["image"]
    return {"image": image.astype(np.float32), "number": sample["number"], "name": sample["entity_id"]}


@pytest.mark.parametrize("pool", ["threads", "processes", "inline"])
def test_a_function_of_samples_gets_their_seeds_and_its_results_are_put_together(train, pool):
    arguments = {"shuffle": Shuffle(seed=5), "transform": per_sample(flip)}
    with make_reader(train, batch_size=8, options=ReadOptions(pool=pool, workers=2), **arguments) as reader:
        batches = list(reader)
    assert set(batches[0]) == {"image", "number", "name", "is_pad"}
    assert batches[0]["image"].dtype == np.float32
    assert batches[0]["image"].shape == (8, 6, 5, 3)
    by_number = {int(n): image for batch in batches for n, image in zip(batch["number"], batch["image"], strict=True)}
    with make_reader(train, batch_size=25, options=ReadOptions(tail="drop"), **arguments) as other:
        for batch in other:
            for number, image in zip(batch["number"], batch["image"], strict=True):
                assert np.array_equal(image, by_number[int(number)]), "the same sample, the same augmentation"


@pytest.mark.parametrize("pool", ["threads", "inline"])
def test_after_a_fault_that_passes_the_next_call_gives_the_batch(train, monkeypatch, pool):
    options = ReadOptions(pool=pool)
    with make_reader(train, columns=NUMBERS, batch_size=8, options=options) as plain:
        wanted = [numbers_of(batch) for batch in plain]
    real, faults = LocalFiles.read_into, [1]

    def failing(self, name, start, parts):
        if faults:
            faults.clear()
            raise StorageError("the network is away")
        real(self, name, start, parts)

    with make_reader(train, columns=NUMBERS, batch_size=8, options=options) as reader:
        monkeypatch.setattr(LocalFiles, "read_into", failing)
        with pytest.raises(StorageError, match="the network is away"):
            next(reader)
        assert [numbers_of(batch) for batch in reader] == wanted


class Mixup:
    """Mixes each batch with the one before: keeps an array, or a copy of it."""

    def __init__(self, *, copies: bool) -> None:
        self.copies, self.last = copies, None

    def __call__(self, batch):
        number = batch["number"]
        last = number if self.last is None else self.last
        self.last = number.copy() if self.copies else number
        return {"number": number, "last": last[: len(number)].copy()}


def test_a_transform_in_a_process_must_copy_what_it_keeps(train):
    options = ReadOptions(pool="processes", workers=1)
    with make_reader(train, columns=["number"], batch_size=8, transform=Mixup(copies=True), options=options) as reader:
        batches = list(reader)
    assert all(np.array_equal(after["last"], before["number"]) for before, after in pairwise(batches))
    with make_reader(train, columns=["number"], batch_size=8, transform=Mixup(copies=False), options=options) as reader:
        with pytest.raises(TransformError, match="keep a copy"):
            list(reader)


def test_memory_of_the_callers_is_for_threads():
    with pytest.raises(FormatError, match="allocate is for threads"):
        ReadOptions(pool="processes", allocate=np.zeros)


@pytest.mark.parametrize("tail", ["pad", "ragged"])
def test_the_statistics_count_the_rows_that_came(train, tail):
    with make_reader(train, columns=["number"], batch_size=8, options=ReadOptions(tail=tail)) as reader:
        delivered = sum(len(batch["number"]) for batch in reader)
        assert reader.stats().rows == delivered == (101 if tail == "ragged" else 104)


def test_the_limit_of_skipped_samples_is_for_one_epoch(tmp_path):
    rows = rows_of(40)
    for row in rows[::10]:
        row["image"] = b"no picture"
    write_dataset(rows, FIELDS, tmp_path / "v1")
    options = ReadOptions(on_error="skip", skip_limit=4)
    with make_reader(tmp_path / "v1" / "train", batch_size=8, epochs=5, options=options) as reader:
        assert sum(len(numbers_of(batch)) for batch in reader) == 5 * 36
        assert len(reader.skipped) == 4, "those of the last epoch"
    options = ReadOptions(on_error="skip", skip_limit=3)
    with make_reader(tmp_path / "v1" / "train", batch_size=8, options=options) as reader, pytest.raises(DecodeError):
        list(reader)


def test_a_file_that_is_cut_while_it_is_read_is_an_error(own):
    part = sorted((own / "train").glob("part-*.parquet"))[-1]
    with make_reader(own / "train", batch_size=8) as reader:
        with part.open("r+b") as stream:
            stream.truncate(part.stat().st_size // 2)
        with pytest.raises(CorruptionError, match=part.name):
            list(reader)
