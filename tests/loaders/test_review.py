"""What a second pair of eyes found in the loader: errors that must not stick, leak memory or lose a batch."""

from __future__ import annotations

import dataclasses
import gc
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import loaders.reading.loading
import loaders.reading.source
from loaders import (
    Field,
    FormatError,
    ReadOptions,
    Shuffle,
    StorageError,
    TransformError,
    make_reader,
    read_manifest,
    write_dataset,
)
from loaders.reader import Reader
from tests.leftovers import threads
from tests.loaders.samples import numbers_of

NUMBERS = ["number", "label_index"]


@pytest.mark.parametrize("pool", ["threads", "inline"])
def test_a_row_group_that_failed_once_is_read_again_after_a_jump(train, monkeypatch, pool):
    load, calls = loaders.reading.loading.GroupLoader.load, []

    def fails_first(self, group, slot):
        calls.append(group)
        if len(calls) == 1:
            raise StorageError("the store was away")
        load(self, group, slot)

    monkeypatch.setattr(loaders.reading.loading.GroupLoader, "load", fails_first)
    options = ReadOptions(pool=pool, workers=1, deadline_s=5)
    with make_reader(train, columns=NUMBERS, batch_size=4, shuffle=Shuffle(seed=1), options=options) as reader:
        with pytest.raises(StorageError, match="the store was away"):
            next(reader)
        reader.load_state_dict(reader.state_dict())
        found = [number for batch in reader for number in numbers_of(batch)]
    assert sorted(found) == list(range(101))


def fail(batch):
    """A transform that a worker process can import."""
    raise ValueError("not this one")


def test_batches_that_fail_give_their_shared_memory_back_at_once(train):
    gc.disable()
    try:
        options = ReadOptions(pool="processes", workers=1, prefetch=1, deadline_s=10)
        errors = []
        with make_reader(
            train, columns=NUMBERS, batch_size=64, shuffle=Shuffle(seed=1), transform=fail, options=options
        ) as reader:
            for _ in range(6):
                with pytest.raises(TransformError) as caught:
                    next(reader)
                errors.append(caught.value)  # kept, with the frames of its traceback
                reader.load_state_dict(reader.state_dict())
    finally:
        gc.enable()


def test_a_reader_that_is_closed_while_another_thread_asks_says_so(train, monkeypatch):
    reader = make_reader(train, columns=NUMBERS, batch_size=4, shuffle=Shuffle(seed=1), epochs=None)
    next(reader)
    submit, before = Reader._submit, threads()

    def closed_in_the_middle(self, *args):
        closer = threading.Thread(target=self.close)
        closer.start()
        closer.join()
        return submit(self, *args)

    monkeypatch.setattr(Reader, "_submit", closed_in_the_middle)
    with pytest.raises(RuntimeError, match="this reader is closed"):
        list(reader)
    assert threads() - before == set()


def test_an_interruption_after_a_batch_was_taken_loses_none(train, monkeypatch):
    with make_reader(train, columns=NUMBERS, batch_size=4, shuffle=Shuffle(seed=1)) as plain:
        wanted = [numbers_of(batch) for batch in plain]
    look_ahead, calls = Reader._look_ahead, []

    def interrupted(self):
        calls.append(None)
        if len(calls) % 4 == 0:  # at the end of a call, with a batch in hand
            raise KeyboardInterrupt
        look_ahead(self)

    monkeypatch.setattr(Reader, "_look_ahead", interrupted)
    monkeypatch.setattr("loaders.engine.sizing._MOST_STEPS", 1)
    found = []
    with make_reader(train, columns=NUMBERS, batch_size=4, shuffle=Shuffle(seed=1)) as reader:
        while len(found) < len(wanted):
            try:
                found.append(numbers_of(next(reader)))
            except KeyboardInterrupt:
                assert reader.step == len(found)
    assert found == wanted


def test_a_column_with_nulls_can_be_changed(train):
    with make_reader(train, columns=["weight"], batch_size=101) as reader:
        weight = next(reader)["weight"]
    missing = int(weight.mask.sum())
    assert missing > 0
    weight[weight.mask] = 0.5
    assert (weight.mask.sum(), (weight == 0.5).sum()) == (0, missing + 1)  # row 1 holds 0.5 itself


def test_a_split_without_row_groups_is_refused(train, monkeypatch):
    empty = dataclasses.replace(read_manifest(train), parts=())
    monkeypatch.setattr(loaders.reading.source, "read_manifest", lambda files: empty)
    with pytest.raises(FormatError, match="holds no rows"):
        make_reader(train, batch_size=2, shuffle=Shuffle(seed=1))


def test_what_does_not_travel_is_an_error_of_the_transform():
    from loaders.engine.wire import Writer

    class Odd:
        def __array__(self, dtype=None, copy=None):
            raise RuntimeError("requires grad")

    memory = np.zeros(64, dtype=np.uint8)
    with pytest.raises(TransformError, match=r"the transform\['x'\] holds a Odd: requires grad"):
        Writer(memory, 0).describe({"x": Odd()})
    with pytest.raises(TransformError, match="0 is no name"):
        Writer(memory, 0).describe({"x": {0: 1}})


@pytest.mark.parametrize("rows_per_page", [7, 50, 99])
def test_a_column_of_a_few_small_pages_is_read(tmp_path, monkeypatch, rows_per_page):
    """What pyarrow writes by itself: a page for each 20,000 rows."""
    writer = pq.ParquetWriter

    def small_pages(path, schema, **settings):
        return writer(path, schema, **{**settings, "max_rows_per_page": rows_per_page, "write_batch_size": 1})

    monkeypatch.setattr(pq, "ParquetWriter", small_pages)
    fields = (Field("number", pa.int64()), Field("half", pa.float32()))
    rows = [{"entity_id": f"{n:03d}", "number": n, "half": n / 2} for n in range(100)]
    write_dataset(rows, fields, tmp_path / "v1")
    for columns in (["number"], ["number", "half"]):
        with make_reader(tmp_path / "v1" / "train", batch_size=100, columns=columns) as reader:
            batch = next(reader)
        assert sorted(batch["number"].tolist()) == list(range(100))
        assert "half" not in batch or batch["half"].tolist() == [n / 2 for n in batch["number"].tolist()]
