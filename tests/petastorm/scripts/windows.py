"""Write readings of a sensor in their order in time, and read windows of them."""

import sys

import numpy as np
from petastorm import make_reader
from petastorm.codecs import NdarrayCodec, ScalarCodec
from petastorm.etl.dataset_metadata import materialize_dataset
from petastorm.ngram import NGram
from petastorm.unischema import Unischema, UnischemaField, dict_to_spark_row
from pyspark.sql import SparkSession
from pyspark.sql.types import LongType, StringType

SensorSchema = Unischema("SensorSchema", [
    UnischemaField("timestamp", np.int64, (), ScalarCodec(LongType()), False),
    UnischemaField("sensor_name", np.str_, (), ScalarCodec(StringType()), False),
    UnischemaField("reading", np.float32, (2,), NdarrayCodec(), False),
])  # fmt: skip


def make_row(moment):
    return {"timestamp": moment, "sensor_name": "left", "reading": np.array([moment, -moment], dtype=np.float32)}


if __name__ == "__main__":
    spark = SparkSession.builder.master("local[1]").getOrCreate()
    with materialize_dataset(spark, sys.argv[1], SensorSchema, row_group_size_mb=1):
        rows = [dict_to_spark_row(SensorSchema, make_row(moment)) for moment in (0, 3, 8, 10, 11, 20, 30)]
        frame = spark.createDataFrame(rows, SensorSchema.as_spark_schema())
        frame.coalesce(1).write.mode("overwrite").parquet(sys.argv[1])
    fields = {
        -1: [SensorSchema.timestamp, SensorSchema.reading],
        0: [SensorSchema.timestamp, SensorSchema.sensor_name],
    }
    ngram = NGram(fields=fields, delta_threshold=4, timestamp_field=SensorSchema.timestamp)
    with make_reader(sys.argv[1], schema_fields=ngram, shuffle_row_groups=False) as reader:
        for window in reader:
            print(int(window[-1].timestamp), int(window[0].timestamp), window[-1].reading, window[0].sensor_name)
