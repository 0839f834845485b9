"""Readers: what comes, in which order, from which shard, and how they end."""

from __future__ import annotations

import gc
import shutil
import subprocess
import sys
import threading
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loaders.errors import StateMismatchError
from loaders.petastorm import NoDataAvailableError, TransformSpec, make_batch_reader, make_reader
from loaders.petastorm.codecs import CompressedImageCodec, NdarrayCodec, ScalarCodec
from loaders.petastorm.etl.local_writer import write_rows
from loaders.petastorm.ngram import NGram
from loaders.petastorm.predicates import in_lambda
from loaders.petastorm.spark_types import SparkType
from loaders.petastorm.unischema import Unischema, UnischemaField
from loaders.petastorm.utils import DecodeFieldError
from tests.leftovers import threads

POOLS = ("thread", "process", "dummy")
SCHEMA = Unischema(
    "Things",
    [
        UnischemaField("id", np.int64, (), ScalarCodec(SparkType("LongType")), False),
        UnischemaField("vector", np.float32, (3,), NdarrayCodec(), False),
        UnischemaField("picture", np.uint8, (4, 5, 3), CompressedImageCodec("png"), False),
        UnischemaField("name", np.str_, (), ScalarCodec(SparkType("StringType")), True),
    ],
)


def thing(number):
    return {
        "id": number,
        "vector": np.full(3, number, dtype=np.float32),
        "picture": np.full((4, 5, 3), number % 256, dtype=np.uint8),
        "name": None if number % 7 == 0 else f"thing {number}",
    }


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    """60 rows in 12 row groups."""
    folder = tmp_path_factory.mktemp("things") / "data"
    write_rows(f"file://{folder}", SCHEMA, [thing(number) for number in range(60)], rows_per_row_group=5)
    return f"file://{folder}"


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    """1,000 rows in 10 row groups of a plain Parquet file."""
    folder = tmp_path_factory.mktemp("numbers")
    table = pa.table({"id": np.arange(1000), "x": np.arange(1000, dtype=np.float32) / 2})
    pq.write_table(table, folder / "part.parquet", row_group_size=100)
    return f"file://{folder}"


def ids(reader):
    with reader:
        return [int(row.id) for row in reader]


def batch_ids(reader):
    with reader:
        return np.concatenate([batch.id for batch in reader]).tolist()


def test_rows_come_decoded_in_stored_order(things):
    with make_reader(things, shuffle_row_groups=False) as reader:
        rows = list(reader)
    assert [int(row.id) for row in rows] == list(range(60))
    row = rows[9]
    assert type(row).__name__ == "Things_view"
    assert row._fields == ("id", "vector", "picture", "name")
    assert (type(row.id), type(row.name), rows[7].name) == (np.int64, np.str_, None)
    assert row.vector.tolist() == [9.0, 9.0, 9.0]
    assert (row.vector.dtype, row.picture.dtype, row.picture.shape) == (np.float32, np.uint8, (4, 5, 3))
    assert row.picture.flags.c_contiguous
    assert row.picture.flags.writeable


@pytest.mark.parametrize("shuffles", [{}, {"shuffle_rows": True}, {"shuffle_row_groups": False, "shuffle_rows": True},
                                      {"shuffle_row_drop_partitions": 2, "shuffle_rows": True}])  # fmt: skip
def test_the_order_depends_neither_on_workers_nor_on_their_kind(things, shuffles):
    orders = {
        (pool, workers): tuple(
            ids(make_reader(things, ["id"], pool, workers, seed=7, num_epochs=2, **shuffles))
        )
        for pool, workers in (("thread", 1), ("thread", 3), ("thread", 10), ("dummy", 1), ("process", 2))
    }  # fmt: skip
    assert len(set(orders.values())) == 1
    order = orders["thread", 1]
    assert sorted(order[:60]) == sorted(order[60:]) == list(range(60))
    assert order[:60] != order[60:]
    assert order[:60] != tuple(range(60))


def test_batches_of_a_batch_reader_have_one_order_too(numbers):
    orders = {
        tuple(batch_ids(make_batch_reader(numbers, None, pool, workers, seed=0, shuffle_rows=True, num_epochs=3)))
        for pool, workers in (("thread", 1), ("thread", 10), ("dummy", 1), ("process", 3))
    }
    assert len(orders) == 1
    (order,) = orders
    epochs = [order[:1000], order[1000:2000], order[2000:]]
    assert len(set(epochs)) == 3
    assert all(sorted(epoch) == list(range(1000)) for epoch in epochs)


def test_without_a_seed_each_reader_has_an_order_of_its_own(numbers):
    orders = {tuple(batch_ids(make_batch_reader(numbers))) for _ in range(4)}
    assert len(orders) > 1


def test_shards_are_those_of_petastorm(things):
    for count in (1, 2, 3, 5, 12):
        found = [ids(make_reader(things, ["id"], cur_shard=shard, shard_count=count, seed=3)) for shard in range(count)]
        for shard, rows in enumerate(found):
            groups = {row // 5 for row in rows}
            assert groups == {group for group in range(12) if group % count == shard}
    with pytest.raises(NoDataAvailableError, match="Number of row-groups in the dataset must be greater"):
        make_reader(things, cur_shard=0, shard_count=13)
    with pytest.raises(ValueError, match="less than shard_count=3"):
        make_reader(things, cur_shard=3, shard_count=3)


def test_equal_shards_have_equally_many_rows(things):
    found = [ids(make_reader(things, ["id"], cur_shard=s, shard_count=7, equal_shards=True)) for s in range(7)]
    assert [len(rows) for rows in found] == [8] * 7
    assert len({row for rows in found for row in rows}) == 56


@pytest.mark.parametrize("pool", POOLS)
def test_predicates_keep_rows_whole_when_rows_are_shuffled(things, pool):
    odd = in_lambda(["id"], lambda number: number % 2 == 1)
    with make_reader(things, None, pool, 2, seed=1, shuffle_rows=True, predicate=odd) as reader:
        rows = list(reader)
    assert sorted(int(row.id) for row in rows) == list(range(1, 60, 2))
    assert all((row.vector == row.id).all() and (row.picture == row.id).all() for row in rows)


def test_a_predicate_may_ask_for_a_column_that_is_not_read(things):
    wanted = in_lambda(["name"], lambda name: name in ("thing 3", "thing 50"))
    assert sorted(ids(make_reader(things, ["id"], predicate=wanted))) == [3, 50]


def test_drop_partitions_neither_lose_nor_repeat_rows(things):
    for parts in (2, 3, 7):
        found = ids(make_reader(things, ["id"], shuffle_row_drop_partitions=parts, shuffle_rows=True, seed=1))
        assert sorted(found) == list(range(60))


def test_filters_work_on_columns_of_data(numbers):
    found = batch_ids(make_batch_reader(numbers, filters=[("id", ">", 350), ("id", "<=", 420)]))
    assert sorted(found) == list(range(351, 421))


@pytest.mark.parametrize("pool", POOLS)
def test_a_transform_changes_rows_and_schema(things, pool):
    spec = TransformSpec(
        lambda row: {"id": row["id"], "total": np.float64(row["vector"].sum())},
        edit_fields=[("total", np.float64, (), False)], removed_fields=["vector", "picture", "name"],
    )  # fmt: skip
    with make_reader(things, None, pool, 2, transform_spec=spec, shuffle_row_groups=False) as reader:
        rows = list(reader)
        assert list(reader.schema.fields) == ["id", "total"]
    assert [(int(row.id), float(row.total)) for row in rows] == [(number, 3.0 * number) for number in range(60)]
    assert type(rows[0].total) is np.float64


def test_break_and_iterate_again_goes_on_and_rewind_begins_anew(things):
    with make_reader(things, ["id"], shuffle_row_groups=False) as reader:
        first = [int(row.id) for _, row in zip(range(7), reader, strict=False)]
        reader.rewind()
        assert [int(row.id) for row in reader] == list(range(60))
        reader.reset()
        assert sum(1 for _ in reader) == 60
    assert first == list(range(7))


def test_reset_in_the_middle_is_refused_as_before(things):
    with make_reader(things) as reader:
        next(reader)
        with pytest.raises(NotImplementedError, match="Currently do not support resetting a reader"):
            reader.reset()


def test_each_pass_has_new_orders_and_the_epochs_count_on(numbers):
    with make_batch_reader(numbers, seed=5) as reader:
        passes = []
        for expected in range(3):
            assert reader.epoch == expected
            passes.append(tuple(np.concatenate([batch.id for batch in reader]).tolist()))
            reader.reset()
    assert len(set(passes)) == 3
    assert passes[0] == tuple(batch_ids(make_batch_reader(numbers, seed=5)))


@pytest.mark.parametrize("taken", [0, 1, 4, 5, 23, 59, 60, 61, 90, 120])
def test_a_reader_goes_on_where_another_one_was(things, taken):
    options = {"seed": None, "shuffle_rows": True, "num_epochs": 2}
    with make_reader(things, ["id"], "thread", 3, **options) as reader:
        before = [int(next(reader).id) for _ in range(taken)]
        state = reader.state_dict()
        after = [int(row.id) for row in reader]
    assert len(before) + len(after) == 120
    with make_reader(things, ["id"], "dummy", **options) as other:
        other.load_state_dict(state)
        assert [int(row.id) for row in other] == after
    with make_reader(things, ["id", "name"], **options) as other, pytest.raises(StateMismatchError):
        other.load_state_dict(state)


def test_length_is_told_where_it_is_known(things, numbers):
    with make_reader(things, num_epochs=2) as reader:
        assert (len(reader), reader.num_rows) == (120, 60)
    with make_batch_reader(numbers, cur_shard=1, shard_count=3) as reader:
        assert (len(reader), reader.num_rows) == (3, 300)
    with make_reader(things, num_epochs=None) as reader, pytest.raises(TypeError, match="no length"):
        len(reader)
    with make_reader(things, predicate=in_lambda(["id"], lambda _: True)) as reader, pytest.raises(TypeError):
        len(reader)


def test_next_is_refused_after_stop(things):
    with make_reader(things) as reader:
        next(reader)
    with pytest.raises(RuntimeError, match="Trying to read a sample after a reader"):
        next(reader)


def test_stop_ends_a_next_that_waits(things):
    go_on = threading.Event()
    found = []

    def stuck(row):
        go_on.wait(20)
        return row

    reader = make_reader(things, transform_spec=TransformSpec(stuck))

    def read():
        try:
            next(reader)
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    time.sleep(0.3)
    started = time.monotonic()
    reader.stop()
    thread.join(3)
    waited = time.monotonic() - started
    go_on.set()
    reader.join()
    assert isinstance(found[0], RuntimeError)
    assert waited < 2


@pytest.mark.parametrize("pool", POOLS)
def test_an_error_of_a_worker_keeps_its_class_and_names_the_row_group(things, pool):
    def broken(row):
        if row["id"] == 33:
            raise KeyError("no such thing")
        return row

    with make_reader(things, None, pool, 2, shuffle_row_groups=False, transform_spec=TransformSpec(broken)) as reader:
        with pytest.raises(KeyError, match="no such thing"):
            list(reader)
        with pytest.raises(KeyError):  # the same rows again
            next(reader)


def test_several_threads_share_a_reader(things):
    found, lock = [], threading.Lock()

    def read(reader):
        for row in reader:
            with lock:
                found.append(int(row.id))

    with make_reader(things, ["id"], num_epochs=3) as reader:
        threads = [threading.Thread(target=read, args=(reader,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert sorted(found) == sorted([*range(60)] * 3)


def test_rows_and_columns_share_one_position(things):
    with make_reader(things, shuffle_row_groups=False) as reader:
        found = [int(next(reader).id), int(next(reader).id)]
        found += reader.next_rows().columns["id"].tolist()
        found += [int(next(reader).id)]
        while True:
            try:
                found += reader.next_rows().columns["id"].tolist()
            except StopIteration:
                break
    assert found == list(range(60))


def test_a_kept_row_keeps_no_other(things):
    with make_reader(things, ["vector"]) as reader:
        row = next(reader)
    assert row.vector.base is None


def test_an_endless_pass_that_keeps_no_row_ends(things):
    with make_reader(things, num_epochs=None, predicate=in_lambda(["id"], lambda _: False)) as reader:
        assert list(reader) == []


def test_forgotten_readers_leave_no_threads(things):
    before = threads()
    for _ in range(20):
        reader = make_reader(things)
        next(reader)
        del reader
    gc.collect()
    until = time.monotonic() + 2
    while threads() - before and time.monotonic() < until:
        time.sleep(0.05)
    assert threads() - before == set()


def test_reading_imports_neither_pandas_nor_spark_nor_torch(things, numbers):
    script = (
        "import sys, warnings; warnings.simplefilter('ignore')\n"
        "from loaders.petastorm import make_batch_reader, make_reader\n"
        "for make, url in ((make_reader, sys.argv[1]), (make_batch_reader, sys.argv[2])):\n"
        "    with make(url, seed=1, shuffle_rows=True) as reader: list(reader)\n"
        "print(sorted({'pandas', 'pyspark', 'torch', 'cv2'} & set(sys.modules)))\n"
    )
    found = subprocess.run([sys.executable, "-c", script, things, numbers], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_a_thousand_opens_read_everything(tmp_path):
    table = pa.table({"id": np.arange(20)})
    pq.write_table(table, tmp_path / "one.parquet")
    url = f"file://{tmp_path}"
    short = sum(len(batch_ids(make_batch_reader(url))) != 20 for _ in range(1000))
    assert short == 0


def test_two_hundred_opens_of_thirty_row_groups_read_everything(tmp_path):
    pq.write_table(pa.table({"id": np.arange(300)}), tmp_path / "thirty.parquet", row_group_size=10)
    url = f"file://{tmp_path}"
    short = sum(len(batch_ids(make_batch_reader(url, workers_count=10))) != 300 for _ in range(200))
    assert short == 0


def test_windows_that_never_come_end_an_endless_pass(things):
    far = NGram({0: ["id"], 1: ["id"]}, delta_threshold=0, timestamp_field="id")
    with make_reader(things, far, num_epochs=None) as reader:
        assert list(reader) == []


def test_a_pass_of_many_epochs_goes_on_after_empty_ones(numbers):
    calls = []

    def lately(frame):
        calls.append(1)
        return frame["id"] >= (0 if len(calls) > 300 else 10_000)

    keeps = in_lambda(["id"], lambda ids: lately({"id": ids}))
    with make_batch_reader(numbers, None, "dummy", num_epochs=40, predicate=keeps) as reader:
        assert sum(len(batch.id) for batch in reader) == 10_000


def test_a_state_is_loaded_by_worker_processes_that_run_already(things):
    options = {"shuffle_rows": True, "workers_count": 2}
    with make_reader(things, ["id"], "dummy", shuffle_rows=True) as reader:
        first = [int(next(reader).id) for _ in range(13)]
        state = reader.state_dict()
        rest = [int(row.id) for row in reader]
    with make_reader(things, ["id"], "process", **options) as other:
        next(other)
        other.load_state_dict(state)
        assert [int(row.id) for row in other] == rest
    assert sorted(first + rest) == list(range(60))


def test_a_state_belongs_to_its_predicate_and_not_to_a_place(things, tmp_path):
    def reader_of(url, keep):
        return make_reader(url, ["id"], predicate=in_lambda(["id"], keep), shuffle_row_groups=False)

    with reader_of(things, lambda number: number % 2 == 0) as reader:
        assert [int(next(reader).id) for _ in range(3)] == [0, 2, 4]
        state = reader.state_dict()
    shutil.copytree(things.removeprefix("file://"), tmp_path / "moved")
    with reader_of(f"file://{tmp_path}/moved", lambda number: number % 2 == 0) as reader:
        reader.load_state_dict(state)
        assert int(next(reader).id) == 6
    with reader_of(things, lambda number: number % 3 == 0) as reader, pytest.raises(StateMismatchError):
        reader.load_state_dict(state)
    with reader_of(things, lambda number: number % 2 == 0) as reader:
        for position in ([0, 0], [0, 99, 0], [-1, 0, 0], [0, 0, "1"], None):
            with pytest.raises(StateMismatchError, match="position"):
                reader.load_state_dict({**state, "position": position})


def test_length_counts_no_parts_that_hold_nothing(numbers):
    with make_batch_reader(numbers, shuffle_row_drop_partitions=150) as reader:
        assert len(reader) == sum(1 for _ in reader) == 1000


@pytest.mark.parametrize("seed", ["seven", 1.5, [1]])
def test_a_seed_is_an_integer(numbers, seed):
    with pytest.raises(ValueError, match="seed must be an integer"):
        make_batch_reader(numbers, seed=seed)
    assert batch_ids(make_batch_reader(numbers, seed=np.int64(7))) == batch_ids(make_batch_reader(numbers, seed=7))


def test_a_cache_gives_the_rows_and_the_order_that_come_without_it(things, tmp_path):
    options = {"shuffle_rows": True, "seed": 4, "filters": [("id", ">", 11)], "num_epochs": 2}
    for more in ({}, {"cur_shard": 1, "shard_count": 3, "equal_shards": True}):
        without = ids(make_reader(things, ["id"], **options, **more))
        for _ in range(2):
            cached = make_reader(
                things, ["id"], cache_type="local-disk", cache_location=str(tmp_path), cache_size_limit=10**8,
                cache_row_size_estimate=10**3, **options, **more,
            )  # fmt: skip
            assert ids(cached) == without


def test_many_equal_pictures_are_decoded_a_few_at_a_time(tmp_path):
    schema = Unischema("Blank", [UnischemaField("picture", np.uint8, (None, None, 3), CompressedImageCodec("png"))])
    blank = {"picture": np.zeros((600, 600, 3), dtype=np.uint8)}
    write_rows(f"file://{tmp_path}/blank", schema, [blank] * 300)  # 300 MB of pixels in a few KB of file
    with make_reader(f"file://{tmp_path}/blank") as reader:
        assert reader.next_rows().columns["picture"].nbytes <= 4 << 20
        assert next(reader).picture.shape == (600, 600, 3)


@pytest.mark.parametrize("pool", POOLS)
def test_a_stop_iteration_of_a_function_does_not_end_the_pass(things, pool):
    def empty(row):
        return next(iter([]))

    with make_reader(things, None, pool, 2, transform_spec=TransformSpec(empty)) as reader:
        with pytest.raises(Exception, match="StopIteration") as raised:
            list(reader)
    assert not isinstance(raised.value, StopIteration)


@pytest.mark.parametrize("pool", POOLS)
def test_errors_say_with_which_row_group(things, pool):
    def broken(row):
        if row["id"] == 33:
            raise KeyError("no such thing")
        return row

    with make_reader(things, None, pool, 2, transform_spec=TransformSpec(broken)) as reader:
        with pytest.raises(KeyError) as raised:
            list(reader)
    assert "while reading row group 6 of" in "".join(raised.value.__notes__)


def test_what_cannot_be_decoded_is_named_by_its_place(tmp_path):
    schema = Unischema("Pictures", [UnischemaField("picture", np.uint8, (2, 2), CompressedImageCodec("png"))])
    write_rows(f"file://{tmp_path}/data", schema, [{"picture": np.eye(2, dtype=np.uint8)}] * 10, rows_per_row_group=5)
    (file,) = (tmp_path / "data").glob("*.parquet")
    table = pq.read_table(file)
    pictures = table.column("picture").to_pylist()
    pictures[8] = b"no picture"
    pq.write_table(pa.table({"picture": pictures}).cast(table.schema), file, row_group_size=5)
    with make_reader(f"file://{tmp_path}/data", shuffle_row_groups=False) as reader:
        with pytest.raises(DecodeFieldError, match='Decoding field "picture" failed') as raised:
            list(reader)
    found = raised.value
    assert (found.file, found.row_group, found.row, found.column) == (str(file), 1, 3, "picture")


def test_an_ngram_of_the_caller_stays_as_it_was(things, tmp_path):
    other = Unischema("Other", [UnischemaField("id", np.int64, (), ScalarCodec(SparkType("LongType")), False)])
    write_rows(f"file://{tmp_path}/other", other, [{"id": number} for number in range(3)])
    windows = NGram({0: ["id"], 1: ["id"]}, delta_threshold=1, timestamp_field="id")
    for url, count in ((things, 48), (f"file://{tmp_path}/other", 2)):
        with make_reader(url, windows) as reader:
            assert sum(1 for _ in reader) == count
    assert windows.fields == {0: ["id"], 1: ["id"]}


def test_filters_of_the_caller_may_change_afterwards(numbers):
    filters = [("id", "<", 10)]
    reader = make_batch_reader(numbers, filters=filters)
    filters.append(("id", ">", 10**6))
    assert batch_ids(reader) == list(range(10))
