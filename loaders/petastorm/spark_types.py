"""Spark's types by their names: real ones where PySpark is installed and wanted, records of them where it is not.

A stored schema names Spark types. It is read without PySpark, so a codec from a file holds a `SparkType`; the real
one is made when `spark_dtype()` asks for it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pyarrow as pa

from loaders.petastorm.kinds import NumpyType, SparkKind, Value

INTEGER_TYPES = ("ByteType", "ShortType", "IntegerType", "LongType")
FLOAT_TYPES = ("FloatType", "DoubleType")
TYPE_NAMES = (
    *INTEGER_TYPES, *FLOAT_TYPES, "BooleanType", "StringType", "BinaryType", "DecimalType", "DateType", "TimestampType",
)  # fmt: skip
"""What a column of one value may be stored as."""

_BY_NUMPY: Mapping[type, str] = {
    np.int8: "ByteType", np.uint8: "ShortType", np.int16: "ShortType", np.uint16: "IntegerType",
    np.int32: "IntegerType", np.uint32: "LongType", np.int64: "LongType", np.float32: "FloatType",
    np.float64: "DoubleType", np.str_: "StringType", np.bytes_: "StringType", np.bool_: "BooleanType",
}  # fmt: skip

_ARROW_TYPES: Mapping[str, pa.DataType] = {
    "ByteType": pa.int8(), "ShortType": pa.int16(), "IntegerType": pa.int32(), "LongType": pa.int64(),
    "FloatType": pa.float32(), "DoubleType": pa.float64(), "BooleanType": pa.bool_(), "StringType": pa.string(),
    "BinaryType": pa.binary(), "DateType": pa.date32(), "TimestampType": pa.timestamp("us", tz="UTC"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SparkType:
    """A type of Spark's, by name.

    Attributes:
        name: One of `TYPE_NAMES`.
        precision: Digits of a `DecimalType`.
        scale: Digits of it behind the point.
    """

    name: str
    precision: int = 10
    scale: int = 0

    def __str__(self) -> str:
        return f"{self.name}({self.precision},{self.scale})" if self.name == "DecimalType" else f"{self.name}()"


def name_of(spark_type: object) -> str:
    """Return the name of a type, be it a real one or a record."""
    return spark_type.name if isinstance(spark_type, SparkType) else type(spark_type).__name__


def record_of(spark_type: object) -> SparkType:
    """Return the record of a real type; a record as it is.

    Raises:
        ValueError: If columns of one value are not stored as this type.
    """
    if isinstance(spark_type, SparkType):
        return spark_type
    name = name_of(spark_type)
    if name not in TYPE_NAMES:
        raise ValueError(f"a stored schema cannot name {spark_type!r}; it knows {', '.join(TYPE_NAMES)}")
    if name == "DecimalType":
        return SparkType(name, int(spark_type.precision), int(spark_type.scale))  # type: ignore[attr-defined]
    return SparkType(name)


def real_type(spark_type: SparkKind) -> SparkKind:
    """Return the type as PySpark has it; a real one as it is.

    Raises:
        ImportError: If PySpark is not installed.
    """
    if not isinstance(spark_type, SparkType):
        return spark_type
    made = getattr(_types(), spark_type.name)
    return made(spark_type.precision, spark_type.scale) if spark_type.name == "DecimalType" else made()


def type_of_numpy(numpy_dtype: NumpyType) -> SparkType | None:
    """Return the type in which a single value of a numpy type is stored without a codec, None if there is none."""
    if numpy_dtype is Decimal or numpy_dtype is None:
        return None
    name = _BY_NUMPY.get(np.dtype(numpy_dtype).type)
    return None if name is None else SparkType(name)


def arrow_type(spark_type: object) -> pa.DataType:
    """Return the type of Arrow's that Spark reads as this type, and writes for it.

    Raises:
        ValueError: If columns of one value are not stored as this type.
    """
    record = record_of(spark_type)
    return _ARROW_TYPES.get(record.name) or pa.decimal128(record.precision, record.scale)


def struct_type(columns: Sequence[tuple[str, SparkKind, bool]]) -> SparkKind:
    """Return Spark's `StructType` of columns: name, type, nullable.

    Raises:
        ImportError: If PySpark is not installed.
    """
    types = _types()
    return types.StructType([types.StructField(name, real_type(kind), nullable) for name, kind, nullable in columns])


def make_row(names: Sequence[str], values: Sequence[Value]) -> SparkKind:
    """Return a `pyspark.Row` with the columns in this order.

    Raises:
        ImportError: If PySpark is not installed.
    """
    row = _types().Row(*values)
    row.__fields__ = list(names)
    return row


def vector_to_array(column: Value, dtype: str) -> SparkKind:
    """Return a Spark column of `pyspark.ml` vectors as one of arrays of `float32` or `float64`."""
    return importlib.import_module("pyspark.ml.functions").vector_to_array(column, dtype)


def open_session(name: str, *, master: str | None = None, settings: Mapping[str, str] | None = None) -> SparkKind:
    """Return the running Spark session, or start one.

    Raises:
        ImportError: If PySpark is not installed.
    """
    _types()
    builder = importlib.import_module("pyspark.sql").SparkSession.builder.appName(name)
    for key, value in (settings or {}).items():
        builder = builder.config(key, value)
    return (builder.master(master) if master else builder).getOrCreate()


def _types() -> SparkKind:
    try:
        return importlib.import_module("pyspark.sql.types")
    except ImportError as error:
        raise ImportError(
            "Spark's types were asked for, and PySpark is not installed; pip install petrel-lakehouse[spark]"
        ) from error
