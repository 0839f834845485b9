"""From a Spark frame to a PyTorch loader; Spark itself is needed only to make a converter from a frame."""

from __future__ import annotations

from loaders.petastorm.spark.spark_dataset_converter import SparkDatasetConverter, make_spark_converter

__all__ = ["SparkDatasetConverter", "make_spark_converter"]
