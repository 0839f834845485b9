"""Datasets that Spark writes: its settings are put back, and everything reads what was written."""

from __future__ import annotations

import numpy as np
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from loaders.petastorm.etl.dataset_metadata import get_schema_from_dataset_url, materialize_dataset
from loaders.petastorm.etl.local_writer import arrow_schema, write_rows
from loaders.petastorm.spark_utils import dataset_as_rdd
from loaders.petastorm.unischema import Unischema, dict_to_spark_row
from tests.petastorm.every_codec import SCHEMA, read_back, row, scalar
from tests.petastorm.read_with_petastorm import described, described_row, read_with_petastorm

pytestmark = [pytest.mark.spark, pytest.mark.usefixtures("java_17")]

KEYS = ("parquet.block.size", "parquet.summary.metadata.level", "parquet.page.size.row.check.min")


def frame(spark, rows, schema=SCHEMA):
    return spark.createDataFrame([dict_to_spark_row(schema, row) for row in rows], schema.as_spark_schema())


@pytest.fixture(scope="module")
def every(spark, tmp_path_factory):
    """A dataset with every codec, written by Spark in two files."""
    url = f"file://{tmp_path_factory.mktemp('spark')}/set"
    with materialize_dataset(spark, url, SCHEMA, row_group_size_mb=1):
        frame(spark, map(row, range(7))).repartitionByRange(2, "id").sortWithinPartitions("id").write.parquet(url)
    return url


def expected(ids):
    return [{name: described(value) for name, value in read_back(row(i)).items()} for i in ids]


def test_petastorm_reads_what_spark_wrote_with_every_codec(every):
    assert read_with_petastorm(every)["rows"] == expected(range(7))


def test_spark_duckdb_and_pyarrow_read_it_too(spark, every):
    import duckdb

    path = every.removeprefix("file://")
    assert ds.dataset(path).to_table().schema.equals(arrow_schema(SCHEMA))
    decimals = [row(i)["decimal"] for i in range(7)]
    assert [found.decimal for found in spark.read.parquet(every).orderBy("id").collect()] == decimals
    with duckdb.connect() as connection:
        found = connection.execute(f"select decimal from '{path}/*.parquet' order by id").fetchall()
    assert found == [(value,) for value in decimals]


def test_spark_reads_what_was_written_without_it(spark, tmp_path):
    url = f"file://{tmp_path}/set"
    texts = ["é", "a/b=c%", None, "d e"]
    schema = Unischema("S", [*SCHEMA.fields.values(), scalar("where", np.str_, "StringType", nullable=True)])
    rows = [{**row(i), "where": text} for i, text in enumerate(texts)]
    write_rows(url, schema, rows, partition_by=["where"])
    found = spark.read.parquet(url).orderBy("id").collect()
    assert [(each.id, each["where"], each.decimal) for each in found] == [
        (i, text, row(i)["decimal"]) for i, text in enumerate(texts)
    ]
    assert sorted(row_of.id for row_of in dataset_as_rdd(url, spark).collect()) == list(range(4))


def test_rows_of_the_rdd_are_decoded(spark, every):
    found = sorted(dataset_as_rdd(every, spark).collect(), key=lambda each: each.id)
    assert [described_row(each) for each in found] == expected(range(7))
    some = dataset_as_rdd(every, spark, [SCHEMA.points, "id"]).first()
    assert some._fields == ("points", "id")  # fields as they were given, then those of patterns
    assert type(some).__name__ == "EveryCodec_view_view"


def settings(spark):
    hadoop = spark.sparkContext._jsc.hadoopConfiguration()
    return [(spark.conf.get(key, None), hadoop.get(key)) for key in KEYS]


@pytest.mark.parametrize("fails", [False, True])
def test_settings_of_spark_are_put_back_whatever_happens(spark, tmp_path, fails):
    url = f"file://{tmp_path}/set"
    spark.conf.set("parquet.block.size", "12345678")
    hadoop = spark.sparkContext._jsc.hadoopConfiguration()
    hadoop.set("parquet.block.size", "7654321")
    try:
        before = settings(spark)
        try:
            with materialize_dataset(spark, url, SCHEMA, row_group_size_mb=2):
                assert settings(spark) == [("2097152", "2097152"), ("NONE", "NONE"), ("3", "3")]
                spark.range(1).write.parquet(url)
                if fails:
                    raise KeyError("of the user")
                frame(spark, [row(1)]).write.mode("overwrite").parquet(url)
        except KeyError:
            pass
        assert settings(spark) == before
        assert before[0] == ("12345678", "7654321")
    finally:
        spark.conf.unset("parquet.block.size")
        hadoop.unset("parquet.block.size")
    assert (tmp_path / "set" / "_common_metadata").exists() is not fails


def test_row_groups_have_the_size_that_was_asked_for(spark, tmp_path):
    schema = Unischema("S", [scalar("id", np.int64, "LongType"), scalar("data", np.bytes_, "BinaryType")])
    rows = [{"id": i, "data": np.random.default_rng(i).bytes(300_000)} for i in range(12)]
    url = f"file://{tmp_path}/set"
    with materialize_dataset(spark, url, schema, row_group_size_mb=1):
        frame(spark, rows, schema).coalesce(1).write.parquet(url)
    (part,) = (tmp_path / "set").glob("*.parquet")
    footer = pq.read_metadata(part)
    assert [footer.row_group(i).num_rows for i in range(footer.num_row_groups)] == [3, 3, 3, 3]


def test_summary_metadata_lists_all_row_groups_also_after_appending(spark, tmp_path):
    url = f"file://{tmp_path}/set"
    for ids in ([1, 2], [3]):
        with materialize_dataset(spark, url, SCHEMA, use_summary_metadata=True):
            frame(spark, map(row, ids)).coalesce(1).write.mode("append").parquet(url)
    assert pq.read_metadata(tmp_path / "set" / "_metadata").num_row_groups == 2
    assert sorted(found["id"][1] for found in read_with_petastorm(url)["rows"]) == sorted(
        described(np.int64(i))[1] for i in (1, 2, 3)
    )
    assert spark.read.parquet(url).count() == 3  # no checksum of the file before is left
    assert get_schema_from_dataset_url(url).fields == SCHEMA.fields
