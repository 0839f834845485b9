"""Writes the datasets of `data/` with the real Petastorm, and beside each what its readers returned.

It needs an environment of its own (Python 3.11 or 3.12, Java 17):

    pip install petastorm==0.13.1 pyarrow==14.0.2 'numpy<2' 'pandas<2.3' 'setuptools<70' 'pyspark==3.5.*' \
        opencv-python-headless

and runs from the root of the repository, with the interpreter of that environment:

    python -m tests.petastorm.make_fixtures                # all: datasets, then what the readers return
    python -m tests.petastorm.make_fixtures --observe      # only read again what is there
    python -m tests.petastorm.make_fixtures --check-ours --ours .venv/bin/python    # what Petrel writes, read by both
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import io
import json
import logging
import os
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.petastorm import old_pickles
from tests.petastorm.behaviours import BEHAVIOURS, Behaviour
from tests.petastorm.cases import OLD, PICKLES, Wrong, cases, wrongs
from tests.petastorm.observing import Case, Package, error_of, observe

DATA = Path(__file__).resolve().parent / "data"
UNISCHEMA_KEY = b"dataset-toolkit.unischema.v1"
UTC = datetime.UTC


# ------------------------------------------------------------------------------------------------ writing with Spark


def session() -> Any:
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["TZ"] = "UTC"
    builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.driver.bindAddress", "127.0.0.1").config("spark.sql.session.timeZone", "UTC")
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def materialize(
    spark: Any,
    name: str,
    schema: Any,
    rows: list[Any],
    *,
    files: int = 2,
    group_rows: int | None = None,
    partitions: Iterable[str] = (),
    summary: bool = False,
) -> Path:
    """Write rows as Petastorm's users do; with `group_rows` the files are rewritten with row groups of that size."""
    from petastorm.etl.dataset_metadata import materialize_dataset
    from petastorm.unischema import dict_to_spark_row

    place = DATA / name
    shutil.rmtree(place, ignore_errors=True)
    with materialize_dataset(spark, f"file://{place}", schema, use_summary_metadata=summary):
        encoded = [dict_to_spark_row(schema, row) if isinstance(row, dict) else row for row in rows]
        frame = spark.createDataFrame(spark.sparkContext.parallelize(encoded, files), schema.as_spark_schema())
        frame.write.mode("overwrite").partitionBy(*partitions).parquet(f"file://{place}")
        if not summary:
            _rename(place, group_rows)
    for sidecar in [*place.rglob("*.crc"), *place.rglob("_SUCCESS")]:
        sidecar.unlink()
    return place


def _rename(place: Path, group_rows: int | None) -> None:
    """Give the files names without a random part, so that the messages and metadata of two runs are equal."""
    for file in sorted(place.rglob("part-*.parquet")):
        target = file.with_name(f"{file.name[:10]}.parquet")
        if group_rows is None:
            file.rename(target)
        else:
            pq.write_table(pq.read_table(file, partitioning=None), target, row_group_size=group_rows)
            file.unlink()


def fields_of(kinds: Mapping[str, tuple[Any, ...]]) -> list[Any]:
    from petastorm.unischema import UnischemaField

    return [UnischemaField(name, *kind) for name, kind in kinds.items()]


def scalars(spark: Any) -> None:
    """Every Spark type of a ScalarCodec, and numpy types that are stored in another; each nullable too."""
    from petastorm.codecs import ScalarCodec
    from petastorm.unischema import Unischema
    from pyspark.sql import types as t

    day, moment = datetime.date, datetime.datetime
    kinds: dict[str, tuple[Any, Any, list[Any]]] = {
        "byte": (np.int8, t.ByteType(), [-128, 0, 127]),
        "short": (np.int16, t.ShortType(), [-(2**15), 1, 2**15 - 1]),
        "integer": (np.int32, t.IntegerType(), [-(2**31), 1, 2**31 - 1]),
        "long": (np.int64, t.LongType(), [-(2**63), 1, 2**63 - 1]),
        "float": (np.float32, t.FloatType(), [1.5, float("inf"), 0.1]),
        "double": (np.float64, t.DoubleType(), [-0.0, float("nan"), 0.1]),
        "boolean": (np.bool_, t.BooleanType(), [True, False, True]),
        "string": (np.str_, t.StringType(), ["", "h\u00e9llo \U0001f426", "x" * 40]),
        "decimal": (Decimal, t.DecimalType(10, 4), [Decimal("1.5000"), Decimal("-3"), Decimal("123456.7891")]),
        "decimal_wide": (
            Decimal,
            t.DecimalType(38, 18),
            [Decimal("1"), Decimal("-0.000000000000000001"), Decimal("12345678901234567890.5")],
        ),
        "date": (np.datetime64, t.DateType(), [day(1970, 1, 1), day(2024, 2, 29), day(1900, 12, 31)]),
        "timestamp": (
            np.datetime64,
            t.TimestampType(),
            [
                moment(2024, 1, 2, 3, 4, 5, 678901, UTC),
                moment(1970, 1, 1, tzinfo=UTC),
                moment(1969, 7, 20, 20, 17, 40, tzinfo=UTC),
            ],
        ),
        "uint8_in_short": (np.uint8, t.ShortType(), [0, 1, 255]),
        "uint16_in_integer": (np.uint16, t.IntegerType(), [0, 1, 2**16 - 1]),
        "uint32_in_long": (np.uint32, t.LongType(), [0, 1, 2**32 - 1]),
        "uint64_in_long": (np.uint64, t.LongType(), [0, 1, 2**63 - 1]),
        "float16_in_float": (np.float16, t.FloatType(), [0.5, -2.0, 65504.0]),
        "float64_in_integer": (np.float64, t.IntegerType(), [0, 1, -5]),
        "int64_in_string": (np.int64, t.StringType(), ["12", "-3", "0"]),
        "decimal_in_string": (Decimal, t.StringType(), ["1.50", "-3", "1E+5"]),
        "string_in_long": (np.str_, t.LongType(), [12, -3, 0]),
    }
    fields: dict[str, tuple[Any, ...]] = {"id": (np.int64, (), ScalarCodec(t.LongType()), False)}
    for name, (dtype, spark_type, _) in kinds.items():
        fields[name] = (dtype, (), ScalarCodec(spark_type), False)
        fields[f"{name}_or_null"] = (dtype, (), ScalarCodec(spark_type), True)
    schema = Unischema("ScalarsSchema", fields_of(fields))
    rows = []
    for number in range(5):
        row: dict[str, Any] = {"id": number}
        for name, (_, _, values) in kinds.items():
            row[name] = values[number % 3]
            row[f"{name}_or_null"] = None if number in (1, 3) else values[(number + 1) % 3]
        rows.append(row)
    materialize(spark, "scalars", schema, rows)


def ndarrays(spark: Any) -> None:
    """Both array codecs with every dtype, fixed and variable shapes, odd memory layouts, and nulls."""
    from petastorm.codecs import CompressedNdarrayCodec, NdarrayCodec, ScalarCodec
    from petastorm.unischema import Unischema
    from pyspark.sql import types as t

    plain, packed = NdarrayCodec(), CompressedNdarrayCodec()
    dtypes = "bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 complex64".split()
    fields: dict[str, tuple[Any, ...]] = {"id": (np.int64, (), ScalarCodec(t.LongType()), False)}
    for name in dtypes:
        fields[name] = (getattr(np, name), (2, 2), plain, False)
    for name in ("bool_", "int64", "float16", "float32", "str_"):
        fields[f"packed_{name}"] = (getattr(np, name), (2,), packed, False)
    more: dict[str, tuple[Any, ...]] = {
        "str_": (np.str_, (2,), plain, False),
        "bytes_": (np.bytes_, (2,), plain, False),
        "datetime64": (np.datetime64, (2,), plain, False),
        "scalar": (np.float32, (), plain, False),
        "variable": (np.float32, (None,), plain, False),
        "points": (np.float32, (None, 3), plain, False),
        "both": (np.int16, (None, None), plain, False),
        "nothing": (np.float32, (0, 3), plain, False),
        "columns_first": (np.float32, (2, 3), plain, False),
        "big_endian": (np.float32, (2,), plain, False),
        "long": (np.float64, (100,), plain, False),
        "or_null": (np.float32, (2,), plain, True),
        "always_null": (np.float32, (2,), plain, True),
        "packed_points": (np.float32, (None, 3), packed, False),
        "packed_or_null": (np.int32, (2,), packed, True),
        "packed_long": (np.float64, (100,), packed, False),
    }
    schema = Unischema("NdarraysSchema", fields_of({**fields, **more}))
    rows = []
    for n in range(4):
        row: dict[str, Any] = {"id": n}
        for name in dtypes:
            row[name] = (np.arange(4).reshape(2, 2) + n).astype(getattr(np, name))
        for name in ("bool_", "int64", "float16", "float32", "str_"):
            row[f"packed_{name}"] = np.array([n, 1]).astype(getattr(np, name))
        row |= {
            "str_": np.array(["a" * n, "é"]),
            "bytes_": np.array([b"a" * n, b"\xff"]),
            "datetime64": np.array(["2024-01-01", "1969-12-31"], "datetime64[D]") + n,
            "scalar": np.array(n, np.float32),
            "variable": np.arange(n, dtype=np.float32),
            "points": np.arange(3 * n, dtype=np.float32).reshape(n, 3),
            "both": np.full((n, 4 - n), n, np.int16),
            "nothing": np.zeros((0, 3), np.float32),
            "columns_first": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3) + n),
            "big_endian": np.array([n, 0.5], ">f4"),
            "long": np.linspace(0, n, 100),
            "or_null": None if n % 2 else np.array([n, 1], np.float32),
            "always_null": None,
            "packed_points": np.arange(3 * n, dtype=np.float32).reshape(n, 3),
            "packed_or_null": None if n == 2 else np.array([n, -n], np.int32),
            "packed_long": np.linspace(0, n, 100),
        }
        rows.append(row)
    materialize(spark, "ndarrays", schema, rows)


def images(spark: Any) -> None:
    """PNG of 8 and 16 bits and JPEG, grey and in colour, of one size and of several, and nulls."""
    from petastorm.codecs import CompressedImageCodec, ScalarCodec
    from petastorm.unischema import Unischema
    from pyspark.sql import types as t

    png, jpeg = CompressedImageCodec("png"), CompressedImageCodec("jpeg", 90)
    schema = Unischema(
        "ImagesSchema",
        fields_of(
            {
                "id": (np.int64, (), ScalarCodec(t.LongType()), False),
                "png_grey": (np.uint8, (7, 9), png, False),
                "png_colour": (np.uint8, (7, 9, 3), png, False),
                "png16_grey": (np.uint16, (7, 9), png, False),
                "png16_colour": (np.uint16, (7, 9, 3), png, False),
                "png_any_size": (np.uint8, (None, None, 3), png, False),
                "jpeg_grey": (np.uint8, (16, 24), jpeg, False),
                "jpeg_colour": (np.uint8, (16, 24, 3), jpeg, False),
                "jpeg_any_size": (np.uint8, (None, None, 3), CompressedImageCodec("jpeg"), False),
                "png_or_null": (np.uint8, (7, 9, 3), png, True),
                "jpeg_or_null": (np.uint8, (16, 24, 3), jpeg, True),
            }
        ),
    )
    random = np.random.RandomState(5)

    def smooth(*shape: int) -> np.ndarray:
        ramp = np.add.outer(np.arange(shape[0]) * 7, np.arange(shape[1]) * 3)
        colours = ramp[:, :, None] + np.array([0, 60, 120])[: shape[2]] if len(shape) == 3 else ramp
        return ((colours + random.randint(0, 20, shape)) % 256).astype(np.uint8)

    def deep(*shape: int) -> np.ndarray:
        return random.randint(0, 2**16, shape).astype(np.uint16)

    rows = [
        {
            "id": n,
            "png_grey": smooth(7, 9),
            "png_colour": smooth(7, 9, 3),
            "png16_grey": deep(7, 9),
            "png16_colour": deep(7, 9, 3),
            "png_any_size": smooth(4 + n, 5, 3),
            "jpeg_grey": smooth(16, 24),
            "jpeg_colour": smooth(16, 24, 3),
            "jpeg_any_size": smooth(16 + n, 17, 3),
            "png_or_null": None if n == 1 else smooth(7, 9, 3),
            "jpeg_or_null": None if n in (0, 2) else smooth(16, 24, 3),
        }
        for n in range(4)
    ]
    materialize(spark, "images", schema, rows)


def nocodec(spark: Any) -> None:
    """Fields without a codec: Spark's type follows from numpy's."""
    from petastorm.unischema import Unischema

    names = "int8 uint8 int16 uint16 int32 int64 float32 float64 bool_ str_".split()
    fields: dict[str, tuple[Any, ...]] = {name: (getattr(np, name), (), None, False) for name in names}
    fields |= {f"{name}_or_null": (getattr(np, name), (), None, True) for name in names}
    rows = []
    for n in range(4):
        row = {name: getattr(np, name)(n * 3) for name in names}
        rows.append(row | {f"{name}_or_null": None if n % 2 else row[name] for name in names})
    materialize(spark, "nocodec", Unischema("NocodecSchema", fields_of(fields)), rows)


def rowgroups(spark: Any) -> None:
    """Three files of several row groups, with indexes: what orders, shards, predicates, windows are tried on."""
    from petastorm.codecs import NdarrayCodec, ScalarCodec
    from petastorm.etl.rowgroup_indexers import FieldNotNullIndexer, SingleFieldIndexer
    from petastorm.etl.rowgroup_indexing import build_rowgroup_index
    from petastorm.unischema import Unischema
    from pyspark.sql import types as t

    schema = Unischema(
        "RowgroupsSchema",
        fields_of(
            {
                "id": (np.int64, (), ScalarCodec(t.LongType()), False),
                "ts": (np.int64, (), ScalarCodec(t.LongType()), False),
                "down": (np.int32, (), ScalarCodec(t.IntegerType()), False),
                "name": (np.str_, (), ScalarCodec(t.StringType()), False),
                "maybe": (np.str_, (), ScalarCodec(t.StringType()), True),
                "vec": (np.float32, (2,), NdarrayCodec(), False),
                "tags": (np.str_, (None,), NdarrayCodec(), False),
            }
        ),
    )
    rows = [
        {
            "id": n,
            "ts": sum((10, 9, 40, 11, 5)[one % 5] for one in range(n)),
            "down": 100 - n,
            "name": f"name{n % 3}",
            "maybe": f"there{n}" if n in (5, 6, 13) else None,
            "vec": np.array([n, n / 2], np.float32),
            "tags": np.array([f"t{n % 4}", f"t{n // 3}"]),
        }
        for n in range(24)
    ]
    place = materialize(spark, "rowgroups", schema, rows, files=3, group_rows=3)
    indexers = [
        SingleFieldIndexer("by_id", "id"),
        SingleFieldIndexer("by_name", "name"),
        SingleFieldIndexer("by_tags", "tags"),
        FieldNotNullIndexer("maybe_there", "maybe"),
    ]
    build_rowgroup_index(f"file://{place}", spark.sparkContext, indexers)


def summary(spark: Any) -> None:
    """Row groups listed in a standard `_metadata`."""
    from petastorm.codecs import NdarrayCodec, ScalarCodec
    from petastorm.unischema import Unischema
    from pyspark.sql import types as t

    schema = Unischema(
        "SummarySchema",
        fields_of(
            {
                "id": (np.int64, (), ScalarCodec(t.LongType()), False),
                "vec": (np.float32, (2,), NdarrayCodec(), False),
            }
        ),
    )
    rows = [{"id": n, "vec": np.array([n, 1], np.float32)} for n in range(8)]
    materialize(spark, "summary", schema, rows, summary=True)


def hives(spark: Any) -> None:
    """Partitions in directories: text with characters that are escaped and a null, int, and two levels."""
    from petastorm.codecs import ScalarCodec
    from petastorm.unischema import Unischema
    from pyspark.sql import types as t

    long, text = ScalarCodec(t.LongType()), ScalarCodec(t.StringType())
    integer = ScalarCodec(t.IntegerType())
    one = Unischema("HiveTextSchema", fields_of({"id": (np.int64, (), long, False), "part": (np.str_, (), text, True)}))
    parts = ["a", "b c", "d=e/f%", "g:h", "é", None]
    materialize(
        spark, "hive_text", one, [{"id": n, "part": parts[n % 6]} for n in range(8)], files=1, partitions=["part"]
    )
    two = Unischema(
        "HiveIntSchema", fields_of({"id": (np.int64, (), long, False), "year": (np.int32, (), integer, False)})
    )
    materialize(
        spark, "hive_int", two, [{"id": n, "year": (7, 8, 10)[n % 3]} for n in range(7)], files=1, partitions=["year"]
    )
    three = Unischema(
        "HiveTwoSchema",
        fields_of(
            {
                "year": (np.int32, (), integer, False),
                "id": (np.int64, (), long, False),
                "kind": (np.str_, (), text, False),
            }
        ),
    )
    materialize(
        spark,
        "hive_two",
        three,
        [{"id": n, "year": 7 + n % 2, "kind": "xy"[n // 2 % 2]} for n in range(8)],
        files=1,
        partitions=["year", "kind"],
    )


def pickles(spark: Any) -> None:
    """One dataset whose stored schema is pickled with every protocol, and as old versions pickled it."""
    from petastorm.codecs import CompressedImageCodec, CompressedNdarrayCodec, NdarrayCodec, ScalarCodec
    from petastorm.unischema import Unischema
    from pyspark.sql import types as t

    schema = Unischema(
        "PicklesSchema",
        fields_of(
            {
                "id": (np.int64, (), ScalarCodec(t.LongType()), False),
                "name": (np.str_, (), ScalarCodec(t.StringType()), True),
                "price": (Decimal, (), ScalarCodec(t.DecimalType(10, 4)), False),
                "plain": (np.int32, (), None, False),
                "vec": (np.float32, (None, 2), NdarrayCodec(), False),
                "packed": (np.uint8, (2,), CompressedNdarrayCodec(), False),
                "image": (np.uint8, (3, 4, 3), CompressedImageCodec("png"), False),
            }
        ),
    )
    rows = [
        {
            "id": n,
            "name": "name" if n else None,
            "price": Decimal(n),
            "plain": n,
            "vec": np.full((n, 2), n, np.float32),
            "packed": np.array([n, 2], np.uint8),
            "image": np.full((3, 4, 3), (n, 50, 100), np.uint8),
        }
        for n in range(2)
    ]
    first = materialize(spark, "protocols/0", schema, rows, files=1)
    for protocol, place in enumerate(PICKLES):
        _with_pickle(first, DATA / place, pickle.dumps(schema, protocol))
    made = old_pickles.emit(schema)
    for place, change in zip(
        OLD,
        (
            lambda raw: raw,
            lambda raw: old_pickles.renamed(raw, "av.experimental.deepdrive.dataset_toolkit"),
            lambda raw: old_pickles.renamed(raw, "av.ml.dataset_toolkit"),
            lambda raw: old_pickles.emit(schema, restore=True),
        ),
        strict=True,
    ):
        _with_pickle(first, DATA / place, change(made))


def _with_pickle(source: Path, target: Path, raw: bytes) -> None:
    if source != target:
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)
    schema = pq.read_schema(target / "_common_metadata")
    pq.write_metadata(schema.with_metadata({**schema.metadata, UNISCHEMA_KEY: raw}), target / "_common_metadata")


# ------------------------------------------------------------------------------------------------ writing with pyarrow


def plain() -> None:
    """Parquet files that Petastorm did not write."""
    shutil.rmtree(DATA / "plain", ignore_errors=True)
    for name in ("types", "evolving", "empty_parts", "foreign", "loose_ends"):
        (DATA / "plain" / name).mkdir(parents=True)
    pq.write_table(_types(), DATA / "plain/types/part-0.parquet", row_group_size=3)

    rows = pa.table({"id": pa.array([0, 1], pa.int64()), "x": ["a", "b"]})
    pq.write_table(rows, DATA / "plain/evolving/part-0.parquet")
    pq.write_table(rows.append_column("added", pa.array([1.5, 2.5])), DATA / "plain/evolving/part-1.parquet")

    pq.write_table(rows.slice(0, 0), DATA / "plain/empty_parts/part-0.parquet")
    pq.write_table(rows, DATA / "plain/empty_parts/part-1.parquet")
    with pq.ParquetWriter(DATA / "plain/empty_parts/part-2.parquet", rows.schema) as writer:
        writer.write_table(rows.slice(0, 0))
        writer.write_table(rows)

    pq.write_table(rows, DATA / "plain/foreign/part-0.parquet")
    pq.write_metadata(rows.schema, DATA / "plain/foreign/_common_metadata")

    parted = pa.table({"id": pa.array(range(6), pa.int64()), "n": [1, 1, 2, 2, 3, 3], "s": list("abbaab")})
    pq.write_to_dataset(parted, DATA / "plain/hive", partition_cols=["n", "s"], basename_template="part-{i}.parquet")

    pq.write_table(rows, DATA / "plain/loose_ends/part-0.parquet")
    (DATA / "plain/loose_ends/_SUCCESS").write_bytes(b"")
    (DATA / "plain/loose_ends/.part-0.parquet.crc").write_bytes(b"crc")
    (DATA / "plain/loose_ends/_notes").mkdir()
    (DATA / "plain/loose_ends/_notes/readme.txt").write_text("not data")


def _types() -> pa.Table:
    day, moment = datetime.date, datetime.datetime
    moments = [moment(2024, 1, 2, 3, 4, 5, 678000), moment(1970, 1, 1), moment(1969, 7, 20, 20, 17, 40)]
    numbers, texts = [1, 0, 3], ["a", "", "é\U0001f426"]
    columns: dict[str, tuple[pa.DataType, list[Any]]] = {
        "bool": (pa.bool_(), [True, False, True]),
        **{
            f"{sign}int{bits}": (getattr(pa, f"{sign}int{bits}")(), numbers)
            for sign in ("", "u")
            for bits in (8, 16, 32, 64)
        },
        "float32": (pa.float32(), [1.5, -0.0, float("nan")]),
        "float64": (pa.float64(), [0.1, -0.0, float("inf")]),
        "string": (pa.string(), texts),
        "large_string": (pa.large_string(), texts),
        "binary": (pa.binary(), [b"a", b"", b"\xff\0"]),
        "large_binary": (pa.large_binary(), [b"a", b"", b"\xff\0"]),
        "fixed_binary": (pa.binary(2), [b"ab", b"\0\0", b"\xff\0"]),
        "date32": (pa.date32(), [day(2024, 2, 29), day(1970, 1, 1), day(1900, 12, 31)]),
        "time32": (pa.time32("ms"), [datetime.time(1, 2, 3), datetime.time(), datetime.time(23, 59, 59, 999000)]),
        "time64": (pa.time64("us"), [datetime.time(1, 2, 3), datetime.time(), datetime.time(23, 59, 59, 999999)]),
        **{f"timestamp_{unit}": (pa.timestamp(unit), moments) for unit in ("ms", "us", "ns")},
        "timestamp_utc": (pa.timestamp("us", "UTC"), moments),
        "timestamp_berlin": (pa.timestamp("us", "Europe/Berlin"), moments),
        "decimal128": (pa.decimal128(10, 2), [Decimal("1.50"), Decimal("-3"), Decimal("12345678.90")]),
        "decimal256": (pa.decimal256(50, 2), [Decimal("1.50"), Decimal("-3"), Decimal("12345678.90")]),
        "list_int32": (pa.list_(pa.int32()), [[1, 2], [3, 4], [5, 6]]),
        "list_float32": (pa.list_(pa.float32()), [[1, 2], [3, 4], [5, 6]]),
        "list_string": (pa.list_(pa.string()), [["a", "b"], ["c", "dd"], ["", "é"]]),
        "fixed_size_list": (pa.list_(pa.float32(), 2), [[1, 2], [3, 4], [5, 6]]),
        "large_list": (pa.large_list(pa.int32()), [[1, 2], [3, 4], [5, 6]]),
        "list_list": (pa.list_(pa.list_(pa.int32())), [[[1], [2]], [[3], [4]], [[5], [6]]]),
        "list_struct": (pa.list_(pa.struct({"a": pa.int32()})), [[{"a": 1}], [{"a": 2}], [{"a": 3}]]),
        "struct": (
            pa.struct({"a": pa.int32(), "b": pa.string()}),
            [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}, {"a": 3, "b": "z"}],
        ),
        "map": (pa.map_(pa.string(), pa.int32()), [[("a", 1)], [("b", 2)], [("c", 3)]]),
        "dictionary_string": (pa.dictionary(pa.int32(), pa.string()), texts),
        "dictionary_int": (pa.dictionary(pa.int32(), pa.int64()), numbers),
        "duration": (pa.duration("us"), [datetime.timedelta(1), datetime.timedelta(), datetime.timedelta(-1, 5)]),
    }
    arrays = {}
    for name, (kind, values) in columns.items():
        arrays[name] = (
            pa.array(values + values[:1], kind)
            if name != "dictionary_int"
            else (pa.array(values + values[:1], pa.int64()).dictionary_encode())
        )
        arrays[f"{name}_null"] = (
            pa.array([values[0], None, values[2], None], kind)
            if name != "dictionary_int"
            else (pa.array([values[0], None, values[2], None], pa.int64()).dictionary_encode())
        )
    del arrays["fixed_size_list_null"]  # this pyarrow cannot write it
    arrays["list_ragged"] = pa.array([[1], [2, 3], [], [4]], pa.list_(pa.int32()))
    arrays["list_null_list"] = pa.array([[1, 2], None, [3, 4], [5, 6]], pa.list_(pa.int32()))
    arrays["list_null_element"] = pa.array([[1, None], [2, 3], [4, 5], [None, 6]], pa.list_(pa.int32()))
    arrays["list_empty"] = pa.array([[], [], [], []], pa.list_(pa.int32()))
    return pa.table(arrays)


# ------------------------------------------------------------------------------------------------ observing


def observations(package: Package, data: Path, wanted: Callable[[str], bool] = lambda dataset: True) -> None:
    """Write what the readers of `package` return, a file for each dataset, and the errors of bad input."""
    found = sorted((case for case in cases() if wanted(case.dataset)), key=lambda case: case.dataset)
    for dataset, group in groupby(found, key=lambda case: case.dataset):
        with contextlib.redirect_stdout(io.StringIO()):  # the real one tells that it cleaned its cache
            seen = {f"{case.name} {case.kind}": sorted_fields(case, observe(package, case, data)) for case in group}
        expected_file(dataset).write_text(_json(seen, str(data)), encoding="utf-8")
    errors = {wrong.name: outcome_of(package, wrong, data) for wrong in wrongs()}
    (DATA / "errors.json").write_text(_json(errors, str(data)), encoding="utf-8")
    behaviours = {name: behaviour_of(package, run, data) for name, run in BEHAVIOURS.items()}
    (DATA / "behaviours.json").write_text(_json(behaviours, str(data)), encoding="utf-8")
    for wrong in wrongs():
        name, message = errors[wrong.name]["error"], errors[wrong.name]["message"]
        if name != wrong.error or not message.startswith(wrong.begins):
            print(f"{wrong.name}: expected {wrong.error} {wrong.begins!r}, got {name} {message[:150]!r}")  # noqa: T201


def sorted_fields(case: Case, found: dict[str, Any]) -> dict[str, Any]:
    """Return an observation with the fields by their names, where their order is that of a set of the real one."""
    if case.order or "schema" not in found:
        return found
    found["schema"]["fields"].sort()
    fields = found.get("fields", [])
    if isinstance(fields, dict):
        orders = {step: np.argsort(names) for step, names in fields.items()}
        found["fields"] = {step: sorted(names) for step, names in fields.items()}
        found["items"] = [
            {step: [part[at] for at in orders[step]] for step, part in item.items()} for item in found["items"]
        ]
    elif fields:
        order = np.argsort(fields)
        found["fields"] = sorted(fields)
        found["items"] = [[item[at] for at in order] for item in found["items"]]
    return found


def outcome_of(package: Package, wrong: Wrong, data: Path) -> dict[str, Any]:
    """Return class and message of the error that bad input gives, or empty ones."""
    with tempfile.TemporaryDirectory() as empty, warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            wrong.make(package, data, Path(empty) / "cache")
        except Exception as error:
            return error_of(error, 200)
    return {"error": "", "classes": [], "message": ""}


def behaviour_of(package: Package, run: Behaviour, data: Path) -> Any:
    """Return what a behaviour gives, as JSON gives it back."""
    with tempfile.TemporaryDirectory() as empty, warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            found = run(package, data, Path(empty) / "work")
        except Exception as error:
            found = f"raised {type(error).__name__}: {error}"[:300]
    return json.loads(json.dumps(found, default=str).replace(empty, "{empty}"))


def expected_file(dataset: str) -> Path:
    """Return where the observations of a dataset are kept: beside it, as Petastorm takes all inside for data."""
    return DATA / f"{dataset}.json"


def _json(value: Any, root: str) -> str:
    """Return JSON with one line for each item of a reader."""

    def lines(value: Any, depth: int) -> Iterator[str]:
        pad = " " * (2 * depth)
        if isinstance(value, dict) and depth < 2:
            yield (
                "{\n"
                + ",\n".join(
                    f"{pad}  {json.dumps(key)}: {''.join(lines(one, depth + 1))}" for key, one in value.items()
                )
                + f"\n{pad}}}"
            )
        elif isinstance(value, list) and depth == 2 and len(value) > 1 and isinstance(value[0], (list, dict)):
            yield "[\n" + ",\n".join(f"{pad}  {json.dumps(one, ensure_ascii=False)}" for one in value) + f"\n{pad}]"
        else:
            yield json.dumps(value, ensure_ascii=False)

    text = "".join(lines(value, 0)).replace(root, "{data}")
    return re.sub(r"from '/[^']*/site-packages", "from '{site}", text) + "\n"


# ------------------------------------------------------------------------------------------------ the other direction


def check_ours(ours: str) -> None:
    """Let Petrel write datasets, read them with both packages and compare."""
    sys.exit(subprocess.run([ours, "-m", "tests.petastorm.check_ours", sys.executable], check=False).returncode)


def main() -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--observe", action="store_true", help="only read again what is there")
    parser.add_argument("--check-ours", action="store_true", help="what Petrel writes, read by both")
    parser.add_argument("--ours", default=".venv/bin/python", help="the interpreter of the project")
    given = parser.parse_args()
    if given.check_ours:
        check_ours(given.ours)
    if not given.observe:
        spark = session()
        for make in (scalars, ndarrays, images, nocodec, rowgroups, summary, hives, pickles):
            make(spark)
        spark.stop()
        plain()
    logging.disable()
    observations(Package("petastorm"), DATA)


if __name__ == "__main__":
    main()
