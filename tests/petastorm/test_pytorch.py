"""Petastorm's torch loaders: columns and rows give the same batches, in the same types, and passes begin anew."""

from __future__ import annotations

import datetime
import tracemalloc
from collections import namedtuple
from decimal import Decimal
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from loaders.petastorm.pytorch import (  # noqa: E402
    BatchedDataLoader,
    DataLoader,
    InMemBatchedDataLoader,
    decimal_friendly_collate,
)

pytestmark = pytest.mark.torch


class Plain:
    """A reader that gives namedtuples and knows no columns; of a batch reader with as many rows in a group."""

    def __init__(self, columns, *, group=3, batched=False, seed=7):
        self.columns, self.group, self.batched_output, self.seed = columns, group, batched, seed
        self.ngram, self.at, self.log = None, 0, []
        self.count = len(next(iter(columns.values())))

    def take(self):
        if self.at >= self.count:
            raise StopIteration
        rows = slice(self.at, self.at + self.group)
        self.at = min(self.count, self.at + self.group)
        return {name: column[rows] for name, column in self.columns.items()}

    def __iter__(self):
        kind = namedtuple("row", self.columns)
        while self.at < self.count:
            if self.batched_output:
                yield kind(**self.take())
            else:
                self.at += 1
                yield kind(*(column[self.at - 1] for column in self.columns.values()))

    def reset(self):
        self.log.append("reset")
        self.at = 0

    def rewind(self):
        self.log.append("rewind")
        self.at = 0

    def stop(self):
        self.log.append("stop")

    def join(self):
        self.log.append("join")


class Columnar(Plain):
    """The same, with columns."""

    num_epochs = 1

    def next_rows(self):
        columns = self.take()
        return SimpleNamespace(columns=columns, count=len(next(iter(columns.values()))))

    @property
    def num_rows(self):
        return self.count

    def __len__(self):
        return self.count


def outcome(loader):
    """Every batch as (type, dtype, values) by field, and the error at the end."""
    batches = []
    try:
        for batch in loader:
            batches.append({name: seen(value) for name, value in batch.items()})
    except Exception as error:
        return batches, type(error), str(error)
    return batches, None, ""


def seen(value):
    return (str(value.dtype), value.tolist()) if isinstance(value, torch.Tensor) else (type(value), list(value))


def ids(loader):
    return [batch["id"].tolist() for batch in loader]


def order(loader):
    return [row for batch in ids(loader) for row in batch]


def numbers(count):
    return {"id": np.arange(count), "x": np.arange(count * 6, dtype=np.float32).reshape(count, 2, 3)}


ROWS = 23
CELLS = st.sampled_from("? i1 u1 i2 u2 i4 u4 i8 u8 f2 f4 f8 >i4 (2,3)u2 (0,)f4".split())


@st.composite
def columns(draw, only_tensors=False):
    """A table: arrays of numbers, and lists as readers give them where a value is null or shapes differ."""
    random = np.random.default_rng(draw(st.integers(0, 99)))
    table = {"id": np.arange(ROWS)}
    for place, dtype in enumerate(draw(st.lists(CELLS, max_size=3))):
        base, shape = (np.dtype(dtype).base, np.dtype(dtype).shape)
        table[f"n{place}"] = random.integers(0, 100, (ROWS, *shape)).astype(base)
    if draw(st.booleans()):
        table["listed"] = [np.full(2, row, np.uint16) for row in range(ROWS)]
    if only_tensors:
        return table
    if draw(st.booleans()):
        table["text"] = [np.str_(row) for row in range(ROWS)]
        table["price"] = [Decimal(row) / 4 for row in range(ROWS)]
    odd = draw(st.integers(0, 60))
    if draw(st.booleans()):
        table["ragged"] = [np.ones(1 + (row == odd), np.float32) for row in range(ROWS)]
    elif draw(st.booleans()):
        table["nullable"] = [None if row == odd else np.int64(row) for row in range(ROWS)]
    return table


@given(columns(), st.integers(1, 30), st.integers(1, 30), st.integers(0, 40), st.integers(0, 3))
@settings(max_examples=150)
def test_columns_rows_and_a_collate_fn_of_ones_own_give_equal_batches(table, size, group, capacity, seed):
    def own(batch):
        return decimal_friendly_collate(batch)

    loaders = [
        DataLoader(reader(table, group=group, seed=seed), size, collate, capacity)
        for reader in (Columnar, Plain)
        for collate in (decimal_friendly_collate, own)
    ]
    first, *others = map(outcome, loaders)
    assert [other == first for other in others] == [True] * 3


@given(columns(only_tensors=True), st.integers(1, 30), st.integers(1, 30), st.integers(0, 40), st.booleans())
@settings(max_examples=100)
def test_all_loaders_agree_on_tensors(table, size, group, capacity, batched):
    if batched:
        table.pop("listed", None)
    first, *others = (
        outcome(loader(reader(table, group=group, batched=batched), size, shuffling_queue_capacity=capacity))
        for loader in (DataLoader, BatchedDataLoader)
        for reader in (Columnar, Plain)
    )
    assert [other == first for other in others] == [True] * 3
    assert first[1] is None


@pytest.mark.parametrize("loader", [DataLoader, BatchedDataLoader, InMemBatchedDataLoader])
@pytest.mark.parametrize("batched", [False, True])
def test_types(loader, batched):
    promoted = {"?": "uint8", "u2": "int32", "u4": "int64", "u8": "uint64", "i1": "int8", "f2": "float16"}
    table = {dtype: np.ones(3, dtype) for dtype in promoted} | {"high": np.full(3, 2**64 - 1, np.uint64)}
    table = {f"c{name}".replace("?", "bool"): column for name, column in table.items()}
    for reader in (Columnar, Plain):
        (batch,) = loader(reader(table, batched=batched), 3)
        assert [str(t.dtype) for t in batch.values()] == [f"torch.{t}" for t in [*promoted.values(), "uint64"]]
        assert batch["chigh"].tolist() == [2**64 - 1] * 3


@pytest.mark.parametrize("capacity", [0, 2])
@pytest.mark.parametrize("reader", [Columnar, Plain])
@pytest.mark.parametrize(
    ("column", "batched", "error", "message"),
    [
        ([np.int64(1), None, None], False, TypeError, "Pytorch does not support nullable fields. Found None in x"),
        ([np.array(["a"])] * 3, False, TypeError, "Pytorch does not support arrays of string or object classes"),
        (np.array(["a", "b", "c"]), True, TypeError, "Pytorch does not support arrays of string or object classes"),
        (np.array([Decimal(1), None, None]), True, TypeError, "Pytorch does not support arrays of string or object"),
        (np.zeros(3, "M8[ns]"), False, TypeError, "batch must contain tensors.*found <class 'numpy.datetime64'>"),
        (np.zeros(3, "M8[ns]"), True, TypeError, "batch must contain tensors.*found <class 'numpy.datetime64'>"),
        ([datetime.date(2020, 1, 1)] * 3, False, TypeError, "batch must contain .*found <class 'datetime.date'>"),
        ([np.ones(1), np.ones(2), np.ones(1)], False, RuntimeError, r"stack expects each tensor to be equal size"),
    ],
)
def test_what_no_tensor_holds_is_said(reader, column, batched, error, message, capacity):
    with pytest.raises(error, match=message):
        list(DataLoader(reader({"x": column}, batched=batched), 3, shuffling_queue_capacity=capacity))


@pytest.mark.parametrize("reader", [Columnar, Plain])
def test_the_batched_loader_refuses_what_is_no_tensor(reader):
    for column, error, message in [
        ([np.str_("a")] * 3, ValueError, "too many dimensions 'str'"),
        ([Decimal(1)] * 3, RuntimeError, "Could not infer dtype of decimal.Decimal"),
        ([None] * 3, TypeError, "Pytorch does not support nullable fields"),
        ([np.ones(1), np.ones(2), np.ones(1)], RuntimeError, "stack expects each tensor to be equal size"),
        (np.zeros(3, "M8[ns]"), TypeError, "can't convert np.ndarray of type numpy.datetime64"),
    ]:
        with pytest.raises(error, match=message):
            list(BatchedDataLoader(reader({"x": column}), 3))


def test_shapes_may_differ_between_batches():
    table = {"x": [np.ones(1 + row, np.float32) for row in range(3)]}
    for capacity in (0, 3):
        shapes = [tuple(b["x"].shape) for b in DataLoader(Columnar(table), shuffling_queue_capacity=capacity)]
        assert sorted(shapes) == [(1, 1), (1, 2), (1, 3)]
    columnar = Columnar({"x": np.ones((4, 2))}, group=2)
    columnar.take = iter([{"x": np.ones((2, 2))}, {"x": np.ones((2, 3))}]).__next__
    assert [tuple(b["x"].shape) for b in DataLoader(columnar, 2)] == [(2, 2), (2, 3)]


@pytest.mark.parametrize("capacity", [0, 5])
def test_a_kept_batch_stays_as_it_was_and_may_be_written(capacity):
    table = numbers(50)
    for column in table.values():
        column.flags.writeable = False
    kept = list(DataLoader(Columnar(table, group=9), 4, shuffling_queue_capacity=capacity))
    copies = [batch["x"].clone() for batch in kept]
    kept[0]["x"].zero_()
    assert all(torch.equal(batch["x"], copy) for batch, copy in zip(kept[1:], copies[1:], strict=True))
    assert table["x"].max() == 299


def test_arrays_laid_out_unusually():
    table = {"back": np.arange(6)[::-1], "turned": np.arange(12).reshape(2, 6).T}
    (batch,) = DataLoader(Columnar(table, group=6), 6)
    assert batch["back"].tolist() == [5, 4, 3, 2, 1, 0]
    assert batch["turned"].tolist() == table["turned"].tolist()


def test_types_that_change_between_row_groups_become_the_wider():
    """Row groups of a batch reader with nulls among integers come as floats."""
    for loader in (DataLoader, BatchedDataLoader):
        for capacity in (0, 9):
            reader = Columnar({"x": np.zeros(4)}, batched=True)
            reader.take = iter([{"x": np.array([1, 2])}, {"x": np.array([0.5, np.nan])}]).__next__
            (batch,) = loader(reader, 4, shuffling_queue_capacity=capacity)
            assert sorted(batch["x"].tolist(), key=str) == [0.5, 1.0, 2.0, pytest.approx(np.nan, nan_ok=True)]


# ---------------------------------------------------------------------------------------- functions of the user


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("reader", [Columnar, Plain])
def test_a_collate_fn_gets_dicts_in_types_torch_has(reader, batched):
    table = {"id": np.arange(5), "flag": np.array([[True, False]] * 5)}
    batches = list(DataLoader(reader(table, batched=batched), 2, collate_fn=lambda rows: rows))
    assert [[row["id"] for row in batch] for batch in batches] == [[0, 1], [2, 3], [4]]
    assert all(row["flag"].dtype == np.uint8 and row["flag"].base is None for batch in batches for row in batch)


def test_collate():
    assert decimal_friendly_collate([Decimal(1), Decimal(2)]) == [Decimal(1), Decimal(2)]
    assert decimal_friendly_collate(["a", "b"]) == ["a", "b"]
    rows = [{"a": (np.float32(1), "x"), "b": {"c": Decimal(1)}}, {"a": (np.float32(2), "y"), "b": {"c": Decimal(2)}}]
    batch = decimal_friendly_collate(rows)
    assert batch["b"] == {"c": [Decimal(1), Decimal(2)]}
    assert batch["a"][0].tolist() == [1, 2]
    assert list(batch["a"][1]) == ["x", "y"]
    assert decimal_friendly_collate([np.zeros((), np.int8)] * 2).shape == (2,)
    assert decimal_friendly_collate([torch.ones(2)] * 3).shape == (3, 2)


def test_windows_of_an_ngram_become_dicts_of_batches():
    row = namedtuple("row", ["id", "flag"])
    windows = [{step: row(np.int64(step + at), np.bool_(True)) for step in (-1, 0)} for at in range(3)]

    class Windows(Plain):
        __iter__ = lambda self: iter(windows)  # noqa: E731

    reader = Windows({"id": [0]})
    reader.ngram = object()
    first, second = DataLoader(reader, 2)
    assert (first[-1]["id"].tolist(), first[0]["id"].tolist(), second[0]["id"].tolist()) == ([-1, 0], [0, 1], [2])
    assert first[0]["flag"].dtype == torch.uint8
    with pytest.raises(NotImplementedError, match="NGram"):
        list(BatchedDataLoader(reader, 2))


@pytest.mark.parametrize("capacity", [0, 4])
@pytest.mark.parametrize("reader", [Columnar, Plain])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])  # numpy has no bfloat16
def test_transform_fn_makes_the_tensors(reader, capacity, dtype):
    table = numbers(7)
    table["x"].flags.writeable = False
    batches = list(BatchedDataLoader(reader(table), 3, partial(torch.as_tensor, dtype=dtype), capacity))
    assert [len(batch["id"]) for batch in batches] == [3, 3, 1]
    assert {batch["x"].dtype for batch in batches} == {dtype}
    assert all(torch.equal(batch["x"][:, 0, 0], 6 * batch["id"]) for batch in batches)
    (everything,) = InMemBatchedDataLoader(reader(table), 9, partial(torch.as_tensor, dtype=dtype), shuffle=True)
    assert sorted(everything["id"].tolist()) == list(range(7))
    assert sorted(i for batch in batches for i in batch["id"].tolist()) == list(range(7))


def test_transform_fn_may_make_tensors_of_text_but_not_lose_rows():
    table = {"text": [np.str_("a"), np.str_("bb")]}
    lengths = partial(map, len)
    (batch,) = BatchedDataLoader(Columnar(table), 2, lambda values: torch.tensor(list(lengths(values))))
    assert batch["text"].tolist() == [1, 2]
    with pytest.raises(ValueError, match=r"shape \(1,\) of 2 rows of field text"):
        list(BatchedDataLoader(Columnar(table), 2, lambda values: torch.ones(1)))


# ---------------------------------------------------------------------------------------- shuffling


def test_rows_of_a_pass_come_once_each_in_an_order_of_the_seed_and_the_pass():
    def passes(*, group=8, reader_seed=None, **options):
        source = Columnar(numbers(100), group=group, seed=reader_seed)
        loader = DataLoader(source, 10, shuffling_queue_capacity=30, **options)
        return order(loader), order(loader)

    first, second = passes(seed=0)
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second
    assert max(first[:10]) < 39  # 30 - 1 wait beside the batch
    assert passes(seed=0, group=3) == passes(reader_seed=0) == (first, second)
    assert passes(seed=1)[0] != first
    assert passes() != passes()


def test_row_groups_of_a_batch_reader_wait_whole():
    reader = Columnar(numbers(100), group=50, batched=True)
    rows = order(DataLoader(reader, 10, shuffling_queue_capacity=1))
    assert max(rows[:10]) > 20
    assert sorted(rows[:50]) == list(range(50))


def test_draws_are_uniform():
    counts = np.zeros((6, 6))
    for seed in range(1200):
        counts[range(6), order(DataLoader(Columnar(numbers(6)), 2, shuffling_queue_capacity=5, seed=seed))] += 1
    assert abs(counts - 200).max() < 60  # five standard deviations


def test_a_queue_takes_memory_for_its_rows_alone():
    table = {"id": np.arange(1000), "x": np.zeros((1000, 1000), np.float32)}
    tracemalloc.start()
    loader = iter(DataLoader(Columnar(table, group=10), 1, shuffling_queue_capacity=10**8))
    next(loader)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * table["x"].nbytes  # of the rows there are, not of those there might be


# ---------------------------------------------------------------------------------------- passes


@pytest.mark.parametrize("loader", [DataLoader, BatchedDataLoader])
@pytest.mark.parametrize("reader", [Columnar, Plain])
def test_another_pass_begins_at_the_start_also_after_break(loader, reader):
    source = reader(numbers(10))
    batches = loader(source, 4)
    assert ids(batches) == ids(batches) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    for _ in batches:
        break
    assert ids(batches) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert source.log == ["reset", "reset", "rewind"]


def test_one_pass_at_a_time():
    loader = DataLoader(Columnar(numbers(10)), 4)
    first, second = iter(loader), iter(loader)
    next(first)
    with pytest.raises(RuntimeError, match="^You must finish a full pass of Petastorm DataLoader before"):
        next(second)
    assert [batch["id"].tolist() for batch in first] == [[4, 5, 6, 7], [8, 9]]
    assert len(ids(loader)) == 3


def test_no_pass_after_an_error():
    loader = DataLoader(Columnar({"x": [None]}))
    with pytest.raises(TypeError, match="nullable"):
        list(loader)
    with pytest.raises(RuntimeError, match="^Cannot start a new .* last time iteration failed with error TypeError"):
        list(loader)


def test_leaving_with_stops_the_reader():
    for loader in (DataLoader, BatchedDataLoader):
        reader = Columnar(numbers(3))
        with loader(reader) as batches:
            next(iter(batches))
        assert reader.log == ["stop", "join"]


def test_len():
    assert len(DataLoader(Columnar(numbers(10)), 4)) == 3
    assert len(BatchedDataLoader(Columnar(numbers(10)), 5)) == 2
    plain = DataLoader(Plain(numbers(10)), 4)
    with pytest.raises(TypeError, match="does not know how many rows"):
        len(plain)
    assert plain


def test_a_batch_has_at_least_a_row():
    for loader in (DataLoader, BatchedDataLoader, InMemBatchedDataLoader):
        with pytest.raises(ValueError, match="batch_size"):
            loader(Columnar(numbers(3)), 0)


# ---------------------------------------------------------------------------------------- in memory


@pytest.mark.parametrize("reader", [Columnar, Plain])
@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("capacity", [3, 7, 10, 99])
def test_rows_in_memory_come_in_the_order_of_torch(reader, batched, capacity):
    source = reader(numbers(10), batched=batched)
    loader = InMemBatchedDataLoader(source, 4, num_epochs=2, seed=3, rows_capacity=capacity, shuffle=True)
    assert source.log == ["stop", "join"]
    expected = []
    for epoch in range(2):
        order = torch.randperm(min(10, capacity), generator=torch.Generator().manual_seed(3 + epoch)).tolist()
        expected += [order[start : start + 4] for start in range(0, len(order), 4)]
    assert len(loader) == len(expected)
    batches = list(loader)
    assert [batch["id"].tolist() for batch in batches] == expected
    assert all(torch.equal(batch["x"][:, 0, 0], 6.0 * batch["id"]) for batch in batches)
    with pytest.raises(RuntimeError, match="^InMemBatchedDataLoader couldn't be used multiple times"):
        next(iter(loader))


def test_writing_to_a_batch_changes_no_later_epoch():
    with InMemBatchedDataLoader(Columnar(numbers(4)), 2, num_epochs=2) as loader:
        seen = []
        for batch in loader:
            seen.append(batch["id"].tolist())
            batch["id"].zero_()
    assert seen == [[0, 1], [2, 3]] * 2


def test_an_empty_reader_gives_no_batches():
    for loader in (DataLoader, BatchedDataLoader, InMemBatchedDataLoader):
        assert list(loader(Columnar({"id": np.arange(0)}), 4)) == []


def test_a_failed_load_stops_the_reader():
    reader = Columnar({"x": [None]})
    with pytest.raises(TypeError, match="nullable"):
        InMemBatchedDataLoader(reader)
    assert reader.log == ["stop", "join"]
