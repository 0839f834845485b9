"""Write training and test pictures of digits (made up here) as two Petastorm datasets."""

import argparse

import numpy as np
from petastorm.codecs import NdarrayCodec, ScalarCodec
from petastorm.etl.dataset_metadata import materialize_dataset
from petastorm.unischema import Unischema, UnischemaField, dict_to_spark_row
from pyspark.sql import SparkSession
from pyspark.sql.types import IntegerType

MnistSchema = Unischema("MnistSchema", [
    UnischemaField("idx", np.int_, (), ScalarCodec(IntegerType()), False),
    UnischemaField("digit", np.int_, (), ScalarCodec(IntegerType()), False),
    UnischemaField("image", np.uint8, (28, 28), NdarrayCodec(), False),
])  # fmt: skip


def pictures(count, seed):
    shapes = np.random.default_rng(0).integers(0, 2, (10, 28, 28)) * 200
    random = np.random.default_rng(seed)
    for number in range(count):
        digit = int(random.integers(10))
        yield number, (shapes[digit] + random.integers(0, 50, (28, 28))).astype(np.uint8), digit


def generate(output_url, master):
    builder = SparkSession.builder.appName("MNIST Dataset Creation").config("spark.executor.memory", "1g")
    spark = builder.master(master).getOrCreate()
    for name, data in {"train": pictures(256, 1), "test": pictures(64, 2)}.items():
        url = f"{output_url}/{name}"
        with materialize_dataset(spark, url, MnistSchema, 1):
            rows = [
                dict_to_spark_row(MnistSchema, {"idx": number, "digit": digit, "image": image})
                for number, image, digit in data
            ]
            frame = spark.createDataFrame(rows, MnistSchema.as_spark_schema())
            frame.coalesce(1).write.mode("overwrite").option("compression", "none").parquet(url)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("-o", "--output-url", required=True)
    parser.add_argument("-m", "--master", default="local[2]")
    args = parser.parse_args()
    generate(args.output_url, args.master)
