"""A Unischema as the pickle that every Petastorm reads; `legacy` reads it back."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from loaders.format.petastorm_metadata import StoredCodec, StoredField, schema_pickle
from loaders.petastorm.codecs import CompressedImageCodec, CompressedNdarrayCodec, NdarrayCodec, ScalarCodec
from loaders.petastorm.etl.legacy import SCHEMA_NAMES, read_unischema
from loaders.petastorm.spark_types import record_of
from loaders.petastorm.unischema import Unischema, UnischemaField, scalar_type

_MANY_FIELDS = 1000


def unischema_bytes(schema: Unischema) -> bytes:
    """Return what is stored under `dataset-toolkit.unischema.v1`: ASCII, the same for the same schema.

    Raises:
        ValueError: If a field has a codec or type of one's own, which no reader could name, or there are more fields
            than readers take.
    """
    raw = schema_pickle(schema._name, [_stored(field) for field in schema.fields.values()]).encode("ascii")
    if len(schema.fields) > _MANY_FIELDS:
        read_unischema(raw)  # what nobody would read is not written
    return raw


def _stored(field: UnischemaField) -> StoredField:
    shape = tuple(None if axis is None else int(axis) for axis in field.shape)
    nullable = None if field.nullable is None else bool(field.nullable)
    return StoredField(field.name, _dtype(field), shape, _codec(field), nullable)


def _dtype(field: UnischemaField) -> tuple[str, str]:
    kind = scalar_type(field.numpy_dtype)
    if kind is Decimal:
        return "decimal", "Decimal"
    # numpy.bool_, str_ and bytes_ exist in numpy 1 and 2; numpy.bool does not.
    name = {np.bool_: "bool_", np.str_: "str_", np.bytes_: "bytes_"}.get(kind, kind.__name__)
    if ("numpy", name) not in SCHEMA_NAMES:
        raise ValueError(f"field {field.name!r} has the type {name}, which a stored schema cannot name")
    return "numpy", name


def _codec(field: UnischemaField) -> StoredCodec | None:
    codec = field.codec
    if codec is None:
        return None
    if type(codec) is CompressedImageCodec:
        return StoredCodec("CompressedImageCodec", {"_image_codec": f".{codec.image_codec}", "_quality": codec.quality})
    if type(codec) in (NdarrayCodec, CompressedNdarrayCodec):
        return StoredCodec(type(codec).__name__)
    if type(codec) is not ScalarCodec:
        raise ValueError(f"field {field.name!r} has the codec {codec}, which a stored schema cannot name")
    kind = record_of(codec.stored_type)
    decimal = {"precision": kind.precision, "scale": kind.scale, "hasPrecisionInfo": True}
    return StoredCodec("ScalarCodec", spark_type=kind.name, spark_state=decimal if kind.name == "DecimalType" else {})
