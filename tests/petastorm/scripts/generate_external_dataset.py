"""Write plain Parquet with Spark, of which Petastorm knows nothing."""

import sys

from pyspark.sql import Row, SparkSession


def generate(output_url):
    spark = SparkSession.builder.master("local[2]").getOrCreate()
    rows = spark.sparkContext.parallelize(range(10)).map(lambda x: Row(id=x, value1=x / 2, value2=-x))
    spark.createDataFrame(rows).write.mode("overwrite").parquet(output_url)


if __name__ == "__main__":
    generate(sys.argv[1])
