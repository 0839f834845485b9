"""Indexes of row groups: the same as Petastorm's, read by Petastorm, written whole, with Spark and without."""

from __future__ import annotations

import json
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import loaders.petastorm.etl._storing
from benchmarks.loaders.environments import python_of
from loaders.errors import FormatError
from loaders.petastorm.etl._index_pickle import index_pickle
from loaders.petastorm.etl.legacy import read_indexes
from loaders.petastorm.etl.rowgroup_indexers import FieldNotNullIndexer, SingleFieldIndexer
from loaders.petastorm.etl.rowgroup_indexing import ROWGROUPS_INDEX_KEY, build_rowgroup_index, get_row_group_indexes
from loaders.petastorm.rowgroups.folder import open_folder
from loaders.petastorm.utils import DecodeFieldError
from tests.conftest import missing

ROWGROUPS = Path(__file__).parent / "data" / "rowgroups"
INDEXERS = [
    SingleFieldIndexer("by_id", "id"),
    SingleFieldIndexer("by_name", "name"),
    SingleFieldIndexer("by_tags", "tags"),
    FieldNotNullIndexer("maybe_there", "maybe"),
]


@pytest.fixture
def dataset(tmp_path):
    """Nine row groups written by Petastorm, with its indexes of them."""
    return Path(shutil.copytree(ROWGROUPS, tmp_path / "rowgroups"))


@pytest.fixture
def plain(tmp_path):
    """Two files of two row groups and an empty one, below folders, without any metadata."""
    for day, ids in (("1", [1, 2, 3, 4]), ("2", [3, 4, 5, None])):
        (tmp_path / "plain" / f"day={day}").mkdir(parents=True)
        table = pa.table({"id": pa.array(ids, pa.int64()), "tags": [["x", f"y{id}"] for id in ids]})
        pq.write_table(table, tmp_path / "plain" / f"day={day}" / "a.parquet", row_group_size=2)
    pq.write_table(table.slice(0, 0), tmp_path / "plain" / "day=2" / "b.parquet")
    return tmp_path / "plain"


def found(folder):
    """{name of the index: {value: row groups}}."""
    with open_folder(folder) as dataset:
        return {
            name: {value: index.get_row_group_indexes(value) for value in index.indexed_values}
            for name, index in get_row_group_indexes(dataset).items()
        }


def build(folder, *indexers, spark_context=None):
    build_rowgroup_index(f"file://{folder}", spark_context, indexers)
    return found(folder)


def ask_petastorm(folder, code):
    """Run code in Petastorm's environment, where `url` is the dataset and `indexes` what Petastorm reads of it."""
    python = python_of("petastorm")
    if python is None:
        missing("no environment of Petastorm", required_by="PETREL_REQUIRE_PETASTORM")
    program = f"""
import json, warnings
warnings.simplefilter("ignore")
import pyarrow.parquet as pq
from petastorm import make_reader
from petastorm.etl.rowgroup_indexing import get_row_group_indexes
from petastorm.selectors import SingleIndexSelector
url = "file://{folder}"
indexes = get_row_group_indexes(pq.ParquetDataset("{folder}", validate_schema=False, use_legacy_dataset=True))
print(json.dumps({code}, default=repr))
"""
    done = subprocess.run([str(python), "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_petastorms_indexes_are_read_and_ours_are_the_same(dataset):
    theirs = found(dataset)
    assert theirs["by_name"]["name0"] == set(range(8))
    assert theirs["by_tags"]["t7"] == {7, 8}
    assert theirs["maybe_there"] == {"Field is Not Null": {1, 2, 4}}
    build_rowgroup_index(f"file://{dataset}/", None, [SingleFieldIndexer("other", "id")])
    assert list(found(dataset)) == ["other"]
    assert build(dataset, *INDEXERS) == theirs
    assert INDEXERS[0].indexed_values == []  # what was given is not filled


def test_petastorm_reads_ours_and_selects_by_it(dataset):
    build(dataset, *INDEXERS)
    theirs = ask_petastorm(dataset, """[
        {name: [[repr(value), sorted(index.get_row_group_indexes(value))] for value in index.indexed_values]
         for name, index in indexes.items()},
        [row.id.item() for row in make_reader(url, reader_pool_type="dummy", shuffle_row_groups=False,
            rowgroup_selector=SingleIndexSelector("by_tags", ["t7"]))],
    ]""")  # fmt: skip
    ours = {name: [[repr(value), sorted(at)] for value, at in index.items()] for name, index in found(dataset).items()}
    assert theirs == [ours, [19, 20, 21, 22, 23]]


VALUES = [
    0, -1, 2**80, True, 1.5, float("inf"), -0.0, 1e-320, "", "quo'te\\u0041\n\r\x00", "é\U0001f426\ud800", b"",
    b"\x00\xff\n",
]  # fmt: skip


def test_values_of_every_kind_are_found_again(dataset):
    indexes = [SingleFieldIndexer.restored(f"index {at}\n", "ünï", {value: [at, 7]}) for at, value in enumerate(VALUES)]
    indexes.append(SingleFieldIndexer("empty", "e"))
    raw = index_pickle(indexes)
    read = read_indexes(raw)
    assert [list(read[f"index {at}\n"].values.items()) for at in range(len(VALUES))] == [
        [(value, {at, 7})] for at, value in enumerate(VALUES)
    ]
    assert read["empty"].values == {}
    with open_folder(dataset) as folder:
        loaders.petastorm.utils.add_to_dataset_metadata(folder, ROWGROUPS_INDEX_KEY, raw)
    theirs = ask_petastorm(dataset, "[[repr(v) for v in index.indexed_values] for index in indexes.values()]")
    assert theirs == [*([repr(value)] for value in VALUES), []]


@pytest.mark.parametrize(
    "value", [np.int8(5), np.uint64(2**64 - 1), np.float32(0.1), np.bool_(1), np.str_("é"), np.bytes_(b"x")]
)
def test_numpys_values_are_found_by_either(value):
    [read] = read_indexes(index_pickle([SingleFieldIndexer.restored("i", "f", {value: [3]})])).values()
    assert {value: read.values[value], value.item(): read.values[value.item()]} == {value: {3}}


def test_all_else_in_the_metadata_stays(dataset):
    before = dict(pq.read_metadata(dataset / "_common_metadata").metadata)
    build(dataset, SingleFieldIndexer("i", "id"))
    after = dict(pq.read_metadata(dataset / "_common_metadata").metadata)
    assert pq.read_schema(dataset / "_common_metadata").equals(pq.read_schema(ROWGROUPS / "_common_metadata"))
    changed = {ROWGROUPS_INDEX_KEY, b"ARROW:schema", b"dataset-toolkit.num_row_groups_per_file.v1"}
    assert {key: after[key] for key in before if key not in changed} == {
        key: value for key, value in before.items() if key not in changed
    }
    counts = b"dataset-toolkit.num_row_groups_per_file.v1"
    assert json.loads(after[counts]) == json.loads(before[counts])


def test_the_old_metadata_stays_if_the_new_is_not_written_to_its_end(dataset, monkeypatch):
    before = (dataset / "_common_metadata").read_bytes()
    monkeypatch.setattr(loaders.petastorm.etl._storing, "sync_file", lambda path: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build(dataset, SingleFieldIndexer("i", "id"))
    assert (dataset / "_common_metadata").read_bytes() == before
    assert len(list(dataset.iterdir())) == len(list(ROWGROUPS.iterdir()))


def test_any_folder_of_parquet_files_can_be_indexed(plain):
    assert build(
        plain, SingleFieldIndexer("id", "id"), SingleFieldIndexer("tags", "tags"), SingleFieldIndexer("day", "day"),
        FieldNotNullIndexer("some", "id"),
    ) == {
        "id": {1: {0}, 2: {0}, 3: {1, 2}, 4: {1, 2}, 5: {3}},
        "tags": {"x": {0, 1, 2, 3}, "y1": {0}, "y2": {0}, "y3": {1, 2}, "y4": {1, 2}, "y5": {3}, "yNone": {3}},
        "day": {1: {0, 1}, 2: {2, 3}},
        "some": {"Field is Not Null": {0, 1, 2, 3}},
    }  # fmt: skip
    assert ask_petastorm(plain, "sorted(indexes['tags'].get_row_group_indexes('y4'))") == [1, 2]


def test_an_index_of_files_that_were_removed_is_refused(plain):
    build(plain, SingleFieldIndexer("id", "id"))
    (plain / "day=2" / "a.parquet").unlink()
    metadata = pq.read_schema(plain / "_common_metadata")
    counts = {b"dataset-toolkit.num_row_groups_per_file.v1": b'{"day=1/a.parquet": 2, "day=2/b.parquet": 1}'}
    pq.write_metadata(metadata.with_metadata({**metadata.metadata, **counts}), plain / "_common_metadata")
    with pytest.raises(ValueError, match="numbers row groups up to 3, .* has 3: its files were replaced"):
        found(plain)


def test_a_dataset_without_an_index_says_how_to_make_one(plain, dataset):
    with open_folder(plain / "day=1") as folder, pytest.raises(ValueError, match="Could not find _metadata file"):
        get_row_group_indexes(folder)
    with open_folder(dataset) as folder:
        del folder.metadata[ROWGROUPS_INDEX_KEY]
        with pytest.raises(ValueError, match="Row groups index is not available in the dataset metadata file"):
            get_row_group_indexes(folder)


def test_indexes_that_do_code_are_refused(dataset):
    with open_folder(dataset) as folder:
        folder.metadata[ROWGROUPS_INDEX_KEY] = b"cos\nsystem\n(Vtouch /tmp/no\ntR."
        with pytest.raises(FormatError, match="os.system"):
            get_row_group_indexes(folder)


def test_what_cannot_be_indexed_is_refused_before_anything_is_written(dataset, plain):
    class Mine(SingleFieldIndexer):
        pass

    before = (dataset / "_common_metadata").read_bytes()
    for wrong, error, message in (
        ([], ValueError, "different names"),
        ([SingleFieldIndexer("i", "id"), FieldNotNullIndexer("i", "id")], ValueError, "different names"),
        ([SingleFieldIndexer("i", "no")], ValueError, "has no field no; it has id, ts"),
        ([Mine("i", "id")], TypeError, "only SingleFieldIndexer and FieldNotNullIndexer are stored, found Mine"),
    ):
        with pytest.raises(error, match=message):
            build(dataset, *wrong)
    with pytest.raises(TypeError, match="index 'i' of field 'f': values of type Decimal are not indexed"):
        index_pickle([SingleFieldIndexer.restored("i", "f", {Decimal(1): [0]})])
    assert (dataset / "_common_metadata").read_bytes() == before


def test_a_value_that_cannot_be_decoded_stops_it(dataset):
    table = pq.read_table(dataset / "part-00001.parquet")
    broken = table.set_column(table.column_names.index("tags"), "tags", [[b"no array"] * len(table)])
    pq.write_table(broken, dataset / "part-00001.parquet", row_group_size=3)
    with pytest.raises(DecodeFieldError, match='Decoding field "tags" failed'):
        build(dataset, SingleFieldIndexer("i", "tags"))


@pytest.mark.spark
def test_spark_builds_the_same(dataset, spark):
    theirs = found(dataset)
    assert build(dataset, *INDEXERS, spark_context=spark.sparkContext) == theirs
