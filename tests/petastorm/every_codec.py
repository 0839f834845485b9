"""A schema with every codec and type, rows that fit it, and what a reader has to give for them."""

from __future__ import annotations

import datetime
from decimal import Decimal

import numpy as np

from loaders.petastorm.codecs import CompressedImageCodec, CompressedNdarrayCodec, NdarrayCodec, ScalarCodec
from loaders.petastorm.spark_types import SparkType
from loaders.petastorm.unischema import Unischema, UnischemaField


def scalar(name, numpy_dtype, spark_type, nullable=False):
    """A field of single values."""
    kind = spark_type if isinstance(spark_type, SparkType) else SparkType(spark_type)
    return UnischemaField(name, numpy_dtype, (), ScalarCodec(kind), nullable)


SCHEMA = Unischema("EveryCodec", [
    scalar("id", np.int64, "LongType"),
    scalar("byte", np.int8, "ByteType"),
    scalar("short", np.int16, "ShortType"),
    scalar("integer", np.int32, "IntegerType"),
    scalar("wide", np.uint8, "IntegerType"),
    scalar("float", np.float32, "FloatType"),
    scalar("double", np.float64, "DoubleType"),
    scalar("flag", np.bool_, "BooleanType"),
    scalar("text", np.str_, "StringType"),
    scalar("decimal", Decimal, SparkType("DecimalType", 10, 3)),
    scalar("date", np.datetime64, "DateType"),
    scalar("time", np.datetime64, "TimestampType"),
    UnischemaField("plain", np.int32, (), None, False),
    UnischemaField("plain_small", np.uint8, (), None, False),
    UnischemaField("plain_text", np.str_, (), None, True),
    UnischemaField("points", np.float32, (None, 3), NdarrayCodec(), False),
    UnischemaField("matrix", np.int64, (2, 2), CompressedNdarrayCodec(), False),
    UnischemaField("colour", np.uint8, (4, 6, 3), CompressedImageCodec("png"), False),
    UnischemaField("grey", np.uint8, (4, None), CompressedImageCodec("png"), False),
    UnischemaField("deep", np.uint16, (4, 6), CompressedImageCodec("png"), False),
    UnischemaField("jpeg", np.uint8, (8, 8, 3), CompressedImageCodec("jpeg", 90), False),
    scalar("maybe_number", np.int32, "IntegerType", nullable=True),
    scalar("maybe_flag", np.bool_, "BooleanType", nullable=True),
    scalar("maybe_text", np.str_, "StringType", nullable=True),
    scalar("maybe_decimal", Decimal, SparkType("DecimalType", 10, 3), nullable=True),
    UnischemaField("maybe_points", np.float32, (None, 3), NdarrayCodec(), True),
    UnischemaField("maybe_matrix", np.int64, (2, 2), CompressedNdarrayCodec(), True),
    UnischemaField("maybe_colour", np.uint8, (None, None, 3), CompressedImageCodec("png"), True),
])  # fmt: skip


def row(i):
    """Row i; every third one is null where that is allowed."""
    rng = np.random.default_rng(i)
    maybe = None if i % 3 == 2 else i
    values = {
        "id": np.int64(i),
        "byte": np.int8(i),
        "short": np.int16(-i),
        "integer": np.int32(i * 1000),
        "wide": np.uint8(200 + i),
        "float": np.float32(i / 4),
        "double": np.float64(i / 3),
        "flag": np.bool_(i % 2),
        "text": f"é{i}",
        "decimal": Decimal(f"{i}.125"),
        "date": datetime.date(2024, 1, 1 + i),
        "time": datetime.datetime(2024, 5, 6, 7, 8, i, 901234, tzinfo=datetime.UTC),
        "plain": np.int32(i),
        "plain_small": np.uint8(i),
        "plain_text": None if maybe is None else f"plain {i}",
        "points": rng.random((i + 1, 3), dtype=np.float32),
        "matrix": rng.integers(-9, 9, (2, 2)),
        "colour": rng.integers(0, 255, (4, 6, 3), np.uint8),
        "grey": rng.integers(0, 255, (4, 2 + i), np.uint8),
        "deep": rng.integers(0, 65535, (4, 6), np.uint16),
        "jpeg": np.full((8, 8, 3), 10 * i, np.uint8),
        "maybe_number": maybe,
        "maybe_flag": None if maybe is None else bool(i % 2),
        "maybe_text": None if maybe is None else f"text {i}",
        "maybe_decimal": None if maybe is None else Decimal(f"{i}.500"),
        "maybe_points": None if maybe is None else rng.random((2, 3), dtype=np.float32),
        "maybe_matrix": None if maybe is None else rng.integers(-9, 9, (2, 2)),
        "maybe_colour": None if maybe is None else rng.integers(0, 255, (4, 5, 3), np.uint8),
    }
    assert list(values) == list(SCHEMA.fields)
    return values


def read_back(values):
    """The same row as a reader gives it: numpy scalars, Decimals, arrays, None."""
    return {name: _read_back(SCHEMA.fields[name], value) for name, value in values.items()}


def _read_back(field, value):
    if value is None or isinstance(value, np.ndarray | Decimal):
        return value
    if isinstance(value, datetime.datetime):
        return np.datetime64(value.replace(tzinfo=None))
    return field.numpy_dtype(value)
