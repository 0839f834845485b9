"""Petastorm's torch loaders over the readers themselves: of what the real Petastorm wrote, and of what we write."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

torch = pytest.importorskip("torch")

from loaders.petastorm import TransformSpec, make_batch_reader, make_reader  # noqa: E402
from loaders.petastorm.ngram import NGram  # noqa: E402
from loaders.petastorm.predicates import in_lambda  # noqa: E402
from loaders.petastorm.pytorch import BatchedDataLoader, DataLoader, InMemBatchedDataLoader  # noqa: E402
from loaders.petastorm.test_util.reader_mock import ReaderMock, schema_data_generator_example  # noqa: E402
from loaders.petastorm.unischema import Unischema, UnischemaField  # noqa: E402
from loaders.petastorm.weighted_sampling_reader import WeightedSamplingReader  # noqa: E402

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:Currently make_reader:UserWarning"),  # of plain Parquet, here on purpose
]

STORED = Path(__file__).parent / "data"
STORES = ("scalars", "ndarrays", "images", "nocodec", "rowgroups", "summary", "hive_text", "hive_int", "plain/types")


class RowByRow:
    """A reader whose columns are not to be seen."""

    ngram = None

    def __init__(self, reader):
        self.batched_output, self.seed, self._reader = reader.batched_output, reader.seed, reader

    def __iter__(self):
        return iter(self._reader)


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    """1,000 rows in 10 row groups."""
    folder = tmp_path_factory.mktemp("numbers")
    columns = {"id": np.arange(1000), "x": np.arange(1000, dtype=np.float32) / 2, "even": np.arange(1000) % 2 == 0}
    pq.write_table(pa.table(columns), folder / "part.parquet", row_group_size=100)
    return f"file://{folder}"


def seen(batches):
    """As text, in which NaN equals NaN."""
    return [{name: f"{getattr(v, 'dtype', '')} {list(v)}" for name, v in batch.items()} for batch in batches]


def ids(batches):
    return [batch["id"].tolist() for batch in batches]


def read_through(reader, wrap, capacity):
    """The batches, or the kind of error there is."""
    with reader:
        try:
            return seen(DataLoader(wrap(reader), 4, shuffling_queue_capacity=capacity))
        except (TypeError, RuntimeError, KeyError) as error:
            return type(error)


@pytest.mark.parametrize("capacity", [0, 5])
@pytest.mark.parametrize("store", STORES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_field_gives_the_same_batches_by_columns_and_by_rows(store, capacity):
    tensors = 0
    for make in (make_reader, make_batch_reader):
        url = f"file://{STORED / store}"
        with make(url, reader_pool_type="dummy") as reader:
            names = list(reader.schema.fields)
        for name in names:
            fast, plain = (
                read_through(make(url, [f"^{name}$"], "dummy", seed=3), wrap, capacity)
                for wrap in (lambda reader: reader, RowByRow)
            )
            assert fast == plain, (make.__name__, name)
            tensors += isinstance(fast, list)
    assert tensors > 1


@pytest.mark.parametrize(
    ("make", "pool"),
    [(make_reader, "thread"), (make_reader, "dummy"), (make_reader, "process"), (make_batch_reader, "thread")],
)
def test_batches_of_all_rows(numbers, make, pool):
    for loader in (DataLoader, BatchedDataLoader) if pool != "process" else (DataLoader,):
        with loader(make(numbers, None, pool, 1, shuffle_row_groups=False), 64) as batches:
            kept = list(batches)
        assert [row for batch in ids(kept) for row in batch] == list(range(1000))
        assert [len(batch) for batch in ids(kept)] == [64] * 15 + [40]
        assert all(torch.equal(batch["x"], batch["id"] / 2) for batch in kept)
        assert {batch["even"].dtype for batch in kept} == {torch.uint8}


@pytest.mark.parametrize("cache", [False, True])
@pytest.mark.parametrize("make", [make_reader, make_batch_reader])
def test_writing_to_a_batch_changes_no_later_one(numbers, tmp_path, make, cache):
    options = {"cache_type": "local-disk", "cache_location": str(tmp_path), "cache_size_limit": 1 << 30}
    options = options | {"cache_row_size_estimate": 12} if cache else {}
    rows = []
    with DataLoader(make(numbers, num_epochs=2, shuffle_row_groups=False, **options), 100) as batches:
        for batch in batches:
            rows += batch["id"].tolist()
            batch["id"].zero_()
    assert rows == [*range(1000)] * 2


@pytest.mark.parametrize("make", [make_reader, make_batch_reader])
def test_passes(numbers, make):
    with BatchedDataLoader(make(numbers, seed=1), 100, shuffling_queue_capacity=300) as batches:
        assert len(batches) == 10
        first = ids(batches)
        for _ in batches:
            break
        second = ids(batches)
    assert sorted(sum(first, [])) == sorted(sum(second, [])) == list(range(1000))  # noqa: RUF017
    assert first != second
    again = BatchedDataLoader(make(numbers, seed=1, workers_count=1), 100, shuffling_queue_capacity=300)
    with again:
        assert ids(again) == first


def test_length_is_known_or_refused(numbers):
    with DataLoader(make_batch_reader(numbers, num_epochs=2), 300) as batches:
        assert len(batches) == len(list(batches)) == 7
    for options in ({"num_epochs": None}, {"predicate": in_lambda(["id"], lambda values: values["id"] < 9)}):
        with DataLoader(make_reader(numbers, **options)) as batches, pytest.raises(TypeError):
            len(batches)


def test_rows_in_memory(numbers):
    reader = make_reader(numbers, num_epochs=None, shuffle_row_groups=False)
    batches = ids(InMemBatchedDataLoader(reader, 100, rows_capacity=250))
    assert batches == [list(range(100)), list(range(100, 200)), list(range(200, 250))]
    assert reader.stopped


def test_an_error_of_a_transform_ends_the_loader(numbers):
    def broken(row):
        raise ZeroDivisionError("broken")

    with DataLoader(make_reader(numbers, transform_spec=TransformSpec(broken))) as batches:
        with pytest.raises(ZeroDivisionError):
            list(batches)
        with pytest.raises(RuntimeError, match="last time iteration failed with error ZeroDivisionError"):
            list(batches)


@pytest.mark.parametrize("capacity", [0, 20])
def test_windows(tmp_path, capacity):
    from loaders.petastorm.etl.local_writer import write_rows

    schema = Unischema("Steps", [UnischemaField("id", np.int64, ()), UnischemaField("x", np.float32, ())])
    write_rows(f"file://{tmp_path}/data", schema, [{"id": i, "x": np.float32(i)} for i in range(30)])
    fields = {-1: [schema.fields["id"]], 0: [schema.fields["id"], schema.fields["x"]]}
    windows = NGram(fields, delta_threshold=1, timestamp_field=schema.fields["id"])
    with make_reader(f"file://{tmp_path}/data", schema_fields=windows) as reader:
        batches = list(DataLoader(reader, 10, shuffling_queue_capacity=capacity))
    assert [len(batch[0]["id"]) for batch in batches] == [10, 10, 9]
    assert all(torch.equal(batch[-1]["id"] + 1, batch[0]["id"]) for batch in batches)
    assert all(torch.equal(batch[0]["x"], batch[0]["id"].float()) for batch in batches)


def test_mixed_readers(numbers):
    readers = [make_reader(numbers, num_epochs=None), make_reader(numbers)]
    with DataLoader(WeightedSamplingReader(readers, [0.5, 0.5]), 50) as batches:
        rows = [row for batch in ids(batches) for row in batch]
    assert set(range(1000)) == {*rows}


def test_mocked_readers():
    schema = Unischema("Mock", [UnischemaField("id", np.int64, ()), UnischemaField("x", np.float32, (2, 3))])
    for loader in (DataLoader, BatchedDataLoader):
        batch = next(iter(loader(ReaderMock(schema, schema_data_generator_example), 5)))
        assert (batch["id"].shape, batch["x"].shape) == ((5,), (5, 2, 3))


def test_structures_that_nobody_asked_for_are_left_out_of_batches(tmp_path):
    columns = {"id": [1, 2, 3], "box": [{"x": 1}] * 3, "words": [[["a"]]] * 3}
    pq.write_table(pa.table(columns), tmp_path / "data.parquet")
    url = f"file://{tmp_path}"
    for loader in (DataLoader, BatchedDataLoader):
        with make_batch_reader(url) as reader, pytest.warns(UserWarning, match="columns box, words hold structures"):
            assert [list(batch) for batch in loader(reader, 3)] == [["id"]]
        with make_batch_reader(url, ["id", "box"]) as reader, pytest.raises(TypeError):
            list(loader(reader, 3))
    with make_batch_reader(url) as reader:
        assert next(reader).box.tolist() == [{"x": 1}] * 3  # the reader itself gives them
