"""Datasets that are written without Spark: the old library, DuckDB and pyarrow read them."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from loaders.petastorm.codecs import NdarrayCodec
from loaders.petastorm.errors import PetastormMetadataGenerationError
from loaders.petastorm.etl.dataset_metadata import get_schema_from_dataset_url, materialize_dataset
from loaders.petastorm.etl.local_writer import arrow_schema, write_rows
from loaders.petastorm.etl.petastorm_generate_metadata import generate_petastorm_metadata, main
from loaders.petastorm.reader import make_reader
from loaders.petastorm.unischema import Unischema, UnischemaField
from tests.loaders.s3 import Fault, serving
from tests.petastorm.every_codec import SCHEMA, read_back, row, scalar
from tests.petastorm.read_with_petastorm import described, read_with_petastorm

SMALL = Unischema("Small", [scalar("id", np.int64, "LongType"), scalar("part", np.str_, "StringType")])


def small_rows(count):
    return [{"id": i, "part": "ab"[i % 2]} for i in range(count)]


@pytest.fixture(scope="module")
def every(tmp_path_factory):
    """A dataset with every codec, 7 rows in 3 row groups."""
    url = f"file://{tmp_path_factory.mktemp('every')}/set"
    write_rows(url, SCHEMA, map(row, range(7)), rows_per_row_group=3)
    return url


def test_petastorm_reads_every_codec_with_equal_values_and_types(every):
    found = read_with_petastorm(every)
    assert [field[0] for field in found["schema"]] == list(SCHEMA.fields)
    assert found["rows"] == [
        {name: described(value) for name, value in read_back(row(i)).items()} for i in range(7)
    ]


def test_duckdb_and_pyarrow_read_the_columns(every):
    import duckdb

    path = every.removeprefix("file://")
    table = ds.dataset(path).to_table()
    assert table.schema.equals(arrow_schema(SCHEMA))
    assert table.column("decimal").to_pylist() == [row(i)["decimal"] for i in range(7)]
    with duckdb.connect() as connection:
        found = connection.execute(f"select id, date, maybe_number from '{path}/*.parquet' order by id").fetchall()
    assert found == [(i, row(i)["date"], row(i)["maybe_number"]) for i in range(7)]


def test_the_stored_schema_is_the_one_that_wrote(every):
    assert get_schema_from_dataset_url(every).fields == SCHEMA.fields


def test_partitions_are_folders_and_petastorm_reads_them_as_fields(tmp_path):
    url = f"file://{tmp_path}/set"
    write_rows(url, SMALL, small_rows(6), partition_by=["part"])
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == ["_common_metadata", "part=a", "part=b"]
    found = read_with_petastorm(url)["rows"]
    assert [(row["id"], row["part"]) for row in found] == [
        (described(np.int64(i)), described(np.str_("ab"[i % 2]))) for i in (0, 2, 4, 1, 3, 5)
    ]


def test_row_groups_end_by_bytes_and_by_rows(tmp_path):
    field = UnischemaField("data", np.bytes_, (), scalar("data", np.bytes_, "BinaryType").codec, False)
    write_rows(f"file://{tmp_path}/bytes", Unischema("S", [field]), [{"data": b"x" * 50_000}] * 10, 0.1)
    write_rows(f"file://{tmp_path}/rows", SMALL, small_rows(10), rows_per_row_group=4)
    assert row_groups(tmp_path / "bytes") == [3, 3, 3, 1]
    assert row_groups(tmp_path / "rows") == [4, 4, 2]


def row_groups(folder):
    footer = pq.read_metadata(folder / "part-00000.parquet")
    return [footer.row_group(i).num_rows for i in range(footer.num_row_groups)]


def test_what_is_there_stays_unless_it_is_to_be_replaced(tmp_path):
    url = f"file://{tmp_path}/set"
    write_rows(url, SMALL, small_rows(2))
    with pytest.raises(FileExistsError, match="overwrite=True"):
        write_rows(url, SMALL, small_rows(3))
    with pytest.raises(ValueError, match="not \"nullable\""):
        write_rows(url, SMALL, [{"id": None, "part": "a"}], overwrite=True)
    assert ds.dataset(tmp_path / "set").count_rows() == 2
    write_rows(url, SMALL, small_rows(3), overwrite=True)
    assert ds.dataset(tmp_path / "set").count_rows() == 3
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_rows_that_do_not_fit_are_named(tmp_path):
    url = f"file://{tmp_path}/set"
    for rows, said in (
        ([], "no rows"),
        ([{"id": 1}], "part"),
        ([{"id": 1, "part": "a", "more": 1}], "more"),
        ([{"id": 2**70, "part": "a"}], "field 'id' does not fit its column of int64"),
    ):
        with pytest.raises(ValueError, match=said):
            write_rows(url, SMALL, rows)
    assert list(tmp_path.iterdir()) == []


def test_a_codec_of_ones_own_is_refused_before_rows_are_read(tmp_path):
    class Own(NdarrayCodec):
        pass

    schema = Unischema("S", [UnischemaField("x", np.float32, (2,), Own(), False)])
    with pytest.raises(ValueError, match="a stored schema cannot name"):
        write_rows(f"file://{tmp_path}/set", schema, (pytest.fail("was read") for _ in range(1)))
    with pytest.raises(ValueError, match="a stored schema cannot name"), \
            materialize_dataset(None, f"file://{tmp_path}/set", schema):
        pytest.fail("was run")


def test_files_of_any_writer_become_a_dataset_without_spark(tmp_path):
    url = f"file://{tmp_path}/set"
    with materialize_dataset(None, url, SMALL):
        (tmp_path / "set").mkdir()
        pq.write_table(pa.Table.from_pylist(small_rows(5)), tmp_path / "set" / "part-0.parquet", row_group_size=2)
    found = pq.read_metadata(tmp_path / "set" / "_common_metadata").metadata
    assert json.loads(found[b"dataset-toolkit.num_row_groups_per_file.v1"]) == {"part-0.parquet": 3}
    assert found[b"dataset-toolkit.unischema.v1"].isascii()
    assert [row["id"] for row in read_with_petastorm(url)["rows"]] == [described(np.int64(i)) for i in range(5)]


def test_files_that_were_added_are_counted_when_metadata_is_written_again(tmp_path, capsys):
    url = f"file://{tmp_path}/set"
    write_rows(url, SMALL, small_rows(2))
    pq.write_table(pq.read_table(tmp_path / "set" / "part-00000.parquet"), tmp_path / "set" / "part-00001.parquet")
    generate_petastorm_metadata(None, url)
    assert len(read_with_petastorm(url)["rows"]) == 4
    assert main(["--dataset_url", url, "--use-summary-metadata"]) == 0
    assert pq.read_metadata(tmp_path / "set" / "_metadata").num_row_groups == 2
    assert len(read_with_petastorm(url)["rows"]) == 4


def test_an_index_of_other_row_groups_is_dropped_with_a_warning(tmp_path):
    url, common = f"file://{tmp_path}/set", tmp_path / "set" / "_common_metadata"
    key = b"dataset-toolkit.rowgroups_index.v1"
    write_rows(url, SMALL, small_rows(2))
    schema = pq.read_schema(common)
    pq.write_metadata(schema.with_metadata({**schema.metadata, key: b"index"}), common)
    generate_petastorm_metadata(None, url)
    assert pq.read_metadata(common).metadata[key] == b"index"
    pq.write_table(pq.read_table(tmp_path / "set" / "part-00000.parquet"), tmp_path / "set" / "part-00001.parquet")
    with pytest.warns(UserWarning, match="build_rowgroup_index again"):
        generate_petastorm_metadata(None, url)
    assert key not in pq.read_metadata(common).metadata


def test_metadata_that_would_not_fit_is_not_written(tmp_path):
    url = f"file://{tmp_path}/set"
    with pytest.raises(PetastormMetadataGenerationError, match="no Parquet files|cannot be listed"), \
            materialize_dataset(None, url, SMALL):
        pass
    (tmp_path / "set").mkdir()
    pq.write_table(pa.table({"id": [1]}), tmp_path / "set" / "part-0.parquet")
    with pytest.raises(PetastormMetadataGenerationError, match="no column part"), materialize_dataset(None, url, SMALL):
        pass
    (tmp_path / "set" / "notes.txt").write_text("no Parquet")
    with pytest.raises(PetastormMetadataGenerationError, match="notes.txt is no whole"), \
            materialize_dataset(None, url, SMALL):
        pass
    with pytest.raises(ValueError, match="please specify it"):
        generate_petastorm_metadata(None, url)
    with pytest.raises(ValueError, match="not an instance of a petastorm.Unischema"):
        generate_petastorm_metadata(None, url, "tests.petastorm.every_codec.row")
    assert not (tmp_path / "set" / "_common_metadata").exists()


def test_metadata_goes_through_the_file_system_that_is_handed_in(tmp_path):
    made = []

    def factory():
        made.append(SubTreeFileSystem(str(tmp_path), LocalFileSystem()))
        return made[-1]

    with materialize_dataset(None, "file:///set", SMALL, filesystem_factory=factory):
        (tmp_path / "set").mkdir()
        pq.write_table(pa.Table.from_pylist(small_rows(5)), tmp_path / "set" / "part-0.parquet")
    assert len(made) == 1
    assert get_schema_from_dataset_url(f"file://{tmp_path}/set").fields == SMALL.fields


def test_other_file_systems_are_written_to_as_well(tmp_path):
    from fsspec.implementations.memory import MemoryFileSystem

    memory = MemoryFileSystem()
    write_rows("memory://sets/one", SMALL, small_rows(5), filesystem=memory)
    names = [path.rsplit("/", 1)[-1] for path in memory.ls("/sets/one", detail=False)]
    assert sorted(names) == ["_common_metadata", "part-00000.parquet"]
    with memory.open("/sets/one/_common_metadata") as stream:
        assert b"dataset-toolkit.unischema.v1" in pq.read_metadata(stream).metadata


def test_a_dataset_is_written_into_a_bucket_and_read_from_it(tmp_path, monkeypatch):
    (tmp_path / "bucket").mkdir()
    with serving(tmp_path) as store:
        for name, value in {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{store.port}", "AWS_ACCESS_KEY_ID": "k",
                            "AWS_SECRET_ACCESS_KEY": "s"}.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        write_rows("s3://bucket/sets/one", SMALL, small_rows(5))
        store.faults.append(Fault("short", times=3))
        with make_reader("s3://bucket/sets/one", reader_pool_type="dummy", shuffle_row_groups=False) as reader:
            assert len(list(reader)) == 5
        with pytest.raises(FileExistsError):
            write_rows("s3://bucket/sets/one", SMALL, small_rows(5))
        write_rows("s3://bucket/sets/one", SMALL, small_rows(2), overwrite=True)
    assert sorted(path.name for path in (tmp_path / "bucket" / "sets" / "one").iterdir()) == [
        "_common_metadata", "part-00000.parquet",
    ]  # fmt: skip
