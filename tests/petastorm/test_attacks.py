"""Readers under attack: interrupted, mixed, killed, damaged, and given data that means harm."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loaders.errors import CorruptionError, StateMismatchError
from loaders.petastorm import TransformSpec, make_batch_reader, make_reader
from loaders.petastorm.codecs import CompressedImageCodec, CompressedNdarrayCodec, NdarrayCodec, ScalarCodec
from loaders.petastorm.etl.dataset_metadata import ROW_GROUPS_PER_FILE_KEY, UNISCHEMA_KEY
from loaders.petastorm.etl.local_writer import write_rows
from loaders.petastorm.etl.stored_schema import unischema_bytes
from loaders.petastorm.ngram import NGram
from loaders.petastorm.shipping import digest_of
from loaders.petastorm.spark_types import SparkType
from loaders.petastorm.unischema import Unischema, UnischemaField
from loaders.petastorm.utils import DecodeFieldError

ROWS = 40
LONG = ScalarCodec(SparkType("LongType"))
NUMBERS = Unischema("Numbers", [UnischemaField(name, np.int64, (), LONG, False) for name in ("id", "time")])


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> str:
    """40 rows in row groups of 7."""
    url = f"file://{tmp_path_factory.mktemp('attacked') / 'numbers'}"
    write_rows(url, NUMBERS, [{"id": at, "time": at} for at in range(ROWS)], rows_per_row_group=7)
    return url


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same rows, as plain Parquet."""
    folder = tmp_path_factory.mktemp("plain")
    pq.write_table(pa.table({"id": np.arange(ROWS)}), folder / "part.parquet", row_group_size=7)
    return f"file://{folder}"


def test_next_and_next_rows_give_no_row_group_twice(plain: str) -> None:
    with make_batch_reader(plain) as reader:
        found = [*next(reader).id, *reader.next_rows().columns["id"], *next(reader).id]
        found += [number for item in reader for number in item.id]
    assert sorted(found) == list(range(ROWS))


def test_a_url_may_be_written_as_hadoop_does(plain: str) -> None:
    with make_batch_reader(plain.replace("file://", "file:")) as reader:
        assert sum(len(item.id) for item in reader) == ROWS


def test_cached_windows_stay_in_their_shard(numbers: str, tmp_path: Path) -> None:
    def windows(shard: int, **cache: Any) -> Counter[int]:
        ngram = NGram({0: ["id"], 1: ["id"]}, 1, "time")
        with make_reader(numbers, ngram, cur_shard=shard, shard_count=3, equal_shards=True, **cache) as reader:
            return Counter(int(window[0].id) for window in reader)

    cache = {"cache_type": "local-disk", "cache_location": str(tmp_path), "cache_size_limit": 10**6,
             "cache_row_size_estimate": 10}  # fmt: skip
    for shard in range(3):
        assert windows(shard, **cache) == windows(shard)


@pytest.mark.parametrize("pool", ["thread", "dummy"])
def test_an_interrupt_in_next_loses_no_row(numbers: str, pool: str) -> None:
    interrupts = {3, 11, 12, 25}

    def interrupted(row: dict[str, Any]) -> dict[str, Any]:
        if int(row["id"]) in interrupts:
            interrupts.remove(int(row["id"]))
            raise KeyboardInterrupt
        return row

    found, caught = [], 0
    with make_reader(
        numbers, reader_pool_type=pool, transform_spec=TransformSpec(interrupted), shuffle_row_groups=False
    ) as reader:
        while len(found) < ROWS:
            try:
                found.append(int(next(reader).id))
            except KeyboardInterrupt:
                caught += 1
    assert found == list(range(ROWS))
    assert caught >= 1
    assert not interrupts


class Shifted:
    amount = 1

    def __call__(self, row: Any) -> Any:
        return row + self.amount


class Twice(Shifted):
    def __init__(self, kept: Any) -> None:
        self.kept = kept


class TwiceOther(Shifted):
    amount = 2


_LOCAL = """
from loaders.petastorm.predicates import in_negate, in_set
from loaders.petastorm.shipping import digest_of
def f(row, kept={"a", "b", "c"}): return row in kept
print(digest_of(in_negate(in_set({"a", "b", "c", "dd"}, "name"))), digest_of(f))
"""


def test_digests_are_the_same_in_every_process() -> None:
    found = {
        subprocess.run(
            [sys.executable, "-c", _LOCAL], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in "123"
    }
    assert len(found) == 1


def _of_text(text: str) -> Any:
    scope: dict[str, Any] = {"__name__": "some_module"}
    exec(text, scope)
    return scope["f"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Twice([1]), Twice([2])),
        (Shifted(), TwiceOther()),
        ({"a": 1}.get, {"a": 2}.get),
        (_of_text("S = 1\ndef f(row): return [S * each for each in row]"),
         _of_text("S = 2\ndef f(row): return [S * each for each in row]")),
        (_of_text("def b(self, row): return row\nf = type('A', (type('B', (), {'__call__': b}),), {})()"),
         _of_text("def b(self, row): return row + 1\nf = type('A', (type('B', (), {'__call__': b}),), {})()")),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (_of_text("import numpy as np\nS = np.zeros(3)\ndef f(row): return row - S"),
         _of_text("import numpy as np\nS = np.ones(3)\ndef f(row): return row - S")),
    ],
)  # fmt: skip
def test_digests_tell_inherited_and_bound_code_apart(one: Any, other: Any) -> None:
    assert digest_of(one) != digest_of(other)
    assert digest_of(one) == digest_of(one)


def test_windows_are_continued_by_another_reader(numbers: str) -> None:
    def reader() -> Any:
        return make_reader(numbers, NGram({0: ["id"], 1: ["id"]}, 1, "time"), seed=1)

    with reader() as first:
        kept = [next(first) for _ in range(5)]
        state = first.state_dict()
        rest = [int(window[0].id) for window in first]
    with reader() as second:
        second.load_state_dict(state)
        assert [int(window[0].id) for window in second] == rest
    assert len(kept) + len(rest) == 5 * 6 + 4


def _schema(names: list[str]) -> Unischema:
    return Unischema("Named", [UnischemaField(name, np.int64, (), LONG, False) for name in names])


@pytest.mark.filterwarnings("ignore:Can not create dynamic property")
@pytest.mark.parametrize("name", ["self", "__del__", "__bool__", "__getattr__", "_schema_name", "__index_level_0__"])
def test_any_name_of_a_field_is_data(tmp_path: Path, name: str) -> None:
    url = f"file://{tmp_path / 'data'}"
    write_rows(url, _schema(["id", name]), [{"id": at, name: at + 1} for at in range(3)])
    with make_reader(url, shuffle_row_groups=False) as reader:
        rows = list(reader)
    assert [tuple(row) for row in rows] == [(0, 1), (1, 2), (2, 3)]
    assert all(rows)
    assert not hasattr(rows[0], "missing")
    assert [type(pickle.loads(pickle.dumps(row))) for row in rows] == [type(row) for row in rows]
    with pytest.warns(UserWarning, match="Please use make_reader"), make_batch_reader(url) as reader:
        assert next(reader)[1].tolist() == [1, 2, 3]


def test_schemas_of_many_fields_are_read_again(tmp_path: Path) -> None:
    url, names = f"file://{tmp_path / 'wide'}", [f"feature_{at}" for at in range(1000)]
    write_rows(url, _schema(names), [dict.fromkeys(names, 7)])
    with make_reader(url) as reader:
        assert set(next(reader)) == {7}


def test_a_file_that_lost_a_column_that_is_never_null_is_refused(tmp_path: Path) -> None:
    write_rows(f"file://{tmp_path / 'data'}", NUMBERS, [{"id": at, "time": at} for at in range(4)])
    [file] = (tmp_path / "data").glob("*.parquet")
    pq.write_table(pq.read_table(file).rename_columns(["id", "tide"]), file)
    with make_reader(tmp_path / "data") as reader, pytest.raises(CorruptionError, match="lacks the column 'time'"):
        next(reader)
    with make_reader(tmp_path / "data", ["id"]) as reader:
        assert len(list(reader)) == 4


def _stored(folder: Path, field: UnischemaField, values: pa.Array) -> str:
    """Write values that do not fit their field."""
    table = pa.table({"v": values})
    pq.write_table(table, folder / "part.parquet")
    keys = {UNISCHEMA_KEY: unischema_bytes(Unischema("Odd", [field])),
            ROW_GROUPS_PER_FILE_KEY: b'{"part.parquet": 1}'}  # fmt: skip
    pq.write_metadata(table.schema.with_metadata(keys), folder / "_common_metadata")
    return f"file://{folder}"


@pytest.mark.parametrize(
    ("field", "values"),
    [
        (UnischemaField("v", np.int64, (2, 2), None, False), pa.array([[1, 2], [3, 4]])),
        (UnischemaField("v", np.uint8, (2, 2), CompressedImageCodec("png"), False), pa.array([1, 2])),
        (UnischemaField("v", np.uint8, (2, 2), CompressedNdarrayCodec(), False), pa.array([[1], [2]])),
        (UnischemaField("v", np.uint8, (None,), NdarrayCodec(), False), pa.array([1.5, 2.5])),
    ],
)
def test_values_that_do_not_fit_their_field_are_told_by_its_name(
    tmp_path: Path, field: UnischemaField, values: pa.Array
) -> None:
    with make_reader(_stored(tmp_path, field, values)) as reader:
        with pytest.raises(DecodeFieldError, match='Decoding field "v" failed'):
            reader.next_rows()


@pytest.mark.parametrize("state", [None, "state", [], b""])
def test_what_is_no_state_is_refused(numbers: str, state: Any) -> None:
    with make_reader(numbers) as reader, pytest.raises(StateMismatchError):
        reader.load_state_dict(state)
