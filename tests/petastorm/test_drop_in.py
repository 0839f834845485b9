"""What programs written for Petastorm rely on, and what they use beside its readers."""

from __future__ import annotations

import argparse
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loaders.petastorm import make_batch_reader, make_reader
from loaders.petastorm.etl.local_writer import write_rows
from loaders.petastorm.fs_utils import FilesystemResolver
from loaders.petastorm.tools.spark_session_cli import add_configure_spark_arguments, configure_spark
from loaders.petastorm.unischema import Unischema, UnischemaField, dict_to_spark_row
from loaders.petastorm.utils import decode_row


def test_a_file_that_is_listed_twice_is_read_twice(tmp_path):
    for name, first in (("a", 0), ("b", 10)):
        pq.write_table(pa.table({"id": range(first, first + 4)}), tmp_path / f"{name}.parquet", row_group_size=2)
    urls = [f"file://{tmp_path}/{name}.parquet" for name in "aba"]
    with make_batch_reader(urls, shuffle_row_groups=False) as reader:
        assert [value for batch in reader for value in batch.id] == [0, 1, 2, 3, 10, 11, 12, 13, 0, 1, 2, 3]
    with make_batch_reader(urls, num_epochs=2, workers_count=2) as reader:
        assert sorted(value for batch in reader for value in batch.id) == sorted([*range(4)] * 4 + [*range(10, 14)] * 2)


def test_bytes_without_a_codec_are_stored_as_text_and_read_as_bytes(tmp_path):
    types = pytest.importorskip("pyspark.sql.types")
    schema = Unischema("S", [UnischemaField("name", np.bytes_, ())])
    assert schema.as_spark_schema()["name"].dataType == types.StringType()
    assert dict_to_spark_row(schema, {"name": b"\xc3\xa9"}) == dict_to_spark_row(schema, {"name": "é"}) == ("é",)
    with pytest.raises(ValueError, match=r"^Field name holds bytes .* ScalarCodec\(BinaryType\(\)\)"):
        dict_to_spark_row(schema, {"name": b"\xff"})
    write_rows(f"file://{tmp_path}/set", schema, [{"name": b"abc"}])
    with make_reader(f"file://{tmp_path}/set") as reader:
        assert next(reader).name == np.bytes_(b"abc")


@pytest.mark.parametrize("value", [[4, 2], 5, "x"])
def test_a_field_without_a_type_is_what_was_stored(value):
    field = UnischemaField("any", None, ())
    assert decode_row({"any": value}, Unischema("S", [field])) == {"any": value}
    with pytest.raises(ValueError, match="^Was not able to map type None to a spark type"):
        Unischema("S", [field]).as_spark_schema()


def test_file_systems_of_files_have_the_methods_of_others(tmp_path):
    pytest.importorskip("fsspec")
    resolver = FilesystemResolver(f"file://{tmp_path}/a")
    path = resolver.get_dataset_path()
    assert not resolver.filesystem().exists(path)
    with resolver.filesystem().open(path, "wb") as stream:
        stream.write(b"abc")
    elsewhere = pickle.loads(pickle.dumps(resolver.filesystem_factory()))()
    assert elsewhere.exists(path)
    assert elsewhere.ls(str(tmp_path)) == [path]


def test_commands_of_others_configure_spark_by_the_same_arguments():
    class Builder(dict):
        config = dict.__setitem__

        def master(self, name):
            self["master"] = name

    parser = argparse.ArgumentParser()
    add_configure_spark_arguments(parser)
    args = parser.parse_args(["--master", "local[1]", "--spark-session-config", "a=1", "b=2"])
    assert configure_spark(Builder(), args) == {"a": "1", "b": "2", "master": "local[1]"}
    assert configure_spark(Builder(), parser.parse_args([])) == {}
    with pytest.raises(ValueError, match="key=value"):
        configure_spark(Builder(), parser.parse_args(["--spark-session-config", "WRONG"]))
    with pytest.raises(RuntimeError, match="add_configure_spark_arguments"):
        configure_spark(Builder(), argparse.Namespace())
