"""Write a small dataset of pictures and arrays with Spark."""

import sys

import numpy as np
from petastorm.codecs import CompressedImageCodec, NdarrayCodec, ScalarCodec
from petastorm.etl.dataset_metadata import materialize_dataset
from petastorm.unischema import Unischema, UnischemaField, dict_to_spark_row
from pyspark.sql import SparkSession
from pyspark.sql.types import IntegerType

HelloWorldSchema = Unischema("HelloWorldSchema", [
    UnischemaField("id", np.int32, (), ScalarCodec(IntegerType()), False),
    UnischemaField("image1", np.uint8, (128, 256, 3), CompressedImageCodec("png"), False),
    UnischemaField("array_4d", np.uint8, (None, 128, 30, None), NdarrayCodec(), False),
])  # fmt: skip


def make_row(number):
    return {
        "id": number,
        "image1": np.full((128, 256, 3), number, dtype=np.uint8),
        "array_4d": np.full((4, 128, 30, 3), number, dtype=np.uint8),
    }


def generate(output_url):
    spark = SparkSession.builder.config("spark.driver.memory", "2g").master("local[2]").getOrCreate()
    with materialize_dataset(spark, output_url, HelloWorldSchema, 256):
        rows = spark.sparkContext.parallelize(range(10)).map(make_row).map(
            lambda row: dict_to_spark_row(HelloWorldSchema, row)
        )  # fmt: skip
        frame = spark.createDataFrame(rows, HelloWorldSchema.as_spark_schema())
        frame.coalesce(10).write.mode("overwrite").parquet(output_url)


if __name__ == "__main__":
    generate(sys.argv[1])
