"""How a value of a field is stored in a column, and read from it: Petastorm's codecs under their names."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from decimal import Decimal
from typing import Protocol

import numpy as np

from loaders.axes import Array
from loaders.decoding.arrays import read_npy, read_npz
from loaders.petastorm import images, spark_types
from loaders.petastorm.kinds import NumpyType, SparkKind, Value
from loaders.petastorm.spark_types import SparkType

__all__ = [
    "CompressedImageCodec", "CompressedNdarrayCodec", "DataframeColumnCodec", "NdarrayCodec", "ScalarCodec"
]  # fmt: skip


class Described(Protocol):
    """What codecs ask of a field; `loaders.petastorm.unischema.UnischemaField` is one."""

    @property
    def name(self) -> str:
        """Of the field and of its column."""

    @property
    def numpy_dtype(self) -> NumpyType:
        """Class of a numpy scalar, or `Decimal`."""

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Of one value; () for a single one; None in a place: that axis varies."""

    @property
    def nullable(self) -> bool | None:
        """Whether a value may be missing."""


class DataframeColumnCodec(ABC):
    """What every codec can do."""

    @abstractmethod
    def encode(self, unischema_field: Described, value: Value) -> Value:
        """Return a value as it is stored."""

    @abstractmethod
    def decode(self, unischema_field: Described, value: Value) -> Value:
        """Return a stored value as it was."""

    @abstractmethod
    def spark_dtype(self) -> SparkKind:
        """Return the type of Spark's in which values are stored."""

    @abstractmethod
    def __str__(self) -> str:
        """Return the expression that makes this codec."""


class _FileCodec(DataframeColumnCodec):
    """Values are stored as files, in columns of bytes."""

    def spark_dtype(self) -> SparkKind:
        """Return Spark's BinaryType."""
        return spark_types.real_type(SparkType("BinaryType"))

    def __str__(self) -> str:
        return f"{type(self).__name__}()"


class CompressedImageCodec(_FileCodec):
    """A picture as a file: (H, W) grey or (H, W, 3) RGB, uint8, and uint16 as PNG.

    Args:
        image_codec: `png`, `jpeg` or `jpg`; `bmp`, `tiff` and `webp` too.
        quality: Of a JPEG, 1 to 100.
    """

    def __init__(self, image_codec: str = "png", quality: int = 80) -> None:
        self._image_codec = "." + image_codec
        self._quality = quality

    @property
    def image_codec(self) -> str:
        """Kind of file: png, jpeg, ..."""
        return self._image_codec[1:]

    @property
    def quality(self) -> int:
        """Quality of a JPEG."""
        return self._quality

    def encode(self, unischema_field: Described, value: Array) -> bytearray:
        """Return the picture as a file.

        Raises:
            ValueError: If it is not what the field declares, or no picture.
        """
        _check_dtype(unischema_field, value)
        _check_shape(unischema_field, value)
        if value.ndim != 2 and not (value.ndim == 3 and value.shape[2] == 3):
            raise ValueError(
                f"Unexpected image dimensions. Supported dimensions are (H, W) or (H, W, 3). Got {value.shape}"
            )
        return bytearray(images.encode(value, self.image_codec, self._quality))

    def decode(self, unischema_field: Described, value: Value) -> Array:
        """Return the picture as an array that is C-contiguous.

        Raises:
            DecodeError: If it is no picture, a damaged one, or neither grey nor RGB.
        """
        return images.decode(memoryview(value))

    def __str__(self) -> str:
        return f"{type(self).__name__}({self.image_codec!r}, {self._quality})"


class NdarrayCodec(_FileCodec):
    """An array as a `.npy` file."""

    def encode(self, unischema_field: Described, value: Array) -> bytearray:
        """Return the array as a file.

        Raises:
            ValueError: If it is not what the field declares.
        """
        _check_array(unischema_field, value)
        file = io.BytesIO()
        np.save(file, value, allow_pickle=False)
        return bytearray(file.getbuffer())

    def decode(self, unischema_field: Described, value: Value) -> Array:
        """Return the array.

        Raises:
            DecodeError: If it is no such file, or one that holds a pickle.
        """
        return read_npy(memoryview(value))


class CompressedNdarrayCodec(_FileCodec):
    """An array as a compressed `.npz` file."""

    def encode(self, unischema_field: Described, value: Array) -> bytearray:
        """Return the array as a file.

        Raises:
            ValueError: If it is not what the field declares.
        """
        _check_array(unischema_field, value)
        file = io.BytesIO()
        np.savez_compressed(file, allow_pickle=False, arr=value)
        return bytearray(file.getbuffer())

    def decode(self, unischema_field: Described, value: Value) -> Array:
        """Return the array.

        Raises:
            DecodeError: If it is no such file, or one that holds a pickle.
        """
        return read_npz(memoryview(value))


class ScalarCodec(DataframeColumnCodec):
    """One value in a column of its own type.

    Args:
        spark_type: A type of `pyspark.sql.types`, or a `SparkType` where there is no PySpark.
    """

    def __init__(self, spark_type: SparkKind) -> None:
        self._spark_type = spark_type

    @property
    def stored_type(self) -> SparkKind:
        """The type as it was given: a real one, or a record of one."""
        return self._spark_type

    def encode(self, unischema_field: Described, value: Value) -> Value:
        """Return the value as Spark takes it.

        Raises:
            TypeError: If it is no single value.
            ValueError: If the field is not for single values, or wants text and this is none.
        """
        name = spark_types.name_of(self._spark_type)
        is_unsized = isinstance(value, np.ndarray) and value.shape == ()
        is_bytes = isinstance(value, bytes | bytearray) and name == "BinaryType"
        if not is_unsized and hasattr(value, "__len__") and not isinstance(value, str) and not is_bytes:
            raise TypeError(
                f"Expected a scalar as a value for field '{unischema_field.name}'. Got a non-numpy type '{type(value)}'"
            )
        if unischema_field.shape:
            raise ValueError(
                f"The shape field of unischema_field '{unischema_field.name}' must be an empty tuple (i.e. '()' to "
                f"indicate a scalar. However, the actual shape is {unischema_field.shape}"
            )
        if name in spark_types.INTEGER_TYPES:
            return int(value)
        if name in spark_types.FLOAT_TYPES:
            return float(value)
        if name == "BooleanType":
            return bool(value)
        if name == "StringType":
            if not isinstance(value, str):
                raise ValueError(f"Expected a string value for field {unischema_field.name}. Got type {type(value)}")
            return str(value)
        return value

    def decode(self, unischema_field: Described, value: Value) -> Value:
        """Return the value in the field's type: a numpy scalar, or a Decimal."""
        return single(unischema_field.numpy_dtype, value)

    def spark_dtype(self) -> SparkKind:
        """Return the type.

        Raises:
            ImportError: If it came from a file and PySpark is not installed.
        """
        return spark_types.real_type(self._spark_type)

    def __str__(self) -> str:
        kind = self._spark_type
        return f"{type(self).__name__}({kind if isinstance(kind, SparkType) else type(kind).__name__ + '()'})"


def single(numpy_dtype: NumpyType, value: Value) -> Value:
    """Return one stored value in the type of its field."""
    if numpy_dtype is Decimal:
        return Decimal(value)
    kind = np.object_ if numpy_dtype is None else np.dtype(numpy_dtype).type
    if kind is np.bytes_ and isinstance(value, str):
        return np.bytes_(value.encode())
    return value if kind is np.object_ else kind(value)


def is_compliant_shape(found: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    """Whether a shape is as wanted; None stands for any size."""
    return len(found) == len(wanted) and all(b is None or a == b for a, b in zip(found, wanted, strict=True))


def _check_array(field: Described, value: Value) -> None:
    if not isinstance(value, np.ndarray):
        raise ValueError(
            f"Unexpected type of {field.name} feature. Expected ndarray of {field.numpy_dtype}. Got {type(value)}"
        )
    if np.dtype(field.numpy_dtype).type is not value.dtype.type:
        raise ValueError(f"Unexpected type of {field.name} feature. Expected {field.numpy_dtype}. Got {value.dtype}")
    if not is_compliant_shape(value.shape, field.shape):
        raise ValueError(f"Unexpected dimensions of {field.name} feature. Expected {field.shape}. Got {value.shape}")


def _check_dtype(field: Described, value: Value) -> None:
    if np.dtype(field.numpy_dtype) != value.dtype:
        raise ValueError(f"Unexpected type of {field.name} feature, expected {field.numpy_dtype}, got {value.dtype}")


def _check_shape(field: Described, value: Value) -> None:
    if not is_compliant_shape(value.shape, field.shape):
        raise ValueError(f"Unexpected dimensions of {field.name} feature, expected {field.shape}, got {value.shape}")
