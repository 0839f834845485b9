"""Frames of Spark that become loaders of PyTorch."""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loaders.petastorm.reader import make_batch_reader
from loaders.petastorm.spark import SparkDatasetConverter, make_spark_converter, spark_dataset_converter
from loaders.petastorm.spark.spark_dataset_converter import register_delete_dir_handler

KEY = SparkDatasetConverter.PARENT_CACHE_DIR_URL_CONF


@pytest.fixture
def cache(spark, tmp_path):
    """The parent folder of converted frames."""
    spark.conf.set(KEY, f"file://{tmp_path}/cache/")
    yield tmp_path / "cache"
    spark.conf.unset(KEY)


@pytest.fixture
def folder(tmp_path):
    """A folder of 10 rows in two files."""
    (tmp_path / "a b").mkdir()
    for part in range(2):
        table = pa.table({"id": np.arange(5) + 5 * part, "x": np.arange(5, dtype="float32")})
        pq.write_table(table, tmp_path / "a b" / f"part-{part}.parquet")
    return f"file://{tmp_path}/a%20b"


@pytest.mark.spark
def test_a_frame_becomes_batches_of_tensors(spark, cache):
    torch = pytest.importorskip("torch")
    rows = [(i, i / 2, [float(i), 1.0]) for i in range(10)]
    frame = spark.createDataFrame(rows, "id long, x double, v array<double>")
    converter = make_spark_converter(frame.coalesce(1))
    assert len(converter) == 10
    with converter.make_torch_dataloader(batch_size=4, num_epochs=1) as loader:
        batches = list(loader)
    assert [len(batch["id"]) for batch in batches] == [4, 4, 2]
    assert torch.cat([batch["id"] for batch in batches]).tolist() == list(range(10))
    assert batches[0]["x"].dtype == batches[0]["v"].dtype == torch.float32
    assert batches[0]["v"].tolist() == [[0, 1], [1, 1], [2, 1], [3, 1]]


@pytest.mark.spark
@pytest.mark.parametrize(("dtype", "x", "y", "v"), [
    ("float32", "float", "float", "float"),
    ("float64", "double", "double", "double"),
    (None, "double", "float", "double"),
])  # fmt: skip
def test_floats_lists_and_vectors_get_one_precision(spark, cache, dtype, x, y, v):
    from pyspark.ml.linalg import Vectors

    rows = [(1, 0.5, 0.25, [0.5], Vectors.dense([1.0, 2.0]))]
    frame = spark.createDataFrame(rows, ["id", "x", "dotted.y", "list", "v"])
    frame = frame.withColumn("dotted.y", frame["`dotted.y`"].cast("float"))
    found = pq.read_schema(written(make_spark_converter(frame, dtype=dtype)))
    names = {"float": pa.float32(), "double": pa.float64()}
    assert found.field("x").type == found.field("list").type.value_type == names[x]
    assert found.field("dotted.y").type == names[y]
    assert found.field("v").type.value_type == names[v]
    assert found.field("id").type == pa.int64()


def written(converter):
    return Path(converter.file_urls[0].removeprefix("file://"))


@pytest.mark.spark
def test_the_same_frame_is_written_once_and_another_or_other_files_again(spark, cache, tmp_path):
    source = f"file://{tmp_path}/source"
    spark.range(5).write.parquet(source)

    def convert(**arguments):
        return make_spark_converter(spark.read.parquet(source).filter("id > 1"), **arguments).cache_dir_url

    first = convert()
    assert convert() == first
    assert convert(dtype=None) != first
    assert convert(compression_codec="snappy") != first
    assert convert(parquet_row_group_size_bytes=1 << 20) != first
    assert make_spark_converter(spark.read.parquet(source).filter("id > 2")).cache_dir_url != first
    spark.range(9).write.mode("overwrite").parquet(source)
    assert convert() != first
    assert len(make_spark_converter(spark.read.parquet(source).filter("id > 1"))) == 7


@pytest.mark.spark
def test_a_deleted_frame_is_gone_and_written_again(spark, cache):
    frame = spark.range(3)
    converter = make_spark_converter(frame)
    folder = Path(converter.cache_dir_url.removeprefix("file://"))
    assert folder.parent == cache
    assert f"-appid-{spark.sparkContext.applicationId}-" in folder.name
    converter.delete()
    assert not folder.exists()
    again = make_spark_converter(frame)
    assert again.cache_dir_url != converter.cache_dir_url
    deleted = []
    register_delete_dir_handler(deleted.append)
    try:
        again.delete()
    finally:
        register_delete_dir_handler(None)
    assert deleted == [again.cache_dir_url]


@pytest.mark.spark
def test_a_converter_is_used_on_the_workers_of_spark(spark, cache):
    converter = make_spark_converter(spark.range(10).coalesce(1))

    def rows(_):
        with converter.make_torch_dataloader(num_epochs=1, data_loader_fn=lambda reader, **_: reader) as reader:
            return sum(len(batch.id) for batch in reader)

    assert spark.sparkContext.parallelize(range(2)).map(rows).collect() == [10, 10]


@pytest.mark.spark
def test_wrong_settings_and_arguments_are_named(spark, cache):
    frame = spark.range(1)
    with pytest.raises(ValueError, match="dtype float16 is not supported"):
        make_spark_converter(frame, dtype="float16")
    with pytest.raises(RuntimeError, match="compression_codec should be None or one of"):
        make_spark_converter(frame, compression_codec="rar")
    with pytest.raises(Exception, match="(?i)divi"):
        make_spark_converter(spark.sql("select 1 / 0 as x"))
    assert list(cache.glob("*")) == []
    spark.conf.set(KEY, "/no/scheme")
    with pytest.raises(ValueError, match="ERROR! A scheme-less directory url"):
        make_spark_converter(frame)
    spark.conf.unset(KEY)
    with pytest.raises(ValueError, match=f"Please set the spark config {KEY}"):
        make_spark_converter(frame)


def test_a_folder_needs_no_spark_and_a_converter_travels(folder):
    converter = pickle.loads(pickle.dumps(make_spark_converter(folder)))
    assert len(converter) == 10
    with make_batch_reader(converter.file_urls, shuffle_row_groups=False) as reader:
        assert np.concatenate([batch.id for batch in reader]).tolist() == list(range(10))
    with pytest.raises(NotImplementedError, match="TensorFlow is out of scope"):
        converter.make_tf_dataset()


def test_the_loader_is_made_as_asked_for_and_the_reader_is_closed(folder):
    given = {}

    def loader(**arguments):
        given.update(arguments)
        return "loader"

    converter = make_spark_converter(folder)
    with converter.make_torch_dataloader(
        7, num_epochs=1, shuffling_queue_capacity=3, data_loader_fn=loader, cur_shard=1, shard_count=2
    ) as made:
        assert made == "loader"
        assert [len(batch.id) for batch in given["reader"]] == [5]
    assert (given["batch_size"], given["shuffling_queue_capacity"]) == (7, 3)
    with pytest.raises(RuntimeError, match="Trying to read a sample after a reader"):
        next(given["reader"])


def test_surprises_are_said_before_they_happen(folder, monkeypatch, caplog):
    monkeypatch.setattr(spark_dataset_converter, "_endless_was_said", False)
    monkeypatch.setenv("HOROVOD_RANK", "1")
    monkeypatch.setenv("HOROVOD_SIZE", "2")
    with caplog.at_level(logging.WARNING):
        converter = make_spark_converter(folder)
        converter.make_torch_dataloader()
        converter.make_torch_dataloader(cur_shard=1, shard_count=2)
    said = [record.getMessage() for record in caplog.records]
    assert [message.split(":")[0] for message in said[:2]] == ["small files are slow to read", "num_epochs=None"]
    assert said[2].startswith("cur_shard=None of shard_count=None, but this process has rank 1 of 2")
    assert len(said) == 3


def test_files_that_never_appear_are_an_error(folder, monkeypatch):
    monkeypatch.setattr(spark_dataset_converter, "_FILE_WAIT_S", 0.2)
    converter = make_spark_converter(folder)
    written(converter).with_name("a b").exists()
    os.unlink(converter.file_urls[0].removeprefix("file://").replace("%20", " "))
    with pytest.raises(RuntimeError, match="Timeout while waiting"), converter.make_torch_dataloader(num_epochs=1):
        pass


def test_folders_are_deleted_at_the_end_of_the_interpreter(tmp_path):
    (tmp_path / "set").mkdir()
    script = (
        "import atexit, os, sys; from loaders.petastorm.spark.spark_dataset_converter import _delete_at_exit\n"
        "atexit.register(_delete_at_exit, sys.argv[1], os.getpid())\n"
        "if not (child := os.fork()): raise SystemExit(0)\n"
        "os.waitpid(child, 0); assert os.path.exists(sys.argv[1][7:])"
    )
    subprocess.run([sys.executable, "-c", script, f"file://{tmp_path}/set"], check=True, timeout=60)
    assert not (tmp_path / "set").exists()
