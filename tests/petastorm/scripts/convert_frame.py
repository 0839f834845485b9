"""Train on a Spark frame, here and on one of Spark's workers."""

import io
import sys

import numpy as np
import torch
from petastorm import TransformSpec
from petastorm.spark import SparkDatasetConverter, make_spark_converter
from PIL import Image
from pyspark.ml.linalg import Vectors
from pyspark.sql import SparkSession
from pyspark.sql.functions import col


def train(data_loader, steps=20):
    model = torch.nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for number, batch in enumerate(data_loader):
        if number > steps:
            break
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(batch["features"]), batch["label"]).backward()
        optimizer.step()
    return model


def test(model, test_loader):
    correct = count = 0
    with torch.no_grad():
        for batch in test_loader:
            correct += model(batch["features"]).argmax(dim=1).eq(batch["label"]).sum().item()
            count += batch["label"].shape[0]
    return correct / count


def decode_pictures(frame):
    def decoded(content):
        picture = np.asarray(Image.open(io.BytesIO(content)), dtype=np.float32) / 255
        return np.ascontiguousarray(picture.transpose(2, 0, 1))

    frame["features"] = frame["content"].map(decoded)
    return frame.drop(labels=["content"], axis=1)


def encoded(number):
    stream = io.BytesIO()
    Image.new("RGB", (6, 5), (number, 0, 0)).save(stream, format="PNG")
    return stream.getvalue()


def main(cache_url):
    spark = SparkSession.builder.master("local[2]").appName("converter example").getOrCreate()
    rows = [(float(number % 2), Vectors.dense([number % 2, 1.0, 0.0, number / 200])) for number in range(200)]
    frame = spark.createDataFrame(rows, ["label", "features"]).select(
        col("features"), col("label").cast("long").alias("label")
    )
    df_train, df_test = frame.randomSplit([0.9, 0.1], seed=12345)
    spark.conf.set(SparkDatasetConverter.PARENT_CACHE_DIR_URL_CONF, cache_url)
    converter_train = make_spark_converter(df_train)
    converter_test = make_spark_converter(df_test)
    print(f"rows: {len(converter_train) + len(converter_test)}")

    def train_and_evaluate(_=None):
        with converter_train.make_torch_dataloader(shard_seed=0) as loader:
            model = train(loader)
        with converter_test.make_torch_dataloader(num_epochs=1, shard_seed=0) as loader:
            return test(model, loader)

    print(f"here: {train_and_evaluate():.2f}")
    there = spark.sparkContext.parallelize(range(1)).map(train_and_evaluate).collect()[0]
    print(f"on a worker: {there:.2f}")

    pictures = spark.createDataFrame([(bytearray(encoded(number)), number) for number in range(8)], ["content", "kind"])
    converter = make_spark_converter(pictures.repartition(2))
    spec = TransformSpec(
        decode_pictures, edit_fields=[("features", np.float32, (3, 5, 6), False)], selected_fields=["features", "kind"]
    )
    with converter.make_torch_dataloader(
        batch_size=4, num_epochs=1, transform_spec=spec, cur_shard=0, shard_count=1
    ) as loader:
        for batch in loader:
            print(list(batch), tuple(batch["features"].shape), batch["kind"].dtype)
    for each in (converter_train, converter_test, converter):
        each.delete()
    spark.stop()


if __name__ == "__main__":
    main(sys.argv[1])
