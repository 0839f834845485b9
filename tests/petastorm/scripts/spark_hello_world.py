"""Read it with Spark: decoded rows as an RDD, stored columns as a frame, and SQL."""

import sys

from generate_hello_world import HelloWorldSchema
from petastorm.spark_utils import dataset_as_rdd
from pyspark.sql import SparkSession


def read(dataset_url):
    spark = SparkSession.builder.master("local[1]").getOrCreate()
    rdd = dataset_as_rdd(dataset_url, spark, [HelloWorldSchema.id, HelloWorldSchema.image1])
    print(f"decoded: {rdd.filter(lambda row: row.id == 3).first().image1[0, 0]}")

    frame = spark.read.parquet(dataset_url)
    frame.printSchema()
    print(f"rows: {frame.count()}")
    frame.select("id").show()

    counted = spark.sql(f"SELECT count(id) from parquet.`{dataset_url}` ").collect()
    print(f"rows by SQL: {counted[0][0]}")


if __name__ == "__main__":
    read(sys.argv[1])
